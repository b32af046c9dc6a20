// The S3-compatible server of the tests, see test/tools/s3server.
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { tail } from "./harness.mjs";

/**
 * Starts one: {endpoint, region, bucket, accessKey, secretKey, stop()}. It ends with its standard
 * input, so also when this process is killed.
 */
export async function startS3(dir) {
  const log = join(dir, "s3.log");
  const child = spawn("go", ["run", "-C", join(import.meta.dirname, "../tools/s3server"), "."], {
    stdio: ["pipe", "pipe", openSync(log, "a")],
  });
  const ended = new Promise((done) => child.once("close", done));
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("{")) continue; // the gateway says other things before

    child.stdout.resume();
    const stop = () => {
      child.stdin.end();
      return ended;
    };
    return { ...JSON.parse(line), stop };
  }
  throw new Error(`The S3 server did not start\n${await tail(log)}`);
}

/** The flags that make Sear keep large payloads there. */
export function s3Flags({ endpoint, region, bucket, accessKey, secretKey }) {
  return ["--s3-endpoint", endpoint, "--s3-region", region, "--s3-bucket", bucket, "--s3-access-key", accessKey, "--s3-secret-key", secretKey];
}
