// Cancelling a run in each state it can be in.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runs, tasks } from "@trigger.dev/sdk";
import { concurrently, endedAs, executionStatus, file, marks, marksIn, open, unique, waiting } from "../client.mjs";
import { until } from "../harness.mjs";

function finished(id) {
  return until(`${id} is over for its worker`, async () => (await executionStatus(id)) === "FINISHED");
}

async function assertCanceled(id) {
  const run = await endedAs("CANCELED", id);
  assert.ok(run.isCancelled && !run.isSuccess);
  assert.ok(run.finishedAt instanceof Date);
  assert.equal(run.output, undefined);
}

describe("cancel", concurrently, () => {
  it("cancels a queued run at once; it never runs", async () => {
    const concurrencyKey = unique("key");
    const [gate, mark] = [file("gate"), file("marks")];
    const occupant = await tasks.trigger("serial", { gate, label: "occupant", mark }, { concurrencyKey });
    await marks(mark, 1);
    const queued = await tasks.trigger("serial", { label: "queued", mark }, { concurrencyKey });
    const after = await tasks.trigger("serial", { label: "after", mark }, { concurrencyKey });

    assert.deepEqual(await runs.cancel(queued.id), { id: queued.id });
    assert.equal((await runs.retrieve(queued.id)).status, "CANCELED");
    assert.equal(await executionStatus(queued.id), "FINISHED");

    await open(gate);
    await endedAs("COMPLETED", occupant.id);
    await endedAs("COMPLETED", after.id);
    assert.deepEqual(await marksIn(mark), ["occupant", "after"]);
  });

  it("cancels a delayed run at once", async () => {
    const { id } = await tasks.trigger("hello", { name: "never" }, { delay: "1h" });
    await runs.cancel(id);
    await assertCanceled(id);
  });

  it("aborts an executing run, whose onCancel runs", async () => {
    const [mark, started] = [file("marks"), file("started")];
    const { id } = await tasks.trigger("cancel-while-executing", { mark, started });
    await marks(started, 1); // EXECUTING it is before its process has booted

    await runs.cancel(id);
    await assertCanceled(id);
    await finished(id);
    assert.deepEqual(await marks(mark, 1), [id]);
  });

  it("aborts a waiting run, whose onCancel runs", async () => {
    const mark = file("marks");
    const { id } = await tasks.trigger("cancel-while-waiting", { mark });
    await waiting(id);

    await runs.cancel(id);
    await assertCanceled(id);
    await finished(id);
    assert.deepEqual(await marks(mark, 1), [id]);
  });

  it("cancels the children of a parent", async () => {
    const [mark, started] = [file("marks"), file("started")];
    const { id } = await tasks.trigger("cancel-parent", { mark, started });
    await waiting(id);
    const [child] = (await runs.retrieve(id)).relatedRuns.children;
    await marks(started, 1);

    await runs.cancel(id);
    await assertCanceled(id);
    await assertCanceled(child.id);
    assert.deepEqual((await marks(mark, 2)).sort(), [id, child.id].sort());
  });

  it("leaves a finished run as it is", async () => {
    const { id } = await tasks.trigger("hello", { name: "done" });
    const before = await endedAs("COMPLETED", id);

    assert.deepEqual(await runs.cancel(id), { id });
    assert.deepEqual(await runs.retrieve(id), before);
  });

  it("may be repeated", async () => {
    const { id } = await tasks.trigger("hello", { name: "never" }, { delay: "1h" });
    await runs.cancel(id);
    const before = await runs.retrieve(id);
    await runs.cancel(id);
    assert.deepEqual(await runs.retrieve(id), before);
  });

  it("refuses a run that does not exist", async () => {
    await assert.rejects(runs.cancel("run_00000000000000000000000001"), { status: 404 });
  });
});
