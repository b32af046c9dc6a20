package workerapi_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/workerapi"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	r := setup(t)
	got := servertest.Get[map[string]any](t, r.Client, "/engine/v1/dev/config")
	if got["environmentId"] != r.env.ID || got["engineUrl"] != r.URL {
		t.Errorf("config %v", got)
	}
	if got["maxConcurrentRuns"] != float64(10*r.env.ConcurrencyLimit) {
		t.Errorf("the CLI may hold %v runs", got["maxConcurrentRuns"])
	}
	for _, key := range []string{"dequeueIntervalWithRun", "dequeueIntervalWithoutRun"} {
		if n, ok := got[key].(float64); !ok || n < 1 {
			t.Errorf("%s is %v", key, got[key])
		}
	}
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{0: 1, 1: 10, 100: 1000, 1000: 10_000, 5000: 10_000, 20_000: 20_000} {
		if got := workerapi.Processes(limit); got != want {
			t.Errorf("a limit of %d lets the CLI hold %d runs, want %d", limit, got, want)
		}
	}
}

// TestEveryRouteWantsAKey also finds routes that were added without a thought about
// who may call them.
func TestEveryRouteWantsAKey(t *testing.T) {
	t.Parallel()
	r := setup(t)
	router := chi.NewRouter()
	r.api.Routes(router)
	routes := 0
	err := chi.Walk(router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes++
		want := map[bool]int{true: http.StatusBadRequest, false: http.StatusUnauthorized}[strings.HasPrefix(route, "/otel/")]
		for _, key := range []string{"", "tr_dev_nobody", r.keys.PersonalAccessToken} {
			c := servertest.Client{URL: r.URL, Key: key}
			if got := c.Call(t, method, route, nil); got.Status != want {
				t.Errorf("%s %s with key %q: %d %s", method, route, key, got.Status, got.Body)
			}
		}
		return nil
	})
	if err != nil || routes < 15 {
		t.Errorf("%d routes: %v", routes, err)
	}
}

