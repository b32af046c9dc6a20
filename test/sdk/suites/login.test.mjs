// `trigger.dev login`: the official CLI, and a real browser in which somebody approves it.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { Browser, chromium } from "../browser.mjs";
import { context, unique } from "../client.mjs";
import { end, start, tail, until } from "../harness.mjs";

const pat = context.keys.personalAccessToken;
const linkForm = /https?:\/\/\S+\/account\/authorization-code\/(\w{4})[-\w]+/;
const noBrowser = !chromium && process.env.CI !== "true" && "there is no Chromium on this machine";

/** The official CLI on a machine of its own, where nobody has logged in yet. */
class Machine {
  #runs = [];

  async make() {
    this.dir = join(context.dir, unique("machine"));
    // What the CLI opens a browser with. The link is taken from what it prints.
    await mkdir(join(this.dir, "bin"), { recursive: true });
    await writeFile(join(this.dir, "bin/xdg-open"), "#!/bin/sh\n");
    await chmod(join(this.dir, "bin/xdg-open"), 0o755);
    return this;
  }

  login(...args) {
    const run = { log: join(this.dir, `login-${this.#runs.length}.log`) };
    const cli = join(context.dir, "node_modules/trigger.dev/dist/esm/index.js");
    run.process = start(process.execPath, [cli, "login", "-a", context.apiUrl, "--skip-telemetry", ...args], {
      log: run.log,
      cwd: this.dir,
      env: {
        PATH: `${join(this.dir, "bin")}:${process.env.PATH}`,
        HOME: this.dir,
        XDG_CONFIG_HOME: join(this.dir, "config"),
        BROWSER: "true",
        NO_COLOR: "1",
        NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, "../no-net.mjs"))}`,
      },
    });
    this.#runs.push(run);
    return run;
  }

  /** The link that a login prints. */
  link(run) {
    return until("the CLI prints the link", async () => (await readFile(run.log, "utf8")).match(linkForm)?.[0], { describe: () => tail(run.log) });
  }

  /** Waits for a login's end, and who is logged in then. */
  async loggedIn(run) {
    await until("the CLI ends", () => run.process.exitCode !== null, { describe: () => tail(run.log) });
    assert.match(await readFile(run.log, "utf8"), /Logged in successfully/);
    const { profiles } = JSON.parse(await readFile(join(this.dir, "config/trigger/config.json"), "utf8"));
    const token = profiles.default.accessToken;
    assert.notEqual(token, pat);
    const me = await fetch(`${context.apiUrl}/api/v2/whoami`, { headers: { authorization: `Bearer ${token}` } });
    return (await me.json()).email;
  }

  stop() {
    return Promise.all(this.#runs.map((run) => end(run.process, "SIGKILL", 5_000)));
  }
}

function post(path, form, cookie) {
  return fetch(new URL(path, context.apiUrl), { method: "POST", body: new URLSearchParams(form), headers: cookie ? { cookie } : {}, redirect: "manual" });
}

/** Signs in and approves, as a browser would that nobody sees; returns the page. */
async function approve(link) {
  const signedIn = await post("/login", { password: pat });
  assert.equal(signedIn.status, 303);
  const page = await post(link, { typed: link.match(linkForm)[1] }, signedIn.headers.get("set-cookie").split(";")[0]);
  return page.text();
}

/** A login that somebody else began, and whether it was approved. */
async function begin() {
  const verifier = randomBytes(32).toString("base64url");
  const send = (path, body) =>
    fetch(context.apiUrl + path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  const codeChallenge = createHash("sha256").update(verifier).digest("base64url");
  const response = await send("/api/v1/authorization-code", { codeChallenge, codeChallengeMethod: "S256" });
  const { url, authorizationCode } = await response.json();
  return {
    url,
    async approved() {
      // An approved login minds the wrong approval code; one that waits does not look at it.
      const answer = await send("/api/v1/token", { authorizationCode, codeVerifier: verifier, approvalCode: "x" });
      return answer.status !== 200 || (await answer.json()).token !== null;
    },
  };
}

describe("trigger.dev login", { timeout: 240_000 }, () => {
  it("finishes with the code that the browser shows, after ten thousand logins that nobody approved", async (t) => {
    const body = JSON.stringify({ codeChallenge: randomBytes(32).toString("base64url"), codeChallengeMethod: "S256" });
    const flood = async (n) => {
      for (let i = 0; i < n; i++) await (await fetch(`${context.apiUrl}/api/v1/authorization-code`, { method: "POST", body })).arrayBuffer();
    };
    await Promise.all(Array.from({ length: 20 }, () => flood(500)));

    const machine = await new Machine().make();
    t.after(() => machine.stop());
    const link = await machine.link(machine.login("--no-browser"));
    const [, code] = (await approve(link)).match(/class="code">([-A-Z0-9]+)</);
    assert.equal(await machine.loggedIn(machine.login("--code", code)), "admin@sear.local");
  });
});

describe("a browser", { timeout: 240_000, skip: noBrowser }, () => {
  let browser, origin;
  before(async () => {
    assert.ok(chromium, "Chromium is not installed");
    const dir = join(context.dir, unique("browser"));
    await mkdir(dir);
    browser = await new Browser(dir).start();
    // A name, and plain http: the browser does not trust it as it does localhost.
    origin = context.apiUrl.replace("127.0.0.1", "sear.test");
  });
  after(() => browser?.stop());

  it("signs in and approves over plain http, and returns to the program", async (t) => {
    const machine = await new Machine().make();
    t.after(() => machine.stop());
    const run = machine.login();
    const link = (await machine.link(run)).replace(context.apiUrl, origin);

    const page = await browser.open(link);
    await page.at(/\/login\?/);
    await page.submit({ password: pat });
    const text = await page.at(/\/account\/authorization-code\//);
    assert.match(text, /It asked from\s+127\.0\.0\.1/);
    assert.match(text, /It calls itself\s+node/);
    await page.submit({ typed: link.match(linkForm)[1].toLowerCase() });
    await page.at(/^http:\/\/127\.0\.0\.1:\d+\/callback\?/);
    assert.equal(await machine.loggedIn(run), "admin@sear.local");
  });

  it("approves nothing for a page that opens the link while Enter is held", async (t) => {
    const page = await browser.open(`${context.apiUrl}/login`);
    await page.at(/\/login/);
    await page.submit({ password: pat });
    await page.at(/\/account\/tokens/);
    const login = await begin();
    const lure = createServer((_, response) => {
      const link = JSON.stringify(login.url);
      response.setHeader("content-type", "text/html");
      response.end(`Hold Enter to go on<script>onkeydown = () => window.open(${link}, "w", "popup,width=300,height=300")</script>`);
    });
    await new Promise((done) => lure.listen(0, "127.0.0.1", done));
    t.after(() => lure.close());

    const bait = await browser.open(`http://lure.test:${lure.address().port}/`);
    await bait.at(/lure/);
    await bait.pressEnter({ held: true });
    const opened = await until("the link is opened", () => browser.openedBy(bait));
    await opened.at(/\/account\/authorization-code\//);
    for (let i = 0; i < 20; i++) await opened.pressEnter({ held: true });
    await opened.at(/\/account\/authorization-code\//);
    assert.equal(await login.approved(), false);
    assert.equal(await opened.value("document.activeElement.tagName"), "BODY");
  });
});
