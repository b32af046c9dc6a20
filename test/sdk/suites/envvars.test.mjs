// Environment variables: set by the SDK, by the CLI and by plain requests, and seen by the
// process of a task from its next attempt on.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { auth, envvars, tasks } from "@trigger.dev/sdk";
import { concurrently, context, http, outputOf, unique } from "../client.mjs";

const ref = context.keys.projectRef;
/** A name that is a variable's and no other test's. */
const variable = () => unique("VAR").replaceAll("-", "_");
const path = (rest = "", env = "dev") => `/api/v1/projects/${ref}/envvars/${env}${rest}`;
const ok = { success: true };

/** What a task sees of these variables. */
async function seen(...names) {
  const { id } = await tasks.trigger("read-env", { names });
  return outputOf(id);
}

/** Runs the official CLI in the project of the suites and returns what it prints. */
async function cli(...args) {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(context.dir, "node_modules/trigger.dev/dist/esm/index.js"), ...args, "--project-ref", ref, "--skip-telemetry"],
    {
      cwd: join(context.dir, "project"),
      env: {
        PATH: process.env.PATH,
        HOME: context.dir,
        TRIGGER_ACCESS_TOKEN: context.keys.personalAccessToken,
        TRIGGER_API_URL: context.apiUrl,
        NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, "../no-net.mjs"))}`,
      },
    },
  );
  return stdout;
}

describe("environment variables", concurrently, () => {
  it("are created, replaced, read and deleted", async () => {
    const name = variable();
    assert.deepEqual(await envvars.create(ref, "dev", { name, value: "one" }), ok);
    assert.deepEqual(await envvars.retrieve(ref, "dev", name), { name, value: "one", isSecret: false });
    assert.deepEqual(await seen(name), { [name]: "one" });

    assert.deepEqual(await envvars.create(ref, "dev", { name, value: "two" }), ok);
    assert.deepEqual(await seen(name), { [name]: "two" });

    assert.deepEqual(await envvars.del(ref, "dev", name), ok);
    await assert.rejects(envvars.retrieve(ref, "dev", name), { status: 404, message: /Environment variable not found/ });
    await assert.rejects(envvars.del(ref, "dev", name), { status: 404 });
    assert.deepEqual(await seen(name), { [name]: null });
  });

  it("are secrets to people, not to tasks", async () => {
    const name = variable();
    await envvars.create(ref, "dev", { name, value: "s3cret", isSecret: true });
    const shown = { name, value: "<redacted>", isSecret: true };
    assert.deepEqual(await envvars.retrieve(ref, "dev", name), shown);
    const listed = await envvars.list(ref, "dev");
    assert.deepEqual(listed.find((one) => one.name === name), shown);
    assert.deepEqual(await seen(name), { [name]: "s3cret" });
  });

  it("are imported, and replaced only when that is said", async () => {
    const [a, b] = [variable(), variable()];
    const odd = "quotes ' \" `, \\n, $HOME, #, ümläut\nand a line";
    assert.deepEqual(await envvars.upload(ref, "dev", { variables: { [a]: "1" } }), ok);
    await assert.rejects(envvars.upload(ref, "dev", { variables: { [a]: "2", [b]: odd } }), {
      status: 400,
      message: /already set.*Set override to true/,
    });
    assert.deepEqual(await seen(a, b), { [a]: "1", [b]: null });
    assert.deepEqual(await envvars.upload(ref, "dev", { variables: { [a]: "2", [b]: odd }, override: true }), ok);
    assert.deepEqual(await seen(a, b), { [a]: "2", [b]: odd });
  });

  it("are imported as the document's list, and as a file", async () => {
    const [a, b, c] = [variable(), variable(), variable()];
    const list = await http("POST", path("/import"), { body: { variables: [{ name: a, value: "1" }] } });
    assert.deepEqual(list.body, ok);

    const form = new FormData();
    form.set("variables", new File([`# two\nexport ${b}='x y' # comment\n${c}="line\nline\\tend"\n`], ".env"));
    const response = await fetch(new URL(path("/import"), context.apiUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${context.keys.secretKeys.dev}` },
      body: form,
    });
    assert.deepEqual(await response.json(), ok);
    assert.deepEqual(await seen(a, b, c), { [a]: "1", [b]: "x y", [c]: "line\nline\\tend" });
  });

  it("are updated by a plain request", async () => {
    const name = variable();
    const update = (method, value) => http(method, path(`/${name}`), { body: { value } });
    assert.equal((await update("PUT", "x")).status, 404);
    await envvars.create(ref, "dev", { name, value: "one" });
    for (const method of ["PUT", "POST"]) {
      assert.deepEqual((await update(method, method)).body, ok);
      assert.deepEqual(await seen(name), { [name]: method });
    }
  });

  it("reach the next attempt of the run that changes them", async () => {
    const name = variable();
    await envvars.create(ref, "dev", { name, value: "before" });
    const { id } = await tasks.trigger("change-env", { name, value: "after" });
    assert.deepEqual(await outputOf(id), { seen: "after" });
  });

  it("are managed from inside a task", async () => {
    const name = variable();
    const { id } = await tasks.trigger("manage-env", { name });
    const shown = (value) => ({ name, value, isSecret: false });
    assert.deepEqual(await outputOf(id), {
      created: shown("created"),
      listed: shown("uploaded"),
      updated: shown("updated"),
      before: null,
    });
    assert.equal((await http("GET", path(`/${name}`))).status, 404);
  });

  it("are managed in every environment with a personal access token", async () => {
    const name = variable();
    await auth.withAuth({ accessToken: context.keys.personalAccessToken, baseURL: context.apiUrl }, async () => {
      for (const env of ["dev", "staging", "prod"]) {
        await envvars.create(ref, env, { name, value: env });
        assert.equal((await envvars.retrieve(ref, env, name)).value, env);
      }
    });
    assert.deepEqual(await seen(name), { [name]: "dev" });
    await assert.rejects(envvars.list(ref, "prod"), { status: 400, message: /Invalid environment slug for this API key/ });
    await assert.rejects(envvars.list("proj_other", "dev"), { status: 400, message: /Invalid project ref for this API key/ });
  });

  it("are set and read by the CLI", async () => {
    const name = variable();
    await cli("env", "set", name, "by the CLI", "--env", "staging", "--secret");
    assert.equal((await cli("env", "get", name, "--env", "staging", "--raw")).trim(), "by the CLI");
    const { body } = await http("GET", path(`/${name}`, "staging"), { token: context.keys.secretKeys.staging });
    assert.deepEqual(body, { name, value: "<redacted>", isSecret: true });
  });

  it("cannot take the place of a process's own", async () => {
    const own = { TRIGGER_API_URL: "http://elsewhere", TRIGGER_SECRET_KEY: "tr_dev_other" };
    await assert.rejects(envvars.upload(ref, "dev", { variables: own, override: true }), {
      status: 400,
      message: /You must set at least one valid variable/,
    });
    for (const body of [{ name: "A-B", value: "x" }, { name: "A" }, { name: variable(), value: " " }]) {
      assert.equal((await http("POST", path(), { body })).status, 400, JSON.stringify(body));
    }
    assert.equal((await seen("TRIGGER_API_URL")).TRIGGER_API_URL, context.apiUrl);
  });
});
