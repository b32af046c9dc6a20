package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// hello is the queue of the task of that name.
var hello = store.QueueRef{Name: "task/hello"}

// dequeued are the runs of a dequeue that does not wait.
func (r *rig) dequeued(n int) (ids []string) {
	r.t.Helper()
	for _, d := range must(r.Dequeue(r.ctx, r.env, "", n))(r.t) {
		ids = append(ids, d.Run.ID)
	}
	return ids
}

// limit sets what the environment may execute at once.
func (r *rig) limit(n int) {
	r.t.Helper()
	r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { return tx.LimitConcurrency(n) }))
}

// TestFirstComeFirstServed: triggers that were sent one after the other start in that
// order, even those of one millisecond.
func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		var sent []string
		for range 10 {
			sent = append(sent, r.trigger(engine.Trigger{Task: "hello"}))
		}
		if got := r.dequeued(10); !slices.Equal(got, sent) {
			t.Errorf("sent as\n%v, dequeued as\n%v", sent, got)
		}
	})
}

// TestPauseRecalls: what was handed out and has not started goes back to its place,
// what executes ends, and everything goes on in order after the pause.
func TestPauseRecalls(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		executing := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		keyed := r.trigger(engine.Trigger{Task: "hello", ConcurrencyKey: "k"})
		admitted := r.trigger(engine.Trigger{Task: "hello"})
		other := r.trigger(engine.Trigger{Task: "child"})
		if got := r.dequeued(5); len(got) != 3 {
			t.Fatalf("dequeued %v", got)
		}
		before := r.get(admitted)
		later := r.trigger(engine.Trigger{Task: "hello"})

		for range 2 { // the second time changes nothing
			r.ok(r.PauseQueue(r.ctx, r.env, hello, true))
			for _, runID := range []string{keyed, admitted} {
				if got := r.get(runID); got.Exec != run.Queued || got.Slot || got.Nacks != 0 || got.Seq != before.Seq+1 {
					t.Errorf("recalled: %+v", got)
				}
			}
		}
		if got := r.get(admitted).Score; got != before.Score {
			t.Errorf("its place was %d and is %d", before.Score, got)
		}
		if got := r.get(other).Exec; got != run.PendingExecuting {
			t.Errorf("a run of another queue is %s", got)
		}
		if _, err := r.StartAttempt(r.ctx, r.env, admitted, engine.Call{Seq: before.Seq}); !fault.Is(err, fault.Stale) {
			t.Errorf("the start of a run that was recalled: %v", err)
		}
		if got := r.dequeued(5); got != nil {
			t.Errorf("dequeued from a paused queue: %v", got)
		}
		if got := r.finish(executing, `1`); got.Status != run.StatusCompleted {
			t.Errorf("the run that executed is %s", got.Status)
		}

		r.ok(r.PauseQueue(r.ctx, r.env, hello, false))
		got := r.dequeued(5)
		if len(got) != 3 || slices.Index(got, admitted) > slices.Index(got, later) || !slices.Contains(got, keyed) {
			t.Errorf("dequeued %v, want %v before %v, and %v", got, admitted, later, keyed)
		}
		r.check(executing, keyed, admitted, other, later)
		if err := r.PauseQueue(r.ctx, r.env, store.QueueRef{Name: "unknown"}, true); !fault.Is(err, fault.NotFound) {
			t.Errorf("pause of an unknown queue: %v", err)
		}
	})
}

// TestPauseSparesTheLiving: a run that executed when its queue paused gets its slot
// back after a wait.
func TestPauseSparesTheLiving(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		runID := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		r.ok(r.PauseQueue(r.ctx, r.env, hello, true))
		must(r.WaitFor(r.ctx, r.env, runID, engine.NewWaitpoint{At: time.Now().Add(time.Minute)}))(t)
		r.await(runID, run.Waiting)
		time.Sleep(2 * time.Minute)
		r.await(runID, run.Executing)
		r.check(runID)
	})
}

