package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"sear/test/load/rawhttp"
)

// site is what a group of phases works on: servers over one store, a fresh one unless
// they were given.
type site struct {
	server *server // nil when the servers were given
	addrs  []string
	next   atomic.Uint64 // deals the connections to the servers
	keys   keys
	worker registration

	db    *database // nil on SQLite
	empty int64     // size of the store before the first run

	requests  atomic.Uint64
	requestAs string // beginning of the ids of requests
}

// open starts a server on a fresh store, or takes those that were given, and
// registers the worker.
func (b *bench) open(ctx context.Context) (*site, error) {
	s := &site{requestAs: "x-trigger-request-idempotency-key: " + strings.ToLower(rand.Text()[:8]) + "-5ea7-4000-8000-"}
	var err error
	if len(b.opt.servers) > 0 {
		err = b.visit(s)
	} else {
		err = b.launch(ctx, s)
	}
	if err == nil {
		s.worker, err = s.register(ctx)
	}
	if err == nil {
		s.empty, err = s.size(ctx)
	}
	if err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

// visit takes the servers that were given.
func (b *bench) visit(s *site) error {
	for _, base := range b.opt.servers {
		s.addrs = append(s.addrs, strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/"))
	}
	data, err := os.ReadFile(b.opt.keys)
	if err == nil {
		s.keys, err = parseKeys(data)
	}
	return err
}

func (b *bench) launch(ctx context.Context, s *site) error {
	dir, err := os.MkdirTemp(b.dir, "store")
	if err != nil {
		return err
	}
	databaseURL := ""
	if b.opt.databaseURL != "" {
		if s.db, err = createDatabase(ctx, b.opt.databaseURL); err != nil {
			return err
		}
		databaseURL = s.db.url
	}
	if s.server, err = startServer(ctx, b.sear, dir, databaseURL); err != nil {
		return err
	}
	s.addrs = []string{s.server.addr}
	s.keys, err = s.server.keys(ctx)
	return err
}

// close ends what open started and removes its store.
func (s *site) close(ctx context.Context) {
	if s.server != nil {
		s.server.Stop(stopTime)
		os.RemoveAll(s.server.dir)
	}
	if s.db != nil {
		_ = s.db.drop(ctx) // one that stays is in nobody's way
	}
}

// dial makes a connection to the next server.
func (s *site) dial(ctx context.Context) *rawhttp.Conn {
	addr := s.addrs[s.next.Add(1)%uint64(len(s.addrs))]
	return rawhttp.New(ctx, addr, headers(s.keys.SecretKeys["dev"])...)
}

// requestID is the header that tells one call from another, as each call of the SDK has it.
func (s *site) requestID() string {
	const twelveDigits = 1 << 44
	return s.requestAs + strconv.FormatUint(twelveDigits+s.requests.Add(1), 16)
}

// size is that of the store in bytes; 0 when the servers were given.
func (s *site) size(ctx context.Context) (int64, error) {
	switch {
	case s.server == nil:
		return 0, nil
	case s.db != nil:
		return s.db.size(ctx)
	}
	return folderSize(s.server.data()), nil
}

// trigger triggers run n and tells the ledger.
func (s *site) trigger(c *rawhttp.Conn, body []byte, n int, l *ledger) (next []byte, err error) {
	body = triggerBody(body[:0], n)
	answer, err := c.Post("/api/v1/tasks/"+taskID+"/trigger", body, s.requestID())
	if err != nil {
		return body, err
	}
	if _, err := idAfter(answer, idField, "run_"); err != nil {
		return body, err
	}
	l.accept(n, 1)
	return body, nil
}

// withWorker does something while the worker works. The end of either ends both.
func (s *site) withWorker(ctx context.Context, w *worker, fn func(ctx context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	working, stop := context.WithCancel(ctx)
	g.Go(func() error { return w.run(working) })
	g.Go(func() error {
		defer stop()
		return fn(ctx)
	})
	return g.Wait()
}

// openRuns lists the runs that are not finished.
const openRuns = "/api/v1/runs?filter%5Bstatus%5D=PENDING_VERSION,QUEUED,DEQUEUED,EXECUTING,WAITING,DELAYED&page%5Bsize%5D=10"

// inspect looks at the store through the public API once all is done: nothing may be
// left to do, and the runs looked at must have their result.
func (s *site) inspect(ctx context.Context, l *ledger) error {
	c := s.dial(ctx)
	defer c.Close()
	body, err := c.Call(rawhttp.Request{Method: "GET", Path: openRuns})
	if err != nil {
		return err
	}
	if left := idsAfter(body, idField, "run_"); len(left) > 0 {
		return fmt.Errorf("runs left to do, such as %s", left[0])
	}
	for i := range l.ids {
		run := l.ids[i].Load()
		if run == nil {
			continue
		}
		body, err := c.Call(rawhttp.Request{Method: "GET", Path: "/api/v1/runs/" + *run + "/result"})
		if err != nil {
			return err
		}
		if err := checkResult(body); err != nil {
			return fmt.Errorf("%s: %w", *run, err)
		}
	}
	return nil
}

// checkResult is an error unless the result of a run is what the worker returned.
func checkResult(body []byte) error {
	var result struct {
		OK     bool   `json:"ok"`
		Output string `json:"output"`
	}
	if err := json.Unmarshal(body, &result); err != nil {
		return err
	}
	if !result.OK || result.Output != output {
		return fmt.Errorf("%w: the output: %.300s", errAnswer, body)
	}
	return nil
}
