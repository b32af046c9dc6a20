// Deployments as the official command line makes them, with its own client, and as the SDK shows
// them. In staging, where no other suite is.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, describe, it } from "node:test";
import * as schemas from "@trigger.dev/core/v3/schemas";
import { auth, deployments, runs, tasks } from "@trigger.dev/sdk";
import { context, http, reached, unique } from "../client.mjs";

const { CliApiClient } = await import(new URL("../node_modules/trigger.dev/dist/esm/apiClient.js", import.meta.url));

const key = context.keys.secretKeys.staging;
const cli = new CliApiClient(context.apiUrl, key);
const inStaging = (work, accessToken = key) => auth.withAuth({ accessToken, baseURL: context.apiUrl }, work);
const raw = (method, path, options) => http(method, `/api/v1/deployments${path}`, { token: key, ...options });

/** The data of a call of the command line's client, which has to succeed. */
async function ok(call) {
  const result = await call;
  assert.ok(result.success, `${JSON.stringify(result)}`);
  return result.data;
}

const wish = { contentHash: "53fb", type: "MANAGED", runtime: "node-24", isNativeBuild: false, gitMeta: { commitSha: "abc", dirty: false } };

const registration = (...names) => ({
  localOnly: true,
  engine: "V2",
  supportsLazyAttempts: true,
  metadata: {
    contentHash: "53fb",
    packageVersion: "4.8.3",
    cliPackageVersion: "4.8.3",
    runtime: "node",
    runtimeVersion: process.versions.node,
    queues: [],
    sourceFiles: [],
    tasks: names.map((id) => ({ id, filePath: "src/tasks.ts", exportName: "t", entryPoint: "/app/tasks.mjs" })),
  },
});

/** Deploys as the command line does, and returns what initialize said. */
async function deploy(changes = {}, finalize = {}) {
  const deployment = await ok(cli.initializeDeployment({ ...wish, ...changes }));
  await ok(cli.createDeploymentBackgroundWorker(deployment.id, registration("deployed-task")));
  const done = await ok(cli.finalizeDeployment(deployment.id, finalize));
  assert.equal(done.id, deployment.id);
  return deployment;
}

