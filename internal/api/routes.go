package api

import (
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/rest"
)

// route is one endpoint: what it is called, who may call it, and what it does.
type route struct {
	method, path string
	classes      []auth.Class
	browser      bool // pages of other origins may call it
	handle       rest.Handler
}

// name is what a route is called in tables beside the page.
func (t route) name() string { return t.method + " " + t.path }

// Who may call what. Routes that name more than the secret key ask Principal.Can.
var (
	anybody   = []auth.Class{auth.None}
	secret    = []auth.Class{auth.SecretKey}
	scoped    = []auth.Class{auth.SecretKey, auth.ScopedKey, auth.PublicJWT}
	granting  = []auth.Class{auth.SecretKey, auth.ScopedKey}
	personal  = []auth.Class{auth.PAT}
	bootstrap = []auth.Class{auth.PAT, auth.SecretKey}
	managing  = []auth.Class{auth.PAT, auth.SecretKey, auth.ScopedKey}
)

// Paths that several routes share.
const (
	runPath   = "/api/v1/runs/{run}"
	tokenPath = "/api/v1/waitpoints/tokens"
	varPath   = "/api/v1/projects/{ref}/envvars/{env}"
	errorPath = "/api/v1/errors/{error}"
	bulkPath  = "/api/v1/bulk-actions"
	queuePath = "/api/v1/queues/{queue}"

	schedulesPath = "/api/v1/schedules"
	schedulePath  = schedulesPath + "/{schedule}"
	zonesPath     = "/timezones" // what upstream's refusal of a time zone names

	credentialsPath = "/api/v1/credentials"

	deploymentsPath = "/api/v1/deployments"
	deploymentPath  = deploymentsPath + "/{deployment}"
)

// Methods, to keep the lines below short.
const (
	get  = http.MethodGet
	post = http.MethodPost
	put  = http.MethodPut
	del  = http.MethodDelete
)

// routes is the whole surface.
func (a *API) routes() []route {
	return slices.Concat(a.runRoutes(), a.projectRoutes(), a.accessRoutes())
}

// runRoutes are what runs tasks: triggers, batches, runs and what they wait for.
func (a *API) runRoutes() []route {
	return []route{
		{post, "/api/v1/tasks/{task}/trigger", scoped, true, a.trigger},
		{post, "/api/v1/tasks/batch", scoped, true, a.batchTasksV1},
		{post, "/api/v2/tasks/batch", scoped, true, a.batchTasks},
		{post, "/api/v1/tasks/{task}/batch", scoped, true, a.batchTask},
		{post, "/api/v3/batches", scoped, true, a.createBatch},
		{post, "/api/v3/batches/{batch}/items", scoped, true, a.streamBatchItems},
		{get, "/api/v3/batches/{batch}/items", anybody, true, a.streamItemsGet},
		{get, "/api/v2/batches/{batch}", scoped, true, a.getBatch},
		{get, "/api/v1/batches/{batch}", scoped, true, a.getBatch},
		{get, "/api/v1/batches/{batch}/results", secret, false, a.batchResults},

		{get, "/api/v3/runs/{run}", scoped, true, a.getRun},
		{get, "/api/v1/runs", scoped, true, a.listRuns},
		{get, "/api/v1/projects/{ref}/runs", personal, true, a.listProjectRuns},
		{get, runPath + "/result", secret, false, a.runResult},
		{post, "/api/v2/runs/{run}/cancel", scoped, true, a.cancelRun},
		{post, runPath + "/cancel", scoped, true, a.cancelRun},
		{post, runPath + "/replay", secret, false, a.replayRun},
		{post, runPath + "/reschedule", secret, false, a.rescheduleRun},
		{post, runPath + "/tags", secret, false, a.addTags},
		{get, runPath + "/metadata", secret, false, a.getMetadata},
		{put, runPath + "/metadata", secret, false, a.putMetadata},
		{get, runPath + "/trace", scoped, true, a.runTrace},
		{get, runPath + "/spans/{span}", scoped, true, a.runSpan},
		{get, runPath + "/events", scoped, true, a.runEvents},
		{get, runPath + "/why", scoped, true, a.whyRun},
		{get, runPath + "/packets/{kind}", scoped, true, a.runPacket},
		{post, "/api/v1/idempotencyKeys/{key}/reset", scoped, true, a.resetKey},

		{get, "/api/v1/errors", scoped, true, a.listErrors},
		{get, errorPath, scoped, true, a.getError},
		{post, errorPath + "/resolve", scoped, true, a.resolveError},
		{post, errorPath + "/ignore", scoped, true, a.ignoreError},
		{post, errorPath + "/unresolve", scoped, true, a.unresolveError},

		{get, bulkPath, secret, false, a.listBulks},
		{post, bulkPath, secret, false, a.createBulk},
		{get, bulkPath + "/{bulk}", secret, false, a.getBulk},
		{post, bulkPath + "/{bulk}/abort", secret, false, a.abortBulk},

		{post, tokenPath, secret, false, a.createToken},
		{get, tokenPath, secret, false, a.listTokens},
		{get, tokenPath + "/{waitpoint}", secret, false, a.getToken},
		{post, tokenPath + "/{waitpoint}/complete", scoped, true, a.completeToken},
		{post, tokenPath + "/{waitpoint}/callback/{hash}", anybody, false, a.callbackToken},
	}
}

