package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/schedule"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
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

// TestTwoSessionsGetTheirOwnRuns: of two command lines of different projects on one
// environment each gets its own tasks' runs, in a queue that they share too, and none is
// parked that one of them could execute.
func TestTwoSessionsGetTheirOwnRuns(t *testing.T) {
	t.Parallel()
	inDevelopment(t, func(t *testing.T, r *rig) {
		both := []deploy.Queue{{Name: "both"}}
		m := manifest("one", "both")
		m.Queues = both
		first := r.register(m)
		m = manifest("two", "both")
		m.Queues = both
		second := r.register(m)
		want := map[string]string{}
		for i := range 5 {
			for task, worker := range map[string]*deploy.Worker{"one": first, "two": second, "both": second} {
				queue := ""
				if i > 2 {
					queue = "both"
				}
				want[r.trigger(engine.Trigger{Task: task, Queue: queue})] = worker.ID
			}
		}
		for range 2 { // the newer one asks first: it had parked what it lacks
			for _, w := range []*deploy.Worker{second, first} {
				for _, d := range r.ask(w.ID) {
					if d.Worker.ID != w.ID || want[d.Run.ID] != w.ID {
						t.Errorf("version %s got a run of %s, version %s", w.Version, d.Run.Task, d.Run.Version)
					}
					delete(want, d.Run.ID)
				}
			}
		}
		for id := range want {
			t.Errorf("a run of %s is %s, %s", r.get(id).Task, r.get(id).Exec, r.get(id).Reason)
		}
	})
}

// TestRunsOfAnotherSessionAreNotInTheWay: a worker gets its runs though there are more of
// another session before them than a dequeue takes.
func TestRunsOfAnotherSessionAreNotInTheWay(t *testing.T) {
	t.Parallel()
	inDevelopment(t, func(t *testing.T, r *rig) {
		queue := []deploy.Queue{{Name: "both"}}
		m := manifest("one")
		m.Queues = queue
		r.register(m)
		m = manifest("two")
		m.Queues = queue
		second := r.register(m)
		for range 40 {
			r.trigger(engine.Trigger{Task: "one", Queue: "both"})
		}
		for i := range 20 { // lanes of which nothing is for who asks
			r.trigger(engine.Trigger{Task: "one", ConcurrencyKey: fmt.Sprint(i)})
		}
		id := r.trigger(engine.Trigger{Task: "two", Queue: "both"})
		only(t, must(r.Dequeue(r.ctx, r.env, second.ID, 10))(t), id, second)
	})
}

// TestParkedOnceNobodyHasTheTask: a run waits in its queue while a session is there that has
// its task, is parked when that is gone, and goes on when it is back.
func TestParkedOnceNobodyHasTheTask(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		first := r.register(manifest("one"))
		second := r.register(manifest("two"))
		id := r.trigger(engine.Trigger{Task: "one"})
		if list := r.ask(second.ID); len(list) > 0 || r.get(id).Exec != run.Queued {
			t.Fatalf("%d runs were handed out, it is %s", len(list), r.get(id).Exec)
		}
		time.Sleep(30 * time.Second)
		if list := r.ask(second.ID); len(list) > 0 || r.get(id).Exec != run.Created || r.get(id).Reason != "TASK_NOT_IN_LATEST" {
			t.Fatalf("%d runs were handed out, it is %s", len(list), r.get(id).Exec)
		}
		time.Sleep(time.Hour) // its time to live stands still
		only(t, r.ask(first.ID), id, first)
	})
}

// TestSessionsKeepWhatIsLockedToThem: a run that is locked to a session's build is left to
// it by another session, also when the build was replaced since.
func TestSessionsKeepWhatIsLockedToThem(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		old := r.register(manifest("one"))
		second := r.register(manifest("one", "two")) // of which "one" is another of the same name
		time.Sleep(5 * time.Second)
		r.ok(r.SeeWorker(r.ctx, r.env, old.ID)) // so it is no predecessor
		locked := r.trigger(engine.Trigger{Task: "one", Version: old.Version})
		if list := r.ask(second.ID); len(list) > 0 {
			t.Errorf("another session got a run that is locked to version %s", list[0].Run.Version)
		}
		only(t, r.ask(old.ID), locked, old)

		third := r.register(manifest("one"))
		time.Sleep(30 * time.Second)
		r.ok(r.SeeWorker(r.ctx, r.env, third.ID))
		locked = r.trigger(engine.Trigger{Task: "one", Version: old.Version})
		if list := r.ask(second.ID); len(list) > 0 {
			t.Errorf("another session got a run that is locked to version %s", list[0].Run.Version)
		}
		only(t, r.ask(third.ID), locked, old)
	})
}

// TestTriggerKnowsTheOlderSession: what the code says of a task counts for its runs, though
// the newest worker of the environment does not have it.
func TestTriggerKnowsTheOlderSession(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		m := manifest("one")
		m.Tasks[0].Queue = &deploy.Queue{Name: "narrow"}
		m.Queues = []deploy.Queue{{Name: "narrow"}}
		r.register(m)
		r.register(manifest("two"))
		if got := r.get(r.trigger(engine.Trigger{Task: "one"})); got.Lane.Queue != "narrow" {
			t.Errorf("it stands in the queue %s", got.Lane.Queue)
		}
	})
}

// TestSchedulesOfAnotherSession: they can be made for its tasks, and those that it declares
// stay when another registers, but go with the session's own next build.
func TestSchedulesOfAnotherSession(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		m := manifest("one", "other")
		m.Tasks[0].Schedule = &deploy.Schedule{Cron: "0 0 1 1 *"}
		r.register(m)
		m = manifest("two")
		m.Tasks[0].Schedule = &deploy.Schedule{Cron: "0 0 1 1 *"}
		r.register(m)
		declared := func() (tasks []string) {
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
				list, _, err := tx.ListSchedules(r.env.ID, 0, 100)
				for _, i := range list {
					if i.Type == store.Declarative {
						tasks = append(tasks, i.Task)
					}
				}
				return err
			}))
			slices.Sort(tasks)
			return tasks
		}
		if got := fmt.Sprint(declared()); got != "[one two]" {
			t.Errorf("declared are the schedules of %s", got)
		}
		m = manifest("one")
		m.Tasks[0].TriggerSource = "schedule"
		r.register(m)
		r.register(manifest("two"))
		if _, err := r.CreateSchedule(r.ctx, r.env, engine.Schedule{Task: "one", Timing: schedule.Timing{Cron: "0 0 * * *", Timezone: "UTC"}}); err != nil {
			t.Errorf("a schedule of the older session's task: %v", err)
		}
		if got := fmt.Sprint(declared()); got != "[]" {
			t.Errorf("declared are the schedules of %s", got)
		}
	})
}
