// The REST API as other clients see it: answers that the official schemas accept, lists and their
// cursors, tokens that may do one thing only, and requests that are wrong.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as schemas from "@trigger.dev/core/v3/schemas";
import { auth, batch, runs, tasks } from "@trigger.dev/sdk";
import { concurrently, context, endedAs, http, membersOf, reached, unique } from "../client.mjs";

/** The body, once the official schema has accepted it. */
function parsed(schema, { status, body }, expectedStatus = 200) {
  assert.equal(status, expectedStatus, JSON.stringify(body));
  const result = schemas[schema].safeParse(body);
  assert.ok(result.success, `${schema} does not accept ${JSON.stringify(body)}: ${result.error}`);
  return body;
}

/** Names of the members that are null: the schemas want optional ones to be absent. */
function nulls(value, path = "") {
  if (value === null) return [path];
  if (typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, member]) => nulls(member, `${path}.${key}`));
}

const trigger = (task, body, options) => http("POST", `/api/v1/tasks/${task}/trigger`, { body, ...options });
const none = "0".repeat(25) + "1"; // well-formed, but nothing has this id
const ids = (page) => page.data.map((run) => run.id);

describe("schemas", concurrently, () => {
  it("trigger", async () => {
    const { headers, ...answer } = await trigger("hello", { payload: { name: "REST" } });
    const { id, isCached } = parsed("TriggerTaskResponse", answer);
    assert.match(id, /^run_[0-9a-v]{24}[0-9a-z]{2}$/);
    assert.equal(isCached, false);

    const claims = JSON.parse(headers.get("x-trigger-jwt-claims"));
    assert.equal(claims.pub, true);
    assert.ok(claims.scopes.includes(`read:runs:${id}`));
    const [head, body, signature] = headers.get("x-trigger-jwt").split(".");
    const expected = createHmac("sha256", context.keys.secretKeys.dev).update(`${head}.${body}`).digest("base64url");
    assert.equal(signature, expected);
  });

  it("runs in every state", async () => {
    const tag = unique("state");
    const delayed = await tasks.trigger("hello", { name: "x" }, { delay: "1h", ttl: "2h", tags: tag, metadata: { a: 1 } });
    const completed = await tasks.trigger("hello", { name: "x" }, { tags: tag, idempotencyKey: unique("key") });
    const failed = await tasks.trigger("thrower", { kind: "error" }, { tags: tag, maxAttempts: 1 });
    const canceled = await tasks.trigger("hello", { name: "x" }, { delay: "1h", tags: tag });
    await runs.cancel(canceled.id);
    await endedAs("COMPLETED", completed.id);
    await endedAs("FAILED", failed.id);

    for (const { id } of [delayed, completed, failed, canceled]) {
      const run = parsed("RetrieveRunResponse", await http("GET", `/api/v3/runs/${id}`));
      assert.deepEqual(nulls({ ...run, payload: 0, output: 0 }), []);
    }
    const list = parsed("ListRunResponse", await http("GET", `/api/v1/runs?filter%5Btag%5D=${tag}`));
    assert.equal(list.data.length, 4);
    assert.deepEqual(nulls(list), []);

    const rescheduled = await http("POST", `/api/v1/runs/${delayed.id}/reschedule`, { body: { delay: "2h" } });
    assert.equal(parsed("RetrieveRunResponse", rescheduled).status, "DELAYED");
    parsed("CanceledRunResponse", await http("POST", `/api/v2/runs/${delayed.id}/cancel`));
    parsed("ReplayRunResponse", await http("POST", `/api/v1/runs/${completed.id}/replay`));
    parsed("TaskRunExecutionResult", await http("GET", `/api/v1/runs/${completed.id}/result`));
    parsed("TaskRunExecutionResult", await http("GET", `/api/v1/runs/${failed.id}/result`));
    const tagged = await http("POST", `/api/v1/runs/${canceled.id}/tags`, { body: { tags: ["one"] } });
    assert.match(tagged.body.message, /1 new tag/);
  });

  it("metadata", async () => {
    const { id } = await tasks.trigger("hello", { name: "x" }, { delay: "1h", metadata: { count: 1, log: "a", deep: {} } });
    const operations = [
      { type: "increment", key: "count", value: 2 },
      { type: "append", key: "log", value: "b" },
      { type: "set", key: "$.deep.er", value: true },
      { type: "remove", key: "count", value: 3 },
    ];
    const answer = await http("PUT", `/api/v1/runs/${id}/metadata`, { body: { operations } });
    const { metadata } = parsed("UpdateMetadataResponseBody", answer);
    assert.deepEqual(metadata, { count: 3, log: ["a", "b"], deep: { er: true } });

    const replaced = await http("PUT", `/api/v1/runs/${id}/metadata`, { body: { metadata: { only: "this" } } });
    assert.deepEqual(parsed("UpdateMetadataResponseBody", replaced).metadata, { only: "this" });
    assert.deepEqual((await runs.retrieve(id)).metadata, { only: "this" });
    await runs.cancel(id);
  });

  it("batches", async () => {
    const created = parsed("CreateBatchResponse", await http("POST", "/api/v3/batches", { body: { runCount: 3 } }), 202);
    const path = `/api/v3/batches/${created.id}/items`;
    const line = (index) => `${JSON.stringify({ index, task: "hello", payload: { name: `item ${index}` } })}\n`;
    const headers = { "content-type": "application/x-ndjson" };

    const some = parsed("StreamBatchItemsResponse", await http("POST", path, { headers, body: line(0) + line(2) }));
    assert.deepEqual([some.sealed, some.itemsAccepted], [false, 2]);
    const rest = parsed("StreamBatchItemsResponse", await http("POST", path, { headers, body: line(0) + line(1) + line(2) }));
    assert.deepEqual([rest.sealed, rest.itemsAccepted, rest.itemsDeduplicated], [true, 1, 2]);

    const members = await membersOf(created.id, 3);
    const batchV2 = parsed("RetrieveBatchV2Response", await http("GET", `/api/v2/batches/${created.id}`));
    assert.deepEqual(batchV2.runs, members);
    for (const [index, id] of members.entries()) {
      assert.equal((await endedAs("COMPLETED", id)).output.greeting, `Hello, item ${index}!`);
    }
    parsed("RetrieveBatchResponse", await http("GET", `/api/v1/batches/${created.id}`));
    const results = parsed("BatchTaskRunExecutionResult", await http("GET", `/api/v1/batches/${created.id}/results`));
    assert.deepEqual(results.items.map((item) => item.id), members);
    assert.equal((await batch.retrieve(created.id)).status, "COMPLETED");
  });

  it("waitpoint tokens", async () => {
    const created = await http("POST", "/api/v1/waitpoints/tokens", { body: { tags: "rest", timeout: "1h" } });
    const { id } = parsed("CreateWaitpointTokenResponseBody", created);
    const path = `/api/v1/waitpoints/tokens/${id}`;
    const waiting = parsed("WaitpointRetrieveTokenResponse", await http("GET", path));
    assert.deepEqual(nulls(waiting), []);
    parsed("CompleteWaitpointTokenResponseBody", await http("POST", `${path}/complete`, { body: { data: [1] } }));
    const completed = parsed("WaitpointRetrieveTokenResponse", await http("GET", path));
    assert.equal(completed.status, "COMPLETED");
  });

  it("packets", async () => {
    const path = `/api/v2/packets/${encodeURIComponent(`${unique("packet")}/payload.json`)}`;
    const created = parsed("CreateUploadPayloadUrlResponseBody", await http("PUT", path));
    const put = await fetch(created.presignedUrl, {
      method: "PUT",
      headers: { "content-type": "application/super+json" },
      body: '{"json":{"name":"stored"}}',
    });
    assert.ok(put.ok, `upload answered ${put.status}`);

    const read = await http("GET", `/api/v1/packets/${encodeURIComponent(created.storagePath)}`);
    const stored = await fetch(read.body.presignedUrl);
    assert.equal(stored.headers.get("content-type"), "application/super+json");
    assert.equal(await stored.text(), '{"json":{"name":"stored"}}');

    const forged = created.presignedUrl.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    assert.ok((await fetch(forged, { method: "PUT", body: "x" })).status >= 400, "a forged upload URL was accepted");
    const outside = await http("PUT", `/api/v2/packets/${encodeURIComponent("../outside.json")}`);
    assert.equal(outside.status, 400);
  });

  it("what the CLI asks before it starts", async () => {
    const token = context.keys.personalAccessToken;
    const ref = context.keys.projectRef;
    parsed("WhoAmIResponseSchema", await http("GET", `/api/v2/whoami?projectRef=${ref}`, { token }));
    const environment = parsed("GetProjectEnvResponse", await http("GET", `/api/v1/projects/${ref}/dev`, { token }));
    assert.equal(environment.apiKey, context.keys.secretKeys.dev);
    parsed("DevConfigResponseBody", await http("GET", "/engine/v1/dev/config"));
    parsed("GetEnvironmentVariablesResponseBody", await http("GET", `/api/v1/projects/${ref}/envvars`));
    assert.equal(context.keys.apiUrl, context.apiUrl);
  });
});

