// Three nodes on one Postgres behind a balancer. Nodes are restarted and killed and Postgres itself
// crashes, while the official SDK triggers and the official CLI executes: neither shows an error.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tasks, wait } from "@trigger.dev/sdk";
import { Balancer } from "../balancer.mjs";
import { connect, context, endedAs, file, marksIn, unique, waiting } from "../client.mjs";
import { Cli, Server, privatePostgres } from "../harness.mjs";

const skip = context.database !== "postgres" && "several nodes need Postgres";

describe("three nodes", { timeout: 300_000, skip }, () => {
  let cluster, nodes, balancer, cli, socketNode;

  before(async () => {
    const dir = join(context.dir, "nodes");
    mkdirSync(dir);
    cluster = await privatePostgres(dir);
    nodes = [1, 2, 3].map((n) => {
      const at = join(dir, `node${n}`);
      mkdirSync(at);
      return new Server({ dir: at, databaseUrl: cluster.url, secretKey: "5ea7".repeat(16) });
    });
    await nodes[0].start();
    for (const node of nodes.slice(1)) {
      node.keys = nodes[0].keys;
      await node.start();
    }
    // The CLI's socket goes to one node and all of its requests to the others, while those are there.
    balancer = await new Balancer(nodes, {
      pick: (path, ready) => {
        const others = ready.filter((node) => node !== socketNode);
        if (path.startsWith("/socket.io/")) return socketNode && ready.includes(socketNode) ? socketNode : undefined;
        return socketNode && others.length > 0 ? others[Math.floor(Math.random() * others.length)] : undefined;
      },
    }).start();
    socketNode = nodes[0];
    cli = await new Cli({ dir, server: { apiUrl: balancer.apiUrl, keys: nodes[0].keys } }).start();
    connect({ dir, database: context.database, apiUrl: balancer.apiUrl, keys: nodes[0].keys });
  });

  after(async () => {
    await cli?.stop();
    balancer?.stop();
    cluster?.stop();
    for (const node of nodes ?? []) await node.kill().catch(() => {}); // one that never started cannot be killed
  });

  it("wakes a run through the node that has its worker's socket, whichever node completes what it waits for", async () => {
    const times = [];
    for (let i = 0; i < 5; i++) {
      const token = await wait.createToken();
      const { id } = await tasks.trigger("patient", { token: token.id, mark: file("marks") });
      await waiting(id);
      const begin = performance.now();
      await wait.completeToken(token, "go");
      await endedAs("COMPLETED", id);
      times.push(performance.now() - begin);
    }
    times.sort((a, b) => a - b);
    console.log(`from a token's completion to the end of the run: ${times.map((t) => Math.round(t)).join(", ")} ms`);
    assert.ok(times[2] < 2_000, `the median is ${times[2]} ms`);
  });

  it("restarts node after node, and nobody notices", async () => {
    socketNode = undefined; // every node has what the balancer gives it
    await underLoad(async () => {
      for (const node of nodes) {
        await node.stop();
        await node.start();
        await sleep(500);
      }
    });
  });

  it("loses the node that has the CLI's socket", async () => {
    await underLoad(async () => {
      for (const node of nodes) {
        await node.kill();
        await sleep(1_000);
        await node.start();
      }
    });
  });

  it("loses Postgres, and goes on when it is back", async () => {
    await underLoad(async () => {
      for (const signal of ["SIGUSR1", "SIGUSR2"]) {
        cluster.process.kill(signal);
        await sleep(4_000);
      }
    });
  });

  it("never made the CLI show an error or register again", async () => {
    const log = await readFile(cli.log, "utf8");
    assert.equal(log.split("Local worker ready").length - 1, 1, log);
    assert.doesNotMatch(log, /✘|error|failed/i);
  });

  /** Has runs of several kinds triggered and executed while something happens: each ends once, in its first attempt. */
  async function underLoad(happens) {
    const mark = file("marks");
    const ids = [];
    let over = false;
    const clients = Array.from({ length: 3 }, async (_, n) => {
      for (let i = 0; !over; i++) {
        const payload = n === 0 ? { seconds: 1, mark } : { label: "plain", mark };
        const { id } = await tasks.trigger(n === 0 ? "patient" : "gated", payload, { tags: unique("nodes") });
        ids.push(id);
        await sleep(150);
      }
    });
    await happens();
    over = true;
    await Promise.all(clients);
    for (const id of ids) assert.equal((await endedAs("COMPLETED", id)).attemptCount, 1, id);
    assert.deepEqual((await marksIn(mark)).sort(), ids.sort());
    console.log(`${ids.length} runs, each once`);
  }
});
