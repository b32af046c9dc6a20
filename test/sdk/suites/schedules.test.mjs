// Schedules: made and changed by the SDK, declared in code, and fired.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runs, schedules } from "@trigger.dev/sdk";
import { concurrently, outputOf, unique } from "../client.mjs";
import { until } from "../harness.mjs";

const gone = { status: 404, name: "TriggerApiError" };

describe("schedules", concurrently, () => {
  it("fires what the code declares", async () => {
    let mine;
    for await (const s of schedules.list({ perPage: 2 })) if (s.task === "minutely") mine = s;
    assert.equal(mine.type, "DECLARATIVE");
    assert.deepEqual(mine.generator.expression, "* * * * *");
    await assert.rejects(schedules.del(mine.id), { status: 422 });
    await assert.rejects(schedules.deactivate(mine.id), { status: 422 });
    await assert.rejects(schedules.update(mine.id, { task: "minutely", cron: "0 * * * *" }), { status: 422 });

    let run;
    await until("the schedule fires", async () => {
      [run] = (await runs.list({ schedule: mine.id, limit: 10 })).data;
      return run !== undefined;
    }, { timeoutMs: 70_000 });
    const { payload, dates } = await outputOf(run.id);
    assert.ok(dates, "the task was given dates");
    assert.equal(payload.scheduleId, mine.id);
    assert.equal(payload.type, "DECLARATIVE");
    assert.equal(payload.timezone, "UTC");
    assert.equal(payload.upcoming.length, 10);
    assert.equal(Date.parse(payload.timestamp) % 60_000, 0);
    assert.equal(Date.parse(payload.upcoming[0]) - Date.parse(payload.timestamp), 60_000);

    const retrieved = await runs.retrieve(run.id);
    assert.equal(retrieved.schedule.id, mine.id);
    assert.equal(retrieved.schedule.generator.expression, "* * * * *");
    assert.equal(retrieved.taskKind, "SCHEDULED");
  });

  it("declares nothing where the code does not want it", async () => {
    for await (const s of schedules.list()) assert.notEqual(s.task, "elsewhere");
  });

  it("lives from create to del", async () => {
    const deduplicationKey = unique("key");
    const wish = { task: "on-schedule", cron: "0 0 1 1 *", deduplicationKey, externalId: "user_1", timezone: "Asia/Tokyo", window: "30m" };
    const made = await schedules.create(wish);
    assert.equal(made.type, "IMPERATIVE");
    assert.equal(made.deduplicationKey, deduplicationKey);
    assert.equal(made.externalId, "user_1");
    assert.ok(made.nextRun instanceof Date && made.nextRun.getUTCHours() === 15, `next at ${made.nextRun}`);
    assert.deepEqual(await schedules.retrieve(made.id), made);

    const again = await schedules.create({ ...wish, cron: "0 0 2 1 *", externalId: undefined });
    assert.equal(again.id, made.id);
    assert.equal(again.generator.expression, "0 0 2 1 *");
    assert.ok(!again.externalId);

    const updated = await schedules.update(made.id, { task: "on-schedule", cron: "0 9 * * 1-5" });
    assert.equal(updated.timezone, "UTC");
    assert.equal((await schedules.deactivate(made.id)).active, false);
    assert.equal((await schedules.activate(made.id)).active, true);
    assert.deepEqual(await schedules.del(made.id), { id: made.id });
    await assert.rejects(schedules.retrieve(made.id), gone);
    await assert.rejects(schedules.del(made.id), gone);
  });

  it("is reached by its deduplication key", async () => {
    const key = unique("key");
    const made = await schedules.create({ task: "on-schedule", cron: "0 0 1 1 *", deduplicationKey: key });
    assert.deepEqual(await schedules.retrieve(key), made);
    const updated = await schedules.update(key, { task: "on-schedule", cron: "0 9 * * 1-5" });
    assert.deepEqual([updated.id, updated.generator.expression], [made.id, "0 9 * * 1-5"]);
    assert.equal((await schedules.deactivate(key)).active, false);
    assert.equal((await schedules.activate(key)).active, true);
    assert.deepEqual(await schedules.del(key), { id: made.id });
    await assert.rejects(schedules.retrieve(key), gone);
  });

  it("refuses what can never fire", async () => {
    const wish = { task: "on-schedule", cron: "* * * * *", deduplicationKey: unique("key") };
    await assert.rejects(schedules.create({ ...wish, cron: "* * * * * *" }), /seconds are not allowed/);
    await assert.rejects(schedules.create({ ...wish, timezone: "Sea/Atlantis" }), /Invalid IANA timezone: 'Sea\/Atlantis'/);
    await assert.rejects(schedules.create({ ...wish, task: "hello" }), /Task with identifier hello is not a scheduled task\./);
    await assert.rejects(schedules.create({ ...wish, task: "nobody" }), /Task with identifier nobody not found in project\./);
  });

  it("knows the time zones", async () => {
    const { timezones } = await schedules.timezones();
    assert.equal(timezones[0], "UTC");
    assert.ok(timezones.includes("America/New_York"));
    assert.ok(!(await schedules.timezones({ excludeUtc: true })).timezones.includes("UTC"));
  });
});
