package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/auth"
	"sear/internal/server"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// running is a server in this process.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error
}

// run runs a server until the test ends or stops it.
func run(t testing.TB, cfg server.Config) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{stop: stop, done: make(chan error, 1)}
	ready := make(chan string, 1)
	cfg.Ready = func(url string) { ready <- url }
	go func() { r.done <- server.Run(ctx, cfg, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	select {
	case r.url = <-ready:
	case err := <-r.done:
		t.Fatalf("the server did not start: %v", err)
	}
	t.Cleanup(func() {
		stop()
		<-r.done
	})
	return r
}

// end stops the server and checks that it ends well.
func (r *running) end(t testing.TB) {
	t.Helper()
	begin := time.Now()
	r.stop()
	err := <-r.done
	close(r.done)
	if took := time.Since(begin); err != nil || took > 9*time.Second {
		t.Errorf("the server stopped after %s: %v", took, err)
	}
}

// TestStopWhileBlocked: a database that does not go on keeps no server from ending.
func TestStopWhileBlocked(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.DatabaseURL = pgtest.URL(t)
	r := run(t, cfg)
	c, _ := r.client(t, cfg)
	st, err := store.Open(t.Context(), cfg.DatabaseURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ctx, release := context.WithCancel(context.Background())
	locked, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = st.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`LOCK TABLE run`)
			close(locked)
			_, slept := tx.Exec(`SELECT pg_sleep(60)`)
			return errors.Join(err, slept)
		})
	}()
	<-locked
	sent := make(chan struct{})
	go func() {
		close(sent)
		req, _ := http.NewRequest(http.MethodPost, c.URL+"/api/v1/tasks/echo/trigger", strings.NewReader(`{}`))
		req.Header.Set("Authorization", "Bearer "+c.Key)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	<-sent
	time.Sleep(200 * time.Millisecond) // the statement is under way
	r.end(t)
	select {
	case <-done:
		t.Error("nothing was blocked")
	default:
	}
	release()
	<-done
}

func config(t testing.TB) server.Config {
	return server.Config{Addr: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "a", "data")}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	r := run(t, config(t))
	c := servertest.Client{URL: r.url}
	if got := c.Call(t, http.MethodGet, "/healthcheck", nil); got.Status != http.StatusOK {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := c.Call(t, http.MethodGet, "/nothing", nil); got.Status != http.StatusNotFound || string(got.Body) != `{"error":"Not found"}` {
		t.Errorf("an unknown path: %d %s", got.Status, got.Body)
	}
	got := c.Call(t, http.MethodDelete, "/engine/v1/dev/config", nil)
	if got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET" {
		t.Errorf("a wrong method: %d, allowed is %q", got.Status, got.Header.Get("Allow"))
	}
}

// TestKeys: they can be read while the server runs, after it stopped, and lead to
// where it was, whatever the reader would have listened on.
func TestKeys(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{"sqlite": func(testing.TB) string { return "" }, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.DatabaseURL = database(t)
			r := run(t, cfg)
			cfg.Addr = "127.0.0.1:1"
			while, err := server.Keys(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			servertest.Get[any](t, servertest.Client{URL: while.APIURL, Key: while.SecretKeys.Dev}, "/engine/v1/dev/config")
			servertest.Get[any](t, servertest.Client{URL: r.url, Key: while.PersonalAccessToken}, "/api/v1/projects/"+while.ProjectRef+"/dev")
			r.end(t)
			if after, err := server.Keys(t.Context(), cfg); err != nil || after != while {
				t.Errorf("keys %v, before %v: %v", after, while, err)
			}
			b, err := json.Marshal(while)
			if err != nil || !strings.HasPrefix(string(b), `{"apiUrl":"http://127.0.0.1:`) || !strings.Contains(string(b), `"secretKeys":{"dev":"tr_dev_`) {
				t.Errorf("%s, %v", b, err)
			}
		})
	}
}

func TestKeysOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := server.Keys(t.Context(), config(t)); err == nil {
		t.Error("keys of a directory that does not exist")
	}
}

func TestRestartKeepsKeys(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	run(t, cfg).end(t)
	first, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.PublicURL = "https://sear.example.com/"
	r := run(t, cfg)
	if r.url != "https://sear.example.com" {
		t.Errorf("the server is ready at %s", r.url)
	}
	second, err := server.Keys(t.Context(), cfg)
	if err != nil || second.Keys != first.Keys || second.APIURL != "https://sear.example.com" {
		t.Errorf("keys %v, before %v: %v", second, first, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	run(t, cfg)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for says, change := range map[string]func(c *server.Config){
		"in use by another Sear process": func(c *server.Config) { *c = cfg },
		"address already in use":         func(c *server.Config) { c.Addr = taken.Addr().String() },
		"is not one of http:// or":       func(c *server.Config) { c.PublicURL = "sear.example.com" },
		"official clients drop a path":   func(c *server.Config) { c.PublicURL = "https://example.com/sear" },
		"32 bytes":                       func(c *server.Config) { c.SecretKey = "short" },
		"the endpoint is missing":        func(c *server.Config) { c.S3.Bucket = "packets" },
	} {
		c := config(t)
		change(&c)
		err := server.Run(t.Context(), c, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func TestAnotherSealingKeyIsRefused(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	run(t, cfg).end(t)
	cfg.SecretKey = strings.Repeat("ab", auth.KeySize)
	if err := server.Run(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another sealing key") {
		t.Errorf("%v", err)
	}
}

func TestConcurrencyIsLimited(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.MaxConcurrency = 7
	r := run(t, cfg)
	keys, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := servertest.Get[map[string]any](t, servertest.Client{URL: r.url, Key: keys.SecretKeys.Prod}, "/engine/v1/dev/config")
	if got["maxConcurrentRuns"] != 70.0 {
		t.Errorf("config %v", got)
	}
}

// TestStopLetsRequestsFinish: one that is being sent is waited for, and what waits
// for work is not.
func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	r := run(t, cfg)
	keys, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := servertest.Client{URL: r.url, Key: keys.SecretKeys.Dev}
	servertest.Register(t, c, keys.ProjectRef, map[string]servertest.Task{"task": nil})
	polled := make(chan error, 1)
	go func() {
		_, err := c.Send(t.Context(), http.MethodPost, "/engine/v1/dev/dequeue", nil)
		polled <- err
	}()
	reader, writer := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/otel/v1/traces", reader)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
		}
		sent <- err
	}()
	if _, err := writer.Write([]byte("{")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // for both to arrive
	time.AfterFunc(time.Second, func() {
		_, _ = writer.Write([]byte("}"))
		_ = writer.Close()
	})
	r.end(t)
	for what, done := range map[string]chan error{"dequeue": polled, "upload": sent} {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestStopDoesNotWaitForEver: a client that never finishes is cut off.
func TestStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	r := run(t, config(t))
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /otel/v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	r.end(t)
}
