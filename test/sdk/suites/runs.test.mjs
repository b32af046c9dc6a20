// The life of single runs: triggered, delayed, rescheduled, replayed, tagged, described by metadata.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { idempotencyKeys, runs, tasks } from "@trigger.dev/sdk";
import { concurrently, context, ended, endedAs, http, outputOf, reached, unique } from "../client.mjs";
import { until } from "../harness.mjs";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

describe("runs", concurrently, () => {
  it("runs hello", async () => {
    const { id } = await tasks.trigger("hello", { name: "Ada" });
    const run = await runs.poll(id, { pollIntervalMs: 100 });

    assert.equal(run.status, "COMPLETED");
    assert.deepEqual(run.output, { greeting: "Hello, Ada!", runId: id, attempt: 1 });
    assert.deepEqual(run.payload, { name: "Ada" });
    assert.equal(run.attemptCount, 1);
    assert.match(run.version, /^\d{8}\.\d+$/);
    assert.ok(run.createdAt <= run.startedAt && run.startedAt <= run.finishedAt, "times are in order");
    assert.ok(run.isSuccess && !run.isFailed && !run.isQueued && !run.isExecuting);

    const log = join(context.dir, "cli.log");
    await until("the CLI prints the result", async () => {
      const lines = (await readFile(log, "utf8")).split("\n");
      return lines.some((line) => line.includes(id) && line.includes("Success"));
    });
  });

  it("tells the task its context", async () => {
    const { id } = await tasks.trigger("introspect", undefined, { tags: ["b", "a"], maxAttempts: 2 });
    const { ctx } = await outputOf(id);

    assert.equal(ctx.run.id, id);
    assert.deepEqual([...ctx.run.tags].sort(), ["a", "b"]);
    assert.equal(ctx.run.maxAttempts, 2);
    assert.equal(ctx.run.isTest, false);
    assert.equal(ctx.attempt.number, 1);
    assert.equal(ctx.task.id, "introspect");
    assert.equal(ctx.queue.name, "task/introspect");
    assert.equal(ctx.environment.type, "DEVELOPMENT");
    assert.equal(ctx.environment.slug, "dev");
    assert.equal(ctx.project.ref, context.keys.projectRef);
  });

  it("waits for its delay", async () => {
    const before = Date.now();
    const { id } = await tasks.trigger("hello", { name: "later" }, { delay: "3s" });

    const delayed = await runs.retrieve(id);
    assert.equal(delayed.status, "DELAYED");
    assert.ok(delayed.isQueued);
    assert.ok(delayed.delayedUntil.getTime() >= before + 2_900, `delayed until ${delayed.delayedUntil}`);

    const run = await endedAs("COMPLETED", id);
    assert.ok(run.startedAt >= delayed.delayedUntil, `started at ${run.startedAt}, not before its delay`);
  });

  it("takes a date as delay, and one in the past as none", async () => {
    const date = new Date(Date.now() + 2_000);
    const [later, now] = await Promise.all([
      tasks.trigger("hello", { name: "date" }, { delay: date }),
      tasks.trigger("hello", { name: "past" }, { delay: new Date(Date.now() - 60_000) }),
    ]);
    assert.equal((await runs.retrieve(later.id)).delayedUntil.getTime(), date.getTime());
    assert.notEqual((await runs.retrieve(now.id)).status, "DELAYED");
    await endedAs("COMPLETED", now.id);
    await endedAs("COMPLETED", later.id);
  });

  it("reschedules a delayed run", async () => {
    const { id } = await tasks.trigger("hello", { name: "sooner" }, { delay: "1h" });

    const rescheduled = await runs.reschedule(id, { delay: "1s" });
    assert.equal(rescheduled.id, id);
    assert.ok(rescheduled.delayedUntil.getTime() < Date.now() + 60_000);
    await endedAs("COMPLETED", id);

    await assert.rejects(runs.reschedule(id, { delay: "1s" }), /Cannot reschedule a run that is not delayed/);
  });

  it("replays a run with its payload and tags, or with others", async () => {
    const tag = unique("replay");
    const original = await tasks.trigger("hello", { name: "twice" }, { tags: [tag], idempotencyKey: unique("replay") });
    await endedAs("COMPLETED", original.id);

    const same = await runs.replay(original.id);
    assert.notEqual(same.id, original.id);
    const replayed = await endedAs("COMPLETED", same.id);
    assert.equal(replayed.output.greeting, "Hello, twice!");
    assert.deepEqual(replayed.tags, [tag]);
    assert.equal(replayed.idempotencyKey, undefined);

    const other = await runs.replay(original.id, { payload: { name: "thrice" }, tags: ["other"] });
    const changed = await endedAs("COMPLETED", other.id);
    assert.equal(changed.output.greeting, "Hello, thrice!");
    assert.deepEqual(changed.tags, ["other"]);
  });

  it("adds tags from inside a run", async () => {
    const tag = unique("tag");
    const { id } = await tasks.trigger("tagger", { add: [`${tag}-b`, `${tag}-a`] }, { tags: [tag, `${tag}-a`] });
    const run = await endedAs("COMPLETED", id);
    assert.deepEqual([...run.tags].sort(), [tag, `${tag}-a`, `${tag}-b`]);

    const { data } = await runs.list({ tag: `${tag}-b` });
    assert.deepEqual(data.map((item) => item.id), [id]);
  });

  it("keeps the metadata that a run gives itself", async () => {
    const { id } = await tasks.trigger("own-metadata", undefined, { metadata: { seed: { kept: true } } });
    const { metadata, output } = await endedAs("COMPLETED", id);

    const expected = { seed: { kept: true }, step: "second", count: 4, log: ["a", "c"], last: true };
    assert.deepEqual(metadata, expected);
    assert.deepEqual(output, expected);
  });

  it("answers a repeated idempotency key with the first run", async () => {
    const idempotencyKey = await idempotencyKeys.create(unique("key"), { scope: "global" });
    const first = await tasks.trigger("hello", { name: "first" }, { idempotencyKey });
    const second = await tasks.trigger("hello", { name: "second" }, { idempotencyKey });
    assert.equal(second.id, first.id);

    await endedAs("COMPLETED", first.id);
    const third = await tasks.trigger("hello", { name: "third" }, { idempotencyKey });
    assert.equal(third.id, first.id);

    await idempotencyKeys.reset("hello", idempotencyKey);
    const fourth = await tasks.trigger("hello", { name: "fourth" }, { idempotencyKey });
    assert.notEqual(fourth.id, first.id);
    assert.equal((await outputOf(fourth.id)).greeting, "Hello, fourth!");
  });

  it("frees the idempotency key of a failed run", async () => {
    const idempotencyKey = await idempotencyKeys.create(unique("key"), { scope: "global" });
    const first = await tasks.trigger("thrower", { kind: "abort" }, { idempotencyKey });
    await endedAs("FAILED", first.id);

    const second = await tasks.trigger("thrower", { kind: "abort" }, { idempotencyKey });
    assert.notEqual(second.id, first.id);
  });

  it("lets an idempotency key expire", async () => {
    const idempotencyKey = await idempotencyKeys.create(unique("key"), { scope: "global" });
    const options = { idempotencyKey, idempotencyKeyTTL: "1s" };
    const first = await tasks.trigger("hello", { name: "first" }, options);
    await until("the key is free again", async () => {
      const { id } = await tasks.trigger("hello", { name: "again" }, options);
      return id !== first.id;
    });
  });

  it("stores a large payload outside of the request", async () => {
    const text = "ü".repeat(200 * 1024);
    const { id } = await tasks.trigger("digest", { text });
    const run = await endedAs("COMPLETED", id);

    assert.deepEqual(run.output, { length: text.length, sha256: sha256(text) });
    assert.equal(run.payload.text, text);
    const raw = await http("GET", `/api/v3/runs/${id}`);
    assert.equal(raw.body.payload, undefined);
    assert.match(raw.body.payloadPresignedUrl, /^http/);
  });

  it("takes a large payload inside the request and stores it outside of the run", async () => {
    const text = "z".repeat(600 * 1024);
    const { body } = await http("POST", "/api/v1/tasks/digest/trigger", { body: { payload: { text } } });
    const run = await endedAs("COMPLETED", body.id);

    assert.deepEqual(run.output, { length: text.length, sha256: sha256(text) });
    assert.equal(run.payload.text, text);
    const raw = await http("GET", `/api/v3/runs/${body.id}`);
    assert.equal(raw.body.payload, undefined);
    assert.match(raw.body.payloadPresignedUrl, /^http/);
  });

  it("stores a large output outside of the run", async () => {
    const { id } = await tasks.trigger("large-output", { length: 150_000 });
    const run = await endedAs("COMPLETED", id);
    assert.equal(run.output.text, "é".repeat(150_000));

    const raw = await http("GET", `/api/v3/runs/${id}`);
    assert.equal(raw.body.output, undefined);
    assert.match(raw.body.outputPresignedUrl, /^http/);
  });

  it("carries a large output from a child to its parent", async () => {
    const value = "ß".repeat(200 * 1024);
    const { id } = await tasks.trigger("courier", { value });
    assert.equal(await outputOf(id), value);
  });

  it("keeps a run of a task that no worker has until one does", async () => {
    const { id } = await tasks.trigger(unique("no-such-task"), {});
    await reached(id, "waits for a version", (run) => run.status === "PENDING_VERSION");

    await runs.cancel(id);
    assert.equal((await ended(id)).status, "CANCELED");
  });
});
