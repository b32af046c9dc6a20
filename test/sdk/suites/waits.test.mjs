// Waits for time and for tokens.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tasks, wait } from "@trigger.dev/sdk";
import { concurrently, endedAs, http, outputOf, unique, waiting } from "../client.mjs";

/** A run that waits for the token, once it really does. */
async function waiterOf(token) {
  const { id } = await tasks.trigger("wait-for-token", { token: token.id });
  await waiting(id);
  return id;
}

// On a busy machine a run resumes late, but never early.
function assertWaited(waitedMs, seconds) {
  assert.ok(waitedMs >= seconds * 1000 - 50, `waited ${waitedMs} ms instead of ${seconds} s`);
  assert.ok(waitedMs < seconds * 1000 + 15_000, `waited ${waitedMs} ms instead of ${seconds} s`);
}

describe("waits for time", concurrently, () => {
  for (const seconds of [2, 7]) {
    it(`waits for ${seconds} s`, async () => {
      const { id } = await tasks.trigger("wait-for", { seconds });
      if (seconds > 5) await waiting(id);
      const run = await endedAs("COMPLETED", id);

      assertWaited(run.output.waitedMs, seconds);
      assert.equal(run.attemptCount, 1);
      if (seconds > 5) assert.ok(run.durationMs < seconds * 1000, `waiting counted as work: ${run.durationMs} ms`);
    });
  }

  it("waits until a date", async () => {
    const { id } = await tasks.trigger("wait-until", { date: new Date(Date.now() + 25_000) });
    await waiting(id);
    const { lateMs } = await outputOf(id);
    assert.ok(lateMs >= -50 && lateMs < 15_000, `resumed ${lateMs} ms late`);
  });

  it("does not wait until a date in the past", async () => {
    const { id } = await tasks.trigger("wait-until", { date: new Date(Date.now() - 60_000) });
    await endedAs("COMPLETED", id);
  });

  it("does not repeat a wait with the same idempotency key", async () => {
    const { id } = await tasks.trigger("wait-once", { key: unique("wait") });
    const run = await endedAs("COMPLETED", id);

    assert.equal(run.attemptCount, 2);
    // The CLI may miss the notice that the wait is over already, and then polls within 5 s.
    assert.ok(run.output.waitedMs < 10_000, `waited ${run.output.waitedMs} ms again`);
  });
});

