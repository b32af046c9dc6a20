package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/rest"
)

var quiet = slog.New(slog.DiscardHandler)

// answer serves one request with h and returns what came back.
func answer(t *testing.T, log *slog.Logger, h rest.Handler) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	rest.Wrap(log, h)(w, httptest.NewRequest(http.MethodPost, "/thing?token=secret", nil))
	return w
}

func failWith(err error) rest.Handler {
	return func(http.ResponseWriter, *http.Request) error { return err }
}

// body decodes a JSON object.
func body(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	return m
}

func TestErrorBecomesResponse(t *testing.T) {
	t.Parallel()
	var bad rest.Problems
	bad.Add("page[size]", "Expected number, received nan")
	secret := errors.New("password=hunter2")
	cases := []struct {
		name   string
		err    error
		status int
		body   map[string]any
		header map[string]string
	}{
		{"unclassified", secret, 500, map[string]any{"error": "Something went wrong"}, nil},
		{"internal keeps its message", fault.Wrap(fault.Internal, secret, "the disk"), 500, map[string]any{"error": "Something went wrong"}, nil},
		{"malformed", fault.New(fault.Malformed, "Invalid JSON"), 400, map[string]any{"error": "Invalid JSON"}, nil},
		{"invalid", fault.New(fault.Invalid, "Too many tags"), 422, map[string]any{"error": "Too many tags"}, nil},
		{"unauthorized", fault.New(fault.Unauthorized, "Invalid API key"), 401, map[string]any{"error": "Invalid API key"}, nil},
		{"forbidden", fault.New(fault.Forbidden, "Unauthorized"), 403, map[string]any{
			"error": "Unauthorized", "code": "unauthorized", "param": "access_token", "type": "authorization",
		}, nil},
		{"not found is not worth a retry", fault.New(fault.NotFound, "Run not found"), 404, map[string]any{"error": "Run not found"},
			map[string]string{"X-Should-Retry": "false"}},
		{"a handler may say otherwise", rest.WithHeader(fault.New(fault.NotFound, "Run not found"), "x-should-retry", "true"), 404,
			map[string]any{"error": "Run not found"}, map[string]string{"X-Should-Retry": "true"}},
		{"method", fault.New(fault.Method, "Method not allowed"), 405, map[string]any{"error": "Method not allowed"}, nil},
		{"conflict", fault.New(fault.Conflict, "Already done"), 409, map[string]any{"error": "Already done"},
			map[string]string{"X-Should-Retry": "false"}},
		{"stale", fault.New(fault.Stale, "Snapshot changed"), 400, map[string]any{"error": "Snapshot changed"},
			map[string]string{"X-Should-Retry": ""}},
		{"stale at a start", rest.WithStatus(fault.New(fault.Stale, "Snapshot changed"), 409), 409, map[string]any{"error": "Snapshot changed"},
			map[string]string{"X-Should-Retry": "false"}},
		{"no length", fault.New(fault.NoLength, "Length required"), 411, map[string]any{"error": "Length required"}, nil},
		{"too large", fault.New(fault.TooLarge, "Request body too large"), 413, map[string]any{"error": "Request body too large"}, nil},
		{"media type", fault.New(fault.MediaType, "Unsupported"), 415, map[string]any{"error": "Unsupported"}, nil},
		{"limit", rest.WithField(rest.WithHeader(fault.New(fault.Limit, "Slow down"), "Content-Type", "application/problem+json"), "title", "Rate Limit Exceeded"),
			429, map[string]any{"error": "Slow down", "title": "Rate Limit Exceeded"}, map[string]string{"Content-Type": "application/problem+json"}},
		{"unavailable", fault.New(fault.Unavailable, "Try again"), 503, map[string]any{"error": "Try again"}, nil},
		{"code", fault.New(fault.Invalid, "Expired").WithCode("token_expired"), 422, map[string]any{"error": "Expired", "code": "token_expired"}, nil},
		{"wrapped", fmt.Errorf("get run: %w", fault.New(fault.NotFound, "Run not found")), 404, map[string]any{"error": "Run not found"}, nil},
		{"outer edit wins", rest.WithStatus(fmt.Errorf("x: %w", rest.WithStatus(fault.New(fault.Invalid, "No"), 418)), 400), 400, map[string]any{"error": "No"}, nil},
		{"query", rest.QueryError(bad), 400, map[string]any{"error": "Query Error", "details": []any{
			map[string]any{"code": "custom", "message": "Expected number, received nan", "path": []any{"page[size]"}},
		}}, nil},
		{"params", rest.ParamsError(bad[:1]), 400, map[string]any{"error": "Params Error", "details": []any{
			map[string]any{"code": "custom", "message": "Expected number, received nan", "path": []any{"page[size]"}},
		}}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := answer(t, quiet, failWith(c.err))
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			if d := cmp.Diff(c.body, body(t, w)); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			for k, v := range c.header {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			if got, want := w.Header().Get("Content-Length"), fmt.Sprint(w.Body.Len()); got != want {
				t.Errorf("Content-Length %s, want %s", got, want)
			}
		})
	}
}

func TestNoProblemsNoError(t *testing.T) {
	t.Parallel()
	var none rest.Problems
	for _, err := range []error{none.Err(), rest.QueryError(none), rest.ParamsError(none), rest.HeadersError(none)} {
		if err != nil {
			t.Errorf("got %v", err)
		}
	}
	if err := rest.BodyIssues(io.EOF); err != io.EOF {
		t.Errorf("BodyIssues changed a foreign error to %v", err)
	}
}

