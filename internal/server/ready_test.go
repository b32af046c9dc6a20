package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sear/internal/server"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
)

func TestReady(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{"sqlite": func(testing.TB) string { return "" }, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.DatabaseURL = database(t)
			got := servertest.Client{URL: run(t, cfg).url}.Call(t, http.MethodGet, "/readyz", nil)
			if got.Status != http.StatusOK || string(got.Body) != `{"failing":[],"ready":true}` {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
}

// TestReadyWithoutDatabase: a node that Postgres has left says so, and is ready again by itself.
func TestReadyWithoutDatabase(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Own(t)
	cfg := config(t)
	cfg.DatabaseURL = cluster.URL
	c := servertest.Client{URL: run(t, cfg).url}
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := c.Call(t, http.MethodGet, "/readyz", nil); got.Status != http.StatusServiceUnavailable || !strings.Contains(string(got.Body), "database: it does not answer") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if err := cluster.Restart(false); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the pool has connections that it does not know to be dead
		got := c.Call(t, http.MethodGet, "/readyz", nil)
		if got.Status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
}

// TestMetrics: this machine may read them, others with the token; what users invent is no label.
func TestMetrics(t *testing.T) {
	t.Parallel()
	get := func(url string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(header) > 0 {
			req.Header.Set(header[0], header[1])
			req.Host = req.Header.Get("Host")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	cfg := config(t)
	r := run(t, cfg)
	c, project := r.client(t, cfg)
	servertest.StartWorker(t, c, project, echo)
	runID := triggerEcho(t, c, 1)
	output(t, c, runID)
	c.Call(t, http.MethodGet, "/invented/"+runID, nil)
	status, text := get(r.url)
	for _, want := range []string{"\nsear_runs_created_total 1\n", "\nsear_runs_finished_total{status=\"COMPLETED_SUCCESSFULLY\"} 1\n",
		`sear_runs_queued{environment="DEVELOPMENT"} 0`, `route="/api/v1/tasks/{task}/trigger",status="2xx"`, `route="none",status="4xx"`, "\nsear_database_up 1\n", "\nsear_run_queue_seconds_count 1\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%d: %q is missing", status, want)
		}
	}
	if strings.Contains(text, runID) || strings.Contains(text, "invented") {
		t.Error("what users invent is a label")
	}
	for _, sign := range [][2]string{{"X-Forwarded-For", "192.0.2.1"}, {"X-Real-IP", "192.0.2.1"}, {"Via", "1.1 proxy"}, {"Host", "sear.example.com"}} {
		if status, _ := get(r.url, sign[0], sign[1]); status != http.StatusForbidden {
			t.Errorf("through a proxy with %s: %d", sign[0], status)
		}
	}
	if status, _ := get(r.url, "Host", "localhost"); status != http.StatusOK {
		t.Errorf("by name: %d", status)
	}
	cfg = config(t)
	cfg.MetricsToken = "open-sesame"
	r = run(t, cfg)
	for header, want := range map[string]int{"Bearer open-sesame": 200, "bearer  open-sesame": 200, "Bearer open": 401, "open-sesame": 401, "": 401} {
		if status, _ := get(r.url, "Authorization", header); status != want {
			t.Errorf("%q: %d, want %d", header, status, want)
		}
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// recovered is what a server that is started says that it recovered.
func recovered(t *testing.T, cfg server.Config) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	log := &lines{}
	cfg.Ready = func(string) { stop() }
	if err := server.Run(ctx, cfg, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(log.text.String()) {
		if _, said, ok := strings.Cut(line, "msg=\"recovered what was acknowledged\" "); ok {
			return strings.TrimSpace(said)
		}
	}
	return ""
}

// TestRecoveryIsTold: one line on start says what is taken up, and whether the last server
// ended well.
func TestRecoveryIsTold(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	if got := recovered(t, cfg); got != "" {
		t.Errorf("an empty store: %s", got)
	}
	r := run(t, cfg)
	c, project := r.client(t, cfg)
	w := servertest.Register(t, c, project, echo)
	triggerEcho(t, c, 1)
	servertest.Post[any](t, c, "/engine/v1/dev/dequeue", map[string]any{"currentWorker": w.ID})
	triggerEcho(t, c, 2)
	crashed := config(t)
	if err := os.CopyFS(crashed.Data, os.DirFS(cfg.Data)); err != nil { // as it lies there while the server runs
		t.Fatal(err)
	}
	r.end(t)
	for want, at := range map[string]server.Config{"afterCrash=false": cfg, "afterCrash=true": crashed} {
		got := recovered(t, at)
		if !strings.HasPrefix(got, "executing=1 waiting=0 queued=1 delayed=0 overdue=0 wakes=0 "+want+" workersReportBy=20") {
			t.Errorf("%q, want %s", got, want)
		}
	}
}

// TestRecoveryTellsWhenWorkersReport: of a worker whose time was over before the start it is
// told when its runs are given up, not when they would have been.
func TestRecoveryTellsWhenWorkersReport(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	r := run(t, cfg)
	c, project := r.client(t, cfg)
	w := servertest.Register(t, c, project, echo)
	triggerEcho(t, c, 1)
	servertest.Post[any](t, c, "/engine/v1/dev/dequeue", map[string]any{"currentWorker": w.ID})
	r.end(t)
	change := func(do func(tx *store.Tx) error) {
		t.Helper()
		st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(cfg.Data, "core.db"), nil)
		if err == nil {
			err = errors.Join(st.Update(t.Context(), do), st.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE run SET due_at = $1 WHERE slot = 1`, time.Now().Add(-time.Hour).UnixMicro())
		return err
	})
	began := time.Now().Truncate(time.Millisecond)
	_, by, _ := strings.Cut(recovered(t, cfg), " workersReportBy=")
	if at, err := time.Parse(time.RFC3339, by); err != nil || at.Before(began.Add(time.Minute)) {
		t.Errorf("after a start at %s workers report by %q", began, by)
	}
	change(func(tx *store.Tx) error { return tx.SetSetting(store.SettingHeld, "yes") })
	if got := recovered(t, cfg); got == "" || strings.Contains(got, "workersReportBy") {
		t.Errorf("while it is held: %q", got)
	}
}

// TestStartWhilePostgresRestarts: at whatever moment of a server's start Postgres goes away
// and comes back, the server gets ready.
func TestStartWhilePostgresRestarts(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Own(t)
	cfg := config(t)
	cfg.DatabaseURL = cluster.URL
	for round := range 12 {
		restarted := make(chan error, 1)
		time.AfterFunc(time.Duration(round)*4*time.Millisecond, func() { restarted <- cluster.Restart(true) })
		r := run(t, cfg)
		if err := <-restarted; err != nil {
			t.Fatal(err)
		}
		r.end(t)
	}
}
