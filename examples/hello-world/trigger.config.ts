import { defineConfig } from "@trigger.dev/sdk";

export default defineConfig({
  // `sear dev` sets TRIGGER_PROJECT_REF to the project of the server it talks to.
  // A project with one fixed home writes its own reference here instead.
  project: process.env.TRIGGER_PROJECT_REF ?? "proj_helloworldhelloworld",
  runtime: "node",
  dirs: ["./src/trigger"],

  // Seconds of active time an attempt may take; time spent in waits does not count.
  maxDuration: 300,

  // Keep a task's process for the next run instead of starting a new one each time.
  processKeepAlive: true,

  retries: {
    // The CLI retries in development only when asked to.
    enabledInDev: true,
    default: {
      maxAttempts: 3,
      minTimeoutInMs: 1000,
      maxTimeoutInMs: 10_000,
      factor: 2,
      randomize: false,
    },
  },
});
