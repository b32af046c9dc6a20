// Starts and stops what the tests talk to: the built server, on either database, and the
// official CLI in its dev mode. Nothing here knows what is tested.
import { execFile, execFileSync, spawn } from "node:child_process";
import { cp, mkdir, readFile, readdir, symlink } from "node:fs/promises";
import { openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import pg from "pg";

const home = import.meta.dirname;
export const bin = process.env.SEAR_BIN ? resolve(process.env.SEAR_BIN) : resolve(home, "../../bin/sear");
const cli = join(home, "node_modules/trigger.dev/dist/esm/index.js");

/** The first boot bundles, indexes and registers on a possibly very busy machine. */
const CLI_READY_MS = 90_000;
const SERVER_READY_MS = 30_000;
/** What `sear serve` promises to need at most after SIGTERM. */
const SERVER_STOP_MS = 10_000;

/** Polls until probe returns something truthy, which it returns; describe() says what was seen last. */
export async function until(what, probe, { timeoutMs = 60_000, everyMs = 100, describe } = {}) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > deadline) {
      const seen = describe ? `\n${await describe()}` : "";
      throw new Error(`Not within ${timeoutMs / 1000} s: ${what}${seen}`);
    }
    await sleep(everyMs);
  }
}

/** A sear process on one data directory. It can be killed and started again on the same data. */
export class Server {
  #process;

  /** databaseUrl undefined means SQLite in dir, secretKey undefined one in dir; flags are further ones of `sear serve`. */
  constructor({ dir, databaseUrl, secretKey, flags = [] }) {
    this.dir = dir;
    this.secretKey = secretKey ? ["--secret-key", secretKey] : [];
    this.flags = flags;
    this.database = databaseUrl ? ["--database-url", databaseUrl] : [];
    this.log = join(dir, "server.log");
  }

  /** Resolves when the server answers; a second start uses the same port. */
  async start() {
    await mkdir(join(this.dir, "data"), { recursive: true });
    this.port ??= await freePort();
    this.apiUrl = `http://127.0.0.1:${this.port}`;
    const args = ["serve", "--addr", `127.0.0.1:${this.port}`, "--data", join(this.dir, "data"), ...this.database, ...this.secretKey, ...this.flags];
    this.#process = start(bin, args, { log: this.log, cwd: this.dir, env: baseEnv() });

    await until("the server answers /healthcheck with 200", () => this.#healthy(), {
      timeoutMs: SERVER_READY_MS,
      everyMs: 25,
      describe: () => tail(this.log),
    });
    this.keys ??= await this.#readKeys();
    return this;
  }

  /** kill -9, as a crash would: no draining, no goodbye. */
  async kill() {
    await end(this.#process, "SIGKILL", SERVER_STOP_MS);
  }

  /** SIGSTOP, as on a machine that sleeps, or SIGCONT. */
  signal(name) {
    signal(-this.#process.pid, name);
  }

  /** SIGTERM; throws when the server does not stop cleanly and in time, or has ended before. */
  async stop() {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) {
      throw new Error(`The server had ended already, with ${exitCode ?? signalCode}`);
    }
    const code = await end(this.#process, "SIGTERM", SERVER_STOP_MS);
    if (code !== 0) throw new Error(`The server ended with ${code} after SIGTERM instead of 0`);
  }

  async #healthy() {
    if (this.#process.exitCode !== null) {
      throw new Error(`sear serve ended with exit code ${this.#process.exitCode}\n${await tail(this.log)}`);
    }
    const response = await fetch(`${this.apiUrl}/healthcheck`).catch(() => undefined);
    return response?.status === 200;
  }

  async #readKeys() {
    const args = ["keys", "--json", "--data", join(this.dir, "data"), ...this.database, ...this.secretKey];
    const { stdout } = await promisify(execFile)(bin, args, { env: baseEnv() });
    return JSON.parse(stdout);
  }
}

