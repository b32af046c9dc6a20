// The proxies of deploy/, before a server of the tests: the files as they are published, with the
// name, the ports and the certificate of the test in them.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Program, freePort, tail, until } from "./harness.mjs";
import { NAME } from "./names.mjs";

const published = resolve(import.meta.dirname, "../../deploy");

/** What starts each of them. */
const kinds = { caddy, nginx };

/** A certificate for NAME that no one else trusts: {certificate, key}, the paths of two files. */
export function makeCertificate(dir) {
  const made = { certificate: join(dir, "certificate.pem"), key: join(dir, "key.pem") };
  const subject = ["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
    ...subject, "-keyout", made.key, "-out", made.certificate], { stdio: "pipe" });
  return made;
}

/** Whether a proxy is installed. In CI it must be. */
export function installed(kind) {
  try {
    execFileSync("sh", ["-c", `command -v ${kind}`]);
    return true;
  } catch (error) {
    if (process.env.CI === "true") throw new Error(`${kind} is not installed`);
    return false;
  }
}

/** Starts a proxy before a server: {apiUrl, stop()}. */
export async function startProxy(kind, { dir, server, certificate, key }) {
  const at = join(dir, kind);
  mkdirSync(at);
  const port = await freePort();
  const log = join(dir, `${kind}.log`);
  const [command, ...args] = kinds[kind]({ at, port, backend: `127.0.0.1:${server.port}`, certificate, key });
  const proxy = new Program(command, args, { log, cwd: at, env: { HOME: at } });
  const apiUrl = `https://${NAME}:${port}`;
  await until(`${kind} passes requests on`, async () => {
    if (proxy.hasEnded) throw new Error(`${kind} ended\n${await tail(log)}`);
    return (await fetch(`${apiUrl}/healthcheck`).catch(() => undefined))?.status === 200;
  }, { timeoutMs: 20_000, describe: () => tail(log) });
  return { apiUrl, stop: () => proxy.stop() };
}

function caddy({ at, port, backend, certificate, key }) {
  const file = join(at, "Caddyfile");
  const site = fill("Caddyfile", {
    "sear.example.com {": `https://${NAME}:${port} {\n\ttls ${certificate} ${key}`,
    "127.0.0.1:3030": backend,
  });
  writeFileSync(file, `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${site}`);
  return ["caddy", "run", "--config", file, "--adapter", "caddyfile"];
}

function nginx({ at, port, backend, certificate, key }) {
  const site = fill("nginx.conf", {
    "listen 443 ssl": `listen 127.0.0.1:${port} ssl`,
    "server 127.0.0.1:3030": `server ${backend}`,
    "server_name sear.example.com": `server_name ${NAME}`,
    "/etc/ssl/certs/sear.example.com.pem": certificate,
    "/etc/ssl/private/sear.example.com.key": key,
  });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${at}/${name};`);
  const user = process.getuid() === 0 ? "user root;" : "";
  writeFileSync(join(at, "full.conf"),
    `${user} daemon off; pid ${at}/pid; error_log stderr; events {}\nhttp { access_log off; ${temporary.join(" ")}\n${site}\n}\n`);
  return ["nginx", "-p", at, "-c", join(at, "full.conf")];
}

/** A published file with other words in the places of its own, each of which must be there. */
function fill(name, places) {
  let text = readFileSync(join(published, name), "utf8");
  for (const [there, here] of Object.entries(places)) {
    if (!text.includes(there)) throw new Error(`${name} has no ${there}`);
    text = text.replace(there, here);
  }
  return text;
}
