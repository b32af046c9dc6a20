import { queue, runs, task } from "@trigger.dev/sdk";
import { setTimeout as sleep } from "node:timers/promises";
import { gateOpened, leaveMark } from "../files";

const fiveAtOnce = queue({ name: "five-at-once", concurrencyLimit: 5 });

/** Returns when it ran, so that overlaps can be counted afterwards. */
export const crowded = task({
  id: "crowded",
  queue: fiveAtOnce,
  run: async ({ sleepMs }: { sleepMs: number }) => {
    const startedAt = Date.now();
    await sleep(sleepMs);

    return { startedAt, finishedAt: Date.now() };
  },
});

type Gated = { gate?: string; label?: string; mark?: string; crash?: boolean };

/**
 * One at a time for each concurrency key. With a gate it runs until a test opens it,
 * so a test that wants a blocked queue says for how long.
 */
export const serial = task({
  id: "serial",
  queue: { concurrencyLimit: 1 },
  run: async ({ gate, label, mark, crash }: Gated, { ctx }) => {
    await leaveMark(mark, label ?? ctx.run.id);
    if (crash) process.exit(3);
    if (gate) await gateOpened(gate);

    return { label };
  },
});

/** Waits for a child that cannot start before its TTL is over. */
export const expiringParent = task({
  id: "expiring-parent",
  run: async (_payload: unknown, { ctx }) => {
    const concurrencyKey = ctx.run.id;
    const occupant = await serial.trigger({ gate: "/never/opened" }, { concurrencyKey });
    // A child that is waited for counts its time from its parent's, so it would go first.
    while ((await runs.retrieve(occupant.id)).status !== "EXECUTING") await sleep(100);
    const child = await serial.triggerAndWait({ label: "expires" }, { concurrencyKey, ttl: "1s" });

    return { occupant: occupant.id, child: { ok: child.ok, id: child.id } };
  },
});

/** Runs until its gate opens, with no limit but the environment's. */
export const gated = task({
  id: "gated",
  run: async ({ gate, label, mark }: Gated, { ctx }) => {
    if (gate) await gateOpened(gate);
    await leaveMark(mark, ctx.run.id);

    return { label, attempt: ctx.attempt.number };
  },
});

/** Like gated, but for one suite alone: its queue is paused and limited. */
export const letters = task({
  id: "letters",
  run: async ({ gate, label, mark }: Gated) => {
    if (gate) await gateOpened(gate);
    await leaveMark(mark, label ?? "letter");
  },
});

/** Likewise, in a queue with a slash in its name. */
export const urgentLetters = task({
  id: "urgent-letters",
  queue: queue({ name: "mail/urgent", concurrencyLimit: 2 }),
  run: async ({ gate }: Gated) => {
    if (gate) await gateOpened(gate);
  },
});