/** `trigger.dev dev` on a private copy of the project, so that several can run side by side. */
export class Cli {
  #process;
  #watchdog;

  constructor({ dir, server }) {
    this.dir = dir;
    this.server = server;
    this.project = join(dir, "project");
    this.log = join(dir, "cli.log");
  }

  /** Resolves when the worker is registered and the CLI asks for runs. */
  async start() {
    // The CLI looks for packages and for a lockfile in the project and above it.
    await cp(join(home, "project"), this.project, { recursive: true });
    await cp(join(home, "package-lock.json"), join(this.dir, "package-lock.json"));
    await symlink(join(home, "node_modules"), join(this.dir, "node_modules"));

    const args = [cli, "dev", "--skip-update-check", "--skip-telemetry", "--skip-platform-notifications"];
    args.push("--log-level", process.env.SEAR_TEST_CLI_LOG_LEVEL ?? "log");
    this.#process = start(process.execPath, args, { log: this.log, cwd: this.project, env: this.#env() });

    await until("the CLI reports its worker as ready", () => this.#ready(), {
      timeoutMs: CLI_READY_MS,
      describe: () => tail(this.log),
    });
    // The CLI starts a watchdog in a group of its own, which tells the server when the CLI is gone.
    this.#watchdog = await until("the CLI's watchdog runs", () => this.#watchdogPid());
    note(this.#watchdog);
    return this;
  }

