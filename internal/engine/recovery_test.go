package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// TestWorkOfADeadNode: a node that dies right after a commit leaves rows that say
// what is still to be done; another finds them.
func TestWorkOfADeadNode(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		waiting := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		token, _, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{})
		r.ok(err)
		r.ok(r.WaitForToken(r.ctx, r.env, waiting, token.ID))
		parent := r.trigger(engine.Trigger{Task: "parent"})
		child := r.trigger(engine.Trigger{Task: "child", ParentID: parent})
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			if _, err := tx.CompleteWaitpoint(token.ID, run.Packet{Data: "1", Type: run.TypeJSON}, false, time.Now()); err != nil {
				return err
			}
			if _, err := tx.CompleteEdges([]string{token.ID}); err != nil {
				return err
			}
			return tx.CancelChildren(parent, "the node died")
		}))
		if s := r.await(waiting, run.Executing); len(s.Completed) != 1 {
			t.Errorf("delivered %+v", s.Completed)
		}
		if s := r.await(child, run.Finished); s.Run.Err.Raw != "the node died" {
			t.Errorf("the child ended with %+v", s.Run.Err)
		}
	})
}

// TestTwoNodes has two engines on one Postgres share triggers, dequeues and
// completions: each run is handed out once, and hints cross over.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	a := newRig(t, url, tenant.Production)
	st, err := store.Open(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b := &rig{t: t, st: st, ctx: t.Context(), env: a.env, poll: a.poll}
	b.start(t, engine.Options{})
	const runs = 200
	var wg sync.WaitGroup
	for i := range runs {
		wg.Go(func() { []*rig{a, b}[i%2].trigger(engine.Trigger{Task: "hello"}) })
	}
	var mu sync.Mutex
	handed := map[string]int{}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for i := range 4 {
		wg.Go(func() { work(t, ctx, []*rig{a, b}[i%2], &mu, handed, runs) })
	}
	wg.Wait()
	for id, n := range handed {
		if n != 1 {
			t.Errorf("run %s was handed out %d times", id, n)
		}
	}
	if len(handed) != runs {
		t.Errorf("%d of %d runs were handed out", len(handed), runs)
	}
}

// work takes runs until all are gone, and completes each on the same node.
func work(t *testing.T, ctx context.Context, r *rig, mu *sync.Mutex, handed map[string]int, runs int) {
	for {
		mu.Lock()
		over := len(handed) >= runs
		mu.Unlock()
		if over || ctx.Err() != nil {
			return
		}
		short, stop := context.WithTimeout(ctx, 2*time.Second) // a dequeue that it cuts off has handed out nothing
		list, err := r.AwaitDequeue(short, r.env, "", 7)
		stop()
		if err != nil {
			t.Error(err)
			return
		}
		for _, d := range list {
			mu.Lock()
			handed[d.Run.ID]++
			mu.Unlock()
			if _, err := r.StartAttempt(ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq}); err != nil {
				t.Error(err)
			}
			r.finish(d.Run.ID, "1")
		}
	}
}
