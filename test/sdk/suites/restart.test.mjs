// kill -9 of the server in the middle of everything. It comes back on the same data, the CLI goes on
// by itself, and every run that was accepted ends exactly once and as it should.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runs, tasks, wait } from "@trigger.dev/sdk";
import { connect, context, endedAs, file, http, marks, marksIn, open, outputOf, reached, unique, waiting } from "../client.mjs";
import { Cli, Server, createDatabase, until } from "../harness.mjs";

describe("a killed server", { timeout: 240_000 }, () => {
  let server, cli, database;

  before(async () => {
    const dir = join(context.dir, "restart");
    mkdirSync(dir);
    if (context.database === "postgres") database = await createDatabase(process.env.SEAR_TEST_POSTGRES);
    server = await new Server({ dir, databaseUrl: database?.url }).start();
    cli = await new Cli({ dir, server }).start();
    connect({ dir, database: context.database, apiUrl: server.apiUrl, keys: server.keys });
  });

  after(async () => {
    await cli?.stop();
    await server?.stop();
    await database?.drop();
  });

  it("finishes 30 runs that were executing, waiting and queued, each exactly once", async () => {
    const tag = unique("restart");
    const mark = file("marks");
    const [during, later] = [file("gate"), file("gate")];
    const trigger = async (task, payload, label) => {
      const { id } = await tasks.trigger(task, { mark, ...payload }, { tags: tag });
      return { id, label };
    };

    // Eight that execute: the first four end while the server is down, the others after that.
    const executing = [];
    for (let i = 0; i < 8; i++) executing.push(await trigger("gated", { gate: i < 4 ? during : later, label: i }, i));

    // Fourteen of which four execute and ten are queued.
    const queued = [];
    for (let i = 0; i < 14; i++) queued.push(await trigger("queued", { gate: later }));

    // Eight that wait: for a token, for a child that executes, and for time, of which there is enough.
    const tokens = [];
    const waits = [];
    for (let i = 0; i < 3; i++) {
      const token = await wait.createToken();
      tokens.push(token);
      waits.push(await trigger("patient", { token: token.id }, `token ${i}`));
    }
    waits.push(await trigger("patient", { gate: later }, "child"));
    for (const { id } of waits) await waiting(id);
    for (const { id } of executing) await reached(id, "executes", (run) => run.status === "EXECUTING");
    await until("four execute and ten are queued", async () => {
      const found = await Promise.all(queued.map(({ id }) => runs.retrieve(id)));
      const count = (status) => found.filter((run) => run.status === status).length;
      return count("EXECUTING") === 4 && count("QUEUED") === 10;
    });
    const timed = [];
    for (let i = 0; i < 4; i++) timed.push(await trigger("patient", { seconds: 20 }, "time"));
    for (const { id } of timed) await waiting(id);
    waits.push(...timed);

    await server.kill();
    await open(during);
    await marks(mark, 4); // four runs have ended, and their worker could tell nobody
    await server.start();

    for (const [i, token] of tokens.entries()) await wait.completeToken(token, `token ${i}`);
    await open(later);

    for (const { id, label } of executing) await outputIs(id, { label, attempt: 1 });
    for (const { id, label } of waits) await outputIs(id, { result: label, attempt: 1 });
    for (const { id } of queued) await outputIs(id, { attempt: 1 });

    const everything = [...executing, ...waits, ...queued].map(({ id }) => id).sort();
    assert.deepEqual((await marksIn(mark)).sort(), everything);
    const listed = [];
    for await (const run of runs.list({ tag })) listed.push(run.id);
    assert.deepEqual(listed.sort(), everything);
  });

  it("knows its worker still: the CLI did not register again", async () => {
    const log = await readFile(cli.log, "utf8");
    assert.equal(log.split("Local worker ready").length - 1, 1);
    const { id } = await tasks.trigger("hello", { name: "again" });
    assert.equal((await outputOf(id)).greeting, "Hello, again!");
  });

  it("has every run it acknowledged before it was killed in mid-stream", async () => {
    const tag = unique("stream");
    const acknowledged = [];
    const body = { payload: {}, options: { delay: "1h", tags: [tag] } };
    const clients = Array.from({ length: 8 }, async () => {
      for (;;) {
        const answer = await http("POST", "/api/v1/tasks/hello/trigger", { body }).catch(() => undefined);
        if (answer?.status !== 200) return;
        acknowledged.push(answer.body.id);
      }
    });
    await until("200 runs are acknowledged", () => acknowledged.length >= 200, { everyMs: 5 });
    await server.kill();
    await Promise.all(clients);
    await server.start();

    for (let at = 0; at < acknowledged.length; at += 20) {
      const found = await Promise.all(acknowledged.slice(at, at + 20).map((id) => http("GET", `/api/v3/runs/${id}`)));
      for (const run of found) assert.equal(run.body.status, "DELAYED", JSON.stringify(run.body));
    }
  });

  it("stops within 10 s when asked to, and goes on afterwards", async () => {
    const gate = file("gate");
    const { id } = await tasks.trigger("gated", { gate, label: "patient" });
    await reached(id, "executes", (run) => run.status === "EXECUTING");

    await server.stop();
    await server.start();
    await open(gate);
    await outputIs(id, { label: "patient", attempt: 1 });
  });

  it("cancels what a killed CLI was executing, as soon as its watchdog says so", async () => {
    const [executing, waits] = await Promise.all([
      tasks.trigger("gated", { gate: file("gate") }),
      tasks.trigger("patient", { seconds: 600 }),
    ]);
    await reached(executing.id, "executes", (run) => run.status === "EXECUTING");
    await waiting(waits.id);

    await cli.kill();
    for (const { id } of [executing, waits]) await endedAs("CANCELED", id, 30_000);
  });
});

async function outputIs(id, expected) {
  const run = await endedAs("COMPLETED", id);
  assert.deepEqual(run.output, expected, id);
  assert.equal(run.attemptCount, 1, id);
}
