// Attempts that fail: retried or not, and how the failure is told.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tasks } from "@trigger.dev/sdk";
import { concurrently, endedAs } from "../client.mjs";

describe("failures", concurrently, () => {
  it("goes back to the queue for a retry that is 30 s away", async () => {
    const { id } = await tasks.trigger("flaky-slowly", {});
    const run = await endedAs("COMPLETED", id, 120_000);

    assert.deepEqual(run.output, { attempt: 2 });
    assert.equal(run.attemptCount, 2);
    assert.ok(run.finishedAt - run.startedAt >= 30_000, `took ${run.finishedAt - run.startedAt} ms`);
  });

  it("retries in the same process until an attempt succeeds", async () => {
    const { id } = await tasks.trigger("flaky", { failures: 2 });
    const run = await endedAs("COMPLETED", id);

    assert.deepEqual(run.output, { attempt: 3 });
    assert.equal(run.attemptCount, 3);
    assert.equal(run.error, undefined);
  });

  it("fails with the last error when the attempts are used up", async () => {
    const { id } = await tasks.trigger("flaky", { failures: 9 });
    const run = await endedAs("FAILED", id);

    assert.equal(run.attemptCount, 3);
    assert.equal(run.error.message, "boom 3");
    assert.equal(run.output, undefined);
    assert.ok(run.isFailed && !run.isSuccess);
  });

  it("lets the trigger choose the number of attempts", async () => {
    const { id } = await tasks.trigger("flaky", { failures: 9 }, { maxAttempts: 1 });
    const run = await endedAs("FAILED", id);

    assert.equal(run.attemptCount, 1);
    assert.equal(run.error.message, "boom 1");
  });

  const shapes = [
    ["error", { name: "Error", message: "plain failure" }],
    ["class", { name: "PaymentError", message: "card declined" }],
    ["string", { message: "just text" }],
    ["object", { message: JSON.stringify({ code: 42, reason: "not an Error" }) }],
  ];
  for (const [kind, expected] of shapes) {
    it(`tells a thrown ${kind}`, async () => {
      const { id } = await tasks.trigger("thrower", { kind });
      const { attemptCount, error } = await endedAs("FAILED", id);

      assert.equal(attemptCount, 2);
      assert.equal(error.name, expected.name);
      assert.equal(error.message, expected.message);
      if (expected.name) assert.match(error.stackTrace, /failures/);
    });
  }

  it("does not retry an AbortTaskRunError", async () => {
    const { id } = await tasks.trigger("thrower", { kind: "abort" });
    const run = await endedAs("FAILED", id);

    assert.equal(run.attemptCount, 1);
    assert.equal(run.error.message, "no use in trying again");
  });

  it("retries a process that exited, as the task's settings say", async () => {
    const { id } = await tasks.trigger("exits", { exits: 1 });
    const run = await endedAs("COMPLETED", id);

    assert.deepEqual(run.output, { attempt: 2 });
    assert.equal(run.attemptCount, 2);
  });

  it("crashes when the process exits in every attempt", async () => {
    const { id } = await tasks.trigger("exits", { exits: 9 });
    const run = await endedAs("CRASHED", id);

    assert.equal(run.attemptCount, 2);
    assert.match(run.error.message, /TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE/);
  });

  it("retries after an exception that nobody caught", async () => {
    const { id } = await tasks.trigger("uncaught", {});
    const run = await endedAs("COMPLETED", id);

    assert.deepEqual(run.output, { attempt: 2 });
  });

  it("times out a run that works longer than its maxDuration, without retry", async () => {
    const { id } = await tasks.trigger("too-long", {});
    const run = await endedAs("TIMED_OUT", id);

    assert.equal(run.attemptCount, 1);
    assert.match(run.error.message, /MAX_DURATION_EXCEEDED/);
    assert.ok(run.isCompleted && run.isFailed);
    const tookMs = run.finishedAt - run.startedAt;
    assert.ok(tookMs >= 5_000 && tookMs < 60_000, `took ${tookMs} ms`);
  });

  it("lets the trigger choose the maxDuration", async () => {
    // A task that obeys the abort signal would race the SDK to the end: this one waits for what never comes.
    const { id } = await tasks.trigger("gated", { gate: "/dev/null/never" }, { maxDuration: 5 });
    await endedAs("TIMED_OUT", id);
  });
});
