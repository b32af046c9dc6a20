package servertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sear/internal/server"
	"sear/internal/sqldb/pgtest"
)

// configEnv tells a test binary that it is to be a server, and which.
const configEnv = "SEAR_SERVERTEST_CONFIG"

// Main runs the tests of a package that calls Start. Such a package wants:
//
//	func TestMain(m *testing.M) { servertest.Main(m) }
//
// because Start runs the test binary once more, to be the server. It does what
// [pgtest.Main] does too.
func Main(m *testing.M) {
	config := os.Getenv(configEnv)
	if config == "" {
		pgtest.Main(m)
		return
	}
	if err := serve(config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve is the server's process. It prints its URL, and ends with SIGTERM or with its parent.
func serve(config string) error {
	var cfg server.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // held open by the parent
		os.Exit(1)
	}()
	cfg.Ready = func(url string) { fmt.Println(url) }
	return server.Run(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// Server is a running server and its data.
type Server struct {
	URL  string
	Keys server.KeySet

	t      testing.TB
	config server.Config
	cmd    *exec.Cmd
	log    logBuffer
}

// Option changes the server that Start runs.
type Option func(t testing.TB, cfg *server.Config)

// Postgres keeps the data in a schema of its own, where PostgreSQL is installed.
func Postgres() Option {
	return func(t testing.TB, cfg *server.Config) { cfg.DatabaseURL = pgtest.URL(t) }
}

// Config changes the configuration.
func Config(change func(cfg *server.Config)) Option {
	return func(_ testing.TB, cfg *server.Config) { change(cfg) }
}

// Start runs a server with new data until the test ends, by default on SQLite.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	if os.Getenv(configEnv) != "" {
		t.Fatal("a package whose tests call servertest.Start needs a TestMain that calls servertest.Main")
	}
	s := &Server{t: t, config: server.Config{Addr: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "data")}}
	for _, o := range options {
		o(t, &s.config)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log.String())
		}
	})
	s.Start()
	s.config.Addr = strings.TrimPrefix(s.URL, "http://") // where its clients look for it, also after a restart
	var err error
	if s.Keys, err = server.Keys(t.Context(), s.config); err != nil {
		t.Fatal(err)
	}
	return s
}

// startPatience is how long a server may take to answer, on a busy machine.
const startPatience = 30 * time.Second

// Start starts a server that was stopped or killed again, on the same data and address.
func (s *Server) Start() {
	s.t.Helper()
	config, err := json.Marshal(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), configEnv+"="+string(config))
	cmd.Stderr = &s.log
	if _, err = cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		ready <- strings.TrimSpace(line)
	}()
	select {
	case s.URL = <-ready:
	case <-time.After(startPatience):
	}
	if s.URL == "" {
		s.t.Fatal("the server did not start")
	}
}

// stopPatience is a little more than a server may take to stop.
const stopPatience = 12 * time.Second

// Stop stops the server in its orderly way, and fails the test when it does not end
// well and in time.
func (s *Server) Stop() {
	s.t.Helper()
	overdue := time.AfterFunc(stopPatience, func() { _ = s.cmd.Process.Kill() })
	defer overdue.Stop()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the server did not stop well: %v", err)
	}
}

// Kill ends the server as a crash would. It may have ended already.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Client is a client with the secret key of the development environment.
func (s *Server) Client() Client { return Client{URL: s.URL, Key: s.Keys.SecretKeys.Dev} }

// Worker executes tasks of the development environment until the test ends.
func (s *Server) Worker(tasks map[string]Task) *Worker {
	s.t.Helper()
	return StartWorker(s.t, s.Client(), s.Keys.ProjectRef, tasks)
}

// logBuffer collects the log of all processes of a server.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
