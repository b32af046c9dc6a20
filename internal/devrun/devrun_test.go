package devrun

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// session is a run of sear dev with a stand-in for the CLI and an API that knows one task.
type session struct {
	cfg            Config
	dir            string
	api            *httptest.Server
	stdout, stderr lockedBuffer
	status         string      // of the run, once the API is asked for it
	stopped        atomic.Bool // our own server was told to stop
	err            chan error
}

func setup(t *testing.T) *session {
	t.Helper()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("the stand-in for the CLI needs setsid")
	}

	s := &session{dir: t.TempDir(), status: statusCompleted, err: make(chan error, 1)}
	s.api = httptest.NewServer(s.handler())
	t.Cleanup(s.api.Close)
	s.cfg = Config{
		Dir:    s.dir,
		Serve:  s.serve,
		Keys:   func(context.Context) (Keys, error) { return testKeys, nil },
		Stdout: &s.stdout,
		Stderr: &s.stderr,
	}
	return s
}

func (s *session) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthcheck", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /api/v2/whoami", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+testKeys.AccessToken {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("POST /api/v1/tasks/hello/trigger", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"id":"run_1"}`)
	})
	mux.HandleFunc("GET /api/v3/runs/run_1", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id":"run_1","taskIdentifier":"hello","status":%q,"isCompleted":%t,"output":"hi"}`,
			s.status, s.status != "EXECUTING")
	})
	return mux
}

// serve is our own server: it says what it does, and what the watchdog managed to do before it ended.
func (s *session) serve(ctx context.Context, log io.Writer, ready func(string)) error {
	fmt.Fprintln(log, "listening")
	ready(s.api.URL + "/")
	<-ctx.Done()
	s.stopped.Store(true)
	goodbye, _ := os.ReadFile(filepath.Join(s.dir, "goodbye"))
	fmt.Fprintf(log, "stopping, goodbye: %s", goodbye)
	return nil
}

// run starts the session and returns what interrupts it.
func (s *session) run(t *testing.T) context.CancelFunc {
	t.Helper()

	script, err := filepath.Abs("testdata/cli.sh")
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() { s.err <- runCLI(ctx, s.cfg, cli{node: script, entry: "cli.js", dir: s.dir}) }()
	t.Cleanup(interrupt)
	return interrupt
}

// pids returns the processes that the CLI started, itself included, once they run.
func (s *session) pids(t *testing.T) []int {
	t.Helper()

	var text []byte
	eventually(t, "the CLI runs", func() bool {
		text, _ = os.ReadFile(filepath.Join(s.dir, "pids"))
		return len(text) > 0
	})
	var pids []int
	for r := bytes.NewReader(text); ; {
		var pid int
		if _, err := fmt.Fscan(r, &pid); err != nil {
			break
		}
		pids = append(pids, pid)
	}
	if len(pids) < 4 { // the CLI, a task, a watchdog, the watchdog once more as its child
		t.Fatalf("only the processes %v", pids)
	}
	return pids
}

// gone fails the test when one of the processes runs.
func gone(t *testing.T, pids []int) {
	t.Helper()

	for _, pid := range pids {
		eventually(t, fmt.Sprintf("process %d is gone", pid), func() bool { return !alive(pid) })
	}
}

func TestTaskCompletes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.cfg.Task, s.cfg.Payload = "hello", json.RawMessage(`{}`)

	s.run(t)
	pids := s.pids(t)
	if err := <-s.err; err != nil {
		t.Fatal(err)
	}
	gone(t, pids)

	if out := s.stdout.String(); !strings.Contains(out, "COMPLETED\n") || !strings.Contains(out, `"hi"`) {
		t.Errorf("printed %q", out)
	}
	for _, want := range []string{
		"server │ listening\n", "worker │ Local worker ready", "worker │ a warning\n",
		"server │ stopping, goodbye: told\n", // the server outlived the watchdog
	} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("no %q in the output:\n%s", want, s.stderr.String())
		}
	}

	started, _ := os.ReadFile(filepath.Join(s.dir, "started"))
	want := "proj_test " + s.api.URL + " tr_pat_test --import data:text/javascript;base64 cli.js dev " +
		"--project-ref proj_test --skip-update-check --skip-telemetry --skip-platform-notifications \n"
	if string(started) != want {
		t.Errorf("the CLI was started with\n%s want\n%s", started, want)
	}
}