describe("waits for tokens", concurrently, () => {
  it("is completed by the SDK", async () => {
    const token = await wait.createToken({ timeout: "10m" });
    const id = await waiterOf(token);
    assert.equal((await wait.retrieveToken(token)).status, "WAITING");

    await wait.completeToken(token, { approved: true, by: "Ada" });
    assert.deepEqual(await outputOf(id), { ok: true, output: { approved: true, by: "Ada" } });

    const completed = await wait.retrieveToken(token);
    assert.equal(completed.status, "COMPLETED");
    assert.deepEqual(completed.output, { approved: true, by: "Ada" });
    assert.ok(completed.completedAt instanceof Date);
  });

  it("is completed over HTTP with its public access token", async () => {
    const [token, other] = await Promise.all([wait.createToken(), wait.createToken()]);
    const id = await waiterOf(token);

    const path = `/api/v1/waitpoints/tokens/${token.id}/complete`;
    const refused = await http("POST", path, { token: other.publicAccessToken, body: { data: "no" } });
    assert.equal(refused.status, 403, JSON.stringify(refused.body));

    const { status, body } = await http("POST", path, { token: token.publicAccessToken, body: { data: "yes" } });
    assert.equal(status, 200);
    assert.deepEqual(body, { success: true });
    assert.deepEqual(await outputOf(id), { ok: true, output: "yes" });
  });

  it("is completed by its callback URL, without any key", async () => {
    const token = await wait.createToken();
    const id = await waiterOf(token);

    const forged = await http("POST", token.url.slice(0, -1) + (token.url.endsWith("0") ? "1" : "0"), { token: null, body: {} });
    assert.equal(forged.status, 401, JSON.stringify(forged.body));

    const { status } = await http("POST", token.url, { token: null, body: { event: "paid", amount: 12.5 } });
    assert.equal(status, 200);
    assert.deepEqual(await outputOf(id), { ok: true, output: { event: "paid", amount: 12.5 } });

    const again = await http("POST", token.url, { token: null, body: { event: "late" } });
    assert.equal(again.status, 200);
    assert.deepEqual((await wait.retrieveToken(token)).output, { event: "paid", amount: 12.5 });
  });

  it("takes a callback whose body is not JSON as empty", async () => {
    const token = await wait.createToken();
    const id = await waiterOf(token);
    await http("POST", token.url, { token: null, body: "status=paid" });
    assert.deepEqual(await outputOf(id), { ok: true, output: {} });
  });

  it("times out", async () => {
    const token = await wait.createToken({ timeout: "8s" });
    const id = await waiterOf(token);
    const { ok, error } = await outputOf(id);

    assert.equal(ok, false);
    assert.equal(error.name, "WaitpointTimeoutError");
    assert.match(error.message, /timed out/i);
    assert.equal((await wait.retrieveToken(token)).status, "TIMED_OUT");

    await wait.completeToken(token, "too late");
    assert.equal((await wait.retrieveToken(token)).status, "TIMED_OUT");
  });

  it("does not wait for a token that is completed already", async () => {
    const token = await wait.createToken();
    await wait.completeToken(token, [1, 2, 3]);
    const { id } = await tasks.trigger("wait-for-token", { token: token.id });
    assert.deepEqual(await outputOf(id), { ok: true, output: [1, 2, 3] });
  });

  it("completes without data", async () => {
    const token = await wait.createToken();
    const id = await waiterOf(token);
    await wait.completeToken(token);
    assert.deepEqual(await outputOf(id), { ok: true, output: null }); // undefined in the task
  });

  it("waits several times in one attempt", async () => {
    const tokens = await Promise.all([wait.createToken(), wait.createToken()]);
    const { id } = await tasks.trigger("wait-in-turn", { tokens: tokens.map((token) => token.id) });
    for (const [index, token] of tokens.entries()) {
      await waiting(id);
      await wait.completeToken(token, `answer ${index}`);
    }
    const output = await outputOf(id);
    assert.deepEqual(output.outputs, ["answer 0", "answer 1"]);
    assert.equal(output.attempt, 1);
    assertWaited(output.waitedMs, 6);
  });

  it("resumes every run that waits for one token", async () => {
    const token = await wait.createToken();
    const ids = await Promise.all([waiterOf(token), waiterOf(token)]);
    await wait.completeToken(token, "for all");
    for (const id of ids) assert.deepEqual(await outputOf(id), { ok: true, output: "for all" });
  });

  it("answers a repeated idempotency key with the first token", async () => {
    const idempotencyKey = unique("token");
    const first = await wait.createToken({ idempotencyKey });
    const second = await wait.createToken({ idempotencyKey });
    assert.equal(second.id, first.id);
    assert.deepEqual([first.isCached, second.isCached], [false, true]);
  });

  it("lists tokens by tag and status", async () => {
    const tag = unique("token");
    const tokens = [];
    for (let i = 0; i < 3; i++) tokens.push(await wait.createToken({ tags: [tag] }));
    await wait.completeToken(tokens[1], "done");

    const ids = async (filter) => {
      const found = [];
      for await (const token of wait.listTokens({ tags: [tag], limit: 2, ...filter })) found.push(token.id);
      return found;
    };
    assert.deepEqual(await ids({}), tokens.map((token) => token.id).reverse());
    assert.deepEqual(await ids({ status: "COMPLETED" }), [tokens[1].id]);
    assert.deepEqual(await ids({ status: ["WAITING"] }), [tokens[2].id, tokens[0].id]);
  });
});
