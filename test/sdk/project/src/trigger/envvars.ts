import { envvars, task } from "@trigger.dev/sdk";

/** The variables of its process. */
export const readEnv = task({
  id: "read-env",
  run: async (payload: { names: string[] }) =>
    Object.fromEntries(payload.names.map((name) => [name, process.env[name] ?? null])),
});

/** Changes a variable and fails; the next attempt says what it sees. */
export const changeEnv = task({
  id: "change-env",
  retry: { maxAttempts: 2, minTimeoutInMs: 100, maxTimeoutInMs: 100 },
  run: async (payload: { name: string; value: string }, { ctx }) => {
    const seen = process.env[payload.name];
    if (ctx.attempt.number === 1) {
      await envvars.update(payload.name, { value: payload.value });
      throw new Error("once more");
    }
    return { seen };
  },
});

/** Every method, for the environment that the task runs in. Only list has to be told which: in
 *  4.8.3 it fails without arguments. */
export const manageEnv = task({
  id: "manage-env",
  run: async ({ name }: { name: string }, { ctx }) => {
    await envvars.create({ name, value: "created" });
    const created = await envvars.retrieve(name);
    await envvars.upload({ variables: { [name]: "uploaded" }, override: true });
    const all = await envvars.list(ctx.project.ref, ctx.environment.slug ?? "");
    const listed = all.find((variable) => variable.name === name);
    await envvars.update(name, { value: "updated" });
    const updated = await envvars.retrieve(name);
    await envvars.del(name);
    return { created, listed, updated, before: process.env[name] ?? null };
  },
});
