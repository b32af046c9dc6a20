package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"sear/test/load/rawhttp"
)

// worker executes runs like the dev command of the CLI, except that one dequeue asks
// for as many runs as it has slots for.
type worker struct {
	site   *site
	ledger *ledger

	// task is what an attempt does; nil: nothing. It returns the newest snapshot.
	task func(ctx context.Context, c *rawhttp.Conn, a attempt) (snapshot string, err error)
	// done is called with each run that has finished; nil: nothing is.
	done func()

	free chan struct{} // one token per slot that is not taken
	work chan delivery
}

// delivery is a run that was handed out.
type delivery struct{ run, snapshot string }

// attempt is a run that is being executed.
type attempt struct {
	delivery     // with the snapshot of the attempt
	n        int // number in the payload
}

func newWorker(s *site, l *ledger) *worker {
	w := &worker{site: s, ledger: l, free: make(chan struct{}, slots), work: make(chan delivery, slots)}
	for range slots {
		w.free <- struct{}{}
	}
	return w
}

// run works until ctx ends. What the slots are doing then is not waited for by the
// server: it is over for the client.
func (w *worker) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(w.work)
		return w.pull(ctx)
	})
	for range slots {
		g.Go(func() error {
			c := w.site.dial(ctx)
			defer c.Close()
			for d := range w.work {
				if err := w.execute(ctx, c, d); err != nil && ctx.Err() == nil {
					w.ledger.refuse(err)
				}
				w.free <- struct{}{}
			}
			return nil
		})
	}
	return g.Wait()
}

// pull dequeues for the free slots, once a quarter of them are.
func (w *worker) pull(ctx context.Context) error {
	c := w.site.dial(ctx)
	defer c.Close()
	for {
		n, err := w.reserve(ctx)
		if err != nil {
			return nil
		}
		list, err := w.dequeue(c, n)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, d := range list {
			w.work <- d
		}
		for range n - len(list) {
			w.free <- struct{}{}
		}
	}
}

// reserve takes all free slots, and waits until there are enough to be worth a call.
func (w *worker) reserve(ctx context.Context) (n int, err error) {
	for {
		if n < slots/4 {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-w.free:
				n++
			}
			continue
		}
		select {
		case <-w.free:
			n++
		default:
			return n, nil
		}
	}
}

func (w *worker) dequeue(c *rawhttp.Conn, n int) ([]delivery, error) {
	body, err := c.Post("/engine/v1/dev/dequeue", fmt.Appendf(nil, `{"currentWorker":%q,"oldWorkers":[],"maxRuns":%d}`, w.site.worker.ID, n))
	if err != nil {
		return nil, err
	}
	runs, snapshots := idsAfter(body, friendlyField, "run_"), idsAfter(body, friendlyField, "snapshot_")
	if len(runs) != len(snapshots) || len(runs) > n {
		return nil, fmt.Errorf("%w: asked for %d runs, got %d with %d snapshots", errAnswer, n, len(runs), len(snapshots))
	}
	list := make([]delivery, len(runs))
	for i := range runs {
		list[i] = delivery{runs[i], snapshots[i]}
	}
	return list, nil
}

// execute starts an attempt, does what the task does, and completes it.
func (w *worker) execute(ctx context.Context, c *rawhttp.Conn, d delivery) error {
	body, err := c.Post(d.path("/attempts/start"), []byte(`{"isWarmStart":false}`), w.site.requestID())
	if err != nil {
		return err
	}
	a := attempt{delivery: d}
	if a.n, err = numberOf(body); err != nil {
		return err
	}
	if a.snapshot, err = idAfter(body, friendlyField, "snapshot_"); err != nil {
		return err
	}
	w.ledger.start(a.n)
	if w.task != nil {
		if a.snapshot, err = w.task(ctx, c, a); err != nil {
			return err
		}
	}
	body, err = c.Post(a.path("/attempts/complete"), a.completion(), w.site.requestID())
	if err != nil {
		return err
	}
	if !bytes.Contains(body, finished) {
		return fmt.Errorf("%w: RUN_FINISHED: %.300s", errAnswer, body)
	}
	w.ledger.complete(a.n, a.run)
	if w.done != nil {
		w.done()
	}
	return nil
}

func (d delivery) path(call string) string {
	return "/engine/v1/dev/runs/" + d.run + "/snapshots/" + d.snapshot + call
}

// output is what every run returns, as JSON and as it is read back.
const output = `{"done":true}`

func (d delivery) completion() []byte {
	return []byte(`{"completion":{"ok":true,"id":"` + d.run + `","output":"` + strings.ReplaceAll(output, `"`, `\"`) +
		`","outputType":"application/json","usage":{"durationMs":1},"flushedMetadata":{"dataType":"application/json"}}}`)
}

// registration is the answer to a worker's manifest.
type registration struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// register makes the one task known.
func (s *site) register(ctx context.Context) (r registration, err error) {
	const manifest = `{"localOnly":true,"metadata":{"packageVersion":"4.8.3","cliPackageVersion":"4.8.3",` +
		`"tasks":[{"id":"` + taskID + `","filePath":"src/trigger/load.ts","entryPoint":"src/trigger/load.mjs",` +
		`"retry":{"maxAttempts":3,"factor":2,"minTimeoutInMs":1000,"maxTimeoutInMs":5000,"randomize":false}}],` +
		`"queues":[],"contentHash":"5ea70000000000000000000000000001","sourceFiles":[],"runtime":"node-24","runtimeVersion":"24.0.0"},` +
		`"engine":"V2","supportsLazyAttempts":true}`
	c := s.dial(ctx)
	defer c.Close()
	body, err := c.Post("/api/v1/projects/"+s.keys.ProjectRef+"/background-workers", []byte(manifest))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil || r.ID == "" {
		return r, fmt.Errorf("%w: worker: %.300s", errAnswer, body)
	}
	return r, nil
}
