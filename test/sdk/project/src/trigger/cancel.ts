import { task, wait } from "@trigger.dev/sdk";
import { setTimeout as sleep } from "node:timers/promises";
import { leaveMark } from "../files";

type Marked = { mark: string; started?: string };

/** Says when it has started, and runs until it is aborted; its hook leaves the mark. */
export const cancelWhileExecuting = task({
  id: "cancel-while-executing",
  run: async ({ started }: Marked, { ctx, signal }) => {
    await leaveMark(started, ctx.run.id);
    await sleep(120_000, undefined, { signal });
  },
  onCancel: async ({ payload, ctx }) => {
    await leaveMark(payload.mark, ctx.run.id);
  },
});

export const cancelWhileWaiting = task({
  id: "cancel-while-waiting",
  run: async (_payload: Marked) => {
    await wait.for({ minutes: 5 });
  },
  onCancel: async ({ payload, ctx }) => {
    await leaveMark(payload.mark, ctx.run.id);
  },
});

/** A parent with one child it waits for; the child runs until it is aborted. */
export const cancelParent = task({
  id: "cancel-parent",
  run: async (payload: Marked) => {
    await cancelWhileExecuting.triggerAndWait(payload);
  },
  onCancel: async ({ payload, ctx }) => {
    await leaveMark(payload.mark, ctx.run.id);
  },
});