func TestPresenceLastsUntilTheServerStops(t *testing.T) {
	t.Parallel()
	r := setup(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+"/engine/v1/dev/presence", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("%d, %s", res.StatusCode, got)
	}
	lines := bufio.NewScanner(res.Body)
	if lines.Scan(); lines.Text() != "event: start" {
		t.Errorf("the stream begins with %q", lines.Text())
	}
	r.api.Stop()
	for lines.Scan() {
		if lines.Text() == "event: time" {
			t.Error("the stream goes on")
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was broken off: %v", err)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	r := setup(t)
	err := r.auth.SetVariables(t.Context(), r.env, auth.VariableSet{Secret: new(true), Own: map[string]string{
		"MINE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere", "TRIGGER_API_URL": "http://elsewhere",
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/projects/" + r.keys.ProjectRef + "/envvars"
	got := servertest.Get[struct{ Variables map[string]string }](t, r.Client, path).Variables
	want := map[string]string{
		"MINE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere", "TRIGGER_API_URL": r.URL, "TRIGGER_STREAM_URL": r.URL,
		"TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT": r.URL + "/otel", "TRIGGER_REALTIME_STREAM_VERSION": "v1",
	}
	diff(t, want, got)
	if got := r.Call(t, http.MethodGet, "/api/v1/projects/proj_other/envvars", nil); got.Status != http.StatusNotFound {
		t.Errorf("another project's variables: %d %s", got.Status, got.Body)
	}
}

func TestBranchesKnowTheirName(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.branch("feature/x")
	c := r.onBranch("feature/x")
	got := servertest.Get[struct{ Variables map[string]string }](t, c, "/api/v1/projects/"+r.keys.ProjectRef+"/envvars").Variables
	if got["TRIGGER_DEV_BRANCH"] != "feature/x" {
		t.Errorf("variables %v", got)
	}
}

// branch adds a branch below the development environment.
func (r *rig) branch(name string) *tenant.Environment {
	r.t.Helper()
	env := &tenant.Environment{ID: id.New(time.Now()), OrgID: r.env.OrgID, ProjectID: r.env.ProjectID, ParentID: r.env.ID,
		Type: tenant.Development, Branch: name, ConcurrencyLimit: 10, CreatedAt: time.Now()}
	err := r.store.Update(r.t.Context(), func(tx *store.Tx) error { _, err := tx.AddEnvironment(env); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	return r.environment(r.Key, name)
}

func (r *rig) onBranch(name string) servertest.Client {
	c := r.Client
	c.Header = http.Header{auth.BranchHeader: {name}}
	return c
}

func TestDisconnectEndsTheSession(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	r.trigger(engine.Trigger{Task: "task"})
	executing, _ := r.begin()
	r.trigger(engine.Trigger{Task: "task"})
	delivered := r.take().Run.FriendlyID
	finished := r.trigger(engine.Trigger{Task: "task"})
	m := r.take()
	s := servertest.Post[State](t, r.Client, onSnapshot(finished, m.Snapshot.FriendlyID, "attempts/start"), nil)
	servertest.Post[result](t, r.Client, onSnapshot(finished, s.Snapshot.FriendlyID, "attempts/complete"), succeeded)

	body := map[string]any{"runFriendlyIds": []string{executing, delivered, finished, "run_unknown", "nonsense"}}
	if got := servertest.Post[map[string]int](t, r.Client, "/engine/v1/dev/disconnect", body); got["cancelled"] != 2 {
		t.Errorf("disconnect: %v", got)
	}
	for _, runID := range []string{executing, delivered} {
		if s := r.latest(runID); s.Snapshot.ExecutionStatus != string(run.Finished) || s.Run.Status != string(run.StatusCanceled) {
			t.Errorf("the run is %s, %s", s.Snapshot.ExecutionStatus, s.Run.Status)
		}
	}
	if got := servertest.Post[map[string]int](t, r.Client, "/engine/v1/dev/disconnect", body); got["cancelled"] != 0 {
		t.Errorf("disconnect again: %v", got)
	}
}

// TestDisconnectReachesBranches: the watchdog does not say which branch it is of.
func TestDisconnectReachesBranches(t *testing.T) {
	t.Parallel()
	r := setup(t)
	branch := r.branch("x")
	servertest.Register(t, r.onBranch("x"), r.keys.ProjectRef, map[string]servertest.Task{"task": nil})
	made, err := r.engine.Trigger(t.Context(), branch, engine.Trigger{Task: "task"})
	if err != nil {
		t.Fatal(err)
	}
	servertest.Post[dequeued](t, r.onBranch("x"), "/engine/v1/dev/dequeue", nil)
	body := map[string]any{"runFriendlyIds": []string{id.Friendly(id.Run, made.ID)}}
	if got := servertest.Post[map[string]int](t, r.Client, "/engine/v1/dev/disconnect", body); got["cancelled"] != 1 {
		t.Errorf("disconnect: %v", got)
	}
}

func TestDisconnectRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	r.trigger(engine.Trigger{Task: "task"})
	runID, _ := r.begin()
	body := map[string]any{"runFriendlyIds": []string{runID}}
	if got := r.prod.Call(t, http.MethodPost, "/engine/v1/dev/disconnect", body); got.Status != http.StatusForbidden {
		t.Errorf("a production key: %d %s", got.Status, got.Body)
	}
	if got := r.Call(t, http.MethodPost, "/engine/v1/dev/disconnect", map[string]any{"runFriendlyIds": make([]string, 501)}); got.Status != http.StatusBadRequest {
		t.Errorf("501 runs: %d %s", got.Status, got.Body)
	}
	if got := r.Call(t, http.MethodPost, "/engine/v1/dev/disconnect", "nonsense"); got.Status != http.StatusBadRequest {
		t.Errorf("nonsense: %d %s", got.Status, got.Body)
	}
	if s := r.latest(runID); s.Snapshot.ExecutionStatus != string(run.Executing) {
		t.Errorf("the run is %s", s.Snapshot.ExecutionStatus)
	}
}

func TestDebugLog(t *testing.T) {
	t.Parallel()
	r := setup(t)
	got := r.Call(t, http.MethodPost, onRun("run_any", "logs/debug"), map[string]any{"time": time.Now(), "message": "hello", "properties": nil})
	if got.Status != http.StatusNoContent || len(got.Body) != 0 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}
