package engine_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/store"
	"sear/internal/tenant"
)

// TestOneTimeTokenRepeated: a call whose answer was lost may be sent again, although its
// token is spent; any other call may not use it.
func TestOneTimeTokenRepeated(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		once := engine.OneTime{Token: "t1", ExpiresAt: time.Now().Add(time.Hour)}
		call := engine.Trigger{Task: "hello", Request: "r1", OneTime: once}
		first := r.trigger(call)
		if again := r.trigger(call); again != first {
			t.Errorf("%s and then %s", first, again)
		}
		call.Request = "r2"
		if _, err := r.Trigger(r.ctx, r.env, call); !fault.Is(err, fault.Invalid) {
			t.Errorf("another call: %v", err)
		}

		once.Token = "t2"
		batch := engine.NewBatch{RunCount: 1, Request: "r3", OneTime: once}
		b, _, err := r.CreateBatch(r.ctx, r.env, batch)
		r.ok(err)
		again, cached, err := r.CreateBatch(r.ctx, r.env, batch)
		if err != nil || cached || again.ID != b.ID {
			t.Errorf("%s and then %s, %v %v", b.ID, again.ID, cached, err)
		}
		batch.Request = "r4"
		if _, _, err := r.CreateBatch(r.ctx, r.env, batch); !fault.Is(err, fault.Invalid) {
			t.Errorf("another batch: %v", err)
		}
	})
}

// TestUseThatDidNotLast: that a one-time token has been used is said once its use is durable.
// Where the commit that held the use fails, all who shared it hear of that, and the token is
// as good as before.
func TestUseThatDidNotLast(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		busy := make(chan struct{})
		errs := make([]error, 4)
		var wg sync.WaitGroup
		begin := func(i int, f func() error) {
			wg.Go(func() { errs[i] = f() })
			synctest.Wait() // it waits for the writer
		}
		begin(0, func() error { return r.st.Update(r.ctx, func(*store.Tx) error { <-busy; return nil }) })
		use := func(request string) func() error {
			return func() error {
				_, err := r.Trigger(r.ctx, r.env, engine.Trigger{Task: "hello", Request: request,
					OneTime: engine.OneTime{Token: "t", ExpiresAt: time.Now().Add(time.Hour)}})
				return err
			}
		}
		begin(1, use("r1"))
		begin(2, use("r2"))
		begin(3, func() error {
			return r.st.Update(r.ctx, func(tx *store.Tx) error {
				if _, err := tx.Exec("PRAGMA defer_foreign_keys = ON"); err != nil {
					return err
				}
				_, err := tx.Exec("INSERT INTO project (id, org_id, ref, slug, name, created_at) VALUES ('p', 'nobody', 'p', 'p', 'p', 0)")
				return err // the commit will find that there is no such organisation
			})
		})
		close(busy)
		wg.Wait()
		for i, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
				t.Errorf("call %d: %v", i, err)
			}
		}
		r.ok(use("r3")())
	})
}

// TestDueElsewhere: while another node holds what is due, the timers wait instead of
// asking over and over.
func TestDueElsewhere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		if !r.st.Postgres() {
			t.Skip("one writer")
		}
		runID := r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(time.Second)})
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			if _, err := tx.LockRuns([]string{runID}); err != nil {
				return err
			}
			time.Sleep(1500 * time.Millisecond) // until it is due, in this node's hands
			wait, err := r.HandleDue(r.ctx)
			if err != nil || wait <= 0 || wait > time.Second {
				t.Errorf("wait for %v, %v", wait, err)
			}
			return nil
		}))
	})
}
