import { task, wait } from "@trigger.dev/sdk";

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const start = Date.now();
  await work();
  return Date.now() - start;
}

export const waitFor = task({
  id: "wait-for",
  run: async ({ seconds }: { seconds: number }) => ({
    waitedMs: await elapsed(() => wait.for({ seconds })),
  }),
});

export const waitUntil = task({
  id: "wait-until",
  run: async ({ date }: { date: Date }) => {
    await wait.until({ date });
    return { lateMs: Date.now() - date.getTime() };
  },
});

export const waitForToken = task({
  id: "wait-for-token",
  run: async ({ token }: { token: string }) => {
    const result = await wait.forToken<unknown>(token);

    return result.ok
      ? { ok: true, output: result.output }
      : { ok: false, error: { name: result.error.name, message: result.error.message } };
  },
});

/** Several kinds of wait, one after the other, in one attempt. */
export const waitInTurn = task({
  id: "wait-in-turn",
  run: async ({ tokens }: { tokens: string[] }, { ctx }) => {
    const outputs: unknown[] = [];
    for (const token of tokens) {
      outputs.push(await wait.forToken<unknown>(token).unwrap());
    }
    const waitedMs = await elapsed(() => wait.for({ seconds: 6 }));

    return { outputs, waitedMs, attempt: ctx.attempt.number };
  },
});

/** The second attempt meets the wait of the first, which is over by then. */
export const waitOnce = task({
  id: "wait-once",
  retry: { maxAttempts: 2, minTimeoutInMs: 200, factor: 1, randomize: false },
  run: async ({ key }: { key: string }, { ctx }) => {
    const waitedMs = await elapsed(() => wait.for({ seconds: 15, idempotencyKey: key }));
    if (ctx.attempt.number === 1) throw new Error("after the wait");

    return { waitedMs };
  },
});