describe("deployments", { timeout: 120_000 }, () => {
  let first, second;
  before(async () => {
    first = await deploy();
    second = await deploy({}, { imageDigest: `sha256:${createHash("sha256").update("x").digest("hex")}`, skipPromotion: true });
  });

  it("go from initialize to deployed", async () => {
    const shown = await ok(cli.getDeployment(second.id));
    assert.equal(shown.status, "DEPLOYED");
    assert.equal(shown.commitSHA, "abc");
    assert.match(shown.imageReference, /^localhost\/.*@sha256:[0-9a-f]{64}$/);
    assert.deepEqual(shown.worker.tasks.map((task) => task.slug), ["deployed-task"]);
    for (const path of [`/${second.id}`, "/latest", "/current", ""]) {
      const { status, body } = await raw("GET", path);
      assert.equal(status, 200, JSON.stringify(body));
      assert.doesNotMatch(JSON.stringify(body), /"(error|errorData|git|deployedAt|externalId)":null/);
    }
    const latest = schemas.GetLatestDeploymentResponseBody.parse((await raw("GET", "/latest")).body);
    assert.equal(latest.id, second.id);
  });

  it("are listed by the SDK, page by page", async () => {
    for (let i = 0; i < 5; i++) await ok(cli.initializeDeployment(wish));
    await inStaging(async () => {
      const all = [];
      for await (const deployment of deployments.list({ limit: 5 })) all.push(deployment);
      assert.ok(all.length >= 7, `${all.length} are listed`);
      assert.deepEqual(all.map((d) => d.createdAt), all.map((d) => d.createdAt).sort((a, b) => b - a));
      const mine = all.find((d) => d.id === first.id);
      assert.equal(mine.status, "DEPLOYED");
      assert.equal(mine.git.commitSha, "abc");
      assert.ok(mine.deployedAt instanceof Date);
      const building = (await deployments.list({ status: "BUILDING", period: "1h" })).data;
      assert.ok(building.length >= 5 && building.every((d) => d.status === "BUILDING" && d.runtimeVersion === null));
      await assert.rejects(deployments.list({ period: "soon" }), { status: 400 });
    });
  });

  it("are promoted, and rolled back", async () => {
    const current = () => inStaging(() => deployments.retrieveCurrent());
    assert.equal((await current()).version, first.version);
    const promoted = await ok(cli.promoteDeployment(second.version));
    assert.deepEqual(promoted, { id: second.id, version: second.version, shortCode: second.shortCode });
    assert.equal((await current()).version, second.version);
    assert.match((await cli.promoteDeployment(second.version)).error, /already the current deployment/);
    assert.match((await cli.promoteDeployment(first.version)).error, /older than the current deployment/);
    const back = await raw("POST", `/${first.version}/promote?allowRollbacks=true`);
    assert.equal(schemas.PromoteDeploymentResponseBody.parse(back.body).id, first.id);
    assert.equal((await current()).version, first.version);
    const byTag = await ok(new CliApiClient(context.apiUrl, context.keys.personalAccessToken).getWorkerByTag(context.keys.projectRef, "staging"));
    assert.equal(byTag.worker.version, first.version);
  });

  it("fail with what the indexer says, and with what it sends", async () => {
    const said = await ok(cli.initializeDeployment(wish));
    const error = { name: "TaskIndexingImportError", message: "no such module", stack: "[]" };
    await ok(cli.failDeployment(said.id, { error }));
    assert.deepEqual((await ok(cli.getDeployment(said.id))).errorData, error);

    const sent = await ok(cli.initializeDeployment(wish));
    const refused = await cli.createDeploymentBackgroundWorker(sent.id, registration("twice", "twice"));
    assert.match(refused.error, /Duplicate task id: twice/);
    const shown = await ok(cli.getDeployment(sent.id));
    assert.equal(shown.status, "FAILED");
    assert.match(shown.errorData.message, /twice/);

    const empty = await ok(cli.initializeDeployment(wish));
    assert.match((await cli.finalizeDeployment(empty.id, {})).error, /no worker/);
    assert.match((await cli.finalizeDeployment("deployment_unknown", {})).error, /404/);
  });

  it("keep the variables of their build", async () => {
    const buildEnvVars = { A: "1" };
    const native = await ok(cli.initializeDeployment({ ...wish, isNativeBuild: true, artifactKey: "bundles/a", buildEnvVars }));
    assert.deepEqual(await ok(cli.getDeploymentBuildEnvVars(native.id)), { variables: buildEnvVars });
    assert.equal((await raw("POST", `/${native.id}/cancel`, { body: { reason: "nobody builds it" } })).status, 204);
    assert.equal((await ok(cli.getDeployment(native.id))).canceledReason, "nobody builds it");
  });

  it("take the runs that were triggered for them", async () => {
    const externalDeploymentId = unique("site");
    await inStaging(async () => {
      const early = await tasks.trigger("deployed-task", {}, { externalDeploymentId });
      assert.equal((await runs.retrieve(early.id)).status, "PENDING_VERSION");
      const { version } = await deploy({ externalId: externalDeploymentId }, { skipPromotion: true });
      await reached(early.id, "is released to its version", (run) => run.status === "QUEUED" && run.version === version);
      const late = await tasks.trigger("deployed-task", {}, { externalDeploymentId });
      assert.equal((await runs.retrieve(late.id)).version, version);
      const again = await ok(cli.initializeDeployment({ ...wish, externalId: externalDeploymentId }));
      assert.deepEqual([again.outcome, again.isPromoted, again.version], ["existing", false, version]);
      await Promise.all([early, late].map(({ id }) => runs.cancel(id)));
    });
  });

  it("are shown to tokens that may read them, and to no other environment", async () => {
    const token = await inStaging(() => auth.createPublicToken({ scopes: { read: { deployments: true } } }));
    assert.equal((await inStaging(() => deployments.retrieveCurrent(), token)).id, first.id);
    const other = await inStaging(() => auth.createPublicToken({ scopes: { read: { runs: true } } }));
    await assert.rejects(inStaging(() => deployments.list(), other), { status: 403 });
    assert.equal((await raw("GET", `/${first.id}`, { token: context.keys.secretKeys.prod })).status, 404);
    assert.equal((await raw("GET", `/${first.id}`, { token })).status, 401);
  });
});
