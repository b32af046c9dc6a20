// The official command line and SDK through the proxies of deploy/, which end TLS. The servers listen
// on loopback, and have a --public-url or go by what each request says.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runs, tasks } from "@trigger.dev/sdk";
import { connect, context, endedAs, file, http, marks, unique } from "../client.mjs";
import { Cli, Server, until } from "../harness.mjs";
import { installed, startProxy } from "../proxy.mjs";

const { dir: home, database, tls } = context;
/** What a proxy does is the same on either database. */
const skip = database === "sqlite" ? false : "as on SQLite";

/** One proxy with a server behind it and a CLI before it. */
class Site {
  #parts = [];

  constructor(kind, told) {
    this.kind = kind;
    this.told = told;
    this.name = `${kind} ${told ? "with" : "without"} --public-url`;
  }

  async start() {
    this.dir = join(home, unique(`proxy-${this.kind}`));
    mkdirSync(this.dir);
    const server = this.#keep(await new Server({ dir: this.dir }).start());
    this.proxy = this.#keep(await startProxy(this.kind, { dir: this.dir, server, ...tls }));
    if (this.told) {
      await server.stop();
      server.flags.push("--public-url", this.proxy.apiUrl);
      await server.start();
    }
    this.keys = server.keys;
    this.#keep(await new Cli({ dir: this.dir, server: { apiUrl: this.proxy.apiUrl, keys: server.keys, certificate: tls.certificate } }).start());
  }

  /** Points the SDK of this process at the proxy. */
  connect() {
    connect({ dir: this.dir, database, apiUrl: this.proxy.apiUrl, keys: this.keys });
  }

  async stop() {
    for (const part of this.#parts.reverse()) await part.stop();
  }

  #keep(part) {
    this.#parts.push(part);
    return part;
  }
}

const sites = ["caddy", "nginx"].filter(installed).flatMap((kind) => [new Site(kind, false), new Site(kind, true)]);

describe("behind a proxy", { timeout: 300_000, skip }, () => {
  before(async () => {
    for (const site of sites) await site.start();
  });

  after(() => Promise.all(sites.map((site) => site.stop())));

  for (const site of sites) {
    it(`sends large payloads and outputs by addresses of the proxy: ${site.name}`, async () => {
      site.connect();
      const sent = await tasks.trigger("digest", { text: "ü".repeat(600 * 1024) });
      const made = await tasks.trigger("large-output", { length: 600_000 });
      assert.equal((await endedAs("COMPLETED", sent.id)).output.length, 600 * 1024);
      assert.equal((await endedAs("COMPLETED", made.id)).output.text, "é".repeat(600_000));

      const { payloadPresignedUrl } = (await http("GET", `/api/v3/runs/${sent.id}`)).body;
      const { outputPresignedUrl } = (await http("GET", `/api/v3/runs/${made.id}`)).body;
      for (const url of [payloadPresignedUrl, outputPresignedUrl]) assert.ok(url.startsWith(`${site.proxy.apiUrl}/`), url);
    });

    it(`tells a task at once that it is canceled, by the worker's socket: ${site.name}`, async () => {
      site.connect();
      const [mark, started] = [file("marks"), file("started")];
      const { id } = await tasks.trigger("cancel-while-executing", { mark, started });
      await marks(started, 1);
      await runs.cancel(id);
      await endedAs("CANCELED", id);
      assert.deepEqual(await marks(mark, 1), [id]);
    });
  }

  for (const site of sites) {
    it(`fires a schedule of the code: ${site.name}`, async () => {
      site.connect();
      await until("it fires", async () => {
        const { data } = await runs.list({ taskIdentifier: "minutely", status: "COMPLETED", limit: 1 });
        return data.length === 1;
      }, { timeoutMs: 75_000 });
    });
  }
});