// TestResumeIsNoticed: a worker that waits gets the runs of a resumed queue, and of
// one with a higher limit, at once.
func TestResumeIsNoticed(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		soon := func(name string, change func() error) {
			t.Helper()
			r.trigger(engine.Trigger{Task: "hello"})
			if got := r.dequeued(5); got != nil {
				t.Fatalf("%s: dequeued %v", name, got)
			}
			var asked time.Time
			time.AfterFunc(time.Second, func() {
				asked = time.Now()
				if err := change(); err != nil {
					t.Error(err)
				}
			})
			r.take()
			if d := time.Since(asked); asked.IsZero() || d > 100*time.Millisecond {
				t.Errorf("%s: noticed after %v", name, d)
			}
		}
		r.ok(r.PauseQueue(r.ctx, r.env, hello, true))
		soon("resume", func() error { return r.PauseQueue(r.ctx, r.env, hello, false) })
		r.ok(r.OverrideQueue(r.ctx, r.env, hello, queue.Override{}))
		soon("override", func() error { return r.OverrideQueue(r.ctx, r.env, hello, queue.Override{Runs: 2}) })
		r.ok(r.OverrideQueue(r.ctx, r.env, hello, queue.Override{}))
		soon("reset", func() error { return r.ResetQueue(r.ctx, r.env, hello) })
	})
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		m, two := manifest("hello"), 2
		m.Queues = append(m.Queues, queueOf("narrow", &two))
		r.register(m)
		narrow := store.QueueRef{Name: "narrow"}
		for range 40 {
			r.trigger(engine.Trigger{Task: "hello", Queue: "narrow"})
		}
		held := 0
		grows := func(name string, to int) {
			t.Helper()
			if held += len(r.dequeued(40)); held != to {
				t.Errorf("%s: %d runs have slots, want %d", name, held, to)
			}
		}
		grows("declared", 2)
		if err := r.ResetQueue(r.ctx, r.env, narrow); !fault.Is(err, fault.Malformed) {
			t.Errorf("reset without an override: %v", err)
		}
		if err := r.OverrideQueue(r.ctx, r.env, narrow, queue.Override{Runs: 101}); !fault.Is(err, fault.Malformed) {
			t.Errorf("more than the environment may: %v", err)
		}
		r.ok(r.OverrideQueue(r.ctx, r.env, narrow, queue.Override{Runs: 3}))
		grows("overridden", 3)
		r.ok(r.PauseQueue(r.ctx, r.env, narrow, true))
		held = 0
		r.ok(r.OverrideQueue(r.ctx, r.env, narrow, queue.Override{Runs: 4}))
		grows("overridden while paused", 0)
		r.ok(r.PauseQueue(r.ctx, r.env, narrow, false))
		grows("resumed", 4)
		r.limit(9)
		r.ok(r.OverrideQueue(r.ctx, r.env, narrow, queue.Override{Percent: 60}))
		grows("a share of nine", 5)
		r.limit(20)
		grows("a share of twenty", 12)
		r.ok(r.ResetQueue(r.ctx, r.env, narrow))
		grows("reset", 12) // above its limit, so nothing starts
	})
}

// TestLimitsHoldWhileTheyChange: whatever is done to limits and pauses meanwhile, no
// slot is dealt above the limit of that moment, and no run gets lost.
func TestLimitsHoldWhileTheyChange(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		rnd := rand.New(rand.NewPCG(5, 6))
		settings, envLimit := queue.Settings{}, 100
		open := map[string]string{} // lanes of the runs that hold a slot
		count := func(lane string) (n int) {
			for _, l := range open {
				if l == lane || lane == "" {
					n++
				}
			}
			return n
		}
		var all []string
		change := func() {
			switch rnd.IntN(5) {
			case 0:
				settings.Paused = !settings.Paused
				r.ok(r.PauseQueue(r.ctx, r.env, hello, settings.Paused))
				for runID := range open {
					if r.get(runID).Exec == run.Queued {
						delete(open, runID)
					}
				}
			case 1:
				settings.Override = &queue.Override{Runs: rnd.IntN(envLimit + 1)}
				r.ok(r.OverrideQueue(r.ctx, r.env, hello, *settings.Override))
			case 2:
				settings.Override = &queue.Override{Percent: 1 + 99*rnd.Float64()}
				r.ok(r.OverrideQueue(r.ctx, r.env, hello, *settings.Override))
			case 3:
				if settings.Override != nil {
					settings.Override = nil
					r.ok(r.ResetQueue(r.ctx, r.env, hello))
				}
			case 4:
				envLimit = 1 + rnd.IntN(10)
				r.limit(envLimit)
			}
		}
		for range 200 {
			change()
			all = append(all, r.trigger(engine.Trigger{Task: "hello", ConcurrencyKey: []string{"", "a", "b"}[rnd.IntN(3)]}))
			limit := envLimit
			if l := settings.Limit(envLimit); l != nil {
				limit = *l
			}
			for _, d := range must(r.Dequeue(r.ctx, r.env, "", 1+rnd.IntN(5)))(t) {
				lane := d.Run.Lane.String()
				open[d.Run.ID] = lane
				if settings.Paused || count(lane) > limit || count("") > envLimit {
					t.Fatalf("%d slots of lane %q are dealt, %d in all; %+v of %d", count(lane), lane, count(""), settings, envLimit)
				}
				if rnd.IntN(2) == 0 {
					must(r.StartAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq}))(t)
				}
			}
			for runID := range open {
				if r.get(runID).Exec == run.Executing && rnd.IntN(3) == 0 {
					r.finish(runID, `1`)
					delete(open, runID)
				}
			}
		}
		r.ok(r.PauseQueue(r.ctx, r.env, hello, true)) // takes back what has not started
		r.ok(r.PauseQueue(r.ctx, r.env, hello, false))
		r.ok(r.OverrideQueue(r.ctx, r.env, hello, queue.Override{Percent: 100}))
		ended := map[string]int{}
		for _, runID := range all {
			if r.get(runID).Exec == run.Executing {
				r.finish(runID, `1`)
			}
		}
		for list := must(r.Dequeue(r.ctx, r.env, "", 5))(t); len(list) > 0; list = must(r.Dequeue(r.ctx, r.env, "", 5))(t) {
			for _, d := range list {
				must(r.StartAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq}))(t)
				r.finish(d.Run.ID, `1`)
			}
		}
		for _, runID := range all {
			ended[fmt.Sprint(r.get(runID).Status)]++
		}
		if d := cmp.Diff(map[string]int{string(run.StatusCompleted): len(all)}, ended); d != "" {
			t.Error(d)
		}
	})
}

