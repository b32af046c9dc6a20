// Queues: limits, keys, order and runs that wait too long.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { apiClientManager } from "@trigger.dev/core/v3";
import { batch, runs, tasks } from "@trigger.dev/sdk";
import { concurrently, endedAs, executionStatus, file, marks, marksIn, open, outputOf, reached, unique } from "../client.mjs";
import { until } from "../harness.mjs";

/** A run that occupies the only place of its concurrency key until the gate is opened. */
async function occupy(concurrencyKey, mark) {
  const gate = file("gate");
  const { id } = await tasks.trigger("serial", { gate, label: "occupant", mark }, { concurrencyKey });
  await reached(id, "executes", (run) => run.status === "EXECUTING");
  return { id, open: () => open(gate) };
}

/** The highest number of intervals that overlap at one moment. */
function mostAtOnce(intervals) {
  const events = intervals.flatMap(({ startedAt, finishedAt }) => [[startedAt, 1], [finishedAt, -1]]);
  events.sort(([a, up], [b, down]) => a - b || up - down);
  let now = 0;
  let most = 0;
  for (const [, step] of events) most = Math.max(most, (now += step));
  return most;
}

describe("queue", concurrently, () => {
  it("runs 100 at no more than the five that the queue allows", async () => {
    const items = Array.from({ length: 100 }, () => ({ payload: { sleepMs: 50 } }));
    const { batchId, runCount } = await tasks.batchTrigger("crowded", items);
    assert.equal(runCount, 100);

    await until("the batch is complete", async () => (await batch.retrieve(batchId)).status === "COMPLETED", {
      timeoutMs: 180_000,
      everyMs: 500,
      describe: async () => JSON.stringify(await batch.retrieve(batchId)),
    });
    const results = await apiClientManager.clientOrThrow().getBatchResults(batchId);
    assert.equal(results.items.length, 100);
    const outputs = results.items.map((item) => {
      assert.equal(item.ok, true, JSON.stringify(item));
      return JSON.parse(item.output).json;
    });

    const most = mostAtOnce(outputs);
    assert.ok(most <= 5, `${most} ran at once, though the limit is 5`);
    assert.ok(most > 1, "nothing ran at the same time as anything else");
  });

  it("limits each concurrency key by itself", async () => {
    const [a, b] = [unique("key"), unique("key")];
    const occupants = [await occupy(a), await occupy(b)];

    const second = await tasks.trigger("serial", { label: "second" }, { concurrencyKey: a });
    // Had the key let it through, it would be done long before this run of another key is.
    const other = await tasks.trigger("serial", { label: "other" }, { concurrencyKey: unique("key") });
    await endedAs("COMPLETED", other.id);
    assert.equal((await runs.retrieve(second.id)).status, "QUEUED");

    for (const occupant of occupants) await occupant.open();
    await endedAs("COMPLETED", second.id);
    for (const occupant of occupants) await endedAs("COMPLETED", occupant.id);
  });

  it("starts in the order of triggering, but higher priorities first", async () => {
    const concurrencyKey = unique("key");
    const mark = file("marks");
    const occupant = await occupy(concurrencyKey, mark);

    const ids = [];
    for (const [label, priority] of [["first"], ["second"], ["urgent", 100], ["most urgent", 200]]) {
      const { id } = await tasks.trigger("serial", { label, mark }, { concurrencyKey, priority });
      ids.push(id);
    }
    await occupant.open();
    for (const id of ids) await endedAs("COMPLETED", id);
    assert.deepEqual(await marksIn(mark), ["occupant", "most urgent", "urgent", "first", "second"]);
  });

  it("expires a run that waited longer than its TTL", async () => {
    const concurrencyKey = unique("key");
    const mark = file("marks");
    const occupant = await occupy(concurrencyKey, mark);

    const [text, seconds, patient] = await Promise.all([
      tasks.trigger("serial", { label: "text", mark }, { concurrencyKey, ttl: "1s" }),
      tasks.trigger("serial", { label: "seconds", mark }, { concurrencyKey, ttl: 1 }),
      tasks.trigger("serial", { label: "patient", mark }, { concurrencyKey, ttl: "1h" }),
    ]);
    for (const { id } of [text, seconds]) {
      const run = await endedAs("EXPIRED", id, 30_000);
      assert.ok(run.expiredAt instanceof Date);
      assert.match(run.error.message, /TTL/);
      assert.ok(run.isCompleted);
      assert.equal(run.attemptCount, 0);
    }

    await occupant.open();
    await endedAs("COMPLETED", patient.id);
    assert.deepEqual(await marksIn(mark), ["occupant", "patient"]);
  });

  it("tells a waiting parent that its child expired", async () => {
    const { id } = await tasks.trigger("expiring-parent", undefined);
    const { child, occupant } = await outputOf(id);
    assert.equal(child.ok, false);
    assert.equal((await runs.retrieve(child.id)).status, "EXPIRED");
    await runs.cancel(occupant);
  });

  it("starts the next run when the one before it is cancelled", async () => {
    const concurrencyKey = unique("key");
    const occupant = await occupy(concurrencyKey);
    const next = await tasks.trigger("serial", { label: "next" }, { concurrencyKey });
    assert.equal(await executionStatus(next.id), "QUEUED");

    await runs.cancel(occupant.id);
    await endedAs("COMPLETED", next.id);
  });

  it("starts the next run when the one before it has crashed", async () => {
    const concurrencyKey = unique("key");
    const mark = file("marks");
    const crashing = await tasks.trigger("serial", { label: "crash", mark, crash: true }, { concurrencyKey });
    const next = await tasks.trigger("serial", { label: "next", mark }, { concurrencyKey });

    await endedAs("CRASHED", crashing.id);
    await endedAs("COMPLETED", next.id);
    assert.deepEqual(await marks(mark, 2), ["crash", "next"]);
  });
});
