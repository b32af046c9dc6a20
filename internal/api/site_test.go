package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// owed are the operations of the contract that are not served yet.
var owed = []string{"execute_query_v1"}

func TestMain(m *testing.M) { pgtest.Main(servertest.Contract{M: m, Owed: owed}) }

// site is the API over HTTP, with a running engine, on a store that was set up like
// any other.
type site struct {
	servertest.Client // with the secret key of the development environment
	t                 testing.TB
	store             *store.Store
	engine            *engine.Engine
	auth              *auth.Auth
	sealer            *auth.Sealer
	env               *tenant.Environment
	prod              *tenant.Environment
	keys              auth.Keys
}

func newSite(t testing.TB) *site {
	t.Helper()
	return newSiteOn(t, "sqlite:"+filepath.Join(t.TempDir(), "core.db"))
}

func newSiteOn(t testing.TB, database string) *site {
	t.Helper()
	return newLimitedSite(t, database, api.Limits{})
}

// onBoth runs a test on each database.
func onBoth(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, newSite(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, newSiteOn(t, pgtest.URL(t))) })
}

// newLimitedSite is newSiteOn for a site that limits how often somebody calls.
func newLimitedSite(t testing.TB, database string, limits api.Limits) *site {
	t.Helper()
	blobs, err := blob.Open(filepath.Join(t.TempDir(), "packets"))
	if err != nil {
		t.Fatal(err)
	}
	return newSiteWith(t, database, limits, blobs)
}

// newSiteWith is newLimitedSite for a site that keeps its packets here.
func newSiteWith(t testing.TB, database string, limits api.Limits, blobs *blob.Store) *site {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	st, err := store.Open(t.Context(), database, log)
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
	s := &site{t: t, store: st, engine: engine.New(st, engine.Options{Log: log}), auth: auth.New(st, sealer, log), sealer: sealer}
	if s.keys, err = auth.ReadKeys(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	router := chi.NewRouter()
	router.NotFound(rest.NotFound(log))
	router.MethodNotAllowed(rest.MethodNotAllowed(log, func(*http.Request) string { return "POST" }))
	api.New(st, s.engine, s.auth, blobs, func(r *http.Request) string { return "http://" + r.Host }, limits, log).Routes(router)
	s.serve(router)
	s.env, s.prod = s.environment(s.keys.SecretKeys.Dev), s.environment(s.keys.SecretKeys.Prod)
	return s
}

// serve runs the engine and an HTTP server until the test ends.
func (s *site) serve(h http.Handler) {
	web := httptest.NewServer(h)
	s.Client = servertest.Client{URL: web.URL, Key: s.keys.SecretKeys.Dev}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.engine.Run(ctx) }()
	s.t.Cleanup(func() {
		web.Close()
		stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		if err := s.store.Close(); err != nil {
			s.t.Error(err)
		}
	})
}

// environment is the one that a key leads to.
func (s *site) environment(key string) *tenant.Environment {
	s.t.Helper()
	p, err := s.auth.Environment(s.t.Context(), key, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return p.Env
}

// with is a client that has another credential.
func (s *site) with(key string) servertest.Client { return servertest.Client{URL: s.URL, Key: key} }

// token is a client that has a public token with these scopes.
func (s *site) token(scopes ...string) servertest.Client {
	s.t.Helper()
	return s.with(s.sign(auth.Grant{Scopes: scopes}))
}

func (s *site) sign(g auth.Grant) string {
	s.t.Helper()
	token, err := s.auth.PublicToken(s.t.Context(), s.env, g)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// headers is a client that sends headers too.
func headers(c servertest.Client, pairs ...string) servertest.Client {
	c.Header = c.Header.Clone()
	if c.Header == nil {
		c.Header = http.Header{}
	}
	for i := 0; i < len(pairs); i += 2 {
		c.Header.Set(pairs[i], pairs[i+1])
	}
	return c
}

// register makes tasks known as a new version.
func (s *site) register(tasks ...string) *deploy.Worker {
	s.t.Helper()
	m := deploy.Manifest{ContentHash: strings.Join(tasks, " ")}
	for _, task := range tasks {
		m.Tasks = append(m.Tasks, deploy.Task{ID: task, FilePath: "tasks.ts"})
	}
	w, err := s.engine.RegisterWorker(s.t.Context(), s.env, m)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

// begin dequeues a run and starts its attempt.
func (s *site) begin() run.Run {
	s.t.Helper()
	got, err := s.engine.Dequeue(s.t.Context(), s.env, "", 1)
	if err != nil || len(got) != 1 {
		s.t.Fatalf("%d runs were dequeued: %v", len(got), err)
	}
	a, err := s.engine.StartAttempt(s.t.Context(), s.env, got[0].Run.ID, engine.Call{Seq: got[0].Run.Seq})
	if err != nil {
		s.t.Fatal(err)
	}
	return a.Run
}

// complete ends an attempt.
func (s *site) complete(r run.Run, done engine.Completion) {
	s.t.Helper()
	if _, err := s.engine.CompleteAttempt(s.t.Context(), s.env, r.ID, engine.Call{Seq: r.Seq}, done); err != nil {
		s.t.Fatal(err)
	}
}

// detail is a run of an environment by its friendly id.
func (s *site) detail(env *tenant.Environment, friendly string) store.Detail {
	s.t.Helper()
	internal, ok := id.Internal(id.Run, friendly)
	if !ok {
		s.t.Fatalf("%q is no run", friendly)
	}
	var d store.Detail
	err := s.store.View(s.t.Context(), func(tx *store.Tx) (err error) {
		d, err = tx.Detail(env.ID, internal)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// expect compares an answer with a status and a JSON body; "*" stands for any text in it.
func expect(t testing.TB, name string, got servertest.Response, status int, want string) {
	t.Helper()
	var wanted, found any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("%s: %v in %s", name, err, want)
	}
	if err := json.Unmarshal(got.Body, &found); err != nil {
		t.Errorf("%s: %d %s", name, got.Status, got.Body)
		return
	}
	anyText := cmp.FilterValues(func(a, b string) bool { return a == "*" || b == "*" }, cmp.Comparer(func(a, b string) bool { return a != "" && b != "" }))
	if d := cmp.Diff(wanted, found, anyText); d != "" || got.Status != status {
		t.Errorf("%s: status %d, want %d: %s\n%s", name, got.Status, status, got.Body, d)
	}
}

// body decodes an answer.
func body[T any](t testing.TB, got servertest.Response) (v T) {
	t.Helper()
	if got.Status/100 != 2 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if err := json.Unmarshal(got.Body, &v); err != nil {
		t.Fatalf("%s: %v", got.Body, err)
	}
	return v
}

// stream sends a body whose length nobody knows beforehand.
func stream(t testing.TB, c servertest.Client, method, path, contentType string, from io.Reader) servertest.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, struct{ io.Reader }{from})
	if err != nil {
		t.Fatal(err)
	}
	r.Header = c.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Authorization", "Bearer "+c.Key)
	r.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Response{Status: answer.StatusCode, Header: answer.Header, Body: b}
}
