package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// TestOldPollParksNothing: a poll of a worker that was replaced while it waited leaves the
// runs that only its successor can take to that.
func TestOldPollParksNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		old := r.register(manifest("hello"))
		poll := func(workerID string) (got []engine.Delivery) {
			ctx, stop := context.WithTimeout(r.ctx, 10*time.Second)
			defer stop()
			return must(r.AwaitDequeue(ctx, r.env, workerID, 10))(t)
		}
		got := make(chan []engine.Delivery, 1)
		go func() { got <- poll(old.ID) }()
		time.Sleep(time.Second)
		successor := r.register(manifest("hello", "fresh"))
		id := r.trigger(engine.Trigger{Task: "fresh"})
		if list := <-got; len(list) > 0 {
			t.Errorf("the old worker got %s", list[0].Run.Task)
		}
		if list := poll(successor.ID); len(list) != 1 || list[0].Run.ID != id {
			t.Errorf("its successor got %d runs; it is %s, %s", len(list), r.get(id).Exec, r.get(id).Reason)
		}
	})
}

// TestParkBesideARelease: a dequeue that waited for the commit of a registration does not
// park what that worker can take, for the release that follows the commit may be over.
func TestParkBesideARelease(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.URL(t), tenant.Production)
	for i := range 5 {
		task := fmt.Sprint("fresh", i)
		id := r.trigger(engine.Trigger{Task: task})
		held, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 3)
		go func() {
			done <- r.st.Update(r.ctx, func(tx *store.Tx) error {
				err := tx.LockEnvironment(r.env.ID)
				close(held)
				<-release
				return err
			})
		}()
		<-held
		var got []engine.Delivery
		go func() { _, err := r.RegisterWorker(r.ctx, r.env, manifest("hello", task)); done <- err }()
		time.Sleep(50 * time.Millisecond) // it waits for the environment
		go func() { list, err := r.Dequeue(r.ctx, r.env, "", 1); got = list; done <- err }()
		time.Sleep(50 * time.Millisecond)
		close(release)
		for range cap(done) {
			r.ok(<-done)
		}
		for end := time.Now().Add(time.Second); len(got) == 0 && time.Now().Before(end); { // it may have been first
			got = must(r.Dequeue(r.ctx, r.env, "", 1))(t)
		}
		if len(got) != 1 || got[0].Run.ID != id {
			t.Fatalf("round %d: it is %s, %s", i, r.get(id).Exec, r.get(id).Reason)
		}
	}
}

// TestParkedForAQueue: a run that waits for its queue to be declared goes on once any
// version has declared it, as one that is triggered then does.
func TestParkedForAQueue(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello", Queue: "q"})
		if list := r.dequeued(1); list != nil {
			t.Fatalf("dequeued %v", list)
		}
		if got := r.get(id); got.Exec != run.Created {
			t.Fatalf("it is %s", got.Exec)
		}
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { // as a version does that is not promoted
			if err := tx.AddQueues(r.env.ID, []deploy.Queue{{Name: "q"}}, time.Now()); err != nil {
				return err
			}
			return tx.OrderRelease(r.env.ID)
		}))
		time.Sleep(time.Minute)
		if list := r.dequeued(1); len(list) != 1 || list[0] != id {
			t.Errorf("dequeued %v; it is %s", list, r.get(id).Exec)
		}
	})
}
