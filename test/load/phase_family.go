package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sear/test/load/rawhttp"
)

// family is phase f: a parent that triggers many children and waits for them.
func family(ctx context.Context, b *bench, s *site) error {
	f := &parents{site: s, children: b.size.children}
	l := newLedger(b.size.families * (1 + f.children))
	w := newWorker(s, l)
	w.task = f.task
	ceiling, unsteady := compare(
		func() (float64, error) { return b.cycles(ctx) },
		func() error {
			return b.profiled(ctx, s, "f", func() error {
				err := s.withWorker(ctx, w, func(ctx context.Context) error { return f.run(ctx, l, b.size.families) })
				return errors.Join(err, l.audit())
			})
		})
	if failed(unsteady) {
		return unsteady
	}
	const goal = 500 * time.Millisecond
	took := percentile(f.times, 50)
	least := time.Duration(float64(f.children) / ceiling * float64(time.Second))
	b.add(row{phase: "f", what: fmt.Sprintf("parent with %s children, median of %d", thousands(int64(f.children)), len(f.times)),
		figure: millis(took), ceiling: millis(least) + " (bare cycle)", ratio: float64(least) / float64(took), goal: "≤ 500 ms", met: took <= goal})
	return unsteady
}

// parents are runs with numbers that are multiples of 1 + children, followed by those
// of their children.
type parents struct {
	site     *site
	ledger   *ledger
	children int

	mu    sync.Mutex
	times []time.Duration // from the first item sent until the parent goes on
}

// run triggers one parent after the other and waits until the whole family is done.
func (f *parents) run(ctx context.Context, l *ledger, families int) error {
	f.ledger = l
	c := f.site.dial(ctx)
	defer c.Close()
	for i := range families {
		if _, err := f.site.trigger(c, nil, i*(1+f.children), l); err != nil {
			return err
		}
		if err := l.awaitDone(ctx, int64((i+1)*(1+f.children))); err != nil {
			return err
		}
	}
	return f.site.inspect(ctx, l)
}

// task is what parents do, which is batchTriggerAndWait; children do nothing.
func (f *parents) task(ctx context.Context, c *rawhttp.Conn, a attempt) (string, error) {
	if a.n%(1+f.children) != 0 {
		return a.snapshot, nil
	}
	s := f.site
	batch, err := s.createBatch(c, fmt.Sprintf(`{"runCount":%d,"taskIdentifiers":[%q],"parentRunId":%q,"resumeParentOnCompletion":true}`,
		f.children, taskID, a.run))
	if err != nil {
		return "", err
	}
	options := fmt.Sprintf(`,"lockToVersion":%q`, s.worker.Version)
	lines := itemLines(nil, a.n+1, f.children, options)
	begin := time.Now()
	if err := s.sendItems(c, batch, lines, f.children); err != nil {
		return "", err
	}
	f.ledger.accept(a.n+1, f.children)
	snapshot, err := f.resumed(ctx, c, a)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times = append(f.times, time.Since(begin))
	return snapshot, err
}

// execution is the newest snapshot of a run.
type execution struct {
	Execution struct {
		Snapshot struct {
			ID     string `json:"friendlyId"`
			Status string `json:"executionStatus"`
		} `json:"snapshot"`
		Completed []struct {
			Type  string `json:"type"`
			Index *int   `json:"index"`
		} `json:"completedWaitpoints"`
	} `json:"execution"`
}

// resumed looks until the parent may go on, and returns the snapshot that says so. It
// looks often rather than waiting for the socket's notice.
func (f *parents) resumed(ctx context.Context, c *rawhttp.Conn, a attempt) (string, error) {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		body, err := c.Call(rawhttp.Request{Method: "GET", Path: "/engine/v1/dev/runs/" + a.run + "/snapshots/latest"})
		if err != nil {
			return "", err
		}
		var x execution
		if err := json.Unmarshal(body, &x); err != nil {
			return "", err
		}
		if x.Execution.Snapshot.Status == "EXECUTING" {
			return x.Execution.Snapshot.ID, f.complete(x)
		}
		if err := pause(ctx, breath); err != nil {
			return "", err
		}
	}
	return "", errLate
}

// complete is an error unless each child's result came with the snapshot, once.
func (f *parents) complete(x execution) error {
	var got []int
	for _, w := range x.Execution.Completed {
		if w.Type == "RUN" && w.Index != nil {
			got = append(got, *w.Index)
		}
	}
	slices.Sort(got)
	for i, index := range got {
		if i != index {
			return fmt.Errorf("%w: the result of child %d, once", errAnswer, min(i, index))
		}
	}
	if len(got) != f.children {
		return fmt.Errorf("%w: %d results, got %d", errAnswer, f.children, len(got))
	}
	return nil
}
