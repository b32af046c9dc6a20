package run_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sear/internal/queue"
	"sear/internal/run"
)

// world is an engine in memory: it applies plans the way the real one does, to
// many runs in several queues and keys, with two environments' worth of rules.
type world struct {
	now    time.Time
	runs   []*run.Run
	waits  map[string][]string // run → runs it waits for
	limits map[string]int      // queue → slots a lane may hold
	limit  int                 // slots of the environment
	ends   map[string]int      // how often each run finished
	rnd    *rand.Rand
}

func newWorld(seed uint64) *world {
	return &world{now: t0, waits: map[string][]string{}, ends: map[string]int{}, limit: 7,
		limits: map[string]int{"a": 1, "b": 3, "c": math.MaxInt, "paused": 0}, rnd: rand.New(rand.NewPCG(seed, 1))}
}

func (w *world) ctx() run.Ctx {
	return run.Ctx{Now: w.now, Jitter: w.rnd.Float64(), Timeouts: run.DefaultTimeouts}
}

// apply decides a command and keeps its plan; refusals change nothing.
func (w *world) apply(r *run.Run, c run.Command) error {
	before := *r
	p, err := run.Decide(*r, c, w.ctx())
	if err != nil {
		return nil
	}
	*r = p.Run
	if err := run.Check(*r); err != nil {
		return fmt.Errorf("%T: %w", c, err)
	}
	if want := before.Seq + 1; p.Moved && r.Seq != want || !p.Moved && r.Seq != before.Seq {
		return fmt.Errorf("%T: snapshot %d after %d", c, r.Seq, before.Seq)
	}
	if before.Exec == run.Finished && r.Exec != run.Finished {
		return fmt.Errorf("%T: a finished run came back as %s", c, r.Exec)
	}
	if p.Edges != run.KeepEdges {
		delete(w.waits, r.ID)
	}
	if p.Finished {
		w.ends[r.ID]++
		return w.wake(r.ID)
	}
	return nil
}

// wake looks at every run that waited for the finished one.
func (w *world) wake(id string) error {
	for _, r := range w.runs {
		if slices.Contains(w.waits[r.ID], id) {
			w.waits[r.ID] = slices.DeleteFunc(w.waits[r.ID], func(other string) bool { return other == id })
			if err := w.apply(r, run.Unblock{Pending: len(w.waits[r.ID])}); err != nil {
				return err
			}
		}
	}
	return nil
}

