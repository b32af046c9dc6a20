// Queues as the SDK manages them: found by id and by name, paused, and limited otherwise than in code.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { auth, queues, runs, tasks } from "@trigger.dev/sdk";
import { concurrently, context, endedAs, executionStatus, file, marksIn, open, reached, unique } from "../client.mjs";
import { until } from "../harness.mjs";

const letters = { type: "task", name: "letters" };
const urgent = { type: "custom", name: "mail/urgent" };
const executes = (id) => reached(id, "executes", (run) => run.status === "EXECUTING");
const refused = (status, pattern) => (error) => error.status === status && pattern.test(error.message);

describe("queues", concurrently, () => {
  it("lists them by name, page by page", async () => {
    const names = [];
    for await (const queue of queues.list({ perPage: 5 })) names.push(queue.name);
    assert.deepEqual(names, names.toSorted((a, b) => (a < b ? -1 : 1)));
    assert.equal(new Set(names).size, names.length);
    for (const name of ["five-at-once", "letters", "mail/urgent", "serial"]) assert.ok(names.includes(name), `${name} in ${names}`);

    const page = await queues.list({ page: 2, perPage: 5 });
    assert.deepEqual(page.data.map((queue) => queue.name), names.slice(5, 10));
    assert.deepEqual(page.pagination, { currentPage: 2, totalPages: Math.ceil(names.length / 5), count: names.length });
    await assert.rejects(queues.list({ perPage: -1 }), refused(400, /Query Error/));
  });

  it("finds one by id, by task and by a name with a slash", async () => {
    const custom = await queues.retrieve({ type: "custom", name: "five-at-once" });
    assert.match(custom.id, /^queue_/);
    assert.equal(custom.type, "custom");
    assert.equal(custom.concurrencyLimit, 5);
    assert.deepEqual((({ running, queued, ...rest }) => rest)(await queues.retrieve(custom.id)),
      (({ running, queued, ...rest }) => rest)(custom));

    const ofTask = await queues.retrieve({ type: "task", name: "gated" });
    assert.deepEqual([ofTask.name, ofTask.type, ofTask.concurrencyLimit, ofTask.version], ["gated", "task", null, "V1"]);
    assert.equal((await queues.retrieve(urgent)).name, "mail/urgent");

    for (const unknown of ["queue_0123456789", { type: "task", name: "mail/urgent" }, { type: "custom", name: "letters" }]) {
      await assert.rejects(queues.retrieve(unknown), refused(404, /queue-not-found/));
      await assert.rejects(queues.pause(unknown), refused(404, /queue-not-found/));
      await assert.rejects(queues.overrideConcurrencyLimit(unknown, 1), refused(404, /Queue not found/));
      await assert.rejects(queues.resetConcurrencyLimit(unknown), refused(404, /Queue not found/));
    }
  });

  it("lets a public token read what it names", async () => {
    const accessToken = await auth.createPublicToken({ scopes: { read: { queues: ["serial"] } } });
    await auth.withAuth({ accessToken, baseURL: context.apiUrl }, async () => {
      assert.equal((await queues.retrieve({ type: "task", name: "serial" })).name, "serial");
      await assert.rejects(queues.retrieve({ type: "task", name: "gated" }), refused(403, /Unauthorized/));
    });
  });

  it("starts nothing while paused, and everything in order afterwards", async () => {
    const [gate, mark] = [file("gate"), file("marks")];
    const first = await tasks.trigger("letters", { gate, mark, label: "first" });
    await executes(first.id);
    assert.equal((await queues.pause(letters)).paused, true);
    const later = [];
    for (const label of ["second", "third"]) {
      later.push((await tasks.trigger("letters", { mark, label }, { concurrencyKey: unique("key") })).id);
    }
    const paused = await queues.retrieve(letters);
    assert.deepEqual([paused.paused, paused.running, paused.queued], [true, 1, 2]);

    await open(gate);
    await endedAs("COMPLETED", first.id);
    // Had the pause let them through, they would be done before a run that was triggered later.
    await endedAs("COMPLETED", (await tasks.trigger("gated", { label: "other" })).id);
    for (const id of later) assert.equal(await executionStatus(id), "QUEUED");

    assert.equal((await queues.resume(letters)).paused, false);
    for (const id of later) await endedAs("COMPLETED", id);
    assert.deepEqual((await marksIn(mark)).toSorted(), ["first", "second", "third"]);
    await until("the queue is empty", async () => {
      const { running, queued } = await queues.retrieve(letters);
      return running === 0 && queued === 0;
    });
  });

  it("overrides the limit and goes back to the one in code", async () => {
    const gate = file("gate");
    const lowered = await queues.overrideConcurrencyLimit(urgent, 1);
    assert.equal(lowered.concurrencyLimit, 1);
    const { overriddenAt, ...rest } = lowered.concurrency;
    assert.deepEqual(rest, { current: 1, base: 2, override: 1, overriddenBy: null });
    assert.ok(Math.abs(Date.now() - overriddenAt) < 60_000);

    const first = await tasks.trigger("urgent-letters", { gate });
    await executes(first.id);
    const second = await tasks.trigger("urgent-letters", { gate });
    await endedAs("COMPLETED", (await tasks.trigger("gated", { label: "other" })).id);
    assert.equal(await executionStatus(second.id), "QUEUED");

    const back = await queues.resetConcurrencyLimit(urgent);
    assert.deepEqual(back.concurrency, { current: 2, base: 2, override: null, overriddenAt: null, overriddenBy: null });
    await executes(second.id);
    await open(gate);
    for (const { id } of [first, second]) await endedAs("COMPLETED", id);

    await assert.rejects(queues.resetConcurrencyLimit(back.id), refused(400, /not overridden/));
    await assert.rejects(queues.overrideConcurrencyLimit(urgent, 100_000), refused(400, /maximum/));
    await assert.rejects(queues.overrideConcurrencyLimit(urgent, -1), refused(400, /concurrencyLimit/));
  });
});
