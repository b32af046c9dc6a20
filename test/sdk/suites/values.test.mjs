// What goes in as a payload comes out as the same value, whatever its type.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { runs, tasks } from "@trigger.dev/sdk";
import { concurrently, ended, exactOutputOf, http, membersOf, outputOf } from "../client.mjs";

const everything = {
  date: new Date("2026-02-25T12:34:56.789Z"),
  bigint: 123456789012345678901234567890n,
  map: new Map([["a", 1], ["b", new Map([[{ key: true }, new Set([1n])]])]]),
  set: new Set([1, "two", null]),
  undefined: undefined,
  regexp: /a+"b\/c/giu,
  url: new URL("https://user@example.com:8443/päth?q=1#hash"),
  numbers: [0, -0, 1.5, -1e300, Number.MAX_SAFE_INTEGER, NaN, Infinity, -Infinity],
  null: null,
  text: "quotes \" and \\ and \u0000 and \u2028, tabs\tand\nlines",
  unicode: "héllo wörld, 你好, 👩‍👩‍👧‍👦, \ud83d\ude00",
  nested: [{ at: [new Date(0), { deep: new Set([new Date(1)]) }] }, [], {}],
  "a.key with.dots": { "": 1n },
};

// One run for each type alone at the top, and one for all of them together.
const values = { ...everything, true: true, emptyObject: {}, array: [1, [2n]], everything };

function assertSame(actual, expected) {
  assert.deepEqual(actual, expected);
  // deepEqual does not see a difference between two URLs; their text shows it.
  assert.equal(inspect(actual, { depth: null }), inspect(expected, { depth: null }));
}

describe("values", concurrently, () => {
  for (const [name, value] of Object.entries(values)) {
    it(`echoes ${name}`, async () => {
      const { id } = await tasks.trigger("echo", value);
      assertSame(await exactOutputOf(id), value);
    });
  }

  it("echoes all of them as items of a batch, in order", async () => {
    const items = Object.values(values).map((payload) => ({ payload }));
    const { batchId } = await tasks.batchTrigger("echo", items);

    for (const [index, id] of (await membersOf(batchId, items.length)).entries()) {
      assertSame(await exactOutputOf(id), items[index].payload);
    }
  });

  it("carries them from a child to its parent", async () => {
    const { id } = await tasks.trigger("courier", { value: everything });
    assertSame(await exactOutputOf(id), everything);
  });

  it("shows payload and output as plain JSON", async () => {
    const { id } = await tasks.trigger("echo", everything);
    const { payload, output } = await ended(id);

    for (const shown of [payload, output]) {
      assert.equal(shown.date, "2026-02-25T12:34:56.789Z");
      assert.equal(shown.bigint, "123456789012345678901234567890");
      assert.deepEqual(shown.set, [1, "two", null]);
      assert.equal(shown.unicode, everything.unicode);
      assert.equal(shown.text, everything.text);
      assert.deepEqual(shown.nested, [{ at: ["1970-01-01T00:00:00.000Z", { deep: ["1970-01-01T00:00:00.001Z"] }] }, [], {}]);
    }
  });

  it("keeps text as text", async () => {
    const { id } = await tasks.trigger("echo", '{"looks":"like JSON"}');
    assert.equal(await outputOf(id), '{"looks":"like JSON"}');
  });

  it("gives a task without payload nothing", async () => {
    const { id } = await tasks.trigger("echo");
    const run = await ended(id);
    assert.equal(run.payload, undefined);
    assert.equal(run.output, undefined);
    assert.equal(run.status, "COMPLETED");
  });

  for (const value of [{ n: 1 }, [1, 2], "text", 7, true, null]) {
    it(`takes ${JSON.stringify(value)} as plain JSON over HTTP`, async () => {
      const { body } = await http("POST", "/api/v1/tasks/echo/trigger", { body: { payload: value } });
      assert.deepEqual(await exactOutputOf(body.id), value);
    });
  }

  it("does not touch numbers that JavaScript would round", async () => {
    const payload = '{"n":12345678901234567890,"f":0.1000000000000000055}';
    const { body } = await http("POST", "/api/v1/tasks/echo/trigger", {
      body: { payload, options: { payloadType: "text/plain" } },
    });
    assert.equal(await outputOf(body.id), payload);
    assert.equal((await runs.retrieve(body.id)).payload, payload);
  });
});