describe("lists", concurrently, () => {
  const tag = unique("list");
  const start = Date.now();
  const all = []; // newest first

  before(async () => {
    for (let i = 0; i < 5; i++) {
      const options = { delay: "1h", tags: [tag, `${tag}-${i % 2 ? "odd" : "even"}`] };
      const { id } = await tasks.trigger(i === 0 ? "echo" : "hello", { name: String(i) }, options);
      all.unshift(id);
      await sleep(2); // the list is in the order of the ids, which carry the millisecond
    }
    await runs.cancel(all[0]);
  });

  after(() => Promise.all(all.map((id) => runs.cancel(id))));

  it("walks forwards and back again", async () => {
    const first = await runs.list({ tag, limit: 2 });
    assert.deepEqual(ids(first), all.slice(0, 2));
    assert.equal(first.pagination.previous, undefined);

    const second = await first.getNextPage();
    assert.deepEqual(ids(second), all.slice(2, 4));
    const third = await second.getNextPage();
    assert.deepEqual(ids(third), all.slice(4));
    assert.equal(third.pagination.next, undefined);

    const back = await third.getPreviousPage();
    assert.deepEqual(ids(back), all.slice(2, 4));
    const front = await back.getPreviousPage();
    assert.deepEqual(ids(front), all.slice(0, 2));
    assert.equal(front.hasPreviousPage(), false);
  });

  it("walks all pages by itself", async () => {
    const found = [];
    for await (const run of runs.list({ tag, limit: 2 })) found.push(run.id);
    assert.deepEqual(found, all);
  });

  const every = [0, 1, 2, 3, 4]; // positions in all: the newest is cancelled, the oldest is of another task
  const filters = [
    ["a status", { status: "CANCELED" }, [0]],
    ["several statuses", { status: ["CANCELED", "DELAYED"] }, every],
    ["a task", { taskIdentifier: "echo" }, [4]],
    ["several tasks", { taskIdentifier: ["echo", "hello"] }, every],
    ["a task's queue", { queue: { type: "task", name: "echo" } }, [4]],
    ["an unused queue", { queue: { type: "custom", name: "echo" } }, []],
    ["tests only", { isTest: true }, []],
    ["no tests", { isTest: false }, every],
    ["a period", { period: "1h" }, every],
    ["a start", { from: new Date(start - 1000) }, every],
    ["an end", { to: start - 1000 }, []],
    ["a version", { version: "19990101.1" }, []],
  ];
  for (const [what, filter, expected] of filters) {
    it(`filters by ${what}`, async () => {
      assert.deepEqual(ids(await runs.list({ tag, ...filter })), expected.map((position) => all[position]));
    });
  }

  it("filters by any of several tags", async () => {
    assert.deepEqual(ids(await runs.list({ tag: `${tag}-odd` })), [all[1], all[3]]);
    assert.deepEqual(ids(await runs.list({ tag: [`${tag}-odd`, `${tag}-even`] })), all);
  });

  it("filters by batch", async () => {
    const items = [1, 2].map((n) => ({ payload: { name: String(n) }, options: { delay: "1h" } }));
    const { batchId } = await tasks.batchTrigger("hello", items);
    const members = await membersOf(batchId, items.length);
    assert.deepEqual(ids(await runs.list({ batch: batchId })).sort(), members.sort());
    await Promise.all(members.map((id) => runs.cancel(id)));
  });

  it("filters by the version that ran", async () => {
    const { id } = await tasks.trigger("hello", { name: "x" }, { tags: `${tag}-version` });
    const { version } = await endedAs("COMPLETED", id);
    assert.deepEqual(ids(await runs.list({ tag: `${tag}-version`, version })), [id]);
  });

  it("lists a project's runs for a personal access token", async () => {
    const project = `/api/v1/projects/${context.keys.projectRef}/runs?filter%5Btag%5D=${tag}`;
    const token = context.keys.personalAccessToken;
    const everywhere = parsed("ListRunResponse", await http("GET", project, { token }));
    assert.deepEqual(ids(everywhere), all);
    const inDev = parsed("ListRunResponse", await http("GET", `${project}&filter%5Benv%5D=dev`, { token }));
    assert.deepEqual(ids(inDev), all);
    const inProd = parsed("ListRunResponse", await http("GET", `${project}&filter%5Benv%5D=prod`, { token }));
    assert.deepEqual(ids(inProd), []);
    assert.equal((await http("GET", project)).status, 401);
  });

  it("shows nothing to another environment", async () => {
    const token = context.keys.secretKeys.prod;
    assert.deepEqual((await http("GET", `/api/v1/runs?filter%5Btag%5D=${tag}`, { token })).body.data, []);
    assert.equal((await http("GET", `/api/v3/runs/${all[1]}`, { token })).status, 404);
    assert.equal((await http("POST", `/api/v2/runs/${all[1]}/cancel`, { token })).status, 404);
  });
});

