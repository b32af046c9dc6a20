// Large payloads in an S3-compatible store: the official SDK and worker send them there and read
// them from there, by the addresses that Sear signs.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { tasks } from "@trigger.dev/sdk";
import { connect, context, endedAs, http } from "../client.mjs";
import { Cli, Server, createDatabase } from "../harness.mjs";
import { s3Flags, startS3 } from "../s3.mjs";

describe("a server with a bucket", { timeout: 240_000 }, () => {
  let store, server, cli, database;

  before(async () => {
    const dir = join(context.dir, "s3");
    mkdirSync(dir);
    store = await startS3(dir);
    if (context.database === "postgres") database = await createDatabase(process.env.SEAR_TEST_POSTGRES);
    server = await new Server({ dir, databaseUrl: database?.url, flags: s3Flags(store) }).start();
    cli = await new Cli({ dir, server }).start();
    connect({ dir, database: context.database, apiUrl: server.apiUrl, keys: server.keys });
  });

  after(async () => {
    await cli?.stop();
    await server?.stop();
    await database?.drop();
    await store?.stop();
  });

  const inBucket = (url) => assert.ok(url.startsWith(`${store.endpoint}/${store.bucket}/packets/`), url);
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");

  it("has the SDK send a large payload to the bucket and the worker read it there", async () => {
    const text = "ü".repeat(600 * 1024);
    const { id } = await tasks.trigger("digest", { text });
    const run = await endedAs("COMPLETED", id);

    assert.deepEqual(run.output, { length: text.length, sha256: sha256(text) });
    assert.equal(run.payload.text, text);
    inBucket((await http("GET", `/api/v3/runs/${id}`)).body.payloadPresignedUrl);
  });

  it("puts a large payload that came inside the request into the bucket", async () => {
    const text = "z".repeat(600 * 1024);
    const { body } = await http("POST", "/api/v1/tasks/digest/trigger", { body: { payload: { text } } });
    const run = await endedAs("COMPLETED", body.id);

    assert.deepEqual(run.output, { length: text.length, sha256: sha256(text) });
    assert.equal(run.payload.text, text);
    inBucket((await http("GET", `/api/v3/runs/${body.id}`)).body.payloadPresignedUrl);
  });

  it("has the worker send a large output to the bucket and the SDK read it there", async () => {
    const { id } = await tasks.trigger("large-output", { length: 600_000 });
    const run = await endedAs("COMPLETED", id);

    assert.equal(run.output.text, "é".repeat(600_000));
    inBucket((await http("GET", `/api/v3/runs/${id}`)).body.outputPresignedUrl);
  });

  it("keeps nothing of them on its own disk", () => {
    assert.deepEqual(readdirSync(join(server.dir, "data", "packets")), ["incoming"]);
  });
});
