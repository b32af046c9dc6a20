package engine_test

import (
	"net/url"
	"sync"
	"testing"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// TestBlockedFailsAlone: a command that waits in vain for a row fails alone, not with all
// that share its transaction.
func TestBlockedFailsAlone(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("lock_timeout", "500")
	u.RawQuery = q.Encode()
	r := newRig(t, u.String(), tenant.Production)
	victim := r.trigger(engine.Trigger{Task: "hello"})
	seq := r.begin().Seq
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- r.st.Update(r.ctx, func(tx *store.Tx) error {
			_, err := tx.LockRuns([]string{victim})
			close(held)
			<-release
			return err
		})
	}()
	<-held
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := r.Heartbeat(r.ctx, r.env, victim, seq); !fault.Is(err, fault.Unavailable) {
				t.Errorf("of the run that is locked: %v", err)
			}
		})
		for range 15 {
			wg.Go(func() {
				if _, err := r.Trigger(r.ctx, r.env, engine.Trigger{Task: "child"}); err != nil {
					t.Errorf("of another: %v", err)
				}
			})
		}
	}
	wg.Wait()
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.ok(r.Heartbeat(r.ctx, r.env, victim, seq))
}
