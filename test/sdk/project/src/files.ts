// Tasks and tests run on one machine, so they meet in files: a test opens a gate that a task
// waits at, and a task leaves marks that a test counts. Neither depends on the server under test.
import { appendFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Resolves once the file exists; rejects when the signal aborts. */
export async function gateOpened(path: string, signal?: AbortSignal): Promise<void> {
  while (!(await exists(path))) {
    await sleep(25, undefined, { signal });
  }
}

/** Appends one line. A single short append is atomic, so marks of several processes never mix. */
export async function leaveMark(path: string | undefined, line: string): Promise<void> {
  if (path) await appendFile(path, `${line}\n`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
