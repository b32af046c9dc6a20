// Batches in one piece: the calls of SDKs before 4.3, which the client of today still knows, and
// those that the published document describes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { apiClientManager } from "@trigger.dev/core/v3";
import * as schemas from "@trigger.dev/core/v3/schemas";
import { auth, batch, runs } from "@trigger.dev/sdk";
import { concurrently, context, endedAs, http, unique } from "../client.mjs";

const client = () => apiClientManager.clientOrThrow();
const item = (name, options) => ({ task: "hello", payload: { name }, options });
const eleven = Array.from({ length: 11 }, (_, i) => `t${i}`);

describe("batches in one piece", concurrently, () => {
  it("by the SDK's own client", async () => {
    for (const processingStrategy of [undefined, "parallel", "sequential"]) {
      const items = ["a", "b"].map((name) => ({
        task: "hello",
        payload: JSON.stringify({ json: { name } }),
        options: { payloadType: "application/super+json" },
      }));
      const made = await client().batchTriggerV3({ items }, { processingStrategy });
      assert.equal(made.runCount, 2);
      const shown = await batch.retrieve(made.id);
      assert.equal(shown.runs.length, 2);
      for (const [index, id] of shown.runs.entries()) {
        assert.equal((await endedAs("COMPLETED", id)).output.greeting, `Hello, ${items[index].payload.includes('"a"') ? "a" : "b"}!`);
      }
      const results = await client().getBatchResults(made.id);
      assert.deepEqual(results.items.map((result) => [result.id, result.ok]), shown.runs.map((id) => [id, true]));
      await auth.withAuth({ accessToken: made.publicAccessToken, baseURL: context.apiUrl }, async () => {
        assert.equal((await batch.retrieve(made.id)).status, "COMPLETED");
        assert.equal((await runs.retrieve(shown.runs[0])).id, shown.runs[0]);
      });
    }
  });

  it("tells what could not be triggered, and runs the others", async () => {
    const made = await client().batchTriggerV3({ items: [item("x"), item("y", { tags: eleven }), item("z")] });
    const shown = await batch.retrieve(made.id);
    assert.deepEqual(shown.processing.errors.map(({ index, taskIdentifier }) => [index, taskIdentifier]), [[1, "hello"]]);
    assert.match(shown.processing.errors[0].error, /10 tags/);
    await endedAs("COMPLETED", shown.runs[0]);
    await endedAs("SYSTEM_FAILURE", shown.runs[1]);
    await endedAs("COMPLETED", shown.runs[2]);
    assert.equal((await batch.retrieve(made.id)).status, "PARTIAL_FAILED");
  });

  it("in the words of older SDKs", async () => {
    const headers = { "trigger-version": "3.3.17", "idempotency-key": unique("batch") };
    const body = { items: [item("x", { delay: "1h", idempotencyKey: unique("item") }), item("y", { delay: "1h" })] };
    const made = await http("POST", "/api/v1/tasks/batch", { body, headers });
    assert.equal(made.status, 202);
    const answer = schemas.BatchTriggerTaskV2Response.parse(made.body);
    assert.equal(answer.isCached, false);
    assert.equal(answer.runs[0].idempotencyKey, body.items[0].options.idempotencyKey);
    const again = schemas.BatchTriggerTaskV2Response.parse((await http("POST", "/api/v1/tasks/batch", { body, headers })).body);
    assert.deepEqual([again.id, again.isCached], [answer.id, true]);
    assert.deepEqual(again.runs.map((run) => run.id), answer.runs.map((run) => run.id));
    await Promise.all(answer.runs.map((run) => runs.cancel(run.id)));
  });

  it("in the words of the document", async () => {
    for (const [path, items] of [["/api/v1/tasks/batch", [item("x"), item("y")]], ["/api/v1/tasks/hello/batch", [{ payload: { name: "x" } }, { payload: { name: "y" } }]]]) {
      const { status, body } = await http("POST", path, { body: { items } });
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual((await batch.retrieve(body.batchId)).runs, body.runs);
      assert.equal((await endedAs("COMPLETED", body.runs[1])).output.greeting, "Hello, y!");
    }
  });

  it("needs a token for batches, which works once", async () => {
    const token = await auth.createBatchTriggerPublicToken("hello");
    const call = (items) => http("POST", "/api/v2/tasks/batch", { body: { items }, token });
    assert.equal((await call([item("x"), { task: "echo" }])).status, 403);
    assert.equal((await call([item("x")])).status, 202);
    assert.equal((await call([item("x")])).status, 422);
  });

  it("refuses what is no batch, and says why", async () => {
    await assert.rejects(client().batchTriggerV3({ items: [] }), { status: 400, message: /no items/ });
    await assert.rejects(client().batchTriggerV3({ items: Array.from({ length: 501 }, () => item("x")) }), { status: 400, message: /500/ });
    await assert.rejects(client().batchTriggerV3({ items: [{ payload: 1 }] }), { status: 400, message: /items\[0\]\.task/ });
    await assert.rejects(client().batchTriggerV3({ items: [item("x".repeat(1_000_000))] }), { status: 413 });
  });
});
