import { task, wait } from "@trigger.dev/sdk";
import { gateOpened, leaveMark } from "../files";
import { gated } from "./queues";

type Marked = { gate?: string; token?: string; seconds?: number; mark: string };

/** Waits for its token, a child behind its gate or some seconds, whichever it was given, and leaves a mark. */
export const patient = task({
  id: "patient",
  run: async ({ gate, token, seconds = 0, mark }: Marked, { ctx }) => {
    let result: unknown;
    if (token) {
      result = await wait.forToken<string>(token).unwrap();
    } else if (gate) {
      result = (await gated.triggerAndWait({ gate, label: "child" }).unwrap()).label;
    } else {
      await wait.for({ seconds });
      result = "time";
    }
    await leaveMark(mark, ctx.run.id);

    return { result, attempt: ctx.attempt.number };
  },
});

/** Four of these run at once; the rest of them stay in the queue. */
export const queued = task({
  id: "queued",
  queue: { concurrencyLimit: 4 },
  run: async ({ gate, mark }: Marked, { ctx }) => {
    if (gate) await gateOpened(gate);
    await leaveMark(mark, ctx.run.id);

    return { attempt: ctx.attempt.number };
  },
});
