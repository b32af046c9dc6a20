// A real browser without a screen, for what only a browser decides: which headers it sends with
// a form, what has the focus, which cookies it keeps. It is driven over Chromium's own protocol,
// by pipes. Names that end in .test lead to this machine.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { baseEnv, end, start, until } from "./harness.mjs";

/** The path of a Chromium, undefined when the machine has none. */
export const chromium = (process.env.PATH ?? "")
  .split(":")
  .flatMap((dir) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(dir, name)))
  .find((path) => existsSync(path));

/** One browser with a profile of its own in dir. */
export class Browser {
  #process;
  #gone;
  #calls = new Map();
  #count = 0;
  #input = "";

  constructor(dir) {
    this.dir = dir;
  }

  async start() {
    const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-pipe"];
    args.push("--disable-background-networking", "--disable-features=HttpsUpgrades", "--host-resolver-rules=MAP *.test 127.0.0.1");
    args.push(`--user-data-dir=${join(this.dir, "profile")}`, "about:blank");
    this.#process = start(chromium, args, { log: join(this.dir, "browser.log"), cwd: this.dir, env: baseEnv(), pipes: 2 });
    this.#process.stdio[4].setEncoding("utf8").on("data", (text) => this.#read(text));
    this.#gone = this.#process.ended.then(() => Promise.reject(new Error("The browser has ended")));
    this.#gone.catch(() => {}); // it is told to whoever calls
    await this.call("Target.setDiscoverTargets", { discover: true });
    return this;
  }

  async stop() {
    if (this.#process) await end(this.#process, "SIGTERM", 5_000);
  }

  /** One command of the protocol, to a page by its session or to the browser. */
  async call(method, params = {}, sessionId) {
    const id = ++this.#count;
    const answer = new Promise((done, fail) => this.#calls.set(id, { done, fail }));
    this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return Promise.race([answer, this.#gone]);
  }

  #read(text) {
    const messages = (this.#input + text).split("\0");
    this.#input = messages.pop();
    for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
      const waiting = this.#calls.get(id);
      this.#calls.delete(id);
      if (error) waiting?.fail(new Error(error.message));
      else waiting?.done(result);
    }
  }

  /** A new page at an address. */
  async open(url) {
    return this.#attach(await this.call("Target.createTarget", { url }));
  }

  /** The page that a page has opened by now; undefined when it has not. */
  async openedBy(page) {
    const { targetInfos } = await this.call("Target.getTargets");
    const found = targetInfos.find((info) => info.openerId === page.id);
    return found && this.#attach(found);
  }

  async #attach({ targetId }) {
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    return new Page(this, targetId, sessionId);
  }
}

class Page {
  constructor(browser, id, session) {
    Object.assign(this, { browser, id, session });
  }

  /** The value of an expression in the page; undefined while it goes from one page to another. */
  async value(expression) {
    const { result } = await this.browser.call("Runtime.evaluate", { expression, userGesture: true }, this.session).catch(() => ({ result: {} }));
    return result.value;
  }

  /** The page's text once it has loaded and its address fits. */
  at(pattern) {
    return until(`the browser is at ${pattern}`, async () => {
      const [address, text] = (await this.value("document.readyState === 'complete' ? [location.href, document.body.innerText].join('\\n') : ''"))?.split(/\n([^]*)/) ?? [];
      return address && pattern.test(address) && text;
    }, { describe: () => this.value("[location.href, document.body?.innerText].join('\\n')") });
  }

  /** Fills the form's fields, and presses its button. */
  async submit(fields) {
    const filled = Object.entries(fields).map(([name, value]) => `document.querySelector('main > form [name=${name}]').value = ${JSON.stringify(value)};`);
    await this.value(`${filled.join("")} document.querySelector('main > form button').click()`);
  }

  /** One press of Enter or, again and again, what a key does that is held. */
  async pressEnter({ held = false } = {}) {
    const key = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" };
    await this.browser.call("Input.dispatchKeyEvent", { type: "keyDown", autoRepeat: held, ...key }, this.session);
    if (!held) await this.browser.call("Input.dispatchKeyEvent", { type: "keyUp", ...key }, this.session);
  }
}
