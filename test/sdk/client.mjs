// What the suites share: the official SDK, connected to the server under test, and ways to wait
// for what should happen. A failure shows the run as the server tells it and what the logs say of it.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { apiClientManager } from "@trigger.dev/core/v3";
import { conditionallyImportAndParsePacket } from "@trigger.dev/core/v3/utils/ioSerialization";
import { batch, configure, runs } from "@trigger.dev/sdk";
import { mentions, until } from "./harness.mjs";

/** {dir, database, tls, apiUrl, keys}: set by index.mjs, or by connect(). */
export let context;

/** Points the SDK of this process at a server. */
export function connect(to) {
  context = to;
  configure({ baseURL: to.apiUrl, secretKey: to.keys.secretKeys.dev });
}

if (!process.env.SEAR_TEST_CONTEXT) throw new Error("Run the suites with: node index.mjs [SUITE...]");
connect(JSON.parse(process.env.SEAR_TEST_CONTEXT));

/** For suites whose tests run at the same time; a limit keeps two cores from starting everything at once. */
export const concurrently = { concurrency: 6, timeout: 240_000 };

let names = 0;
/** A name no other test uses: for tags, keys and files. */
export function unique(label) {
  return `${label}-${process.pid}-${++names}`;
}

/** The run once accept(run) holds; fails at once when it has ended without that. */
export async function reached(id, what, accept, timeoutMs = 90_000) {
  let run;
  return until(
    `${id} ${what}`,
    async () => {
      run = await runs.retrieve(id);
      if (accept(run)) return run;
      if (run.isCompleted) throw new Error(`${id} ended, but not: ${what}\n${await describe(run)}`);
    },
    { timeoutMs, describe: () => describe(run) },
  );
}

/** The run once it has ended, whatever the status. */
export function ended(id, timeoutMs) {
  return reached(id, "has ended", (run) => run.isCompleted, timeoutMs);
}

/** The run once it has ended with this status. */
export function endedAs(status, id, timeoutMs) {
  return reached(id, `is ${status}`, (run) => run.isCompleted && run.status === status, timeoutMs);
}

/** The output of the run, which must complete. */
export async function outputOf(id, timeoutMs) {
  return (await endedAs("COMPLETED", id, timeoutMs)).output;
}

/** The output with all its types: from the result endpoint, which does not flatten it to JSON. */
export async function exactOutputOf(id) {
  await endedAs("COMPLETED", id);
  const result = await apiClientManager.clientOrThrow().getRunResult(id);
  assert.equal(result?.ok, true, `result of ${id}: ${JSON.stringify(result)}`);
  return conditionallyImportAndParsePacket(
    { data: result.output, dataType: result.outputType },
    apiClientManager.clientOrThrow(),
  );
}

/** The runs of a batch in the order of its items, once all of them exist. */
export async function membersOf(batchId, count) {
  let found;
  await until(`${batchId} has ${count} runs`, async () => {
    found = await batch.retrieve(batchId);
    return found.runs.length === count;
  }, { describe: () => JSON.stringify(found) });
  return found.runs;
}

/** The run's execution status, as its worker would learn it. */
export async function executionStatus(id) {
  const { status, body } = await http("GET", `/engine/v1/dev/runs/${id}/snapshots/latest`);
  assert.equal(status, 200, `latest snapshot of ${id}: ${JSON.stringify(body)}`);
  return body.execution.snapshot.executionStatus;
}

/** Resolves when the run is blocked by a waitpoint. */
export function waiting(id) {
  return until(`${id} waits`, async () => (await executionStatus(id)) === "EXECUTING_WITH_WAITPOINTS", {
    timeoutMs: 90_000,
    describe: async () => describe(await runs.retrieve(id)),
  });
}

/** A request without the SDK, never retried. token null sends none; a body that is not a string is sent as JSON. */
export async function http(method, path, { token = context.keys.secretKeys.dev, body, headers } = {}) {
  const response = await fetch(new URL(path, context.apiUrl), {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      "x-trigger-api-version": "2025-07-16",
      ...headers,
    },
    body: typeof body === "string" || body === undefined ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parseIfJson(text) };
}

/** A file that tasks and tests meet in. It does not exist yet. */
export function file(label) {
  return join(context.dir, unique(label));
}

/** Lets the tasks go on that wait at this gate. */
export function open(gate) {
  return writeFile(gate, "");
}

/** The lines that tasks have left in the file so far. */
export async function marksIn(path) {
  const text = await readFile(path, "utf8").catch((error) => (error.code === "ENOENT" ? "" : Promise.reject(error)));
  return text.split("\n").filter(Boolean);
}

/** The marks once there are count of them. */
export function marks(path, count) {
  return until(`${count} marks in ${path}`, async () => {
    const found = await marksIn(path);
    return found.length >= count && found;
  });
}

async function describe(run) {
  if (!run) return "(never retrieved)";
  return `${JSON.stringify(run, null, 2)}\n${await mentions(context.dir, run.id)}`;
}

function parseIfJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
