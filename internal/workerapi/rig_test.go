package workerapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/workerapi"
)

// rig is the worker API over HTTP, on a store that was set up like any other.
type rig struct {
	servertest.Client // with the secret key of the development environment
	t                 testing.TB
	store             *store.Store
	engine            *engine.Engine
	auth              *auth.Auth
	blobs             *blob.Store
	packets           string // the directory of blobs
	api               *workerapi.API
	env               *tenant.Environment
	keys              auth.Keys
	prod              servertest.Client // of another environment
}

func setup(t testing.TB) *rig {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "core.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := auth.NewSealer(make([]byte, auth.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Bootstrap(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: st, engine: engine.New(st, engine.Options{})}
	if r.keys, err = auth.ReadKeys(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.auth = auth.New(st, sealer, log)
	r.serve(log)
	r.env = r.environment(r.keys.SecretKeys.Dev, "")
	return r
}

// serve runs the engine and an HTTP server until the test ends.
func (r *rig) serve(log *slog.Logger) {
	router := chi.NewRouter()
	web := httptest.NewServer(router)
	var err error
	r.packets = filepath.Join(r.t.TempDir(), "blobs")
	if r.blobs, err = blob.Open(r.packets); err != nil {
		r.t.Fatal(err)
	}
	r.api = workerapi.New(r.store, r.engine, r.auth, r.blobs, func(*http.Request) string { return web.URL }, log)
	r.api.Routes(router)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.engine.Run(ctx) }()
	r.t.Cleanup(func() {
		r.api.Stop()
		web.Close()
		stop()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
		if err := r.store.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.Client = servertest.Client{URL: web.URL, Key: r.keys.SecretKeys.Dev}
	r.prod = servertest.Client{URL: web.URL, Key: r.keys.SecretKeys.Prod}
}

// environment is the one that a key and a branch lead to.
func (r *rig) environment(key, branch string) *tenant.Environment {
	r.t.Helper()
	p, err := r.auth.Environment(r.t.Context(), key, branch)
	if err != nil {
		r.t.Fatal(err)
	}
	return p.Env
}

// register makes the tasks known.
func (r *rig) register(tasks ...string) *servertest.Worker {
	r.t.Helper()
	m := map[string]servertest.Task{}
	for _, task := range tasks {
		m[task] = nil
	}
	return servertest.Register(r.t, r.Client, r.keys.ProjectRef, m)
}

// trigger makes a run and returns its friendly id.
func (r *rig) trigger(t engine.Trigger) string {
	r.t.Helper()
	made, err := r.engine.Trigger(r.t.Context(), r.env, t)
	if err != nil {
		r.t.Fatal(err)
	}
	return id.Friendly(id.Run, made.ID)
}

// message is what these tests read of a dequeued message.
type message = servertest.Message

type dequeued struct{ DequeuedMessages []message }

// take dequeues one run.
func (r *rig) take() message {
	r.t.Helper()
	got := servertest.Post[dequeued](r.t, r.Client, "/engine/v1/dev/dequeue", map[string]any{"currentWorker": "", "oldWorkers": []string{}})
	if len(got.DequeuedMessages) != 1 {
		r.t.Fatalf("%d runs were dequeued", len(got.DequeuedMessages))
	}
	return got.DequeuedMessages[0]
}

// State is a run with its newest snapshot.
type State struct {
	Snapshot struct{ ID, FriendlyID, ExecutionStatus, Description string }
	Run      struct {
		ID, FriendlyID, Status string
		AttemptNumber          int
	}
	CompletedWaitpoints []servertest.Waitpoint
}

// begin dequeues a run and starts its attempt.
func (r *rig) begin() (runID string, s State) {
	r.t.Helper()
	m := r.take()
	return m.Run.FriendlyID, servertest.Post[State](r.t, r.Client, onSnapshot(m.Run.FriendlyID, m.Snapshot.FriendlyID, "attempts/start"),
		map[string]bool{"isWarmStart": false})
}

// latest is the newest snapshot of a run.
func (r *rig) latest(runID string) State {
	r.t.Helper()
	return servertest.Get[struct{ Execution State }](r.t, r.Client, onRun(runID, "snapshots/latest")).Execution
}

// await polls until the newest snapshot of a run has the status.
func (r *rig) await(runID string, status run.Exec) State {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s := r.latest(runID); s.Snapshot.ExecutionStatus == string(status) {
			return s
		}
	}
	r.t.Fatalf("run %s is %s, not %s", runID, r.latest(runID).Snapshot.ExecutionStatus, status)
	return State{}
}

func onRun(runID, action string) string { return "/engine/v1/dev/runs/" + runID + "/" + action }

func onSnapshot(runID, snapshot, action string) string {
	return onRun(runID, "snapshots/"+snapshot+"/"+action)
}

// succeeded is a completion.
var succeeded = map[string]any{"completion": map[string]any{"ok": true, "output": `{"done":true}`, "outputType": "application/json"}}

// failed is a completion; with a delay of nil it asks for no further attempt.
func failed(delay *time.Duration) map[string]any {
	c := servertest.Fail("boom")
	if delay != nil {
		c = servertest.Retry("boom", *delay)
	}
	return map[string]any{"completion": c}
}

// result is the answer to a completion.
type result struct {
	Result struct {
		State
		AttemptStatus string
	}
}

func diff(t testing.TB, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
