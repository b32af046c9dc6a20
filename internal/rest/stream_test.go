package rest_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/rest"
)

func TestEventFormat(t *testing.T) {
	t.Parallel()
	w := answer(t, quiet, func(w http.ResponseWriter, _ *http.Request) error {
		s, err := rest.Stream(w)
		if err != nil {
			return err
		}
		if err := s.Comment("ping"); err != nil {
			return err
		}
		return s.Send(
			rest.Event{Name: "start", Data: "Started"},
			rest.Event{ID: "1-0", Data: "two\nlines"},
			rest.Event{Data: "a\r\nb\rc"},
			rest.Event{ID: "x\ndata: forged", Name: "y\r\nid: forged"},
		)
	})
	want := ": ping\n\n" +
		"event: start\ndata: Started\n\n" +
		"id: 1-0\ndata: two\ndata: lines\n\n" +
		"data: a\ndata: b\ndata: c\n\n" +
		"id: x data: forged\nevent: y  id: forged\ndata: \n\n"
	if d := cmp.Diff(want, w.Body.String()); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
	if got := w.Header().Get("Content-Type") + " " + w.Header().Get("Cache-Control"); got != "text/event-stream no-store" {
		t.Errorf("headers %s", got)
	}
}

// TestStreamIsNotBuffered reads each event before the next one is sent, and stays
// idle for longer than any write may take.
func TestStreamIsNotBuffered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := make(chan string)
		client := serveInBubble(t, 10*time.Second, rest.Wrap(quiet, func(w http.ResponseWriter, _ *http.Request) error {
			return relay(w, next)
		}))
		res, err := client.Get("http://sear.test/") // returns before any event: the header is flushed too
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewReader(res.Body)
		for _, data := range []string{"one", "two"} {
			next <- data
			got, err := lines.ReadString('\n')
			if err != nil || got != "data: "+data+"\n" {
				t.Fatalf("got %q, %v", got, err)
			}
			_, _ = lines.ReadString('\n')
			time.Sleep(time.Hour)
		}
		close(next)
		if tail, err := io.ReadAll(lines); err != nil || len(tail) > 0 {
			t.Errorf("the stream did not end cleanly: %q, %v", tail, err)
		}
	})
}

// TestStreamGivesUpAClientThatStopsReading fills the pipe and waits.
func TestStreamGivesUpAClientThatStopsReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := make(chan string, 1)
		ended := make(chan error, 1)
		client := serveInBubble(t, 0, rest.Wrap(quiet, func(w http.ResponseWriter, _ *http.Request) error {
			err := relay(w, next)
			ended <- err
			return err
		}))
		res, err := client.Get("http://sear.test/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		start := time.Now()
		next <- strings.Repeat("x", 1<<20)
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// relay sends what arrives on next as events, until next is closed.
func relay(w http.ResponseWriter, next <-chan string) error {
	s, err := rest.Stream(w)
	if err != nil {
		return err
	}
	for data := range next {
		if err := s.Send(rest.Event{Data: data}); err != nil {
			return err
		}
	}
	return nil
}

func TestStreamNeedsAFlusher(t *testing.T) {
	t.Parallel()
	if _, err := rest.Stream(discard{http.Header{}}); err == nil {
		t.Error("a buffered stream is no stream")
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	cases := []struct {
		name    string
		wrap    func(http.Handler) http.Handler
		method  string
		origin  string
		status  int
		headers map[string]string
	}{
		{"no browser", rest.CORS, http.MethodGet, "", http.StatusTeapot, map[string]string{"Access-Control-Allow-Origin": ""}},
		{"read", rest.CORS, http.MethodGet, "https://app.test", http.StatusTeapot, map[string]string{
			"Access-Control-Allow-Origin":   "https://app.test",
			"Access-Control-Expose-Headers": "x-trigger-jwt, x-trigger-jwt-claims, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset",
			"Access-Control-Max-Age":        "",
		}},
		{"stream", rest.CORSExposeAll, http.MethodGet, "https://app.test", http.StatusTeapot, map[string]string{
			"Access-Control-Expose-Headers": "*",
		}},
		{"preflight", rest.CORS, http.MethodOptions, "https://app.test", http.StatusOK, map[string]string{
			"Access-Control-Allow-Origin":  "https://app.test",
			"Access-Control-Allow-Headers": "authorization, x-trigger-client",
			"Access-Control-Max-Age":       "300",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, "/", nil)
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			r.Header.Set("Access-Control-Request-Headers", "authorization, x-trigger-client")
			w := httptest.NewRecorder()
			c.wrap(inner).ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			for k, v := range c.headers {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			if !strings.Contains(w.Header().Get("Vary"), "Origin") {
				t.Error("a cache may hand one origin's answer to another")
			}
		})
	}
}