// TestQueueSize: a queue that is full takes no more, whatever the key; what executes
// does not count, and other queues and environments have room of their own.
func TestQueueSize(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		second := *r
		second.start(t, engine.Options{MaxQueue: engine.QueueSizes{Dev: 1, Deployed: 2}})
		trigger := func(key string) error {
			_, err := second.Trigger(r.ctx, r.env, engine.Trigger{Task: "hello", ConcurrencyKey: key})
			return err
		}
		full := func(name string, err error) {
			t.Helper()
			want := "Cannot trigger hello as the queue size limit for this environment has been reached. The maximum size is 2"
			if !fault.Is(err, fault.Invalid) || err.Error() != want {
				t.Errorf("%s: %v", name, err)
			}
		}
		r.ok(trigger(""))
		r.begin()
		r.ok(trigger(""))
		r.ok(trigger("a"))
		full("a third", trigger(""))
		full("with another key", trigger("b"))
		must(second.Trigger(r.ctx, r.env, engine.Trigger{Task: "child"}))(t)

		b, _, err := second.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 3})
		r.ok(err)
		var items []engine.Item
		for i := range 3 {
			items = append(items, engine.Item{Index: i, Trigger: engine.Trigger{Task: "child"}})
		}
		must(second.AddItems(r.ctx, r.env, b.ID, items))(t)
		got := map[run.Status]int{}
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
			list, err := tx.ListRuns(store.RunFilter{Envs: []string{r.env.ID}, BatchID: b.ID}, store.Page{Size: 10})
			for _, d := range list.Items {
				got[d.Status]++
			}
			return err
		}))
		if d := cmp.Diff(map[run.Status]int{run.StatusPending: 1, run.StatusSystemFailure: 2}, got); d != "" {
			t.Errorf("the items of a batch: %s", d)
		}
	})
}

// TestManyLanes: more keys than one look reads, none of which may go, hide no other lane.
func TestManyLanes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		const keys = 600
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: keys})
		r.ok(err)
		items := make([]engine.Item, keys)
		for i := range items {
			items[i] = engine.Item{Index: i, Trigger: engine.Trigger{Task: "child", ConcurrencyKey: fmt.Sprint("k", i)}}
		}
		must(r.AddItems(r.ctx, r.env, b.ID, items))(t)
		r.ok(r.PauseQueue(r.ctx, r.env, store.QueueRef{Name: "task/child"}, true))
		last := r.trigger(engine.Trigger{Task: "hello"})
		if got := r.dequeued(1); len(got) != 1 || got[0] != last {
			t.Errorf("dequeued %v", got)
		}
		r.ok(r.PauseQueue(r.ctx, r.env, store.QueueRef{Name: "task/child"}, false))
		taken := map[string]bool{}
		for round := 0; round < keys && len(taken) < keys; round++ {
			for _, runID := range r.dequeued(20) {
				taken[runID] = true
				r.ok(r.Cancel(r.ctx, r.env, runID, "", true))
			}
		}
		if len(taken) != keys {
			t.Errorf("%d of %d runs were handed out", len(taken), keys)
		}
	})
}

// TestColonInTask: the queue of a task whose name has a colon in it keeps its limit and
// its pause, and its runs are counted as its own and nobody else's.
func TestColonInTask(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		m := manifest("mail", "mail:send")
		m.Tasks[1].Queue = &deploy.Queue{Limit: new(1)}
		r.register(m)
		for range 3 {
			r.trigger(engine.Trigger{Task: "mail:send"})
			r.trigger(engine.Trigger{Task: "mail:send", ConcurrencyKey: "k"})
		}
		if got := r.dequeued(6); len(got) != 2 {
			t.Errorf("%d of a lane of 1 and a key of 1 were handed out", len(got))
		}
		counts := func(name string) (q store.Queue) {
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) {
				if q, err = tx.Queue(r.env.ID, store.QueueRef{Name: name}); err == nil {
					err = tx.CountQueue(r.env.ID, &q)
				}
				return err
			}))
			return q
		}
		if q := counts("task/mail:send"); q.Running != 2 || q.Queued != 4 {
			t.Errorf("%d running, %d queued", q.Running, q.Queued)
		}
		if q := counts("task/mail"); q.Running != 0 || q.Queued != 0 {
			t.Errorf("another's queue: %d running, %d queued", q.Running, q.Queued)
		}
		r.ok(r.PauseQueue(r.ctx, r.env, store.QueueRef{Name: "task/mail:send"}, true))
		if q := counts("task/mail:send"); q.Running != 0 || q.Queued != 6 {
			t.Errorf("paused: %d running, %d queued", q.Running, q.Queued)
		}
	})
}
