package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sear/test/load/child"
	"sear/test/load/rawhttp"
)

// How long a server may take to start, and to end once it was asked to.
const (
	bootTime = 30 * time.Second
	stopTime = 15 * time.Second
)

// server is a Sear server that this program started, on a store of its own.
type server struct {
	*child.Process
	addr  string
	pprof string   // address of its profiles; "" when it serves none
	dir   string   // data and log
	flags []string // that name its store
}

// build compiles the program into the module's bin folder and returns its path.
func build(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	bin := filepath.Join(root, "bin", "sear")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/sear")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w\n%s", err, out)
	}
	return bin, nil
}

// startServer starts the program on a new data folder below dir and returns when it
// is ready.
func startServer(ctx context.Context, bin, dir, databaseURL string) (*server, error) {
	s := &server{dir: dir}
	s.flags = []string{"--data", s.data()}
	if databaseURL != "" {
		s.flags = append(s.flags, "--database-url", databaseURL)
	}
	var err error
	if s.addr, err = child.FreeAddr(); err != nil {
		return nil, err
	}
	if s.pprof, err = child.FreeAddr(); err != nil {
		return nil, err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own handle
	cmd := exec.Command(bin, append([]string{"serve", "--addr", s.addr}, s.flags...)...)
	cmd.Env = append(os.Environ(), "SEAR_PPROF="+s.pprof)
	cmd.Stdout, cmd.Stderr = log, log
	if s.Process, err = child.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	if err := s.ready(ctx); err != nil {
		s.Stop(time.Second)
		return nil, fmt.Errorf("%w\n%s", err, s.lastWords())
	}
	return s, nil
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) logFile() string { return filepath.Join(s.dir, "server.log") }

// lastWords is the end of the server's log.
func (s *server) lastWords() []byte {
	log, _ := os.ReadFile(s.logFile())
	return bytes.TrimSpace(log[max(0, len(log)-2000):])
}

// ready waits until the server answers its health check.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	c := rawhttp.New(ctx, s.addr)
	defer c.Close()
	for {
		if resp, err := c.Do(rawhttp.Request{Method: "GET", Path: "/healthcheck"}); err == nil && resp.Status == 200 {
			return s.findProfiles(ctx)
		}
		select {
		case <-s.Exited():
			return errors.New("the server ended before it was ready")
		default:
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("the server is not ready: %w", err)
		}
	}
}

// findProfiles forgets the address of the profiles when the server does not know the
// variable that asks for them.
func (s *server) findProfiles(ctx context.Context) error {
	c := rawhttp.New(ctx, s.pprof)
	defer c.Close()
	if _, err := c.Call(rawhttp.Request{Method: "GET", Path: "/debug/pprof/cmdline"}); err != nil {
		s.pprof = ""
	}
	return ctx.Err()
}

// keys is what sear keys --json prints, as far as it is needed.
type keys struct {
	ProjectRef string            `json:"projectRef"`
	SecretKeys map[string]string `json:"secretKeys"`
}

func parseKeys(data []byte) (k keys, err error) {
	if err := json.Unmarshal(data, &k); err != nil {
		return k, fmt.Errorf("keys: %w", err)
	}
	if k.ProjectRef == "" || k.SecretKeys["dev"] == "" {
		return k, errors.New("keys: no project or no key of its dev environment")
	}
	return k, nil
}

// keys asks the program for the keys of the store.
func (s *server) keys(ctx context.Context) (keys, error) {
	out, err := exec.CommandContext(ctx, s.Cmd.Path, append([]string{"keys", "--json"}, s.flags...)...).Output()
	if err != nil {
		return keys{}, fmt.Errorf("sear keys: %w", err)
	}
	return parseKeys(out)
}