// deal hands out slots as the dispatcher does: resumed runs first, then new ones.
func (w *world) deal(n int) error {
	for _, line := range []run.Exec{run.QueuedExecuting, run.Queued} {
		free := w.limit - w.slots("")
		for _, g := range queue.Pick(w.loads(line), min(n, free), w.now, w.rnd.Float64) {
			for _, r := range w.standing(line, g.Lane)[:min(g.N, len(w.standing(line, g.Lane)))] {
				var c run.Command = run.Resume{}
				if line == run.Queued {
					c = run.Dequeue{WorkerID: "w1", Version: "v1", MaxAttempts: 3}
				}
				if err := w.apply(r, c); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *world) standing(e run.Exec, lane string) []*run.Run {
	var out []*run.Run
	for _, r := range w.runs {
		if r.Exec == e && r.Lane.String() == lane && r.Score <= w.now.UnixMilli() {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *run.Run) int { return int(a.Score - b.Score) })
	return out
}

func (w *world) loads(e run.Exec) []queue.Load {
	var out []queue.Load
	for _, r := range w.runs {
		lane := r.Lane.String()
		if len(w.standing(e, lane)) == 0 || slices.ContainsFunc(out, func(l queue.Load) bool { return l.Lane == lane }) {
			continue
		}
		out = append(out, queue.Load{Lane: lane, Oldest: time.UnixMilli(r.Score), Running: w.slots(lane), Limit: w.limits[r.Lane.Queue]})
	}
	return out
}

// slots counts the slots a lane holds, or with "" the environment.
func (w *world) slots(lane string) (n int) {
	for _, r := range w.runs {
		if r.Slot && (lane == "" || r.Lane.String() == lane) {
			n++
		}
	}
	return n
}

// check holds the limits after every step.
func (w *world) check() error {
	if n := w.slots(""); n > w.limit {
		return fmt.Errorf("the environment holds %d slots of %d", n, w.limit)
	}
	for _, r := range w.runs {
		if n := w.slots(r.Lane.String()); n > w.limits[r.Lane.Queue] {
			return fmt.Errorf("lane %s holds %d slots of %d", r.Lane, n, w.limits[r.Lane.Queue])
		}
		if w.ends[r.ID] > 1 {
			return fmt.Errorf("run %s finished %d times", r.ID, w.ends[r.ID])
		}
	}
	return nil
}

// timers carries out every deadline that has passed.
func (w *world) timers() error {
	for _, r := range w.runs {
		if r.Overdue(w.now) {
			if err := w.apply(r, run.Deadline(*r, nil, w.now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// random is one arbitrary command to one arbitrary run, sensible or not.
func (w *world) random(t *rapid.T) error {
	if len(w.runs) == 0 || rapid.IntRange(0, 9).Draw(t, "create") < 2 {
		return w.create(t)
	}
	r := rapid.SampledFrom(w.runs).Draw(t, "run")
	seq := r.Seq - int64(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "behind"))
	broken := &run.Error{Type: run.BuiltIn, Message: "boom"}
	delay := time.Duration(rapid.IntRange(0, 60).Draw(t, "seconds")) * time.Second
	if c := rapid.IntRange(0, 14).Draw(t, "command"); c < 3 {
		return w.deal(rapid.IntRange(1, 5).Draw(t, "n"))
	} else if c == 3 {
		w.now = w.now.Add(delay * 2)
		return w.timers()
	} else if c == 4 {
		return w.block(t, r)
	} else {
		return w.apply(r, []run.Command{
			run.Start{Seq: seq}, run.Start{Seq: seq}, run.Complete{Seq: seq},
			run.Fail{Seq: seq, Err: broken, Retry: &run.Retry{Delay: delay}}, run.Fail{Seq: seq, Err: broken},
			run.Cancel{Reason: "why not", Final: delay == 0}, run.Beat{Seq: seq}, run.Reschedule{Until: w.now.Add(delay)}, run.Requeue{},
			run.Enqueue{WorkerID: "w1", Version: "v1"},
		}[c-5])
	}
}

func (w *world) create(t *rapid.T) error {
	r := run.Run{ID: fmt.Sprint("r", len(w.runs)), EnvID: "e", Task: "t", MaxAttempts: rapid.IntRange(0, 3).Draw(t, "attempts"),
		Lane: run.Lane{Queue: rapid.SampledFrom([]string{"a", "b", "c", "paused"}).Draw(t, "queue"),
			Key: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "key")},
		TTL: time.Duration(rapid.IntRange(0, 2).Draw(t, "ttl")) * time.Hour}
	if rapid.IntRange(0, 4).Draw(t, "delayed") == 0 {
		r.DelayUntil = w.now.Add(time.Minute)
	}
	p, err := run.Decide(run.Run{}, run.Create{Run: r, PriorityMS: rapid.Int64Range(-5000, 5000).Draw(t, "priority"),
		External: rapid.IntRange(0, 9).Draw(t, "external") == 0}, w.ctx())
	if err != nil {
		return err
	}
	w.runs = append(w.runs, &p.Run)
	return run.Check(p.Run)
}

// block makes a run wait for some younger runs, which cannot wait for it in turn.
func (w *world) block(t *rapid.T, r *run.Run) error {
	i := slices.Index(w.runs, r)
	var targets []string
	for _, other := range w.runs[i+1:] {
		if other.Exec != run.Finished && len(targets) < 2 && rapid.Bool().Draw(t, "wait") {
			targets = append(targets, other.ID)
		}
	}
	before := r.Seq
	if err := w.apply(r, run.Block{}); err != nil || r.Seq == before && r.Exec != run.Waiting {
		return err
	}
	w.waits[r.ID] = append(w.waits[r.ID], targets...)
	return w.apply(r, run.Unblock{Pending: len(w.waits[r.ID])})
}

// drain lets workers that do their job finish everything, pauses lifted.
func (w *world) drain() error {
	w.limits["paused"] = 1
	for range 100_000 {
		busy := false
		if err := w.deal(5); err != nil {
			return err
		}
		for _, r := range w.runs {
			busy = busy || r.Exec != run.Finished
			var c run.Command
			switch {
			case r.Exec == run.PendingExecuting || r.Status == run.StatusRetrying:
				c = run.Start{Seq: r.Seq}
			case r.Exec == run.Executing || r.Exec == run.PendingCancel:
				c = run.Complete{Seq: r.Seq}
			case r.Exec == run.Waiting:
				c = run.Beat{Seq: r.Seq}
			default:
				continue
			}
			if err := w.apply(r, c); err != nil {
				return err
			}
		}
		if !busy {
			return nil
		}
		w.now = w.now.Add(time.Minute)
		if err := w.timers(); err != nil {
			return err
		}
		if err := w.check(); err != nil {
			return err
		}
	}
	for _, r := range w.runs {
		if r.Exec != run.Finished {
			return fmt.Errorf("the queue does not drain: %+v waits for %v", *r, w.waits[r.ID])
		}
	}
	return nil
}

// TestRandomCommands sends ten thousand arbitrary commands to many runs in
// lanes with limits: no invariant and no limit may break at any step, no run may
// end twice, and whatever state they leave must drain.
func TestRandomCommands(t *testing.T) {
	t.Parallel()
	const steps = 100 // times rapid's hundred checks
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.Uint64().Draw(t, "seed"))
		for range steps {
			if err := w.random(t); err != nil {
				t.Fatal(err)
			}
			if err := w.check(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.drain(); err != nil {
			t.Fatal(err)
		}
		for _, r := range w.runs {
			if w.ends[r.ID] != 1 {
				t.Fatalf("run %s ended %d times", r.ID, w.ends[r.ID])
			}
		}
	})
}
