// Parents and children: waiting for one, for many, through several levels, and for a child known by its key.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { idempotencyKeys, runs, tasks } from "@trigger.dev/sdk";
import { concurrently, endedAs, file, marks, marksIn, outputOf, reached, unique } from "../client.mjs";
import { until } from "../harness.mjs";

describe("family", concurrently, () => {
  it("waits for a child that succeeds", async () => {
    const { id } = await tasks.trigger("parent", { value: 42 });
    const { runId, version, child } = await outputOf(id);

    assert.equal(child.ok, true);
    assert.deepEqual(child.output, { value: 42, runId: child.id, version });

    const run = await runs.retrieve(child.id);
    assert.equal(run.relatedRuns.parent.id, runId);
    assert.equal(run.relatedRuns.root.id, runId);
    assert.equal(run.depth, 1);
    assert.equal(run.triggerFunction, "triggerAndWait");
    const { relatedRuns, attemptCount } = await runs.retrieve(id);
    assert.deepEqual(relatedRuns.children.map((item) => item.id), [child.id]);
    assert.equal(attemptCount, 1);
  });

  it("waits for a child that fails", async () => {
    const { id } = await tasks.trigger("parent", { value: 42, fail: true });
    const { child } = await outputOf(id);

    assert.deepEqual(child, { ok: false, id: child.id, error: { name: "Error", message: "leaf 42 failed" } });
    assert.equal((await runs.retrieve(child.id)).status, "FAILED");
  });

  it("learns of a child that was cancelled", async () => {
    const { id } = await tasks.trigger("parent", { value: 42, sleepMs: 120_000 });
    const { relatedRuns } = await reached(id, "has a child", (run) => run.relatedRuns.children.length === 1);
    const child = relatedRuns.children[0].id;
    await reached(child, "executes", (run) => run.status === "EXECUTING");

    await runs.cancel(child);
    const output = await outputOf(id);
    assert.equal(output.child.ok, false);
    assert.equal(output.child.id, child);
  });

  it("waits for a batch of 25, in order", async () => {
    const items = Array.from({ length: 25 }, (_, index) => ({ value: index, sleepMs: (index % 5) * 20 }));
    const { id } = await tasks.trigger("batch-parent", { items });
    const output = await outputOf(id);

    assert.equal(output.runs.length, 25);
    for (const [index, run] of output.runs.entries()) {
      assert.equal(run.ok, true);
      assert.equal(run.output.value, index);
      assert.equal(run.output.runId, run.id);
    }
    assert.equal(new Set(output.runs.map((run) => run.id)).size, 25);
    const child = await runs.retrieve(output.runs[7].id);
    assert.equal(child.batchId, output.batchId);
    assert.equal(child.triggerFunction, "batchTriggerAndWait");
  });

  it("tells which items of a batch failed", async () => {
    const items = [{ value: "a" }, { value: "b", fail: true }, { value: "c" }];
    const { id } = await tasks.trigger("batch-parent", { items });
    const output = await outputOf(id);

    assert.deepEqual(output.runs.map((run) => run.ok), [true, false, true]);
    assert.equal(output.runs[1].error.message, "leaf b failed");
    assert.deepEqual([output.runs[0].output.value, output.runs[2].output.value], ["a", "c"]);
  });

  it("waits for a batch of different tasks", async () => {
    const { id } = await tasks.trigger("mixed-parent", undefined);
    const [leaf, nest] = await outputOf(id);
    assert.equal(leaf.value, "leaf");
    assert.equal(nest.level, 1);
  });

  it("waits through three levels", async () => {
    const { id } = await tasks.trigger("nest", { levels: 3 });
    const output = await outputOf(id);

    assert.deepEqual([output.level, output.below.level, output.below.below.level], [3, 2, 1]);
    const deepest = await runs.retrieve(output.below.below.runId);
    assert.equal(deepest.depth, 2);
    assert.equal(deepest.relatedRuns.root.id, id);
    assert.equal(deepest.relatedRuns.parent.id, output.below.runId);
  });

  it("writes metadata up to the parent and the root", async () => {
    const { id } = await tasks.trigger("metadata-root", undefined);
    await endedAs("COMPLETED", id);

    // What a descendant writes may arrive a second after its end.
    const root = await until("the root has all metadata", async () => {
      const { metadata } = await runs.retrieve(id);
      return metadata.count === 221 && metadata.leaves?.length === 2 && metadata.middles?.length === 2 && metadata;
    }, { timeoutMs: 10_000, describe: async () => JSON.stringify((await runs.retrieve(id)).metadata) });
    assert.equal(root.own, "root");
    assert.deepEqual([...root.middles].sort(), ["a", "b"]);
    assert.deepEqual([...root.leaves].sort(), ["a", "b"]);

    const { relatedRuns } = await runs.retrieve(id);
    const middles = relatedRuns.children.map((run) => run.metadata).sort((a, b) => a.own.localeCompare(b.own));
    assert.deepEqual(middles, [{ own: "a", leaf: "a" }, { own: "b", leaf: "b" }]);
  });
});

describe("idempotent children", concurrently, () => {
  it("waits for a child that has finished already", async () => {
    const mark = file("marks");
    const { id } = await tasks.trigger("keyed-parent", { key: unique("key"), child: { value: 1, mark } });
    const { first, second } = await outputOf(id);

    assert.equal(first.ok, true);
    assert.deepEqual(second, first);
    assert.deepEqual(await marksIn(mark), [first.id]);
  });

  it("waits for a child that somebody else started and that still runs", async () => {
    const key = unique("key");
    const mark = file("marks");
    const idempotencyKey = await idempotencyKeys.create(key, { scope: "global" });
    const started = await tasks.trigger("leaf", { value: "theirs", sleepMs: 5_000, mark }, { idempotencyKey });
    await marks(mark, 1);

    const { id } = await tasks.trigger("keyed-parent", { key, child: { value: "ours", mark } });
    const { first } = await outputOf(id);
    assert.equal(first.id, started.id);
    assert.equal(first.output.value, "theirs");
    assert.deepEqual(await marksIn(mark), [started.id]);
  });

  it("waits for a child that is still delayed", async () => {
    const key = unique("key");
    const idempotencyKey = await idempotencyKeys.create(key, { scope: "global" });
    const delayed = await tasks.trigger("leaf", { value: "delayed" }, { idempotencyKey, delay: "4s" });

    const { id } = await tasks.trigger("keyed-parent", { key, child: { value: "ours" } });
    const { first } = await outputOf(id);
    assert.equal(first.id, delayed.id);
    assert.equal(first.output.value, "delayed");
  });

  it("runs a child anew whose earlier run failed", async () => {
    const { id } = await tasks.trigger("keyed-parent", { key: unique("key"), child: { value: 1, fail: true } });
    const { first, second } = await outputOf(id);

    assert.deepEqual([first.ok, second.ok], [false, false]);
    assert.notEqual(first.id, second.id);
  });

  it("answers every item of a batch with the same run", async () => {
    const mark = file("marks");
    const payload = { key: unique("key"), count: 4, child: { value: "once", sleepMs: 500, mark } };
    const { id } = await tasks.trigger("keyed-batch-parent", payload);
    const results = await outputOf(id);

    assert.equal(results.length, 4);
    for (const result of results) assert.deepEqual(result, results[0]);
    assert.equal(results[0].output.value, "once");
    assert.deepEqual(await marksIn(mark), [results[0].id]);
  });
});