// projectRoutes are what runs are made by and executed with: schedules, queues, variables
// and deployments.
func (a *API) projectRoutes() []route {
	return []route{
		{post, schedulesPath, secret, false, a.createSchedule},
		{get, schedulesPath, secret, false, a.listSchedules},
		{get, schedulePath, secret, false, a.getSchedule},
		{put, schedulePath, secret, false, a.updateSchedule},
		{del, schedulePath, secret, false, a.deleteSchedule},
		{post, schedulePath + "/activate", secret, false, a.activateSchedule},
		{post, schedulePath + "/deactivate", secret, false, a.deactivateSchedule},
		{get, "/api/v1" + zonesPath, anybody, false, a.timezones},
		{get, zonesPath, anybody, false, a.timezones},

		{get, "/api/v1/queues", secret, false, a.listQueues},
		{get, queuePath, scoped, true, a.getQueue},
		{post, queuePath + "/pause", secret, false, a.pauseQueue},
		{post, queuePath + "/concurrency/override", secret, false, a.overrideQueue},
		{post, queuePath + "/concurrency/reset", secret, false, a.resetQueue},

		{get, varPath, managing, false, a.listEnvVars},
		{post, varPath, managing, false, a.createEnvVar},
		{post, varPath + "/import", managing, false, a.importEnvVars},
		{get, varPath + "/{name}", managing, false, a.getEnvVar},
		{put, varPath + "/{name}", managing, false, a.updateEnvVar},
		{post, varPath + "/{name}", managing, false, a.updateEnvVar},
		{del, varPath + "/{name}", managing, false, a.deleteEnvVar},
		{post, "/api/v1/projects/{ref}/{env}/keys/rotate", personal, false, a.rotateKey},
		{post, "/api/v1/resume", personal, false, a.resume},

		{post, deploymentsPath, secret, false, a.initializeDeployment},
		{get, deploymentsPath, scoped, true, a.listDeployments},
		{get, deploymentsPath + "/latest", secret, false, a.latestDeployment},
		{get, deploymentsPath + "/current", scoped, true, a.currentDeployment},
		{get, deploymentPath, secret, false, a.getDeployment},
		{get, deploymentPath + "/build-env-vars", secret, false, a.buildVariables},
		{post, deploymentPath + "/background-workers", secret, false, a.registerDeploymentWorker},
		{post, deploymentPath + "/progress", secret, false, a.progressDeployment},
		{post, deploymentPath + "/fail", secret, false, a.failDeployment},
		{post, deploymentPath + "/cancel", secret, false, a.cancelDeployment},
		{post, deploymentPath + "/finalize", secret, false, a.finalizeDeployment},
		{post, "/api/v2/deployments/{deployment}/finalize", secret, false, a.finalizeDeployment},
		{post, "/api/v3/deployments/{deployment}/finalize", secret, false, a.streamFinalize},
		{post, deploymentPath + "/promote", secret, false, a.promoteDeployment},
		{get, "/api/v1/projects/{ref}/{env}/workers/{tag}", bootstrap, false, a.workerByTag},
	}
}

// accessRoutes are large payloads, tokens, and what the CLI asks about its user.
func (a *API) accessRoutes() []route {
	return []route{
		{get, "/openapi.json", anybody, true, a.openAPI},

		{put, "/api/v2/packets/*", secret, false, a.putPacket},
		{put, "/api/v1/packets/*", secret, false, a.putPacketV1},
		{get, "/api/v1/packets/*", scoped, true, a.getPacket},
		{put, packetPrefix + "{env}/*", anybody, true, a.uploadPacket},   // the signature is the credential
		{get, packetPrefix + "{env}/*", anybody, true, a.downloadPacket}, // likewise

		{post, "/api/v1/auth/jwt/claims", secret, false, a.jwtClaims},
		{post, "/api/v1/auth/jwt", secret, false, a.jwt},
		{post, "/api/v1/auth/public-tokens", granting, false, a.publicToken},

		{get, "/api/v2/whoami", personal, false, a.whoami},
		{get, "/api/v1/projects/{ref}/{env}", bootstrap, false, a.projectEnv},
		{post, "/api/v1/projects/{ref}/branches", personal, false, a.openBranch},
		{post, "/api/v1/projects/{ref}/branches/archive", personal, false, a.archiveBranch},
		{get, "/api/v1/platform-notifications", personal, false, a.platformNotifications},
		{post, "/api/v1/profile/complete", personal, false, a.completeProfile},
		{post, "/api/v1/authorization-code", anybody, false, a.createAuthCode},
		{post, "/api/v1/token", anybody, false, a.exchangeToken},

		{get, credentialsPath, personal, false, a.listCredentials},
		{post, credentialsPath + "/{credential}/replace", personal, false, a.replaceCredential},
		{del, credentialsPath + "/{credential}", personal, false, a.endCredential},
		{post, "/api/v1/account/password/reset", personal, false, a.resetPassword},
		{del, credentialsPath, personal, false, a.endAllCredentials},
	}
}

// unlimited are the paths whose requests are not counted: they are cheap and part of
// something else that is, or bring their own credential.
var unlimited = []string{
	"/api/v1/auth/jwt/claims",
	"/api/v2/packets/*", "/api/v1/packets/*", packetPrefix + "{env}/*",
}

// counted reports whether requests to a route take from the caller's bucket.
func (t route) counted() bool {
	return !slices.Contains(t.classes, auth.None) && !slices.Contains(unlimited, t.path)
}

// Routes registers the surface.
func (a *API) Routes(r chi.Router) {
	preflight := map[string]bool{}
	for _, t := range a.routes() {
		h := r
		if t.browser {
			h = h.With(rest.CORS)
			if !preflight[t.path] {
				preflight[t.path] = true
				r.With(rest.CORS).Options(t.path, func(http.ResponseWriter, *http.Request) {}) // CORS answers
			}
		}
		h = h.With(a.auth.Require(t.classes...))
		if t.counted() {
			h = h.With(a.limited)
		}
		h.Method(t.method, t.path, rest.Wrap(a.log, t.handle))
	}
}
