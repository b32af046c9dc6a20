package workerapi

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/rest"
)

// route is one endpoint: what it is called, who may call it, and what it does.
type route struct {
	method, path string
	class        auth.Class
	handle       rest.Handler
}

// runPath is the path of one run in the protocol of the dev command.
const runPath = "/engine/v1/dev/runs/{run}"

// routes is the whole surface.
func (a *API) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/engine/v1/dev/config", auth.SecretKey, a.config},
		{get, "/engine/v1/dev/presence", auth.SecretKey, a.presence},
		{get, "/socket.io/", auth.SecretKey, a.socket},
		{post, "/engine/v1/dev/dequeue", auth.SecretKey, a.dequeue},
		{post, "/engine/v1/dev/disconnect", auth.SecretKey, a.disconnect},
		{post, runPath + "/snapshots/{snapshot}/attempts/start", auth.SecretKey, a.startAttempt},
		{post, runPath + "/snapshots/{snapshot}/attempts/complete", auth.SecretKey, a.completeAttempt},
		{post, runPath + "/snapshots/{snapshot}/heartbeat", auth.SecretKey, a.heartbeat},
		{get, runPath + "/snapshots/latest", auth.SecretKey, a.latestSnapshot},
		{get, runPath + "/snapshots/since/{snapshot}", auth.SecretKey, a.snapshotsSince},
		{post, runPath + "/logs/debug", auth.SecretKey, a.debugLog},

		{get, "/api/v1/projects/{project}/envvars", auth.SecretKey, a.variables},
		{post, "/api/v1/projects/{project}/background-workers", auth.SecretKey, a.registerWorker},

		{post, "/engine/v1/runs/{run}/wait/duration", auth.SecretKey, a.waitFor},
		{post, "/engine/v1/runs/{run}/waitpoints/tokens/{waitpoint}/wait", auth.SecretKey, a.waitForToken},

		{post, "/otel/v1/traces", auth.None, a.telemetry},
		{post, "/otel/v1/logs", auth.None, a.telemetry},
		{post, "/otel/v1/metrics", auth.None, a.telemetry},
	}
}

// Routes registers the surface.
func (a *API) Routes(r chi.Router) {
	for _, t := range a.routes() {
		r.With(a.auth.Require(t.class)).Method(t.method, t.path, rest.Wrap(a.log, t.handle))
	}
}
