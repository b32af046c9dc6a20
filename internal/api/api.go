package api

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// API serves the public REST surface.
type API struct {
	store  *store.Store
	engine *engine.Engine
	auth   *auth.Auth
	blobs  *blob.Store
	origin func(*http.Request) string
	limits limiters
	log    *slog.Logger
}

// New makes an API. origin tells where the server is for whoever sends a request,
// such as http://127.0.0.1:3030.
func New(st *store.Store, e *engine.Engine, a *auth.Auth, blobs *blob.Store, origin func(*http.Request) string, limits Limits, log *slog.Logger) *API {
	return &API{store: st, engine: e, auth: a, blobs: blobs, origin: origin, limits: newLimiters(limits), log: log}
}

// environment is the environment whose credential a request carries.
func environment(r *http.Request) *tenant.Environment { return auth.From(r.Context()).Env }

// errForbidden answers a credential that does not reach that far.
var errForbidden = fault.New(fault.Forbidden, "Unauthorized")

// param is a parameter of the path. The router matches the path as it was escaped if
// that says more than the path itself, so that an id may hold a slash; only then is
// there something left to decode.
func param(r *http.Request, name string) (string, error) {
	v := chi.URLParam(r, name)
	var err error
	if r.URL.RawPath != "" {
		v, err = url.PathUnescape(v)
	}
	if err != nil || !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
		return "", badParam(name, "Invalid URL encoding")
	}
	return v, nil
}

// badParam says what is wrong with a parameter of the path.
func badParam(name, message string) error {
	var problems rest.Problems
	problems.Add(name, message)
	return rest.ParamsError(problems)
}

// Headers of requests.
const (
	requestKeyHeader = "X-Trigger-Request-Idempotency-Key" // the same for all repetitions of one call
	clientHeader     = "X-Trigger-Client"
	sourceHeader     = "X-Trigger-Source"
	workerHeader     = "X-Trigger-Worker" // sent from inside a run
)

// Headers of responses that carry a public token for what was made.
const (
	tokenHeader  = "X-Trigger-Jwt"
	claimsHeader = "X-Trigger-Jwt-Claims"
)
