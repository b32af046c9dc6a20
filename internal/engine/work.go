package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"sear/internal/failure"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// work is one transaction of the engine: the runs it holds, and what its commands
// have decided so far. Nothing is written before flush.
type work struct {
	e      *Engine
	tx     *store.Tx
	now    time.Time
	runs   map[string]*held
	broken error // the store failed a command: the transaction is lost

	effects
	keyed   map[string]string // runs in created by task and idempotency key
	indexed int               // how many of created are in keyed
	changed []change          // what the current command did to runs, to take it back
	loads   int               // manifests that were read
	bytes   int               // of packets to be written
	waiting map[string]int    // runs that stood in a queue before this transaction, by environment and name
}

// held is a run this transaction has locked.
type held struct {
	run   run.Run
	was   int64     // snapshot in the store
	since time.Time // when that was
	dirty bool
}

// effects is what commands decided beside the runs themselves. Commands only
// append, so a copy of the struct is enough to take a command back.
type effects struct {
	created  []store.NewRun
	log      []store.Snapshot
	edges    []store.Edge
	deliver  []delivery
	drop     []string // runs that wait for nothing any more
	done     []string // runs, batches and waitpoints that completed
	unblock  []string // runs to look at after the commit
	children []cancelled
	failed   []run.Run // that ended as failures, to be counted in their groups
	notify   []string  // runs whose worker is to look
	stirred  []string  // environments with more to do: a run became ready, or a slot free
	resuming []string  // environments where a run waits for its slot
	due      time.Time
	debounce []debounceKey // keys that lead to runs in created
	released []releasedKey
	writes   []func(tx *store.Tx) error
	define   []*store.Detail // runs whose definition the caller wants to know
}

// releasedKey is an idempotency key that its run holds no longer.
type releasedKey struct{ runID, key string }

// delivery is a snapshot of a run with which its completed waitpoints go out.
type delivery struct {
	runID string
	seq   int64
}

// cancelled is a run whose children are to be cancelled too.
type cancelled struct{ runID, reason string }

type change struct {
	id  string
	was held
}

func (e *Engine) begin(tx *store.Tx) *work {
	return &work{e: e, tx: tx, now: now(), runs: map[string]*held{}}
}

// attempt runs one command of a batch and takes back what it decided if it refuses.
func (w *work) attempt(fn func(w *work) error) error {
	before := w.effects
	w.changed = w.changed[:0]
	err := fn(w)
	if err == nil {
		return nil
	}
	if !refusal(err) && !errors.Is(err, errLoads) {
		w.broken = err
	}
	w.effects, w.keyed, w.indexed = before, nil, 0
	for _, c := range slices.Backward(w.changed) {
		*w.runs[c.id] = c.was
	}
	return err
}

