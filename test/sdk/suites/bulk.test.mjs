// Bulk actions: many runs cancelled or replayed at once, by id and by filter.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runs, tasks } from "@trigger.dev/sdk";
import { concurrently, endedAs, http, outputOf, unique } from "../client.mjs";

/** Runs that stay queued for an hour. */
async function delayed(count, tag) {
  const made = [];
  for (let n = 0; n < count; n++) made.push((await tasks.trigger("hello", { name: "never" }, { delay: "1h", tags: [tag] })).id);
  return made;
}

/** The ids of all runs that belong to a bulk action. */
async function membersOf(bulkAction) {
  const ids = [];
  for await (const run of runs.list({ bulkAction })) ids.push(run.id);
  return ids;
}

describe("bulk actions", concurrently, () => {
  it("cancels runs by id; one that had finished is a failure", async () => {
    const ids = await delayed(3, unique("tag"));
    await runs.cancel(ids[0]);

    const { id } = await runs.bulk.cancel({ runIds: ids, name: "three" });
    assert.match(id, /^bulk_/);
    const done = await runs.bulk.poll(id, { pollIntervalMs: 100 });
    assert.equal(done.name, "three");
    assert.equal(done.type, "CANCEL");
    assert.equal(done.status, "COMPLETED");
    assert.deepEqual(done.counts, { total: 3, success: 2, failure: 1 });
    assert.ok(done.createdAt instanceof Date && done.completedAt >= done.createdAt);
    for (const run of ids) await endedAs("CANCELED", run);
    assert.deepEqual((await membersOf(id)).sort(), ids.sort());
  });

  it("cancels runs by filter, and no others", async () => {
    const [tag, other] = [unique("tag"), unique("tag")];
    const ids = await delayed(60, tag);
    const [spared] = await delayed(1, other);

    const { id } = await runs.bulk.cancel({ filter: { tag, status: ["DELAYED"], taskIdentifier: "hello", from: new Date(0), period: "1d" } });
    const done = await runs.bulk.poll(id, { pollIntervalMs: 100 });
    assert.deepEqual(done.counts, { total: 60, success: 60, failure: 0 });
    assert.deepEqual((await membersOf(id)).sort(), ids.sort());
    assert.equal((await runs.retrieve(spared)).status, "DELAYED");
    await runs.cancel(spared);
  });

  it("replays runs by id and by filter", async () => {
    const tag = unique("tag");
    const first = await tasks.trigger("hello", { name: "again" }, { tags: [tag] });
    const { greeting } = await outputOf(first.id);

    const byId = await runs.bulk.replay({ runIds: [first.id], name: "by id" });
    assert.deepEqual((await runs.bulk.poll(byId.id, { pollIntervalMs: 100 })).counts, { total: 1, success: 1, failure: 0 });
    const [second] = await membersOf(byId.id);
    assert.notEqual(second, first.id);
    assert.equal((await outputOf(second)).greeting, greeting);

    const byFilter = await runs.bulk.replay({ filter: { bulkAction: byId.id, queue: { type: "task", name: "hello" }, isTest: false } });
    const done = await runs.bulk.poll(byFilter.id, { pollIntervalMs: 100 });
    assert.equal(done.type, "REPLAY");
    assert.deepEqual(done.counts, { total: 1, success: 1, failure: 0 });
    const [third] = await membersOf(byFilter.id);
    assert.equal((await outputOf(third)).greeting, greeting);
    assert.equal((await runs.list({ tag })).data.length, 3);
  });

  it("lists and retrieves actions", async () => {
    const made = [];
    for (let n = 0; n < 3; n++) made.push((await runs.bulk.cancel({ filter: { tag: unique("nobody") } })).id);
    const seen = [];
    for await (const action of runs.bulk.list({ limit: 2 })) seen.push(action.id);
    assert.deepEqual(seen.filter((id) => made.includes(id)), made.toSorted().reverse());
    const page = await runs.bulk.list({ limit: 1 });
    assert.equal(page.data.length, 1);
    assert.ok((await page.getNextPage()).hasPreviousPage());
    assert.equal((await runs.bulk.retrieve(made[0])).id, made[0]);
    await assert.rejects(runs.bulk.retrieve("bulk_unknown"), { status: 404 });
  });

  it("aborts an action, unless it has completed", async () => {
    const ids = await delayed(200, unique("tag"));
    const { id } = await runs.bulk.replay({ runIds: ids });
    let late = false;
    try {
      assert.deepEqual(await runs.bulk.abort(id), { id });
    } catch (error) {
      late = true;
      assert.equal(error.status, 400);
    }
    const ended = await runs.bulk.poll(id, { pollIntervalMs: 100 });
    assert.equal(ended.status, late ? "COMPLETED" : "ABORTED");
    assert.equal((await membersOf(id)).length, ended.counts.success);
    await assert.rejects(runs.bulk.abort("bulk_unknown"), { status: 404 });
    await runs.bulk.cancel({ runIds: ids });
    await runs.bulk.cancel({ filter: { bulkAction: id } });
  });

  it("refuses what selects nothing or too much", async () => {
    const refused = async (body, error) => {
      const answer = await http("POST", "/api/v1/bulk-actions", { body });
      assert.deepEqual([answer.status, answer.body.error], [400, error]);
    };
    const exactly = "Validation error: Exactly one of filter or runIds must be provided";
    await refused({ action: "cancel" }, exactly);
    await refused({ action: "cancel", filter: { tag: "a" }, runIds: ["run_1"] }, exactly);
    await refused({ action: "replay", filter: {} }, 'Validation error: At least one filter must be provided at "filter"');
  });
});
