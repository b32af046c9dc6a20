// Runs the suites against the built server, once for each database.
//
//   node index.mjs [--database sqlite|postgres] [--grep PATTERN] [SUITE...]
//
// A SUITE is the name of a file in suites/ without ".test.mjs"; all of them run when none is named.
// SEAR_BIN names the server, SEAR_TEST_POSTGRES a Postgres URL whose user may create databases.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const home = import.meta.dirname;
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { database: { type: "string" }, grep: { type: "string" } },
});

/** More would start more task processes at once than two cores can boot. */
const suitesAtOnce = 3;

installPackages();

const work = mkdtempSync(join(tmpdir(), "sear-sdk-"));
process.env.SEAR_TEST_PIDS = join(work, "pids");
mkdirSync(process.env.SEAR_TEST_PIDS);
const harness = await import("./harness.mjs");
const tls = (await import("./proxy.mjs")).makeCertificate(work);

if (!existsSync(harness.bin)) {
  console.error(`There is no server at ${harness.bin}: build it, or name one in SEAR_BIN`);
  process.exit(1);
}

let suites; // the running `node --test`, in a group with the test files it runs
let failed = false;
process.on("exit", () => {
  if (suites?.exitCode === null) process.kill(-suites.pid, "SIGKILL");
  harness.killNoted();
  if (!failed) rmSync(work, { recursive: true, force: true });
});
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => process.exit(130));

for (const database of databases()) {
  if (!(await runOn(database))) failed = true;
}
if (failed) {
  console.error(`\nSDK tests failed; everything they left is in ${work}`);
  process.exit(1);
}

/** The databases to test on. Locally a missing Postgres is said aloud; in CI it is a failure. */
function databases() {
  const wanted = flags.database ? [flags.database] : ["sqlite", "postgres"];
  if (wanted.includes("postgres") && !process.env.SEAR_TEST_POSTGRES) {
    if (process.env.CI === "true" || flags.database) {
      console.error("SEAR_TEST_POSTGRES is not set: it must name a Postgres server to test on");
      process.exit(1);
    }
    console.log("SEAR_TEST_POSTGRES is not set: not testing on Postgres");
    return wanted.filter((name) => name !== "postgres");
  }
  return wanted;
}

/** Runs all suites on one database; true when all passed and everything stopped as it should. */
async function runOn(database) {
  console.log(`\n=== SDK tests on ${database}`);
  const dir = join(work, database);
  mkdirSync(dir);

  let created, server, cli;
  let passed = false;
  try {
    if (database === "postgres") created = await harness.createDatabase(process.env.SEAR_TEST_POSTGRES);
    server = await new harness.Server({ dir, databaseUrl: created?.url }).start();
    cli = await new harness.Cli({ dir, server }).start();
    passed = await runSuites({ dir, database, tls, apiUrl: server.apiUrl, keys: server.keys });
  } catch (error) {
    console.error(error);
  }

  for (const [what, stop] of [
    ["CLI", () => cli?.stop()],
    ["server", () => server?.stop()],
    ["database", () => created?.drop()],
  ]) {
    try {
      await stop();
    } catch (error) {
      console.error(`Stopping the ${what} failed:`, error);
      passed = false;
    }
  }
  if (!passed) {
    for (const part of [server, cli]) if (part) console.error(await harness.tail(part.log));
  }
  return passed;
}

/** Runs `node --test`; the suites find the server through the environment. */
function runSuites(context) {
  const names = positionals.length > 0 ? positionals : allSuites();
  const args = ["--test", "--test-reporter=spec", `--test-concurrency=${suitesAtOnce}`];
  if (flags.grep) args.push(`--test-name-pattern=${flags.grep}`);
  args.push(...names.map((name) => join(home, "suites", `${name}.test.mjs`)));

  suites = spawn(process.execPath, args, {
    stdio: "inherit",
    detached: true,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: tls.certificate, SEAR_TEST_CONTEXT: JSON.stringify(context) },
  });
  return new Promise((done, fail) => {
    suites.once("error", fail);
    suites.once("exit", (code) => done(code === 0));
  });
}

function allSuites() {
  return readdirSync(join(home, "suites")).map((file) => file.replace(/\.test\.mjs$/, ""));
}

/** npm ci, when the lockfile is newer than what was installed from it. */
function installPackages() {
  const changedAt = (file) => statSync(join(home, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (changedAt("node_modules/.package-lock.json") >= changedAt("package-lock.json")) return;

  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: home, stdio: "inherit" });
}
