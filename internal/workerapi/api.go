package workerapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/sockio"
	"sear/internal/store"
	"sear/internal/tenant"
)

// API serves the worker protocol.
type API struct {
	store  *store.Store
	engine *engine.Engine
	auth   *auth.Auth
	blobs  *blob.Store
	origin func(*http.Request) string // where the server is for whoever sends the request
	log    *slog.Logger
	poll   time.Duration // how long a dequeue waits for work

	sockets *sockio.Server

	ending context.Context // over when requests that wait are to end
	end    context.CancelFunc
}

// New makes an API. origin tells under which address a request reached the server,
// such as http://127.0.0.1:3030: that is where its worker is told to go on calling.
func New(st *store.Store, e *engine.Engine, a *auth.Auth, blobs *blob.Store, origin func(*http.Request) string, log *slog.Logger) *API {
	ending, end := context.WithCancel(context.Background())
	api := &API{store: st, engine: e, auth: a, blobs: blobs, origin: origin, log: log, poll: pollTime, ending: ending, end: end}
	api.sockets = api.newSockets()
	return api
}

// Stop ends all requests that wait for something, now and from now on: a dequeue
// answers that there is no work, a presence stream is over, and sockets are told to
// connect elsewhere. It waits up to a second for those that do not answer.
func (a *API) Stop() {
	a.end()
	a.sockets.Close()
}

// patient is the context of a request that waits: it ends with ctx, with the server, and
// after d.
func (a *API) patient(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, d)
	stop := context.AfterFunc(a.ending, cancel)
	if a.ending.Err() != nil {
		cancel() // at once: AfterFunc takes its time
	}
	return ctx, func() { stop(); cancel() }
}

// maxBody bounds the bodies of calls that carry little.
//
//limit:workers Bodies of calls that carry little | bytes | 413 Request body too large
const maxBody = 64 << 10

// environment is the environment whose key a request carries.
func environment(r *http.Request) *tenant.Environment { return auth.From(r.Context()).Env }

// errNoRun answers for runs that do not exist and for those of other environments
// alike. Upstream says 401 with a plain text; to the clients, which only tell
// whether a call is worth repeating, the two are the same.
var errNoRun = fault.New(fault.NotFound, "Run not found")

// runID is the internal id of the run that a path names.
func runID(r *http.Request) (string, error) {
	internal, ok := id.Internal(id.Run, chi.URLParam(r, "run"))
	if !ok {
		return "", errNoRun
	}
	return internal, nil
}

// requestHeader is the same for all repetitions of one call.
const requestHeader = "X-Trigger-Request-Idempotency-Key"

// maxRequestKey bounds what is stored of that header; clients send UUIDs.
//
//limit:workers The key that is the same for all tries of a call | bytes | it is ignored: a repeated call counts as a new one
const maxRequestKey = 128

// call reads which run and snapshot a worker's call is about. The id of a snapshot
// that is not the run's leads to a sequence number that none has, and so to the
// answer that every other outdated call gets.
func call(r *http.Request) (string, engine.Call, error) {
	internal, err := runID(r)
	if err != nil {
		return "", engine.Call{}, err
	}
	var c engine.Call
	c.Seq, _ = id.ParseSnapshot(internal, chi.URLParam(r, "snapshot"))
	c.Request = requestKey(r)
	return internal, c, nil
}

// requestKey is what all tries of one call have in common, if the client says.
func requestKey(r *http.Request) string {
	if key := r.Header.Get(requestHeader); len(key) <= maxRequestKey && utf8.ValidString(key) {
		return key
	}
	return ""
}
