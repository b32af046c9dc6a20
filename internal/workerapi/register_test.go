package workerapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/workerapi"
)

// registered is the answer to a registration.
type registered struct{ ID, Version, ContentHash string }

// body is a registration as the CLI sends it, with a field of the future.
func body(hash string, tasks ...map[string]any) map[string]any {
	return map[string]any{
		"localOnly": true, "engine": "V2", "supportsLazyAttempts": true, "unheardOf": []int{1},
		"metadata": map[string]any{
			"packageVersion": "4.8.3", "cliPackageVersion": "4.8.3", "contentHash": hash, "tasks": tasks,
			"queues": []map[string]any{{"name": "mine", "concurrencyLimit": 2}}, "prompts": []any{},
			"sourceFiles": []map[string]any{{"contents": "eJwDAAAAAAE=", "contentHash": "d41d", "taskIds": []string{"a"}, "filePath": "src/a.ts"}},
			"runtime":     "node-24", "runtimeVersion": "20.20.2",
		},
	}
}

func task(id string, more ...any) map[string]any {
	t := map[string]any{"id": id, "filePath": "src/" + id + ".ts"}
	for i := 0; i < len(more); i += 2 {
		t[more[i].(string)] = more[i+1]
	}
	return t
}

func TestRegistrationMakesVersions(t *testing.T) {
	t.Parallel()
	r := setup(t)
	path := "/api/v1/projects/" + r.keys.ProjectRef + "/background-workers"
	first := servertest.Post[registered](t, r.Client, path, body("one", task("a", "maxDuration", 300, "ttl", "10m")))
	if !strings.HasPrefix(first.ID, "worker_") || !strings.HasSuffix(first.Version, ".1") || first.ContentHash != "one" {
		t.Errorf("the first worker is %+v", first)
	}
	diff(t, first, servertest.Post[registered](t, r.Client, path, body("one", task("a"))))
	second := servertest.Post[registered](t, r.Client, path, body("two", task("a")))
	if second.ID == first.ID || !strings.HasSuffix(second.Version, ".2") {
		t.Errorf("the second worker is %+v", second)
	}
	servertest.Post[registered](t, r.prod, path, body("two", task("a"))) // each environment counts for itself
}

func TestRegistrationLetsWaitingRunsGo(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("other")
	runID := r.trigger(engine.Trigger{Task: "later"})
	workerapi.SetPoll(r.api, 100*time.Millisecond)
	servertest.Post[dequeued](t, r.Client, "/engine/v1/dev/dequeue", map[string]any{"maxRuns": 1}) // finds nobody to take it
	if s := r.latest(runID); s.Run.Status != string(run.StatusPendingVersion) {
		t.Fatalf("the run is %s", s.Run.Status)
	}
	workerapi.SetPoll(r.api, 10*time.Second)
	r.register("later")
	r.await(runID, run.Queued)
	if got := r.take().Run.FriendlyID; got != runID {
		t.Errorf("dequeued %s, want %s", got, runID)
	}
}

func TestRegistrationRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t)
	path := "/api/v1/projects/" + r.keys.ProjectRef + "/background-workers"
	noHash := body("", task("a"))
	for name, c := range map[string]struct {
		path   string
		body   any
		status int
		says   string
	}{
		"another project":  {"/api/v1/projects/proj_x/background-workers", body("h", task("a")), 404, "Project not found"},
		"no JSON":          {path, "{", 400, "Invalid JSON"},
		"nothing":          {path, nil, 400, "Request body is empty"},
		"no hash":          {path, noHash, 400, "contentHash is required"},
		"the same task":    {path, body("h", task("a"), task("a")), 400, "Duplicate task id: a"},
		"no file":          {path, body("h", map[string]any{"id": "a"}), 400, "filePath is required"},
		"wrong type":       {path, map[string]any{"metadata": map[string]any{"tasks": "a"}}, 400, "Expected array"},
		"limit too high":   {path, body("h", task("a", "queue", map[string]any{"concurrencyLimit": 100_001})), 400, "concurrencyLimit"},
		"cron is empty":    {path, body("h", task("a", "schedule", map[string]any{"cron": " "})), 400, "CRON expression"},
		"more than 32 MiB": {path, strings.Repeat(" ", 32<<20+1), 413, "too large"},
	} {
		got := r.Call(t, http.MethodPost, c.path, c.body)
		if got.Status != c.status || !strings.Contains(string(got.Body), c.says) {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	var large deploy.Manifest
	for range 2000 {
		large.SourceFiles = append(large.SourceFiles, deploy.SourceFile{Contents: strings.Repeat("A", 4096), FilePath: "a.ts", ContentHash: "h"})
	}
	large.ContentHash = "large"
	if got := r.Call(t, http.MethodPost, path, map[string]any{"metadata": large}); got.Status != http.StatusOK {
		t.Errorf("8 MB of source files: %d %s", got.Status, got.Body)
	}
}
