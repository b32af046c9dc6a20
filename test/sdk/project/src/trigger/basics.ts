import { createHash } from "node:crypto";
import { metadata, tags, task } from "@trigger.dev/sdk";

export const hello = task({
  id: "hello",
  run: async (payload: { name: string }, { ctx }) => ({
    greeting: `Hello, ${payload.name}!`,
    runId: ctx.run.id,
    attempt: ctx.attempt.number,
  }),
});

/** Returns what it was given, whatever that is. */
export const echo = task({
  id: "echo",
  run: async (payload: unknown) => payload,
});

/** Says what it knows about itself. */
export const introspect = task({
  id: "introspect",
  run: async (_payload: unknown, { ctx }) => ({ ctx }),
});

export const digest = task({
  id: "digest",
  run: async (payload: { text: string }) => ({
    length: payload.text.length,
    sha256: createHash("sha256").update(payload.text).digest("hex"),
  }),
});

export const largeOutput = task({
  id: "large-output",
  run: async (payload: { length: number }) => ({ text: "é".repeat(payload.length) }),
});

export const tagger = task({
  id: "tagger",
  run: async (payload: { add: string[] }) => {
    await tags.add(payload.add);
  },
});

/** Every operation on its own metadata, flushed half-way and at the end. */
export const ownMetadata = task({
  id: "own-metadata",
  run: async () => {
    metadata.set("step", "first").set("removed", true).increment("count", 2);
    await metadata.flush();

    metadata
      .set("step", "second")
      .del("removed")
      .increment("count", 3)
      .decrement("count", 1)
      .append("log", "a")
      .append("log", "b")
      .append("log", "c")
      .remove("log", "b");
    await metadata.flush();

    // Not flushed: it travels with the completion of the attempt.
    metadata.set("last", true);

    return metadata.current();
  },
});
