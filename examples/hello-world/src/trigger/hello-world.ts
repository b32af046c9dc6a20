import { logger, task } from "@trigger.dev/sdk";

type Greeting = { name?: string };

/** The smallest task there is: a payload goes in, a result comes out. */
export const helloWorld = task({
  id: "hello-world",
  run: async (payload: Greeting, { ctx }) => {
    const greeting = `Hello, ${payload.name ?? "world"}!`;
    logger.info(greeting, { attempt: ctx.attempt.number });

    return { greeting };
  },
});
