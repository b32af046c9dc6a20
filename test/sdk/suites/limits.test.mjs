// Rate limits, as the official client meets them: it waits until the reset and tries again.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { auth, runs } from "@trigger.dev/sdk";
import { connect, context } from "../client.mjs";
import { Server } from "../harness.mjs";

describe("a server that lets two requests in at once, and one a second", { timeout: 60_000 }, () => {
  let server;

  before(async () => {
    const dir = join(context.dir, "limits");
    mkdirSync(dir);
    server = await new Server({ dir, flags: ["--rate-limit", "1/1s:2", "--public-rate-limit", "1/1s:1"] }).start();
    connect({ dir, database: context.database, apiUrl: server.apiUrl, keys: server.keys });
  });

  after(() => server?.stop());

  it("makes the SDK wait until the reset, and serves it then", async () => {
    const statuses = [];
    const { fetch } = globalThis;
    globalThis.fetch = async (...args) => {
      const response = await fetch(...args);
      statuses.push({ status: response.status, at: Date.now(), reset: Number(response.headers.get("x-ratelimit-reset")) });
      return response;
    };
    try {
      for (let i = 0; i < 3; i++) assert.deepEqual((await runs.list()).data, []);
    } finally {
      globalThis.fetch = fetch;
    }

    assert.deepEqual(statuses.map((s) => s.status), [200, 200, 429, 200]);
    const [, , refused, served] = statuses;
    assert.ok(refused.reset > refused.at && refused.reset <= refused.at + 1_000, `reset ${refused.reset - refused.at} ms later`);
    assert.ok(served.at >= refused.reset, `tried again ${refused.reset - served.at} ms before the reset`);
  });

  it("counts a page's token for itself", async () => {
    const token = await auth.createPublicToken({ scopes: { read: { runs: true } } });
    const read = () => fetch(`${server.apiUrl}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await read()).status, 200);
    const refused = await read();
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("content-type"), "application/problem+json");
    const problem = await refused.json();
    assert.equal(problem.error, problem.detail);
    assert.equal(String(problem.reset), refused.headers.get("x-ratelimit-reset"));
  });
});
