package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// Trigger is a wish to run a task, decoded and checked as far as that goes
// without the store. Payload and metadata are as the client encoded them.
type Trigger struct {
	Task           string
	Payload        run.Packet
	Metadata       run.Packet // a JSON object, or nothing
	Queue          string     // "": the task's
	ConcurrencyKey string
	DelayUntil     time.Time
	QueueTime      time.Time      // the instant its place in the queue counts from; zero: now, or when the delay ends
	TTL            *time.Duration // nil: the task's; 0: none
	Tags           []string
	Test           bool
	Key            Key
	Request        string // transport idempotency key of the HTTP call, as run.OwnKey writes it
	Machine        string
	MaxAttempts    int
	MaxDuration    int // seconds
	PriorityMS     int64
	Version        string // lock to this worker version
	External       string // else to the version that was deployed with this external id, once it is
	Debounce       *Debounce
	ParentID       string
	ResumeParent   bool // the parent waits for this run
	OneTime        OneTime
	Traceparent    string    // W3C: the span above that of the run; "" begins a trace
	Extra          run.Extra // to be stored with the run, but for what follows from the fields above
}

// Debounce folds triggers with the same key into one run that has not begun.
type Debounce struct {
	Key      string
	Delay    time.Duration
	Trailing bool          // the last payload counts, not the first
	MaxDelay time.Duration // 0: none
}

// Triggered is the run that answers a trigger.
type Triggered struct {
	ID     string
	Cached bool // the run existed already
}

// Trigger makes a run, or finds the one that an idempotency or debounce key
// leads to. When it returns, the run is durable.
func (e *Engine) Trigger(ctx context.Context, env *tenant.Environment, t Trigger) (out Triggered, err error) {
	var locks []string
	if t.ResumeParent && t.ParentID != "" {
		locks = []string{t.ParentID}
	}
	if t.OneTime.Token == "" {
		return ask(ctx, e, locks, func(w *work, out *Triggered) (err error) {
			*out, err = w.trigger(env, t)
			return err
		}, t.debounceKeys(env)...)
	}
	err = e.update(ctx, func(w *work) (err error) {
		if out.ID, err = w.repeated(env, t); err != nil || out.ID != "" {
			return err // the token was spent by this very call
		}
		if err := w.useOnce(t.OneTime, t.Task); err != nil {
			return err
		}
		out, err = w.trigger(env, t)
		return err
	})
	return out, err
}

// debounceKeys is the debounce key of a trigger, if it has one.
func (t Trigger) debounceKeys(env *tenant.Environment) []store.DebounceKey {
	if t.Debounce == nil {
		return nil
	}
	return []store.DebounceKey{{EnvID: env.ID, Task: t.Task, Key: t.Debounce.Key}}
}

// repeated is the run that an earlier try of the same call made, "" when there was none.
func (w *work) repeated(env *tenant.Environment, t Trigger) (runID string, err error) {
	if t.Request == "" {
		return "", nil
	}
	return w.tx.RunByRequest(env.ID, t.Task, t.Request)
}

// OneTime is a token that permits one trigger. Its use is remembered until it expires.
type OneTime struct {
	Token     string
	ExpiresAt time.Time
}

// useOnce records the use of a one-time token with the trigger it permits.
func (w *work) useOnce(o OneTime, task string) error {
	first, err := w.tx.UseToken(o.Token, o.ExpiresAt, w.now)
	if err == nil && !first {
		err = fault.Newf(fault.Invalid, "Cannot trigger %s with a one-time use token as it has already been used.", task)
	}
	return err
}

// trigger follows upstream's order of checks: repeated call, parent, idempotency
// key, debounce key, version, queue.
func (w *work) trigger(env *tenant.Environment, t Trigger) (Triggered, error) {
	if runID, err := w.repeated(env, t); err != nil || runID != "" {
		return Triggered{ID: runID}, err
	}
	parent, err := w.parent(env, t)
	if err != nil {
		return Triggered{}, err
	}
	if found, ok, err := w.existing(env, t); err != nil || ok {
		if err == nil && t.ResumeParent && parent.ID != "" {
			err = w.waitForRuns(env, parent.ID, "", map[int]string{store.NoIndex: found})
		}
		return Triggered{ID: found, Cached: true}, err
	}
	r, err := w.newRun(env, t, parent)
	if err != nil {
		return Triggered{}, err
	}
	if t.ResumeParent && parent.ID != "" {
		if _, err := w.decide(env, parent.ID, run.Block{}); err != nil {
			return Triggered{}, err
		}
		w.edge(store.Edge{RunID: parent.ID, Kind: store.WaitRun, WaitpointID: r.ID, Index: store.NoIndex})
	}
	return Triggered{ID: r.ID}, nil
}

