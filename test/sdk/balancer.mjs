// What stands before several nodes in the tests, as a load balancer does in earnest: it sends a
// connection to a node that is ready, and to the next one when that cannot be reached.
import { connect, createServer } from "node:net";

const CHECK_EVERY_MS = 100;

/** A balancer before servers; pick(path, ready) may choose a node by the path of a connection's first request. */
export class Balancer {
  #listener;
  #timer;
  #ready = [];
  #next = 0;

  constructor(servers, { pick } = {}) {
    this.servers = servers;
    this.pick = pick;
  }

  async start() {
    await this.#check();
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
    this.#listener = createServer((client) => this.#accept(client));
    await new Promise((done, fail) => this.#listener.once("error", fail).listen(0, "127.0.0.1", done));
    this.apiUrl = `http://127.0.0.1:${this.#listener.address().port}`;
    return this;
  }

  stop() {
    clearInterval(this.#timer);
    this.#listener?.close();
  }

  async #check() {
    const answers = await Promise.all(
      this.servers.map(async (server) => {
        const answer = await fetch(`${server.apiUrl}/readyz`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
        return answer?.status === 200;
      }),
    );
    this.#ready = this.servers.filter((_, i) => answers[i]);
  }

  #accept(client) {
    client.once("error", () => client.destroy());
    client.once("data", (first) => {
      client.pause();
      const path = first.toString("latin1").split(" ", 2)[1] ?? "";
      const chosen = this.pick?.(path, this.#ready);
      const ready = this.#ready.length > 0 ? this.#ready : this.servers;
      const at = this.#next++;
      const order = ready.map((_, i) => ready[(at + i) % ready.length]);
      this.#join(client, first, chosen ? [chosen] : order);
    });
  }

  /** Joins a client to the first node that takes the connection. */
  #join(client, first, [node, ...others]) {
    if (!node) return client.destroy();
    const server = connect(node.port, "127.0.0.1");
    server.once("connect", () => {
      server.removeAllListeners("error");
      server.on("error", () => client.destroy());
      server.write(first);
      client.pipe(server).pipe(client);
    });
    server.once("error", () => this.#join(client, first, others));
    client.once("close", () => server.destroy());
    server.once("close", () => client.destroy());
  }
}