describe("public tokens", concurrently, () => {
  const withToken = (accessToken, work) => auth.withAuth({ accessToken, baseURL: context.apiUrl }, work);
  const delayed = (tags) => tasks.trigger("hello", { name: "x" }, { delay: "1h", tags });

  it("come with a triggered run and read that run only", async () => {
    const [mine, other] = await Promise.all([delayed(), delayed()]);
    await withToken(mine.publicAccessToken, async () => {
      assert.equal((await runs.retrieve(mine.id)).id, mine.id);
      await assert.rejects(runs.retrieve(other.id), { status: 403 });
      await assert.rejects(runs.cancel(mine.id), { status: 403 });
    });
    const refused = await trigger("hello", {}, { token: mine.publicAccessToken });
    assert.equal(refused.status, 403, JSON.stringify(refused.body));
  });

  it("are made by the SDK for what they should do", async () => {
    const tag = unique("public");
    const [tagged, other] = await Promise.all([delayed([tag]), delayed()]);
    const token = await auth.createPublicToken({ scopes: { read: { tags: [tag] }, write: { runs: [other.id] } } });
    await withToken(token, async () => {
      assert.equal((await runs.retrieve(tagged.id)).id, tagged.id);
      await assert.rejects(runs.retrieve(other.id), { status: 403 });
      assert.deepEqual(await runs.cancel(other.id), { id: other.id });
    });
  });

  it("trigger one task, once", async () => {
    const token = await auth.createTriggerPublicToken("hello");
    const first = await trigger("hello", { payload: { name: "x" } }, { token });
    assert.equal(first.status, 200, JSON.stringify(first.body));
    const second = await trigger("hello", { payload: { name: "x" } }, { token });
    assert.equal(second.status, 422);
    assert.match(second.body.error, /one-time use token/);
    assert.equal((await trigger("echo", {}, { token: await auth.createTriggerPublicToken("hello") })).status, 403);
  });

  it("find again what they made by its key, and nothing that others made", async () => {
    const idempotencyKey = unique("key");
    const options = { delay: "1h", idempotencyKey };
    const theirs = await tasks.trigger("hello", { name: "theirs" }, options);
    const token = await auth.createTriggerPublicToken("hello", { multipleUse: true });
    const [first, again] = await withToken(token, async () => [
      await tasks.trigger("hello", { name: "mine" }, options),
      await tasks.trigger("hello", { name: "mine" }, options),
    ]);
    assert.notEqual(first.id, theirs.id);
    assert.equal(again.id, first.id);
    for (const { id, publicAccessToken } of [first, again]) {
      await withToken(publicAccessToken, async () => {
        const run = await runs.retrieve(id);
        assert.deepEqual(run.payload, { name: "mine" });
        await assert.rejects(runs.retrieve(theirs.id), { status: 403 });
      });
    }
    assert.deepEqual((await runs.retrieve(theirs.id)).payload, { name: "theirs" });
  });

  it("trigger batches, whose items have keys", async () => {
    const items = ["a", "b"].map((name) => ({ payload: { name }, options: { delay: "1h", idempotencyKey: unique(name) } }));
    const token = await auth.createBatchTriggerPublicToken("hello", { multipleUse: true });
    const [first, again] = await withToken(token, async () => [await tasks.batchTrigger("hello", items), await tasks.batchTrigger("hello", items)]);
    const members = (made) => withToken(made.publicAccessToken, async () => (await batch.retrieve(made.batchId)).runs);
    assert.deepEqual(await members(again), await members(first));
  });

  it("trigger once each when they are made in the same second", async () => {
    const tokens = await Promise.all(Array.from({ length: 5 }, () => auth.createTriggerPublicToken("hello")));
    assert.equal(new Set(tokens).size, tokens.length);
    for (const token of tokens) {
      const made = await trigger("hello", { payload: { name: "x" } }, { token });
      assert.equal(made.status, 200, JSON.stringify(made.body));
    }
  });

  it("read a run, and of its family no more than ids and states", async () => {
    const parent = await delayed([unique("parent")]);
    const options = { parentRunId: parent.id, delay: "1h", tags: [unique("child")] };
    const child = await trigger("hello", { options, payload: { name: "x" } });
    assert.equal(child.status, 200, JSON.stringify(child.body));
    await withToken(parent.publicAccessToken, async () => {
      const [shown] = (await runs.retrieve(parent.id)).relatedRuns.children;
      assert.deepEqual([shown.id, shown.status, shown.taskIdentifier, shown.tags], [child.body.id, "DELAYED", "", []]);
      assert.ok(shown.createdAt instanceof Date && !Number.isNaN(shown.createdAt.valueOf()), `${shown.createdAt}`);
    });
    assert.equal((await runs.retrieve(parent.id)).relatedRuns.children[0].taskIdentifier, "hello");
  });

  it("send the items of the batches they made, and of no others", async () => {
    const item = { payload: { name: "x" }, options: { delay: "1h" } };
    const token = await auth.createBatchTriggerPublicToken("hello");
    const made = await withToken(token, () => tasks.batchTrigger("hello", [item, item]));
    assert.equal((await membersOf(made.batchId, 2)).length, 2);
    const { body: foreign } = await http("POST", "/api/v3/batches", { body: { runCount: 1 } });
    const items = JSON.stringify({ index: 0, task: "hello" });
    const refused = await http("POST", `/api/v3/batches/${foreign.id}/items`, { token, body: items, headers: { "content-type": "application/x-ndjson" } });
    assert.equal(refused.status, 403, JSON.stringify(refused.body));
  });

  it("expire, and cannot be forged", async () => {
    const { id } = await delayed();
    const scopes = { read: { runs: [id] } };
    const expired = await auth.createPublicToken({ scopes, expirationTime: new Date(Date.now() - 60_000) });
    const valid = await auth.createPublicToken({ scopes });
    const forged = valid.replace(/.{4}$/, (end) => (end === "AAAA" ? "BBBB" : "AAAA"));
    for (const token of [expired, forged]) {
      assert.equal((await http("GET", `/api/v3/runs/${id}`, { token })).status, 401);
    }
    assert.equal((await http("GET", `/api/v3/runs/${id}`, { token: valid })).status, 200);
  });
});