// parent is the run that triggers, the zero run when there is none in this
// environment. A parent that waits must exist and be able to.
func (w *work) parent(env *tenant.Environment, t Trigger) (run.Run, error) {
	if t.ParentID == "" {
		return run.Run{}, nil
	}
	if !t.ResumeParent {
		p, err := w.tx.Run(env.ID, t.ParentID)
		if isNotFound(err) {
			return run.Run{}, nil
		}
		return p, err
	}
	p, err := w.run(env, t.ParentID)
	if isNotFound(err) {
		return p, fault.New(fault.NotFound, "Parent run not found")
	}
	if err == nil && p.Status.Final() {
		err = fault.Newf(fault.Invalid, "Cannot trigger %s as the parent run has a status of %s", t.Task, p.Status)
	}
	return p, err
}

// existing finds the run that a key of the trigger leads to.
func (w *work) existing(env *tenant.Environment, t Trigger) (string, bool, error) {
	if t.Key.Text != "" {
		if found, ok, err := w.keyHolder(env, t); ok || err != nil {
			return found, ok, err
		}
	}
	if t.Debounce != nil {
		return w.debounced(env, t)
	}
	return "", false, nil
}

func (w *work) keyHolder(env *tenant.Environment, t Trigger) (string, bool, error) {
	if runID := w.createdWith(env.ID, t.Task, t.Key.own()); runID != "" {
		return runID, true, nil
	}
	h, err := w.tx.RunByKey(env.ID, t.Task, t.Key.own())
	if err != nil || h == nil {
		return "", false, err
	}
	r := h.Run // not locked: whoever waits for it locks it, and two that release its key meet at the index
	if mine := w.runs[r.ID]; mine != nil {
		r = mine.run
	}
	if h.ExpiresAt.After(w.now) && !r.Status.ReleasesKey() {
		return r.ID, true, nil
	}
	w.released = append(w.released, releasedKey{r.ID, t.Key.own()})
	return "", false, nil
}

// createdWith is the run that this transaction has made for a key, which no query finds yet.
func (w *work) createdWith(envID, task, key string) string {
	if w.keyed == nil {
		w.keyed = map[string]string{}
	}
	for ; w.indexed < len(w.created); w.indexed++ {
		if n := &w.created[w.indexed]; n.Def.Key.Key != "" {
			w.keyed[keyOf(n.Run.EnvID, n.Run.Task, n.Def.Key.Text())] = n.Run.ID
		}
	}
	return w.keyed[keyOf(envID, task, key)]
}

// keyOf joins what an idempotency key is unique in.
func keyOf(envID, task, key string) string { return envID + "\x00" + task + "\x00" + key }

// newRun makes the run of a trigger.
func (w *work) newRun(env *tenant.Environment, t Trigger, parent run.Run) (run.Run, error) {
	c, err := w.resolve(env, t)
	if err != nil {
		return run.Run{}, err
	}
	if err := w.room(env, c.Run.Lane.Queue, t.Task); err != nil {
		return run.Run{}, err
	}
	c.Run.ID = id.New(w.now)
	w.family(&c, t, parent)
	return w.createFor(env, c, t)
}

// createFor makes the run of a trigger that has been resolved, with a span of its own.
func (w *work) createFor(env *tenant.Environment, c run.Create, t Trigger) (run.Run, error) {
	d := run.Definition{
		Payload: t.Payload, Metadata: t.Metadata, Seed: t.Metadata, Tags: t.Tags, Test: t.Test,
		Key: t.Key.stored(w.now), CallKey: t.Request, Extra: t.Extra,
	}
	if c.Failed != nil { // one that failed holds no key, and the next with it may be right
		d.Key = run.IdempotencyKey{}
	}
	d.Extra.KeyOptions = t.Key.Options
	d.Extra.PriorityMS, d.Extra.ExternalDeployment = t.PriorityMS, t.External
	var random [24]byte
	rand.Read(random[:]) // never fails
	trace := wire.NewTrace(t.Traceparent, random)
	d.Extra.Trace, d.Extra.ParentSpan = trace.Context, trace.Parent
	r, err := w.create(env, c, d)
	if err == nil && t.Debounce != nil {
		w.leadTo(env, t, r.ID)
	}
	return r, err
}

// family gives a run its place in its family. A child that is waited for counts
// its time in the queue from its parent's, so that a family drains together.
func (w *work) family(c *run.Create, t Trigger, parent run.Run) {
	if parent.ID == "" {
		return
	}
	c.Run.ParentID, c.Run.RootID, c.Run.Depth = parent.ID, parent.RootID, parent.Depth+1
	if t.ResumeParent {
		c.Run.ResumeParent = true
		c.QueueTime = parent.QueuedAt
	}
}

