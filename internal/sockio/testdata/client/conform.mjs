// Drives the server of conform_test.go with the official client, and fails loudly.
import assert from "node:assert/strict";
import { io } from "socket.io-client";

const url = process.argv[2];

// open returns a socket of its own connection, as the official CLI makes them.
const open = (namespace, options = {}) =>
  io(url + namespace, {
    transports: ["websocket"],
    forceNew: true,
    extraHeaders: { Authorization: "Bearer tr_dev_1" },
    reconnectionDelay: 20,
    reconnectionDelayMax: 40,
    ...options,
  });

// once resolves with the arguments of the next such event.
const once = (emitter, event) =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event}`)), 10_000);
    emitter.once(event, (...args) => {
      clearTimeout(late);
      resolve(args);
    });
  });

const checks = {
  async "the header and the auth object arrive"() {
    const socket = open("/dev-worker", { auth: { token: "good" } });
    await once(socket, "connect");
    assert.ok(socket.id);
    assert.deepEqual(await socket.emitWithAck("whoami"), ["Bearer tr_dev_1", { token: "good" }]);
    socket.disconnect();
  },

  async "values survive the way there and back"() {
    const socket = open("/dev-worker");
    const values = [{ a: [1, null, true] }, "ünïcødé \u2028 😀 </script>", -1.5, "x".repeat(100_000)];
    assert.deepEqual(await socket.emitWithAck("echo", ...values), values);
    socket.disconnect();
  },

  async "events reach the members of a room only"() {
    const [member, stranger] = [open("/dev-worker"), open("/dev-worker")];
    await Promise.all([once(member, "connect"), once(stranger, "connect")]);
    stranger.on("run:notify", () => assert.fail("not subscribed"));
    await member.emitWithAck("join", "run_a");
    const notified = once(member, "run:notify");
    await stranger.emitWithAck("notify", "run_a");
    assert.deepEqual(await notified, [{ version: "1", run: { friendlyId: "run_a" } }]);
    await member.emitWithAck("leave", "run_a");
    member.on("run:notify", () => assert.fail("no longer subscribed"));
    await stranger.emitWithAck("notify", "run_a");
    await member.emitWithAck("echo"); // whatever was sent before has arrived
    member.disconnect();
    stranger.disconnect();
  },

  async "namespaces share a connection"() {
    const first = open("/dev-worker");
    const second = first.io.socket("/worker", {});
    await Promise.all([once(first, "connect"), once(second, "connect")]);
    assert.notEqual(first.id, second.id);
    second.disconnect();
    assert.deepEqual(await first.emitWithAck("echo", 1), [1]);
    first.disconnect();
  },

  async "a refusal is an error and no reason to try again"() {
    const socket = open("/closed");
    const [error] = await once(socket, "connect_error");
    assert.equal(error.message, "unauthorized");
    assert.equal(socket.active, false);
    socket.disconnect();
    const lost = open("/nowhere");
    assert.equal((await once(lost, "connect_error"))[0].message, "Invalid namespace");
    lost.disconnect();
  },

  async "heartbeats keep the connection"() {
    const socket = open("/dev-worker");
    socket.on("disconnect", (reason) => assert.equal(reason, "io client disconnect"));
    for (let i = 0; i < 4; i++) await once(socket.io, "ping");
    assert.ok(socket.connected);
    socket.disconnect();
  },

  async "a closed connection comes back by itself"() {
    const socket = open("/dev-worker");
    await once(socket, "connect");
    const [gone, back] = [once(socket, "disconnect"), once(socket, "connect")];
    const before = socket.id;
    socket.emit("hang up");
    assert.equal((await gone)[0], "transport close");
    await back;
    assert.notEqual(socket.id, before);
    assert.ok(!socket.recovered);
    socket.disconnect();
  },

  async "binary events are refused"() {
    const socket = open("/dev-worker", { reconnection: false });
    await once(socket, "connect");
    socket.emit("echo", Buffer.from("x"));
    assert.equal((await once(socket, "disconnect"))[0], "transport close");
  },

  async "polling is refused"() {
    const socket = open("/dev-worker", { transports: ["polling"], reconnection: false });
    await once(socket, "connect_error");
    socket.disconnect();
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (error) {
    console.error(`${name}: ${error.stack}`);
    process.exit(1);
  }
}
process.exit(0);
