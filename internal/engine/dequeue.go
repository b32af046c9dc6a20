package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"sear/internal/deploy"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Delivery is a run handed to a worker under a lease.
type Delivery struct {
	Run       run.Run
	Test      bool
	Extra     run.Extra
	Worker    *deploy.Worker
	Completed []store.Completed // waitpoints a suspended run waited for
}

// Limits of one look at the queue.
const (
	//limit:inside of one look at the queue; the next goes on behind it
	maxHeads = 256 // lanes of one page
	//limit:inside likewise
	maxPages = 8 // pages of which no lane may have a slot; the next look goes on behind them
	//limit:inside likewise
	maxRounds = 4 // times slots are dealt again because a lane held fewer runs than it was dealt
)

// asking is a worker that asks for runs, over one look or several.
type asking struct {
	workerID string // "": one that does not say
	looked   bool
	newest   int64 // of the workers that were there at the first look
	over     bool  // a newer one was registered since, and who asks may have become that
	replaced bool  // each of its tasks is a newer one's
}

// Dequeue hands out up to n runs of an environment that may go now. Those of no
// version go to its current worker; in a development environment to the worker with
// the given id, which is whose process asks, unless it is "" or unknown. There it gets the
// runs of those tasks only that no newer worker has which is there too.
func (e *Engine) Dequeue(ctx context.Context, env *tenant.Environment, workerID string, n int) ([]Delivery, error) {
	return e.dequeue(ctx, env, &asking{workerID: workerID}, n)
}

func (e *Engine) dequeue(ctx context.Context, env *tenant.Environment, ask *asking, n int) ([]Delivery, error) {
	done, err := e.turn(ctx, env.ID)
	if err != nil {
		return nil, err
	}
	defer done()
	var out []Delivery
	before := *ask
	err = e.update(ctx, func(w *work) error {
		out, *ask = nil, before
		if held, err := e.held(w.tx); held || err != nil {
			return err
		}
		out, err = e.deal(w, env, ask, n)
		return err
	})
	if err != nil {
		return nil, err // what was dealt was taken back with the transaction
	}
	return out, nil
}

// replacedPoll is how long a dequeue waits for a worker that gets no more than what is
// locked to it: its command line is about to ask for a newer one, or has company.
const replacedPoll = time.Second