// resolve finds the worker version, the queue and the settings of the task a trigger names.
func (w *work) resolve(env *tenant.Environment, t Trigger) (run.Create, error) {
	c := run.Create{PriorityMS: t.PriorityMS, QueueTime: t.QueueTime, Run: run.Run{
		EnvID: env.ID, Task: t.Task, DelayUntil: t.DelayUntil,
		MaxAttempts: t.MaxAttempts, MaxDuration: t.MaxDuration, Machine: t.Machine,
	}}
	worker, err := w.version(env, &t)
	if err != nil {
		return c, err
	}
	c.External = t.Version == "" && t.External != ""
	var task *deploy.Task
	if worker != nil {
		task = worker.Manifest.Task(t.Task)
	}
	if t.Version != "" {
		if err := pinned(worker, task, t); err != nil {
			return c, err
		}
		c.Run.WorkerID, c.Run.Version = worker.ID, worker.Version
	}
	c.Run.Lane = run.Lane{Queue: deploy.CleanQueueName(t.Queue), Key: t.ConcurrencyKey}
	switch {
	case c.Run.Lane.Queue != "":
	case task != nil:
		c.Run.Lane.Queue = task.QueueName()
	default:
		c.Run.Lane.Queue = run.TaskQueue(t.Task)
	}
	c.Run.TTL = w.ttl(env, t, task)
	return c, nil
}

// version is the worker that a trigger is resolved with; nil when there is none yet.
// An external id becomes the version that it leads to, if there is one.
func (w *work) version(env *tenant.Environment, t *Trigger) (*deploy.Worker, error) {
	if t.Version == "" && t.External != "" {
		if worker, err := w.external(env, t); worker != nil || err != nil {
			return worker, err
		}
	}
	if t.Version == "" {
		worker, err := w.taker(env, t.Task)
		if errors.Is(err, store.ErrNoWorker) {
			return nil, nil
		}
		return worker, err
	}
	workerID, err := w.tx.WorkerIDByVersion(env.ID, t.Version)
	if err == nil {
		return w.worker(env.ID, workerID)
	}
	if errors.Is(err, store.ErrNoWorker) {
		return nil, fault.Newf(fault.Invalid, "Task locked to version '%s', but no worker found with that version.", t.Version)
	}
	return nil, err
}

// pinned checks that the version a trigger is locked to has the task and the queue.
func pinned(worker *deploy.Worker, task *deploy.Task, t Trigger) error {
	if task == nil {
		return fault.Newf(fault.Invalid, "Task '%s' not found on locked version '%s'.", t.Task, t.Version)
	}
	queue := deploy.CleanQueueName(t.Queue)
	if queue == "" || worker.Manifest.HasQueue(queue) {
		return nil
	}
	return fault.Newf(fault.Invalid, "Specified queue '%s' not found or not associated with locked version '%s'.", t.Queue, t.Version)
}

// ttl: the trigger's, else the task's, else in dev ten minutes, so that a laptop
// that was closed does not wake up to yesterday's runs.
func (w *work) ttl(env *tenant.Environment, t Trigger, task *deploy.Task) time.Duration {
	if t.TTL != nil {
		return *t.TTL
	}
	if task != nil {
		if d, ok := task.TimeToLive(); ok {
			return d
		}
	}
	if env.Type == tenant.Development {
		return w.e.opt.DevTTL
	}
	return 0
}

// waitForRuns blocks a locked parent with runs that exist already, by index. One that does
// not, because retention deleted it, is a fault.Invalid: nobody would ever wake the parent.
func (w *work) waitForRuns(env *tenant.Environment, parentID, batchID string, runIDs map[int]string) error {
	ids := make([]string, 0, len(runIDs))
	for _, runID := range runIDs {
		ids = append(ids, runID)
	}
	if err := w.lock(ids...); err != nil {
		return err
	}
	if _, err := w.decide(env, parentID, run.Block{BatchID: batchID}); err != nil {
		return err
	}
	made := map[string]bool{}
	for _, n := range w.created {
		made[n.Run.ID] = true
	}
	for index, runID := range runIDs {
		h := w.runs[runID] // nil: this transaction has just made it
		if h == nil && !made[runID] {
			return fault.Newf(fault.Invalid, "Run %s is no longer there to be waited for", id.Friendly(id.Run, runID))
		}
		w.edge(store.Edge{RunID: parentID, Kind: store.WaitRun, WaitpointID: runID, Index: index, BatchID: batchID,
			Done: h != nil && h.run.Exec == run.Finished})
	}
	return nil
}
