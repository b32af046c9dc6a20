package rest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/rest"
)

// serve starts a real server around h.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, sent string
		kept       bool
	}{
		{"absent", "", false},
		{"ours or theirs", "req_123-ABC", true},
		{"longest", strings.Repeat("x", 128), true},
		{"too long", strings.Repeat("x", 129), false},
		{"forged log line", "a\nb", false},
		{"blank", "a b", false},
		{"not ASCII", "é", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if c.sent != "" {
				r.Header.Set("X-Request-Id", c.sent)
			}
			w := httptest.NewRecorder()
			var seen string
			rest.Wrap(quiet, func(w http.ResponseWriter, r *http.Request) error {
				seen = rest.RequestID(r)
				return nil
			})(w, r)
			if (seen == c.sent) != c.kept || seen == "" || w.Header().Get("X-Request-Id") != seen {
				t.Errorf("sent %q, seen %q, answered %q", c.sent, seen, w.Header().Get("X-Request-Id"))
			}
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	payload := json.RawMessage(`{"html":"<b>&</b>"}`)
	if err := rest.JSON(w, http.StatusAccepted, struct {
		ID      string          `json:"id"`
		Payload json.RawMessage `json:"payload"`
	}{"run_1", payload}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.Body.String(), `{"id":"run_1","payload":{"html":"<b>&</b>"}}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}
	got := []string{w.Header().Get("Content-Type"), w.Header().Get("Content-Length")}
	if d := cmp.Diff([]string{"application/json", "44"}, got); d != "" || w.Code != http.StatusAccepted {
		t.Errorf("status %d, headers (-want +got):\n%s", w.Code, d)
	}
}

func TestUnencodableResponseIsAnInternalError(t *testing.T) {
	t.Parallel()
	w := answer(t, quiet, func(w http.ResponseWriter, _ *http.Request) error {
		return rest.JSON(w, http.StatusOK, map[string]any{"f": func() {}})
	})
	if w.Code != 500 || body(t, w)["error"] != "Something went wrong" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestJSONBuffersAreNotShared(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := strings.Repeat(string(rune('a'+i)), 1000*i)
			for range 100 {
				w := httptest.NewRecorder()
				if err := rest.JSON(w, http.StatusOK, want); err != nil || w.Body.String() != `"`+want+`"` {
					t.Errorf("err %v, got %.40s", err, w.Body)
				}
			}
		})
	}
	wg.Wait()
}

func TestFailureAfterTheFirstByteCutsTheConnection(t *testing.T) {
	t.Parallel()
	log, out := textLog(slog.LevelError)
	srv := serve(t, rest.Wrap(log, func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, strings.Repeat("half", 4096))
		return errors.New("the disk died")
	}))
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%d bytes passed for a whole response", len(got))
	}
	srv.Close() // the log is complete
	if !strings.Contains(out.String(), "the disk died") {
		t.Errorf("not in the log: %s", out)
	}
}

func TestClientGoneIsNotAnError(t *testing.T) {
	t.Parallel()
	log, out := textLog(slog.LevelInfo)
	done := make(chan struct{})
	srv := serve(t, rest.Wrap(log, func(w http.ResponseWriter, r *http.Request) error {
		defer close(done)
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return r.Context().Err()
	}))
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close() // hang up in the middle
	<-done
	srv.Close()
	if out.Len() > 0 {
		t.Errorf("logged %s", out)
	}
}

func TestAbortHandlerGoesThrough(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	answer(t, quiet, func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
}

func TestHoldOutlivesTheWriteTimeout(t *testing.T) {
	t.Parallel()
	poll := func(held time.Duration) http.Handler {
		return rest.Wrap(quiet, func(w http.ResponseWriter, r *http.Request) error {
			if held > 0 {
				rest.Hold(w, held)
			}
			select {
			case <-time.After(time.Minute):
				return rest.JSON(w, http.StatusOK, []string{})
			case <-r.Context().Done():
				return r.Context().Err()
			}
		})
	}
	for held, ok := range map[time.Duration]bool{2 * time.Minute: true, 30 * time.Second: false, 0: false} {
		synctest.Test(t, func(t *testing.T) {
			res, err := serveInBubble(t, 10*time.Second, poll(held)).Get("http://sear.test/")
			if err == nil {
				_ = res.Body.Close()
			}
			if (err == nil && res.StatusCode == http.StatusOK) != ok {
				t.Errorf("held for %v: %v, %v", held, res, err)
			}
		})
	}
}

func TestFilesAreCounted(t *testing.T) {
	t.Parallel()
	log, out := textLog(slog.LevelDebug)
	w := answer(t, log, func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(make([]byte, 12345))})
		return err
	})
	if w.Body.Len() != 12345 || !strings.Contains(out.String(), "bytes=12345") || !strings.Contains(out.String(), "status=200") {
		t.Errorf("%d bytes, log %s", w.Body.Len(), out)
	}
}

// BenchmarkWrap is the cost of the plumbing around a handler that decodes and
// encodes, with the debug log off.
func BenchmarkWrap(b *testing.B) {
	type in struct {
		Payload string `json:"payload"`
	}
	h := rest.Wrap(quiet, func(w http.ResponseWriter, r *http.Request) error {
		v, err := rest.Decode[in](r, 1<<20)
		if err != nil {
			return err
		}
		return rest.JSON(w, http.StatusOK, v)
	})
	const sent = `{"payload":"{\"name\":\"you\"}","options":{"queue":{"name":"q"}}}`
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(sent))
		r.ContentLength = int64(len(sent))
		h(w, r)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
