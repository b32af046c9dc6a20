package crash

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"sear/test/load/child"
)

// How long workers may be silent in this test, and how long a node may take to start.
const (
	startTimeout = 4 * time.Second
	stallTimeout = 6 * time.Second
	bootTime     = 30 * time.Second
	stopTime     = 15 * time.Second
)

// envLimit is how many runs the environment may execute at once.
const envLimit = 60

// node is a Sear that can be killed and started again on the same data and address.
type node struct {
	name  string
	sear  string
	addr  string
	flags []string
	log   string
	proc  *child.Process
	cut   *proxy     // between it and Postgres; nil on SQLite
	busy  sync.Mutex // held while a fault happens to it
}

func newNode(o options, dir, name, databaseURL string) (*node, error) {
	n := &node{name: name, sear: o.sear, log: filepath.Join(dir, name+".log")}
	var err error
	if n.addr, err = child.FreeAddr(); err != nil {
		return nil, err
	}
	n.flags = []string{"--data", filepath.Join(dir, "data")}
	if databaseURL != "" {
		n.flags = append(n.flags, "--database-url", databaseURL)
	}
	return n, nil
}

// start starts the process and returns when it answers.
func (n *node) start(ctx context.Context) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own handle
	cmd := exec.Command(n.sear, append([]string{"serve", "--addr", n.addr, "--rate-limit", "off", "--batch-rate-limit", "off",
		"--max-concurrency", fmt.Sprint(envLimit), "--start-timeout", startTimeout.String(), "--stall-timeout", stallTimeout.String()}, n.flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if n.proc, err = child.Start(cmd); err != nil {
		return err
	}
	return n.ready(ctx)
}

// ready returns when the node answers its health check.
func (n *node) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/healthcheck", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-n.proc.Exited():
			return fmt.Errorf("%s ended: %s", n.name, n.lastWords())
		default:
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s does not get ready: %w\n%s", n.name, err, n.lastWords())
		}
	}
}

// lastWords is the end of the node's log.
func (n *node) lastWords() []byte {
	log, _ := os.ReadFile(n.log)
	return bytes.TrimSpace(log[max(0, len(log)-2000):])
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