func TestSuccessHeadersDoNotSurviveFailure(t *testing.T) {
	t.Parallel()
	w := answer(t, quiet, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "application/zip")
		w.Header().Set("X-Ratelimit-Limit", "10")
		return fault.New(fault.Invalid, "No")
	})
	got := map[string]string{}
	for _, k := range []string{"Etag", "Cache-Control", "Content-Type", "X-Ratelimit-Limit"} {
		got[k] = w.Header().Get(k)
	}
	want := map[string]string{"Etag": "", "Cache-Control": "", "Content-Type": "application/json", "X-Ratelimit-Limit": "10"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("headers (-want +got):\n%s", d)
	}
}

// textLog is a logger whose lines can be read.
func textLog(level slog.Level) (*slog.Logger, *strings.Builder) {
	var b strings.Builder
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: level})), &b
}

func TestWhatTheLogSays(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		err   error
		level slog.Level
		want  []string // nil: nothing at all
	}{
		{"internal with its cause", fmt.Errorf("save: %w", errors.New("disk full")), slog.LevelError, []string{"level=ERROR", "disk full", "route=none"}},
		{"unavailable is a warning", fault.New(fault.Unavailable, "Stopping"), slog.LevelWarn, []string{"level=WARN", "Stopping"}},
		{"the client's mistakes are quiet", fault.New(fault.Invalid, "No"), slog.LevelInfo, nil},
		{"one debug line for the request", nil, slog.LevelDebug, []string{"msg=request", "method=POST", "status=204", "request="}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log, out := textLog(c.level)
			answer(t, log, func(w http.ResponseWriter, _ *http.Request) error {
				if c.err == nil {
					rest.NoContent(w)
				}
				return c.err
			})
			if c.want == nil && out.Len() > 0 {
				t.Errorf("logged %s", out)
			}
			for _, s := range c.want {
				if !strings.Contains(out.String(), s) {
					t.Errorf("log lacks %q: %s", s, out)
				}
			}
			if strings.Contains(out.String(), "secret") {
				t.Errorf("the query is in the log: %s", out)
			}
		})
	}
}

// TestLogsNameRoutesAndRuns: what stands in a path may be a credential, and is not logged.
func TestLogsNameRoutesAndRuns(t *testing.T) {
	t.Parallel()
	log, out := textLog(slog.LevelDebug)
	r := chi.NewRouter()
	r.Post("/tokens/{waitpoint}/callback/{hash}", rest.Wrap(log, func(http.ResponseWriter, *http.Request) error { return errors.New("disk full") }))
	r.Get("/runs/{run}/packets/*", rest.Wrap(log, func(http.ResponseWriter, *http.Request) error { return nil }))
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/tokens/waitpoint_1/callback/c0ffee", nil))
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/runs/run_1/packets/c0ffee", nil))
	for _, want := range []string{"level=ERROR", "route=/tokens/{waitpoint}/callback/{hash}", "route=/runs/{run}/packets/* run=run_1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q: %s", want, out)
		}
	}
	if strings.Contains(out.String(), "c0ffee") {
		t.Errorf("the log holds a part of the path: %s", out)
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	log, out := textLog(slog.LevelError)
	w := answer(t, log, func(http.ResponseWriter, *http.Request) error {
		panic(fault.New(fault.NotFound, "not this one"))
	})
	if w.Code != 500 || body(t, w)["error"] != "Something went wrong" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(out.String(), "not this one") || !strings.Contains(out.String(), "error_test.go") {
		t.Errorf("the panic or its stack is not in the log: %s", out)
	}
}

func TestCanceledRequest(t *testing.T) {
	t.Parallel()
	log, out := textLog(slog.LevelInfo)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	w := httptest.NewRecorder()
	rest.WriteError(w, r, log, fmt.Errorf("query: %w", ctx.Err()))
	if w.Code != 503 || out.Len() > 0 {
		t.Errorf("got %d, log %q", w.Code, out)
	}
	// The same error on a live request is our own fault.
	w = httptest.NewRecorder()
	rest.WriteError(w, httptest.NewRequest(http.MethodGet, "/", nil), log, context.Canceled)
	if w.Code != 500 || out.Len() == 0 {
		t.Errorf("got %d, log %q", w.Code, out)
	}
}

func TestRouterFallbacks(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	rest.NotFound(quiet)(w, httptest.NewRequest(http.MethodGet, "/nowhere", nil))
	if w.Code != 404 || body(t, w)["error"] != "Not found" || w.Header().Get("X-Should-Retry") != "false" {
		t.Errorf("404: %d %s %v", w.Code, w.Body, w.Header())
	}
	w = httptest.NewRecorder()
	allow := func(*http.Request) string { return "GET, PUT" }
	rest.MethodNotAllowed(quiet, allow)(w, httptest.NewRequest(http.MethodPost, "/here", nil))
	if w.Code != 405 || body(t, w)["error"] != "Method not allowed" || w.Header().Get("Allow") != "GET, PUT" {
		t.Errorf("405: %d %s %v", w.Code, w.Body, w.Header())
	}
}

func TestUnencodableField(t *testing.T) {
	t.Parallel()
	log, out := textLog(slog.LevelError)
	w := answer(t, log, failWith(rest.WithField(fault.New(fault.Invalid, "No"), "f", func() {})))
	if w.Code != 500 || !strings.Contains(out.String(), "error reply lost") {
		t.Errorf("got %d, log %s", w.Code, out)
	}
}
