package devrun

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testKeys = Keys{ProjectRef: "proj_test", AccessToken: "tr_pat_test", SecretKey: "tr_dev_test"}

// serve answers requests with handle and returns a client for it.
func serve(t *testing.T, handle http.HandlerFunc) client {
	t.Helper()

	srv := httptest.NewServer(handle)
	t.Cleanup(srv.Close)
	return client{url: srv.URL, keys: testKeys}
}

func TestTrigger(t *testing.T) {
	t.Parallel()

	type request struct{ Line, Auth, Version, Body string }
	for name, tc := range map[string]struct {
		payload string
		want    request
	}{
		"with payload": {`{"n":1.0}`, request{
			"POST /api/v1/tasks/a%2Fb%20c/trigger", "Bearer tr_dev_test", "2025-07-16", `{"payload":{"n":1.0},"options":{}}`,
		}},
		"without": {"", request{
			"POST /api/v1/tasks/a%2Fb%20c/trigger", "Bearer tr_dev_test", "2025-07-16", `{"options":{}}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var got request
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = request{
					r.Method + " " + r.URL.EscapedPath(), r.Header.Get("Authorization"),
					r.Header.Get("x-trigger-api-version"), strings.TrimSpace(string(body)),
				}
				io.WriteString(w, `{"id":"run_1","isCached":false}`)
			})
			id, err := c.trigger(t.Context(), "a/b c", json.RawMessage(tc.payload))
			if id != "run_1" || err != nil {
				t.Errorf("trigger returned %q, %v", id, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrorAnswers(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ body, want string }{
		"our error":   {`{"error":"Payload is too large"}`, "trigger hello: the server answered 422: Payload is too large"},
		"other JSON":  {`{"message":"no"}`, `trigger hello: the server answered 422: {"message":"no"}`},
		"not JSON":    {"no\n", "trigger hello: the server answered 422: no"},
		"nothing":     {"", "trigger hello: the server answered 422: "},
		"empty error": {`{"error":""}`, `trigger hello: the server answered 422: {"error":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusUnprocessableEntity)
				io.WriteString(w, tc.body)
			})
			_, err := c.trigger(t.Context(), "hello", nil)
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCheckToken(t *testing.T) {
	t.Parallel()

	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tr_pat_test" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	if err := c.checkToken(t.Context()); err != nil {
		t.Error(err)
	}
	c.keys.AccessToken = "tr_pat_other"
	if err := c.checkToken(t.Context()); err == nil || !strings.Contains(err.Error(), "has other data") {
		t.Errorf("error %v, want one that says whose token it is not", err)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()

	var polls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if polls.Add(1) < 3 {
			io.WriteString(w, `{"id":"run_1","status":"EXECUTING","isCompleted":false}`)
			return
		}
		io.WriteString(w, `{"id":"run_1","status":"FAILED","isCompleted":true,"attemptCount":3}`)
	})
	got, err := c.wait(t.Context(), "run_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run{ID: "run_1", Status: "FAILED", Completed: true, Attempts: 3}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()

	created := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		run  run
		want string
	}{
		"completed": {
			run{
				ID: "run_1", Task: "hello", Status: "COMPLETED", Output: json.RawMessage(`{"a":[1],"b":"x"}`),
				Attempts: 1, Executing: 87, Created: created, Finished: created.Add(1420 * time.Millisecond),
			},
			`run        run_1
task       hello
status     COMPLETED
output     {
             "a": [
               1
             ],
             "b": "x"
           }
attempts   1
duration   1.42s from trigger to finish, 87ms executing
`,
		},
		"failed": {
			run{ID: "run_1", Task: "hello", Status: "FAILED", Error: &runError{"TypeError", "no"}, Attempts: 3, Executing: 1500},
			`run        run_1
task       hello
status     FAILED
error      TypeError: no
output     none
attempts   3
duration   1.5s executing
`,
		},
		"large": {
			run{ID: "run_1", Task: "hello", Status: "COMPLETED", OutputURL: "http://x/y", Error: &runError{Message: "odd"}},
			`run        run_1
task       hello
status     COMPLETED
error      odd
output     at http://x/y
attempts   0
duration   0s executing
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var got strings.Builder
			if err := tc.run.print(&got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
