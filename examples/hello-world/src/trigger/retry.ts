import { AbortTaskRunError, task } from "@trigger.dev/sdk";

type Delivery = { address: string; failures?: number };

/**
 * Fails as often as it is told to and then succeeds, retried with a growing delay.
 * More failures than attempts, and the run ends as FAILED.
 */
export const deliver = task({
  id: "deliver",
  retry: { maxAttempts: 4, minTimeoutInMs: 500, maxTimeoutInMs: 5000, factor: 2, randomize: false },
  run: async ({ address, failures = 2 }: Delivery, { ctx }) => {
    // Trying again cannot help here, so this error ends the run at once.
    if (!address) throw new AbortTaskRunError("There is no address to deliver to");

    const attempt = ctx.attempt.number;
    if (attempt <= failures) throw new Error(`Nobody answered the door (attempt ${attempt})`);

    return { address, deliveredOnAttempt: attempt };
  },
});