func TestTaskFails(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.cfg.Task, s.status = "hello", "CRASHED"

	s.run(t)
	if err := <-s.err; err == nil || err.Error() != `run run_1 of task "hello" ended as CRASHED` {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(s.stdout.String(), "CRASHED\n") {
		t.Errorf("printed %q", s.stdout.String())
	}
}

func TestTriggerRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.cfg.Task = "other"

	s.run(t)
	if err := <-s.err; err == nil || !strings.HasPrefix(err.Error(), "trigger other: the server answered 404") {
		t.Errorf("error %v", err)
	}
	gone(t, s.pids(t))
}

// An interrupt ends a plain session without an error, and one that waits for a run with one.
func TestInterrupt(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ task, want string }{
		"worker": {"", ""},
		"run":    {"hello", "interrupted before the run finished"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.cfg.Task, s.status = tc.task, "EXECUTING"

			interrupt := s.run(t)
			pids := s.pids(t)
			interrupt()
			if err := <-s.err; fmt.Sprint(err) != tc.want && (err != nil || tc.want != "") {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			gone(t, pids)
		})
	}
}

func TestCLIEnds(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		task string
		code int
	}{
		"worker":         {"", 3},
		"worker, with 0": {"", 0},
		"run":            {"hello", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.cfg.Task, s.status = tc.task, "EXECUTING"

			s.run(t)
			pids := s.pids(t)
			write(t, s.dir, map[string]string{"exit": fmt.Sprint(tc.code)})
			err := <-s.err
			if e := (*ExitError)(nil); !errors.As(err, &e) || e.Code != tc.code {
				t.Errorf("error %v, want exit code %d", err, tc.code)
			}
			gone(t, pids)
		})
	}
}

func TestServerEnds(t *testing.T) {
	t.Parallel()
	cause := errors.New("port in use")

	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.cfg.Serve = func(context.Context, io.Writer, func(string)) error { return cause }

		s.run(t)
		if err := <-s.err; !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
	})
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		end := make(chan struct{})
		s.cfg.Serve = func(_ context.Context, _ io.Writer, ready func(string)) error {
			ready(s.api.URL)
			<-end
			return cause
		}

		s.run(t)
		pids := s.pids(t)
		close(end)
		if err := <-s.err; !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
		gone(t, pids)
	})
}

// A server that answers already is used, and left running.
func TestServerAnswers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.cfg.URL, s.cfg.Task = s.api.URL, "hello"
	s.cfg.Serve = func(context.Context, io.Writer, func(string)) error { panic("started a second server") }

	s.run(t)
	if err := <-s.err; err != nil {
		t.Error(err)
	}
	if !answers(t.Context(), s.api.URL) {
		t.Error("the server is gone")
	}
}

// The keys of another data directory are noticed before the CLI starts.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.cfg.URL = s.api.URL
	s.cfg.Keys = func(context.Context) (Keys, error) { return Keys{AccessToken: "tr_pat_other"}, nil }

	s.run(t)
	if err := <-s.err; err == nil || !strings.Contains(err.Error(), "has other data") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "started")); err == nil {
		t.Error("the CLI was started")
	}
}

// Where nothing answers, a server is started and stopped.
func TestServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	s.cfg.URL, s.cfg.Task = dead.URL, "hello"

	s.run(t)
	if err := <-s.err; err != nil {
		t.Error(err)
	}
	if !s.stopped.Load() {
		t.Error("our own server was not stopped")
	}
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
