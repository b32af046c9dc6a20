package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sear/internal/backup"
	runpkg "sear/internal/run"
	"sear/internal/server"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
)

// echo is a task that returns its payload.
var echo = map[string]servertest.Task{"echo": func(a *servertest.Attempt) servertest.Completion {
	return servertest.Completion{"ok": true, "output": a.Run.Payload, "outputType": "application/json"}
}}

// client reads the keys of a server and makes a client of its development environment.
func (r *running) client(t testing.TB, cfg server.Config) (servertest.Client, string) {
	t.Helper()
	keys, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Client{URL: r.url, Key: keys.SecretKeys.Dev}, keys.ProjectRef
}

func triggerEcho(t testing.TB, c servertest.Client, payload any) string {
	t.Helper()
	return servertest.Post[struct{ ID string }](t, c, "/api/v1/tasks/echo/trigger", map[string]any{"payload": payload}).ID
}

// output waits for a run to complete and returns what it returned.
func output(t testing.TB, c servertest.Client, runID string) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got := c.Call(t, http.MethodGet, "/api/v3/runs/"+runID, nil); strings.Contains(string(got.Body), `"status":"COMPLETED"`) {
			var r struct{ Output json.RawMessage }
			if err := json.Unmarshal(got.Body, &r); err != nil {
				t.Fatal(err)
			}
			return string(r.Output)
		}
	}
	t.Fatalf("%s does not complete", runID)
	return ""
}

// TestBackupUnderLoad: what was acknowledged before a backup began is in the store that is
// restored from it, which is consistent, and starts nothing until it is resumed.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Timeouts = runpkg.Timeouts{Pending: 2 * time.Second, Executing: 2 * time.Second}
	original := run(t, cfg)
	c, project := original.client(t, cfg)
	servertest.StartWorker(t, c, project, echo)
	large := triggerEcho(t, c, strings.Repeat("x", 1<<20))

	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var made []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				runID := triggerEcho(t, c, 1)
				mu.Lock()
				made = append(made, runID)
				mu.Unlock()
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(made) }
	for count() < 200 {
		time.Sleep(time.Millisecond)
	}
	before := count()
	file := filepath.Join(t.TempDir(), "backup")
	_, _, err := server.Backup(t.Context(), cfg, file, backup.Options{})
	during := count() - before
	stop()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if during == 0 {
		t.Errorf("no run was triggered while the backup was written, after %d", before)
	}
	if m, err := server.VerifyBackup(t.Context(), file); err != nil || m.Counts["run"] < int64(before) {
		t.Errorf("verify: %v, %v", m.Counts, err)
	}
	original.end(t)

	restored := config(t)
	restored.Timeouts = cfg.Timeouts
	m, err := server.Restore(t.Context(), restored, file)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, restored)
	c, project = r.client(t, restored)
	servertest.StartWorker(t, c, project, echo)
	list := servertest.Get[struct{ Data []struct{ ID string } }](t, c, "/api/v1/runs?page[size]=100")
	if int64(len(list.Data)) != min(m.Counts["run"], 100) {
		t.Errorf("%d runs are listed of %d", len(list.Data), m.Counts["run"])
	}
	queued := triggerEcho(t, c, "held")
	time.Sleep(300 * time.Millisecond) // the worker asks all the time
	if got := servertest.Get[struct{ Status string }](t, c, "/api/v3/runs/"+queued); got.Status != "QUEUED" {
		t.Errorf("while it is held a run is %s", got.Status)
	}
	if got := servertest.Get[struct{ Causes []struct{ Kind string } }](t, c, "/api/v1/runs/"+queued+"/why"); len(got.Causes) == 0 || got.Causes[0].Kind != "held" {
		t.Errorf("why: %+v", got)
	}
	if err := server.Resume(t.Context(), restored, nil); err != nil {
		t.Fatal(err)
	}
	if got := output(t, c, queued); got != `"held"` {
		t.Errorf("after it was resumed: %s", got)
	}
	for _, runID := range made[:before] { // the worker that had some of them is gone: they end as those of a vanished one do
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			got := servertest.Get[struct{ Status string }](t, c, "/api/v3/runs/"+runID)
			if got.Status == "COMPLETED" || got.Status == "CANCELED" {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s is %s", runID, got.Status)
			}
		}
	}
	lies := servertest.Get[struct{ PayloadPresignedURL string }](t, c, "/api/v3/runs/"+large).PayloadPresignedURL
	if got := c.Call(t, http.MethodGet, strings.TrimPrefix(lies, r.url), nil); len(got.Body) < 1<<20 {
		t.Errorf("the large payload at %q: %d %.100s", lies, got.Status, got.Body)
	}
}