  /** kill -9 of the CLI and its task processes; the watchdog stays. */
  async kill() {
    await end(this.#process, "SIGKILL", 5_000);
  }

  /** SIGSTOP or SIGCONT to the CLI, its task processes and its watchdog. */
  signal(name) {
    signal(-this.#process.pid, name);
    signal(-this.#watchdog, name);
  }

  /** kill -9 of all that there is, as when the power fails: nobody tells the server. */
  async vanish() {
    signal(-this.#watchdog, "SIGKILL");
    forget(this.#watchdog);
    await this.kill();
  }

  /** Ends the CLI, its task processes and its watchdog. */
  async stop() {
    if (!this.#process) return;

    await end(this.#process, "SIGTERM", 5_000);
    if (!this.#watchdog) return;
    signal(-this.#watchdog, "SIGKILL");
    forget(this.#watchdog);
  }

  async #ready() {
    if (this.#process.exitCode !== null) {
      throw new Error(`trigger.dev dev ended with exit code ${this.#process.exitCode}\n${await tail(this.log)}`);
    }
    return (await readFile(this.log, "utf8")).includes("Local worker ready");
  }

  async #watchdogPid() {
    const text = await readFile(join(this.project, ".trigger/watchdog.pid"), "utf8").catch(() => "");
    return Number(text.match(/\d+$/));
  }

  #env() {
    const { certificate } = this.server; // of a proxy before it
    return {
      ...baseEnv(),
      ...(certificate && { NODE_EXTRA_CA_CERTS: certificate }),
      HOME: this.dir,
      XDG_CONFIG_HOME: join(this.dir, "config"),
      TRIGGER_ACCESS_TOKEN: this.server.keys.personalAccessToken,
      TRIGGER_API_URL: this.server.apiUrl,
      TRIGGER_PROJECT_REF: this.server.keys.projectRef,
      // Prints one line per run, with its output.
      AI_AGENT: "1",
      CI: "1",
      NO_COLOR: "1",
      NODE_OPTIONS: ["no-net.mjs", "names.mjs"].map((name) => `--import ${pathToFileURL(join(home, name))}`).join(" "),
    };
  }
}

/** Another program, which ends with the tests. */
export class Program {
  #process;

  constructor(command, args, options) {
    this.#process = start(command, args, { ...options, env: { ...baseEnv(), ...options.env } });
  }

  get hasEnded() {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  async stop() {
    await end(this.#process, "SIGTERM", 5_000);
  }
}

/** A new, empty database on the server behind adminUrl; drop() removes it. */
export async function createDatabase(adminUrl) {
  const name = `sear_sdk_${process.pid}_${Date.now()}`;
  await query(adminUrl, `CREATE DATABASE ${name}`);

  return {
    url: adminUrl.replace(/^(postgres(?:ql)?:\/\/[^/?]*\/)[^?]*/, `$1${name}`),
    drop: () => query(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** A Postgres of one suite alone. It crashes on SIGUSR1, restarts on SIGUSR2, and is away from SIGTSTP to SIGCONT. */
export async function privatePostgres(dir) {
  const program = join(dir, "withpg");
  execFileSync("go", ["build", "-o", program, "./test/tools/withpg"], { cwd: resolve(home, "../..") });
  const { SEAR_TEST_POSTGRES: _, ...env } = process.env;
  const child = spawn(program, ["sh", "-c", 'echo "$SEAR_TEST_POSTGRES"; cat'], { env, stdio: ["pipe", "pipe", "inherit"] });
  let url = "";
  child.stdout.on("data", (text) => (url += text));
  await until("Postgres has started", () => url.includes("\n"));
  return { url: url.trim(), process: child, stop: () => child.stdin.end() };
}

async function query(url, sql) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The last lines of a log, under its name. */
export async function tail(log, lines = 200) {
  const text = await readFile(log, "utf8").catch((error) => String(error));
  return `--- ${log}\n${text.split("\n").slice(-lines).join("\n")}`;
}

/** The lines of the logs of a directory that mention text. */
export async function mentions(dir, text) {
  const names = (await readdir(dir)).filter((name) => name.endsWith(".log"));
  const found = await Promise.all(
    names.map(async (name) => {
      const lines = (await readFile(join(dir, name), "utf8")).split("\n").filter((line) => line.includes(text));
      return lines.map((line) => `${name}: ${line}`);
    }),
  );
  return found.flat().join("\n");
}

/** Enough to run node and the server; nothing of the developer's own Sear or Trigger.dev settings. */
export function baseEnv() {
  const { PATH, HOME, TMPDIR, LANG } = process.env;
  return Object.fromEntries(Object.entries({ PATH, HOME, TMPDIR, LANG }).filter(([, value]) => value !== undefined));
}

export async function freePort() {
  const listener = createServer();
  await new Promise((done, fail) => listener.once("error", fail).listen(0, "127.0.0.1", done));
  const { port } = listener.address();
  await new Promise((done) => listener.close(done));
  return port;
}

// Every process leads its own group and is noted in a file until it has ended. The notes let the
// outermost process clean up after a test process that was killed itself.
const notes = process.env.SEAR_TEST_PIDS;

function note(pid) {
  writeFileSync(join(notes, String(pid)), "");
}

function forget(pid) {
  rmSync(join(notes, String(pid)), { force: true });
}

/** Starts a process; pipes is how many more it has after its three. */
export function start(command, args, { log, cwd, env, pipes = 0 }) {
  const out = openSync(log, "a");
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ["ignore", out, out, ...Array(pipes).fill("pipe")] });
  child.ended = new Promise((done) => child.once("exit", done));
  note(child.pid);
  return child;
}

/** Ends a process and then whatever is left of its group; returns its exit code or signal. */
export async function end(child, name, timeoutMs) {
  signal(child.pid, name);
  const stopped = await Promise.race([child.ended.then(() => true), sleep(timeoutMs, false, { ref: false })]);
  signal(-child.pid, "SIGKILL");
  await child.ended;
  forget(child.pid);
  return stopped ? (child.exitCode ?? child.signalCode) : `nothing within ${timeoutMs / 1000} s`;
}

/** Kills every process that is still noted. Synchronous, for use when this process exits. */
export function killNoted() {
  for (const pid of readdirSync(notes)) {
    signal(-Number(pid), "SIGKILL");
    forget(pid);
  }
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