describe("wrong requests", concurrently, () => {
  const cases = [
    ["no key", 401, () => trigger("hello", {}, { token: null })],
    ["an unknown key", 401, () => trigger("hello", {}, { token: "tr_dev_000000000000000000000000" })],
    ["an empty body", 400, () => http("POST", "/api/v1/tasks/hello/trigger", { body: "" })],
    ["broken JSON", 400, () => trigger("hello", '{"payload":')],
    ["options of the wrong type", 400, () => trigger("hello", { options: { maxAttempts: "many" } })],
    ["eleven tags", 422, () => trigger("hello", { options: { tags: Array.from({ length: 11 }, (_, i) => `t${i}`) } })],
    ["a tag that is too long", 400, () => trigger("hello", { options: { tags: ["x".repeat(129)] } })],
    ["a key that is too long", 400, () => trigger("hello", { options: { idempotencyKey: "x".repeat(2049) } })],
    ["an unknown version", 422, () => trigger("hello", { options: { lockToVersion: "19990101.1" } })],
    ["metadata that is too large", 413, () => trigger("hello", { options: { metadata: { x: "y".repeat(300_000) } } })],
    ["a body that is too large", 413, () => trigger("hello", { payload: "x".repeat(3_200_000) })],
    ["a run that does not exist", 404, () => http("GET", `/api/v3/runs/run_${none}`)],
    ["a result that does not exist", 404, () => http("GET", `/api/v1/runs/run_${none}/result`)],
    ["a batch that does not exist", 404, () => http("GET", `/api/v2/batches/batch_${none}`)],
    ["a token that does not exist", 404, () => http("GET", `/api/v1/waitpoints/tokens/waitpoint_${none}`)],
    ["a status that does not exist", 400, () => http("GET", "/api/v1/runs?filter%5Bstatus%5D=FOO")],
    ["a page that is too large", 400, () => http("GET", "/api/v1/runs?page%5Bsize%5D=1000")],
    ["a batch of too many", 400, () => http("POST", "/api/v3/batches", { body: { runCount: 1001 } })],
    ["a batch of none", 400, () => http("POST", "/api/v3/batches", { body: { runCount: 0 } })],
    ["an unknown key to reset", 404, () =>
      http("POST", "/api/v1/idempotencyKeys/nothing/reset", { body: { taskIdentifier: "hello" } })],
  ];
  for (const [what, status, request] of cases) {
    it(`answers ${what} with ${status} and says why`, async () => {
      const answer = await request();
      assert.equal(answer.status, status, JSON.stringify(answer.body));
      assert.ok(typeof answer.body.error === "string" && answer.body.error.length > 0, JSON.stringify(answer.body));
    });
  }

  it("answers a repeated request with the first run, once", async () => {
    const tag = unique("request");
    const headers = { "x-trigger-request-idempotency-key": unique("request") };
    const body = { payload: { name: "x" }, options: { delay: "1h", tags: [tag] } };
    const first = await trigger("hello", body, { headers });
    const second = await trigger("hello", body, { headers });
    assert.equal(second.body.id, first.body.id);
    assert.deepEqual(ids(await runs.list({ tag })), [first.body.id]);
  });

  it("does not let a finished parent wait", async () => {
    const parent = await tasks.trigger("hello", { name: "parent" });
    await reached(parent.id, "is done", (run) => run.isCompleted);
    const options = { parentRunId: parent.id, resumeParentOnCompletion: true };
    const answer = await trigger("hello", { payload: {}, options });
    assert.equal(answer.status, 422, JSON.stringify(answer.body));
  });
});