// lock loads runs for update. Those that do not exist stay absent.
func (w *work) lock(ids ...string) error {
	missing := ids[:0:0]
	for _, id := range ids {
		if _, ok := w.runs[id]; !ok && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	list, err := w.tx.LockRuns(missing)
	if err != nil {
		return err
	}
	w.hold(list...)
	return nil
}

// lockAll locks debounce keys, and runs together with those that the keys lead to.
func (w *work) lockAll(ids []string, keys []store.DebounceKey) error {
	debounced, err := w.tx.HoldDebounced(keys)
	if err != nil {
		return err
	}
	return w.lock(slices.Concat(ids, debounced)...)
}

// hold takes in runs that a query has locked.
func (w *work) hold(list ...run.Run) {
	for _, r := range list {
		if _, ok := w.runs[r.ID]; !ok {
			w.runs[r.ID] = &held{run: r, was: r.Seq, since: r.MovedAt}
		}
	}
}

// run is a locked run of the environment, fault.NotFound when it has none of that id.
func (w *work) run(env *tenant.Environment, id string) (run.Run, error) {
	if err := w.lock(id); err != nil {
		return run.Run{}, err
	}
	h := w.runs[id]
	if h == nil || h.run.EnvID != env.ID {
		return run.Run{}, fault.New(fault.NotFound, "Run not found")
	}
	return h.run, nil
}

// decide lets the domain decide about a locked run and takes down the plan.
func (w *work) decide(env *tenant.Environment, id string, c run.Command) (run.Run, error) {
	r, err := w.run(env, id)
	if err != nil {
		return r, err
	}
	p, err := run.Decide(r, c, w.e.context(env, w.now))
	if err != nil {
		return r, err
	}
	h := w.runs[id]
	w.changed = append(w.changed, change{id, *h})
	h.run, h.dirty = p.Run, true
	if p.Moved {
		w.log = append(w.log, store.SnapshotOf(r))
	}
	if p.Run.Output != r.Output {
		w.bytes += len(p.Run.Output.Data)
	}
	w.note(r, p)
	return p.Run, nil
}

// create lets the domain make a run.
func (w *work) create(env *tenant.Environment, c run.Create, d run.Definition) (run.Run, error) {
	p, err := run.Decide(run.Run{}, c, w.e.context(env, w.now))
	if err != nil {
		return run.Run{}, err
	}
	w.created = append(w.created, store.NewRun{Run: p.Run, Def: d})
	w.bytes += len(d.Payload.Data) + len(d.Metadata.Data) + len(d.Seed.Data)
	w.note(run.Run{}, p)
	return p.Run, nil
}

// note takes down what a plan means beside the run's own row.
func (w *work) note(before run.Run, p run.Plan) {
	r := p.Run
	switch p.Edges {
	case run.DeliverEdges:
		w.deliver = append(w.deliver, delivery{r.ID, r.Seq})
	case run.DropEdges:
		if before.ID != "" {
			w.drop = append(w.drop, r.ID)
			w.edges = slices.DeleteFunc(slices.Clone(w.edges), func(e store.Edge) bool { return e.RunID == r.ID })
		}
	}
	if p.Finished {
		w.done = append(w.done, r.ID)
		if failure.Failed(r) {
			w.failed = append(w.failed, r)
		}
	}
	if p.Children != "" {
		w.children = append(w.children, cancelled{r.ID, p.Children})
	}
	if p.Notify {
		w.notify = append(w.notify, r.ID)
	}
	if r.Exec == run.QueuedExecuting && before.Exec != r.Exec {
		w.resuming = append(w.resuming, r.EnvID)
	}
	if r.Exec == run.Queued || before.Slot && !r.Slot {
		w.stir(r.EnvID)
	}
	w.soon(r.Due)
}

// soon has the timers look again at an instant.
func (w *work) soon(at time.Time) {
	if !at.IsZero() && (w.due.IsZero() || at.Before(w.due)) {
		w.due = at
	}
}

func (w *work) stir(envID string) {
	if !slices.Contains(w.stirred, envID) {
		w.stirred = append(w.stirred, envID)
	}
}

// write leaves a write for the end of the transaction.
func (w *work) write(fn func(tx *store.Tx) error) { w.writes = append(w.writes, fn) }

// flush writes down what the commands decided.
func (w *work) flush() error {
	for _, fn := range w.writes {
		if err := fn(w.tx); err != nil {
			return err
		}
	}
	slices.SortFunc(w.released, func(a, b releasedKey) int { return cmp.Compare(a.runID, b.runID) }) // as all transactions do
	for _, r := range w.released {
		if err := w.tx.ReleaseKey(r.runID, r.key); err != nil {
			return err
		}
	}
	if err := w.tx.InsertRuns(w.created); err != nil {
		return err
	}
	if err := w.saveDebounce(); err != nil {
		return err
	}
	if err := w.tx.LogSnapshots(w.log); err != nil {
		return err
	}
	if err := w.save(); err != nil {
		return fmt.Errorf("save runs: %w", err)
	}
	if err := w.flushEdges(); err != nil {
		return fmt.Errorf("save waitpoints: %w", err)
	}
	if err := w.tx.SeeFailures(w.failed); err != nil {
		return fmt.Errorf("count failures: %w", err)
	}
	if err := w.tx.Define(w.define); err != nil {
		return err
	}
	w.announce()
	return nil
}

// save writes the runs in ascending order of id.
func (w *work) save() error {
	ids := make([]string, 0, len(w.runs))
	for id, h := range w.runs {
		if h.dirty {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if err := w.tx.SaveRun(w.runs[id].run, w.runs[id].was); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) flushEdges() error {
	if err := w.tx.DropEdges(w.drop); err != nil {
		return err
	}
	for _, d := range w.deliver {
		if err := w.tx.DeliverEdges(d.runID, d.seq); err != nil {
			return err
		}
	}
	if err := w.tx.AddEdges(w.edges); err != nil {
		return err
	}
	blocked, err := w.tx.CompleteEdges(w.done)
	if err != nil {
		return err
	}
	w.unblock = append(w.unblock, blocked...)
	for _, c := range w.children {
		if err := w.tx.CancelChildren(c.runID, c.reason); err != nil {
			return err
		}
	}
	return nil
}

// announce tells others once the transaction is durable: workers, dequeuers, and
// the engine's own loops.
func (w *work) announce() {
	for _, env := range w.stirred {
		w.tx.Hint(TopicQueue, env)
	}
	for _, id := range w.notify {
		w.tx.Hint(TopicRun, id)
	}
	e, fx := w.e, w.effects
	w.tx.AfterCommit(func() {
		w.report(e.opt.Observer)
		e.timer.set(fx.due)
		e.resumes.add(fx.resuming...)
		e.resumes.again(fx.stirred...)
		e.wakes.add(fx.unblock...)
		for _, c := range fx.children {
			e.orders.add(c.runID)
		}
	})
}

// Topics of hints.
const (
	TopicQueue = "queue" // key: environment id; a run may be ready for a worker
	TopicRun   = "run"   // key: run id; the worker that holds it is to look at the newest snapshot
)

// isNotFound reports whether err says that something does not exist.
func isNotFound(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Kind == fault.NotFound
}
