import { defineConfig } from "@trigger.dev/sdk";

export default defineConfig({
  project: process.env.TRIGGER_PROJECT_REF ?? "proj_setbythetestharness",
  runtime: "node",
  dirs: ["./src/trigger"],
  maxDuration: 300,
  // A process costs about a second to start; reused ones run the next task at once.
  processKeepAlive: { enabled: true, maxExecutionsPerProcess: 200, devMaxPoolSize: 40 },
  retries: {
    enabledInDev: true,
    default: { maxAttempts: 1 },
  },
});
