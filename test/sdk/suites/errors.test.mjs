// What runs failed of, by plain requests: the SDK has no methods for it. The failures are real ones.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runs, tasks } from "@trigger.dev/sdk";
import { concurrently, endedAs, http, unique } from "../client.mjs";

/** The groups of the task's failures, by the name of the error. */
async function groups(task) {
  const { status, body } = await http("GET", `/api/v1/errors?filter[taskIdentifier]=${task}`);
  assert.equal(status, 200);
  return Object.fromEntries(body.data.map((group) => [group.errorType, group]));
}

/** Triggers the task so that it fails at once, and waits until it has. */
async function failed(task, payload, tags) {
  const { id } = await tasks.trigger(task, payload, { maxAttempts: 1, tags });
  return endedAs("FAILED", id);
}

describe("errors", concurrently, () => {
  it("groups failures by what was thrown, and leads to their runs", async () => {
    const tag = unique("errors");
    const first = await failed("thrower", { kind: "class" }, tag);
    const second = await failed("thrower", { kind: "class" }, tag);
    const group = (await groups("thrower")).PaymentError;

    assert.ok(group.count >= 2, `${group.count} failures`);
    assert.equal(group.status, "unresolved");
    const { body } = await http("GET", `/api/v1/errors/${group.id}`);
    assert.deepEqual(body.affectedVersions, [first.version]);

    const found = await http("GET", `/api/v1/runs?filter[error]=${group.id}&filter[tag]=${tag}`);
    assert.deepEqual(found.body.data.map((run) => run.id), [second.id, first.id]);
    assert.equal((await runs.retrieve(second.id)).error.name, "PaymentError");
  });

  it("opens a resolved error when it comes again", async () => {
    await failed("flaky", { failures: 9 });
    const { id } = (await groups("flaky")).Error;
    const resolved = await http("POST", `/api/v1/errors/${id}/resolve`, { body: {} });
    assert.equal(resolved.body.status, "resolved");

    await failed("flaky", { failures: 9 });
    const { body } = await http("GET", `/api/v1/errors/${id}`);
    assert.equal(body.status, "unresolved");
    assert.equal(body.resolvedAt, null);
  });

  it("counts nothing for a run that succeeds at last", async () => {
    const { id } = await tasks.trigger("flaky", { failures: 1 });
    const run = await endedAs("COMPLETED", id);
    const { body } = await http("GET", `/api/v1/errors?filter[taskIdentifier]=flaky`);
    for (const group of body.data) {
      const members = await http("GET", `/api/v1/runs?filter[error]=${group.id}`);
      assert.ok(members.body.data.every((member) => member.id !== run.id));
    }
  });
});