// AwaitDequeue is Dequeue that waits for work until ctx ends; it returns an empty
// list then. In a development environment it does so as soon as a worker is registered, for
// who asks may be about to ask for that.
func (e *Engine) AwaitDequeue(ctx context.Context, env *tenant.Environment, workerID string, n int) ([]Delivery, error) {
	watch := e.store.Watch(TopicQueue, env.ID)
	defer watch.Close()
	tick := time.NewTicker(e.patience())
	defer tick.Stop()
	ask := asking{workerID: workerID}
	var enough <-chan time.Time
	for {
		list, err := e.dequeue(ctx, env, &ask, n)
		if len(list) > 0 || err == nil && ask.over {
			return list, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if ask.replaced && enough == nil {
			enough = time.After(replacedPoll)
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-enough:
			return nil, nil
		case <-watch.C():
		case <-tick.C:
		}
	}
}

// consumer finds who takes runs of no version, nil for nobody, and which runs those are.
func (w *work) consumer(env *tenant.Environment, ask *asking) (*deploy.Worker, store.For, error) {
	var worker *deploy.Worker
	var err error
	if ask.workerID != "" && env.Type == tenant.Development {
		worker, err = w.worker(env.ID, ask.workerID)
	}
	named := worker != nil && err == nil
	if worker == nil && (err == nil || isNotFound(err)) {
		if worker, err = w.current(env); isNotFound(err) {
			return nil, store.For{}, nil // what is locked goes all the same
		}
	}
	if err != nil || env.Type != tenant.Development {
		return worker, store.For{}, err
	}
	all, err := present(w.tx, env, worker.ID, w.now, w.loader())
	if err != nil {
		return nil, store.For{}, err
	}
	var newest int64
	if len(all) > 0 {
		newest = all[0].Number
	}
	if !ask.looked {
		ask.looked, ask.newest = true, newest
	}
	if named && newest > ask.newest {
		ask.over = true
		return worker, store.For{WorkerID: worker.ID, Own: true}, nil
	}
	who := share(worker, all)
	ask.replaced = named && nothing(worker, who)
	return worker, who, nil
}

// resume gives slots back to the runs of an environment that wait for one.
func (e *Engine) resume(ctx context.Context, envID string) error {
	done, err := e.turn(ctx, envID)
	if err != nil {
		return err
	}
	defer done()
	return e.update(ctx, func(w *work) error {
		env, err := e.env(w.tx, envID)
		if err != nil {
			return err
		}
		_, err = e.deal(w, env, &asking{}, 0)
		return err
	})
}

// deal gives the free slots of an environment first to runs that are alive and
// wait for theirs, then to new ones, of which it hands out up to n. Who takes these is read
// once the environment is locked: a worker that is registered or promoted meanwhile lets
// parked runs go, and would not see one that is parked after it for lack of it.
func (e *Engine) deal(w *work, env *tenant.Environment, ask *asking, n int) ([]Delivery, error) {
	limit, paused, err := w.tx.LockSlots(env.ID)
	if err != nil {
		return nil, err
	}
	running, err := w.tx.Running(env.ID)
	if err != nil {
		return nil, err
	}
	d := &dealer{e: e, w: w, env: env, running: running, limit: limit, free: limit}
	for _, held := range running {
		d.free -= held
	}
	left, err := d.deal(store.ForSlot, d.free, d.resume)
	if err != nil {
		return nil, err
	}
	w.tx.AfterCommit(func() { e.resumes.vain(env.ID, left) })
	if paused || n == 0 {
		return nil, nil
	}
	if d.worker, d.who, err = w.consumer(env, ask); err != nil {
		return nil, err
	}
	_, err = d.deal(store.ForWorker, n, d.handOut)
	return d.out, err
}

// dealer is one look at the queue of an environment.
type dealer struct {
	e       *Engine
	w       *work
	env     *tenant.Environment
	worker  *deploy.Worker // nil: runs without a version can go nowhere
	who     store.For
	running map[string]int // slots by lane
	limit   int            // of the environment, which also bounds each lane
	free    int
	full    bool // as many versions were read as one transaction may
	out     []Delivery
}

// deal takes up to n runs out of a line, in rounds, and says whether some were left standing.
func (d *dealer) deal(line store.Line, n int, take func(c store.Claimed) error) (left bool, err error) {
	for round, page := 0, 0; round < maxRounds && page < maxPages; {
		loads, all, err := d.loads(line)
		if err != nil {
			return false, err
		}
		left = left || len(loads) > 0
		grants := queue.Pick(loads, min(n, d.free), d.w.now, rand.Float64)
		if len(grants) == 0 {
			if all || min(n, d.free) <= 0 {
				return left, nil
			}
			page++ // none of these lanes may have a slot, but others may
			continue
		}
		taken := 0
		for _, g := range grants {
			got, err := d.grant(line, g, take)
			if err != nil {
				return false, err
			}
			taken += got
		}
		n -= taken
		if n <= 0 || taken == 0 || d.full {
			return true, nil
		}
		round++
	}
	return true, nil
}

func (d *dealer) grant(line store.Line, g queue.Grant, take func(c store.Claimed) error) (int, error) {
	list, err := d.w.tx.Claim(d.env.ID, line, d.who, g.Lane, g.N+d.taken(g.Lane), d.w.now)
	if err != nil {
		return 0, err
	}
	taken := 0
	for _, c := range list {
		d.w.hold(c.Run)
		if d.w.runs[c.ID].dirty || taken == g.N { // the row is only written at the end of the transaction
			continue
		}
		if err := take(c); errors.Is(err, errLoads) {
			d.full = true // the next look goes on with the versions that this one has read
			return taken, nil
		} else if err != nil {
			return taken, err
		}
		if d.w.runs[c.ID].run.Slot {
			d.running[g.Lane]++
			d.free--
		}
		taken++
	}
	return taken, nil
}

// taken counts the runs of a lane that this transaction has taken but not written yet.
func (d *dealer) taken(lane string) (n int) {
	for _, h := range d.w.runs {
		if h.dirty && h.run.Lane.String() == lane {
			n++
		}
	}
	return n
}

// loads reads a page of the lanes of a line whose first run may go now, and says whether
// the page holds all lanes there are.
func (d *dealer) loads(line store.Line) (loads []queue.Load, all bool, err error) {
	heads, err := d.heads(line)
	if err != nil {
		return nil, false, err
	}
	all = len(heads) < maxHeads
	heads = slices.DeleteFunc(heads, func(h store.Head) bool { return h.Score > d.w.now.UnixMilli() })
	if len(heads) == 0 {
		return nil, all, nil
	}
	names := make([]string, len(heads))
	for i, h := range heads {
		names[i] = run.ParseLane(h.Lane).Queue
	}
	settings, err := d.w.tx.QueueSettings(d.env.ID, names)
	if err != nil {
		return nil, false, err
	}
	loads = make([]queue.Load, len(heads))
	for i, h := range heads {
		s := settings[names[i]]
		limit := d.limit
		if l := s.Limit(d.limit); l != nil {
			limit = *l
		}
		if s.Paused && line == store.ForWorker { // what is alive goes on
			limit = 0
		}
		loads[i] = queue.Load{Lane: h.Lane, Oldest: time.UnixMilli(h.Score), Running: d.running[h.Lane], Limit: limit}
	}
	return loads, all, nil
}

// heads reads up to maxHeads lanes, beginning after those of the last look at the line
// so that each lane is seen however many there are.
func (d *dealer) heads(line store.Line) ([]store.Head, error) {
	place := place{d.env.ID, line}
	d.e.mu.Lock()
	after := d.e.cursor[place]
	d.e.mu.Unlock()
	heads, err := d.w.tx.Heads(d.env.ID, line, d.who, after, maxHeads)
	if err != nil {
		return nil, err
	}
	if len(heads) < maxHeads && after != "" {
		rest, err := d.w.tx.Heads(d.env.ID, line, d.who, "", maxHeads-len(heads))
		if err != nil {
			return nil, err
		}
		rest = slices.DeleteFunc(rest, func(h store.Head) bool { return h.Lane > after })
		heads = append(heads, rest...)
	}
	after = ""
	if len(heads) == maxHeads {
		after = heads[len(heads)-1].Lane
	}
	d.e.mu.Lock()
	d.e.cursor[place] = after
	d.e.mu.Unlock()
	return heads, nil
}

// place is a line of an environment.
type place struct {
	env  string
	line store.Line
}

func (d *dealer) resume(c store.Claimed) error {
	_, err := d.w.decide(d.env, c.ID, run.Resume{})
	return err
}

// handOut locks the run to a version, or parks it when none can take it.
func (d *dealer) handOut(c store.Claimed) error {
	cmd, worker, err := d.command(c.Run)
	if err != nil {
		return err
	}
	r, err := d.w.decide(d.env, c.ID, cmd)
	if err == nil && r.Exec == run.PendingExecuting {
		d.out = append(d.out, Delivery{Run: r, Test: c.Test, Extra: c.Extra, Worker: worker})
	}
	return err
}

// command says which worker takes a run, or why none does.
func (d *dealer) command(r run.Run) (run.Dequeue, *deploy.Worker, error) {
	worker := d.worker
	switch {
	case r.WorkerID == "" && worker == nil:
		return run.Dequeue{Missing: run.NoWorker}, nil, nil
	case r.WorkerID != "" && (worker == nil || r.WorkerID != worker.ID):
		var err error
		if worker, err = d.w.worker(d.env.ID, r.WorkerID); err != nil {
			return run.Dequeue{}, nil, err
		}
	}
	if missing, err := lacks(d.w.tx, worker, r); missing != "" || err != nil {
		return run.Dequeue{Missing: missing}, nil, err
	}
	task := worker.Manifest.Task(r.Task)
	cmd := run.Dequeue{WorkerID: worker.ID, Version: worker.Version, MaxDuration: int(task.MaxDuration), Machine: defaultMachine}
	if task.Machine != nil && task.Machine.Preset != "" {
		cmd.Machine = task.Machine.Preset
	}
	policy, err := d.w.policy(run.Run{EnvID: d.env.ID, WorkerID: worker.ID, Task: r.Task})
	if err != nil {
		return run.Dequeue{}, nil, err
	}
	if policy != nil {
		cmd.MaxAttempts = policy.Attempts()
	}
	return cmd, worker, nil
}

// defaultMachine is the preset of tasks that name none.
const defaultMachine = "small-1x"
