import { task, wait } from "@trigger.dev/sdk";

type Reminder = { message: string; seconds?: number };

/**
 * Waits, then goes on where it left off. The server keeps the time, so the wait
 * also survives a restart of the server.
 */
export const reminder = task({
  id: "reminder",
  run: async ({ message, seconds = 7 }: Reminder) => {
    const askedAt = new Date();
    await wait.for({ seconds });

    return { message, askedAt, remindedAt: new Date() };
  },
});
