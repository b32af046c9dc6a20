import { AbortTaskRunError, task } from "@trigger.dev/sdk";
import { setTimeout as sleep } from "node:timers/promises";

const twice = { maxAttempts: 2, minTimeoutInMs: 200, factor: 1, randomize: false };
const thrice = { ...twice, maxAttempts: 3 };

/** Fails the first attempts, then succeeds. */
export const flaky = task({
  id: "flaky",
  retry: thrice,
  run: async ({ failures }: { failures: number }, { ctx }) => {
    if (ctx.attempt.number <= failures) throw new Error(`boom ${ctx.attempt.number}`);

    return { attempt: ctx.attempt.number };
  },
});

/** Its retry delay is long enough for the run to go back to the queue and be dequeued again. */
export const flakySlowly = task({
  id: "flaky-slowly",
  retry: { ...twice, minTimeoutInMs: 30_000 },
  run: async (_payload: unknown, { ctx }) => {
    if (ctx.attempt.number === 1) throw new Error("boom");

    return { attempt: ctx.attempt.number };
  },
});

class PaymentError extends Error {
  override name = "PaymentError";
}

type Kind = "error" | "class" | "string" | "object" | "abort";

export const thrower = task({
  id: "thrower",
  retry: twice,
  run: async ({ kind }: { kind: Kind }) => {
    switch (kind) {
      case "error":
        throw new Error("plain failure", { cause: new Error("the reason") });
      case "class":
        throw new PaymentError("card declined");
      case "string":
        throw "just text";
      case "object":
        throw { code: 42, reason: "not an Error" };
      case "abort":
        throw new AbortTaskRunError("no use in trying again");
    }
  },
});

/** Takes its process down, as a segfault or an out-of-memory kill would. */
export const exits = task({
  id: "exits",
  retry: twice,
  run: async ({ exits }: { exits: number }, { ctx }) => {
    if (ctx.attempt.number <= exits) process.exit(3);

    return { attempt: ctx.attempt.number };
  },
});

/** An exception that no await sees. */
export const uncaught = task({
  id: "uncaught",
  retry: twice,
  run: async (_payload: unknown, { ctx }) => {
    if (ctx.attempt.number === 2) return { attempt: 2 };

    setTimeout(() => {
      throw new Error("thrown outside of the task");
    }, 10);
    await sleep(60_000);
  },
});

export const tooLong = task({
  id: "too-long",
  maxDuration: 5,
  retry: twice,
  run: async () => {
    await sleep(120_000);
  },
});
