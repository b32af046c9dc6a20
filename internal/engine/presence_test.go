package engine_test

import (
	"context"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/sqldb/pgtest"
	"sear/internal/tenant"
)

// ask is a dequeue of a command line: it says which worker it has, and waits.
func (r *rig) ask(workerID string) []engine.Delivery {
	r.t.Helper()
	ctx, stop := context.WithTimeout(r.ctx, 10*time.Second)
	defer stop()
	r.ok(r.SeeWorker(ctx, r.env, workerID))
	return must(r.AwaitDequeue(ctx, r.env, workerID, 10))(r.t)
}

// inDevelopment runs a test on both databases in real time.
func inDevelopment(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	for name, url := range map[string]func(testing.TB) string{"sqlite": sqliteURL, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRig(t, url(t), tenant.Development))
		})
	}
}

// only ends the test unless one run was delivered: that one, to that worker.
func only(t *testing.T, list []engine.Delivery, runID string, worker *deploy.Worker) {
	t.Helper()
	if len(list) != 1 || list[0].Run.ID != runID || list[0].Worker.ID != worker.ID {
		t.Fatalf("delivered %d runs, not the one that was triggered to version %s", len(list), worker.Version)
	}
}

// TestRunAfterAReloadGoesToTheNewBuild: a dequeue that waits when a build is registered is
// over at once, with nothing, so that its command line asks for the new one; on another
// node too.
func TestRunAfterAReloadGoesToTheNewBuild(t *testing.T) {
	t.Parallel()
	inDevelopment(t, func(t *testing.T, r *rig) {
		elsewhere := *r
		if r.st.Postgres() {
			elsewhere.start(t, engine.Options{Patience: time.Hour}) // only hints wake it
		}
		old := r.register(manifest("hello"))
		got := make(chan []engine.Delivery, 1)
		go func() { got <- elsewhere.ask(old.ID) }()
		time.Sleep(200 * time.Millisecond) // for it to wait; should it not, the test proves less but does not fail
		fresh := r.register(manifest("hello"))
		begin := time.Now()
		id := r.trigger(engine.Trigger{Task: "hello"})
		for _, d := range <-got {
			t.Errorf("the replaced worker got a run of %s, version %s", d.Run.Task, d.Run.Version)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("its dequeue went on for %s", took)
		}
		only(t, elsewhere.ask(fresh.ID), id, fresh)
	})
}

// TestReplacedWorkerGetsWhatIsLockedToIt, and nothing else, also when it asks after it was
// replaced; and it is told soon.
func TestReplacedWorkerGetsWhatIsLockedToIt(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		old := r.register(manifest("hello"))
		fresh := r.register(manifest("hello"))
		free := r.trigger(engine.Trigger{Task: "hello"})
		begin := time.Now()
		if list := r.ask(old.ID); len(list) > 0 {
			t.Errorf("the replaced worker got a run, version %s", list[0].Run.Version)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it was told after %s", took)
		}
		locked := r.trigger(engine.Trigger{Task: "hello", Version: old.Version})
		only(t, r.ask(old.ID), locked, old)
		only(t, r.ask(fresh.ID), free, fresh)
		locked = r.trigger(engine.Trigger{Task: "hello", Version: old.Version})
		only(t, r.ask(fresh.ID), locked, old) // its command line still has the old build
	})
}

// TestPromotionWakesDequeues, so that what waited for it goes at once.
func TestPromotionWakesDequeues(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.URL(t), tenant.Production)
	elsewhere := *r
	elsewhere.start(t, engine.Options{Patience: time.Hour})
	got := make(chan []engine.Delivery, 1)
	go func() { got <- elsewhere.ask("") }()
	time.Sleep(200 * time.Millisecond)
	d := r.built("", manifest("hello", "fresh"))
	id := r.trigger(engine.Trigger{Task: "fresh"})
	r.await(id, run.Created)
	begin := time.Now()
	must(r.FinalizeDeployment(r.ctx, r.env, d.ID, "", false))(t)
	if list := <-got; len(list) != 1 || list[0].Run.ID != id {
		t.Errorf("%d runs were handed out", len(list))
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
