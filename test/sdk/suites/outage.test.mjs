// Nobody hears the CLI for longer than the patience with workers: the server is away, the machine
// sleeps, Postgres is away. What the CLI executes goes on as if nothing had happened, once; only
// what a CLI executed that did not come back is given up.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { envvars, runs, schedules, tasks, wait } from "@trigger.dev/sdk";
import { connect, context, endedAs, file, http, marksIn, open, outputOf, reached, unique, waiting } from "../client.mjs";
import { Cli, Server, privatePostgres, until } from "../harness.mjs";

const PATIENCE_MS = 12_000;
const OUTAGE_MS = 20_000;

describe("an outage longer than the stall timeout", { timeout: 400_000 }, () => {
  let server, cli, cluster, schedule, due;

  before(async () => {
    const dir = join(context.dir, "outage");
    mkdirSync(dir);
    if (context.database === "postgres") cluster = await privatePostgres(dir);
    server = await new Server({ dir, databaseUrl: cluster?.url, flags: ["--stall-timeout", `${PATIENCE_MS / 1000}s`] }).start();
    cli = await new Cli({ dir, server }).start();
    connect({ dir, database: context.database, apiUrl: server.apiUrl, keys: server.keys });
    await envvars.create(server.keys.projectRef, "dev", { name: "HEARTBEAT_INTERVAL_MS", value: "2000" });
  });

  after(async () => {
    await cli?.stop();
    await server?.stop();
    cluster?.stop();
  });

  it("of the server loses no run", async () => {
    const made = await begun();
    due = Math.ceil((Date.now() + 15_000) / 60_000) * 60_000;
    schedule = await schedules.create({
      task: "on-schedule",
      cron: `${new Date(due).getUTCMinutes()} * * * *`,
      deduplicationKey: unique("outage"),
    });
    await server.kill();
    await sleep(Math.max(OUTAGE_MS, due + 5_000 - Date.now()));
    await server.start();

    await sleep(PATIENCE_MS + 1_000); // it waits for workers that long
    await made.endWell();
  });

  it("of the server has a schedule that was due in it fire once", async () => {
    const firedNow = async () => (await runs.list({ schedule: schedule.id })).data;
    await until("the schedule fires", async () => (await firedNow()).length > 0, { timeoutMs: 30_000 });
    const fired = await firedNow();
    assert.equal(fired.length, 1);
    assert.equal(new Date((await outputOf(fired[0].id)).payload.timestamp).getTime(), due);
    const { body } = await http("GET", `/api/v1/schedules/${schedule.id}`);
    assert.deepEqual(body.misses ?? [], [], JSON.stringify(body));
  });

  it("of the whole machine loses no run", async () => {
    const made = await begun();
    server.signal("SIGSTOP");
    cli.signal("SIGSTOP");
    await sleep(OUTAGE_MS);
    server.signal("SIGCONT");
    cli.signal("SIGCONT");

    await sleep(1_000); // in which it could judge too early
    await made.endWell();
  });

  it("of Postgres loses no run", { skip: context.database !== "postgres" && "there is none" }, async () => {
    const made = await begun();
    cluster.process.kill("SIGTSTP");
    await until("the server says that its database is away", async () => (await http("GET", "/readyz")).status === 503);
    await sleep(OUTAGE_MS);
    cluster.process.kill("SIGCONT");

    await until("the server is ready", async () => (await http("GET", "/readyz")).status === 200);
    await sleep(1_000); // in which it could judge too early
    await made.endWell();
  });

  it("in which the CLI vanishes ends its runs once it has had time to report", async () => {
    const made = await begun();
    await server.kill();
    await cli.vanish();
    await sleep(OUTAGE_MS);
    await server.start();

    for (const id of made.ids) await endedAs("CANCELED", id, 2 * PATIENCE_MS + 5_000);
  });

  /** A run that executes and one that waits, which can go on until they end. */
  async function begun() {
    const [gate, mark] = [file("gate"), file("marks")];
    const token = await wait.createToken();
    const executes = await tasks.trigger("gated", { gate, mark });
    const waits = await tasks.trigger("patient", { token: token.id, mark });
    await reached(executes.id, "executes", (run) => run.status === "EXECUTING");
    await waiting(waits.id);

    const ids = [executes.id, waits.id];
    const endWell = async () => {
      await open(gate);
      await wait.completeToken(token, "go");
      for (const id of ids) assert.equal((await endedAs("COMPLETED", id)).attemptCount, 1, id);
      assert.deepEqual((await marksIn(mark)).sort(), ids.sort());
    };
    return { ids, endWell };
  }
});
