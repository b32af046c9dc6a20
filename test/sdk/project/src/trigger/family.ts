import { batch, idempotencyKeys, metadata, task } from "@trigger.dev/sdk";
import { setTimeout as sleep } from "node:timers/promises";
import { leaveMark } from "../files";

type Leaf = { value: unknown; sleepMs?: number; fail?: boolean; mark?: string };

export const leaf = task({
  id: "leaf",
  run: async ({ value, sleepMs = 0, fail, mark }: Leaf, { ctx }) => {
    await leaveMark(mark, ctx.run.id);
    await sleep(sleepMs);
    if (fail) throw new Error(`leaf ${value} failed`);

    return { value, runId: ctx.run.id, version: ctx.run.version };
  },
});

type Result = { ok: true; id: string; output: any } | { ok: false; id: string; error: unknown };

function summary(result: Result) {
  if (result.ok) return { ok: true, id: result.id, output: result.output };

  const error = result.error as Error;
  return { ok: false, id: result.id, error: { name: error.name, message: error.message } };
}

export const parent = task({
  id: "parent",
  run: async (payload: Leaf, { ctx }) => ({
    runId: ctx.run.id,
    version: ctx.run.version,
    child: summary(await leaf.triggerAndWait(payload)),
  }),
});

/** Carries the value of its child up unchanged, through the types of SuperJSON. */
export const courier = task({
  id: "courier",
  run: async (payload: { value: unknown }) => (await leaf.triggerAndWait(payload).unwrap()).value,
});

export const batchParent = task({
  id: "batch-parent",
  run: async (payload: { items: Leaf[] }) => {
    const { id, runs } = await leaf.batchTriggerAndWait(payload.items.map((item) => ({ payload: item })));

    return { batchId: id, runs: runs.map(summary) };
  },
});

/** Two tasks in one batch. */
export const mixedParent = task({
  id: "mixed-parent",
  run: async () => {
    const { runs } = await batch.triggerByTaskAndWait([
      { task: leaf, payload: { value: "leaf" } },
      { task: nest, payload: { levels: 1 } },
    ]);

    return runs.map((run) => (run.ok ? run.output : String(run.error)));
  },
});

type Level = { level: number; runId: string; below?: Level };

export const nest = task({
  id: "nest",
  run: async ({ levels }: { levels: number }, { ctx }): Promise<Level> => {
    const level = { level: levels, runId: ctx.run.id };
    if (levels === 1) return level;

    const below: Level = await nest.triggerAndWait({ levels: levels - 1 }).unwrap();
    return { ...level, below };
  },
});

/** Waits twice for one child, known by its idempotency key. */
export const keyedParent = task({
  id: "keyed-parent",
  run: async ({ key, child }: { key: string; child: Leaf }) => {
    const idempotencyKey = await idempotencyKeys.create(key, { scope: "global" });
    const first = await leaf.triggerAndWait(child, { idempotencyKey });
    const second = await leaf.triggerAndWait(child, { idempotencyKey });

    return { first: summary(first), second: summary(second) };
  },
});

/** Waits for a batch in which every item is the same run. */
export const keyedBatchParent = task({
  id: "keyed-batch-parent",
  run: async ({ key, count, child }: { key: string; count: number; child: Leaf }) => {
    const idempotencyKey = await idempotencyKeys.create(key, { scope: "global" });
    const items = Array.from({ length: count }, () => ({ payload: child, options: { idempotencyKey } }));
    const { runs } = await leaf.batchTriggerAndWait(items);

    return runs.map(summary);
  },
});

export const metadataRoot = task({
  id: "metadata-root",
  run: async () => {
    metadata.set("own", "root").set("count", 1);
    // Set before the children add to it.
    await metadata.flush();
    await metadataMiddle.batchTriggerAndWait([{ payload: { name: "a" } }, { payload: { name: "b" } }]);
  },
});

export const metadataMiddle = task({
  id: "metadata-middle",
  run: async ({ name }: { name: string }) => {
    metadata.set("own", name);
    metadata.parent.increment("count", 10).append("middles", name);
    await metadataLeaf.triggerAndWait({ name }).unwrap();
  },
});

export const metadataLeaf = task({
  id: "metadata-leaf",
  run: async ({ name }: { name: string }) => {
    metadata.parent.set("leaf", name);
    metadata.root.increment("count", 100).append("leaves", name);
  },
});
