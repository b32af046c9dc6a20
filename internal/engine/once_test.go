package engine_test

import (
	"testing"
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