// TestRestoreOverwritesNothing: nor does a backup.
func TestRestoreOverwritesNothing(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	r := run(t, cfg)
	file := filepath.Join(t.TempDir(), "backup")
	if _, _, err := server.Backup(t.Context(), cfg, file, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.Backup(t.Context(), cfg, file, backup.Options{}); err == nil || !strings.Contains(err.Error(), "overwrites nothing") {
		t.Errorf("a second backup to the file: %v", err)
	}
	r.end(t)
	if _, err := server.Restore(t.Context(), cfg, file); err == nil || !strings.Contains(err.Error(), "overwrites nothing") {
		t.Errorf("restore over a store: %v", err)
	}
	other := server.Config{Data: t.TempDir()} // an empty directory may be there
	if _, err := server.Restore(t.Context(), other, file); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(other.Data, ".restore-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	cfg.DatabaseURL = "postgres://localhost/x"
	if _, _, err := server.Backup(t.Context(), cfg, file, backup.Options{}); err == nil || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("a backup of Postgres: %v", err)
	}
}

// TestPostgresBackup follows docs/operating.md: pg_dump and the packets, restored into
// another database that is held before a server starts on it.
func TestPostgresBackup(t *testing.T) {
	t.Parallel()
	from, to := pgtest.URL(t), pgtest.URL(t)
	cfg := config(t)
	cfg.DatabaseURL = from
	cfg.SecretKey = strings.Repeat("ab", 32)
	r := run(t, cfg)
	c, project := r.client(t, cfg)
	servertest.Register(t, c, project, echo)
	queued := triggerEcho(t, c, strings.Repeat("x", 1<<20))

	dump := filepath.Join(t.TempDir(), "sear.dump")
	schema := func(u string) (plain, name string) {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		q := parsed.Query()
		name = q.Get("search_path")
		q.Del("search_path")
		parsed.RawQuery = q.Encode()
		return parsed.String(), name
	}
	plain, source := schema(from)
	_, target := schema(to)
	tool(t, "pg_dump", "--format=plain", "--no-owner", "--schema="+source, "--file="+dump, plain)
	other := config(t)
	other.DatabaseURL, other.SecretKey = to, cfg.SecretKey
	if err := os.CopyFS(filepath.Join(other.Data, "packets"), os.DirFS(filepath.Join(cfg.Data, "packets"))); err != nil {
		t.Fatal(err)
	}
	r.end(t)

	text, err := os.ReadFile(dump) // a test's database is a schema, which the copy has under another name
	if err != nil {
		t.Fatal(err)
	}
	renamed := strings.ReplaceAll(string(text), source, target)
	renamed = strings.Replace(renamed, "CREATE SCHEMA "+target, "--", 1)
	if err := os.WriteFile(dump, []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "psql", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+dump, plain)
	if err := server.Hold(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	r = run(t, other)
	c, project = r.client(t, other)
	servertest.StartWorker(t, c, project, echo)
	time.Sleep(300 * time.Millisecond)
	if got := servertest.Get[struct{ Status string }](t, c, "/api/v3/runs/"+queued); got.Status != "QUEUED" {
		t.Errorf("while it is held the run is %s", got.Status)
	}
	if err := server.Resume(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	output(t, c, queued)
}

// tool runs a program of Postgres.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		found = []string{name}
	}
	if out, err := exec.Command(found[len(found)-1], args...).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", name, err, out))
	}
}

// TestRestoreOfTheUnwell: what was amiss in the original does not keep its backup from
// being restored, and is told.
func TestRestoreOfTheUnwell(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	r := run(t, cfg)
	c, project := r.client(t, cfg)
	servertest.Register(t, c, project, echo)
	triggerEcho(t, c, strings.Repeat("x", 1<<20))
	for range 2 {
		triggerEcho(t, c, 1)
	}
	servertest.Post[any](t, c, "/engine/v1/dev/dequeue", map[string]any{"maxRuns": 2})
	r.end(t)
	change(t, cfg, `UPDATE env SET concurrency_limit = 1`)
	if err := os.RemoveAll(filepath.Join(cfg.Data, "packets")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if _, _, err := server.Backup(t.Context(), cfg, file, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	if v, err := server.VerifyBackup(t.Context(), file); err != nil || len(v.Violations) != 1 || !v.Violations[0].Passing || len(v.Missing) != 1 {
		t.Errorf("a limit was lowered and a packet lost: %+v, %v", v, err)
	}
	change(t, cfg, `UPDATE run SET slot = 0 WHERE slot = 1`)
	worse := filepath.Join(t.TempDir(), "backup")
	if _, _, err := server.Backup(t.Context(), cfg, worse, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := server.VerifyBackup(t.Context(), worse); err == nil || !strings.Contains(err.Error(), "who executes has a slot") {
		t.Errorf("verify: %v", err)
	}
	if v, err := server.Restore(t.Context(), server.Config{Data: filepath.Join(t.TempDir(), "new")}, worse); err != nil || len(v.Violations) != 1 {
		t.Errorf("restore: %+v, %v", v, err)
	}
}
