// What a run did, as spans: the client's own methods and schemas for traces, pages of them, single
// spans and events.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { apiClientManager } from "@trigger.dev/core/v3";
import { auth, runs, tasks } from "@trigger.dev/sdk";
import { concurrently, context, endedAs } from "../client.mjs";

const client = () => apiClientManager.clientOrThrow();

/** All spans of a tree, parents first. */
const flat = (span) => [span, ...span.children.flatMap(flat)];

describe("traces", concurrently, () => {
  it("of a run that completed", async () => {
    const { id } = await tasks.trigger("hello", { name: "x" });
    const run = await endedAs("COMPLETED", id);
    const { trace } = await client().retrieveRunTrace(id);
    assert.match(trace.traceId, /^[0-9a-f]{32}$/);
    const [root, attempt, ...others] = flat(trace.rootSpan);
    assert.deepEqual([root.runId, root.data.message, root.data.taskSlug, root.parentId], [id, "hello", "hello", undefined]);
    assert.deepEqual([attempt.runId, attempt.data.message, attempt.parentId], [id, "Attempt 1", root.id]);
    assert.deepEqual(others, []);
    assert.deepEqual(root.data.startTime, run.createdAt);
    assert.ok(root.data.duration >= attempt.data.duration && attempt.data.duration > 0);
    for (const { data } of [root, attempt]) {
      assert.deepEqual([data.isPartial, data.isError, data.isCancelled, data.workerVersion], [false, false, false, run.version]);
    }
    assert.deepEqual((await client().retrieveRunTrace(id)).trace, trace);
  });

  it("of a run that failed twice", async () => {
    const { id } = await tasks.trigger("thrower", { kind: "error" }, { maxAttempts: 2 });
    await endedAs("FAILED", id);
    const { trace } = await client().retrieveRunTrace(id);
    const spans = flat(trace.rootSpan);
    assert.deepEqual(spans.map((span) => [span.data.message, span.data.isError]), [["thrower", true], ["Attempt 1", true], ["Attempt 2", true]]);

    const span = await client().retrieveSpan(id, spans[2].id);
    assert.deepEqual([span.spanId, span.parentId, span.runId, span.isError], [spans[2].id, spans[0].id, id, true]);
    assert.equal(span.events[0].name, "exception");

    const { events } = await client().listRunEvents(id);
    assert.deepEqual(events.map((event) => event.spanId), spans.map((span) => span.id));
    assert.deepEqual(events.map((event) => event.attemptNumber), [null, 1, 2]);
    assert.ok(events.every((event) => /^\d{19}$/.test(event.startTime) && typeof event.duration === "number"));

    const pages = [];
    for (let after; pages.length === 0 || after; after = pages.at(-1).pagination.next) {
      pages.push(await client().retrieveRunTracePage(id, { limit: 2, after }));
    }
    assert.deepEqual(pages.flatMap((page) => page.data.map((span) => span.id)), spans.map((span) => span.id));
    assert.deepEqual(pages.flatMap((page) => page.attemptFailures.map((failure) => failure.attemptNumber)), [1, 2]);
  });

  it("of a family", async () => {
    const { id } = await tasks.trigger("parent", { value: 42 });
    await endedAs("COMPLETED", id);
    const { trace } = await client().retrieveRunTrace(id);
    const family = await runs.retrieve(id);
    const below = flat(trace.rootSpan).filter((span) => span.data.taskSlug === span.data.message && span.runId !== id);
    assert.ok(below.length > 0 && family.relatedRuns.children.length > 0);
    for (const child of family.relatedRuns.children) {
      assert.ok(below.some((span) => span.runId === child.id), `${child.id} is not in the trace`);
    }
    const attempt = trace.rootSpan.children.find((span) => span.runId === id);
    const { triggeredRuns } = await client().retrieveSpan(id, attempt.id);
    assert.deepEqual(triggeredRuns.map((run) => run.runId).sort(), family.relatedRuns.children.map((run) => run.id).sort());
  });

  it("of a run that waits, for who may read it", async () => {
    const { id, publicAccessToken } = await tasks.trigger("hello", { name: "x" }, { delay: "1h" });
    const read = () => client().retrieveRunTrace(id);
    await auth.withAuth({ accessToken: publicAccessToken, baseURL: context.apiUrl }, async () => {
      const { rootSpan } = (await read()).trace;
      assert.deepEqual([rootSpan.data.isPartial, rootSpan.children.length], [true, 0]);
      await assert.rejects(client().retrieveSpan(id, "0".repeat(16)), { status: 404, message: /Span not found/ });
    });
    const token = await auth.createPublicToken({ scopes: { read: { runs: ["run_other"] } } });
    await auth.withAuth({ accessToken: token, baseURL: context.apiUrl }, () => assert.rejects(read(), { status: 403 }));
    await auth.withAuth({ accessToken: context.keys.secretKeys.prod, baseURL: context.apiUrl }, () => assert.rejects(read(), { status: 404 }));
    await runs.cancel(id);
    assert.equal((await read()).trace.rootSpan.data.isCancelled, true);
  });
});
