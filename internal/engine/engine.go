package engine

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Options are what an engine may be told. The zero value is upstream's behaviour.
type Options struct {
	Timeouts  run.Timeouts  // zero: run.DefaultTimeouts
	KeepSlots bool          // a waiting run keeps its slot
	SealWait  time.Duration // how long a batch may stay open; zero: 30 minutes
	DevTTL    time.Duration // time to live of dev runs that name none; zero: 10 minutes
	MaxQueue  QueueSizes
	Retention time.Duration // how long what has ended is kept; zero: for ever
	Packets   PacketStore   // where large packets of deleted runs are deleted; nil: nowhere
	Observer  Observer      // nil: nobody
	Patience  time.Duration // how long loops sleep without a hint; zero: 1 second on Postgres, 5 seconds on SQLite
	Log       *slog.Logger  // nil: none
}

// QueueSizes are how many runs may wait in a queue, with all of its keys, before
// triggers are refused, by type of environment. Zero: any number.
type QueueSizes struct{ Dev, Deployed int }

// Engine changes runs. Its methods may be called from any goroutine, and work
// only while Run does.
type Engine struct {
	store *store.Store
	opt   Options
	log   *slog.Logger

	ops     chan *op
	timer   *alarm
	resumes *pokes // environments in which a run waits for its slot back
	wakes   *pokes // runs of which a waitpoint completed
	orders  *pokes // subjects of orders
	bulks   *pokes // bulk actions that go on

	hearing  hearing
	node     string      // tells this engine from others of the store
	released atomic.Bool // the store is known not to be held

	mu      sync.Mutex
	workers map[string]*deploy.Worker // by id; a worker never changes
	envs    map[string]*tenant.Environment
	queues  map[string]string    // ids by environment and name; a queue keeps its id
	seen    map[string]time.Time // when a worker of an environment was last written down as present
	cursor  map[place]string     // lane after which the next look at a line begins

	dealing turns
}

// What Options say by default.
const (
	//limit:batches Time from its creation until all items of a batch must have arrived |  | it is aborted
	sealWait = 30 * time.Minute
	//limit:runs Time that a run of a development environment waits to begin, when nobody says |  | it expires
	devTTL = 10 * time.Minute
)

// New makes an engine over a store. It does nothing before Run.
func New(st *store.Store, o Options) *Engine {
	if o.Timeouts == (run.Timeouts{}) {
		o.Timeouts = run.DefaultTimeouts
	}
	if o.SealWait == 0 {
		o.SealWait = sealWait
	}
	if o.DevTTL == 0 {
		o.DevTTL = devTTL
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{
		store: st, opt: o, log: o.Log,
		node:    id.Random(id.Readable, 20),
		ops:     make(chan *op, maxOps),
		timer:   newAlarm(),
		resumes: newPokes(),
		wakes:   newPokes(),
		orders:  newPokes(),
		bulks:   newPokes(),
		workers: map[string]*deploy.Worker{},
		envs:    map[string]*tenant.Environment{},
		queues:  map[string]string{},
		seen:    map[string]time.Time{},
		cursor:  map[place]string{},
	}
}

// lanes is how many transactions of commands run at once: on SQLite there is one
// writer anyway, and a single lane gathers the most.
func (e *Engine) lanes() int {
	if e.store.Postgres() {
		return 4
	}
	return 1
}

// Run carries out commands and timers until ctx ends. Commands that have begun
// are finished; whatever is left undone is found again at the next start.
func (e *Engine) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range e.lanes() {
		g.Go(func() error { return e.gather(ctx) })
	}
	for _, loop := range []func(context.Context) error{e.runTimers, e.runResumes, e.runWakes, e.runOrders, e.runBulks, e.runRetention} {
		g.Go(func() error {
			if e.awaitRelease(ctx) != nil {
				return nil // it was over before it began
			}
			return loop(ctx)
		})
	}
	return g.Wait()
}

// context is what decisions about a run of the environment may know.
func (e *Engine) context(env *tenant.Environment, now time.Time) run.Ctx {
	return run.Ctx{
		Now: now, Jitter: rand.Float64(), Dev: env.Type == tenant.Development,
		KeepSlot: e.opt.KeepSlots, Timeouts: e.opt.Timeouts,
	}
}

// env remembers an environment by its id. What decisions read of it never changes.
func (e *Engine) env(tx *store.Tx, envID string) (*tenant.Environment, error) {
	e.mu.Lock()
	env := e.envs[envID]
	e.mu.Unlock()
	if env != nil {
		return env, nil
	}
	env, err := tx.Environment(envID)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.envs[envID] = env
	return env, nil
}

// maxWorkers bounds the manifests kept in memory.
//
//limit:inside builds kept in memory; others are read
const maxWorkers = 64

// known is the worker of an id if it is remembered, or nil.
func (e *Engine) known(envID, workerID string) *deploy.Worker {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.workers[workerID]; w != nil && w.EnvID == envID {
		return w
	}
	return nil
}

// worker remembers a worker by its id. Who writes asks work.worker.
func (e *Engine) worker(tx *store.Tx, envID, workerID string) (*deploy.Worker, error) {
	if w := e.known(envID, workerID); w != nil {
		return w, nil
	}
	w, err := tx.Worker(envID, workerID)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.workers) >= maxWorkers {
		clear(e.workers)
	}
	e.workers[workerID] = w
	return w, nil
}

// maxLoads bounds the manifests that one transaction reads which writes: a callers' choice
// of versions must not keep others from writing. What it has read it finds remembered when it
// is carried out again, at most maxReloads times.
const (
	//limit:inside builds that one commit reads; what needs more is put into the next
	maxLoads = 4
	//limit:inside likewise
	maxReloads = maxWorkers / maxLoads
)

// errLoads ends a transaction that would read too many manifests.
var errLoads = fault.New(fault.Unavailable, "The runs are of too many versions at once: try again")

// worker is Engine.worker for a transaction that writes. errLoads: it has to begin again.
func (w *work) worker(envID, workerID string) (*deploy.Worker, error) {
	if known := w.e.known(envID, workerID); known != nil {
		return known, nil
	}
	if w.loads >= maxLoads {
		return nil, errLoads
	}
	w.loads++
	return w.e.worker(w.tx, envID, workerID)
}

// current is the worker that runs without a version of their own go to.
func (w *work) current(env *tenant.Environment) (*deploy.Worker, error) {
	workerID, err := w.tx.CurrentWorkerID(env)
	if err != nil {
		return nil, err
	}
	return w.worker(env.ID, workerID)
}

// maxQueues bounds the queue ids kept in memory.
//
//limit:inside queue ids kept in memory; others are read
const maxQueues = 4096

// queueID remembers the id of a queue, "" while no worker has declared it.
func (e *Engine) queueID(tx *store.Tx, envID, name string) (string, error) {
	key := envID + " " + name
	e.mu.Lock()
	queueID := e.queues[key]
	e.mu.Unlock()
	if queueID != "" {
		return queueID, nil
	}
	queueID, err := tx.QueueID(envID, name)
	if err != nil || queueID == "" {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queues) >= maxQueues {
		clear(e.queues)
	}
	e.queues[key] = queueID
	return queueID, nil
}

// current is work.current for who only reads.
func (e *Engine) current(tx *store.Tx, env *tenant.Environment) (*deploy.Worker, error) {
	workerID, err := tx.CurrentWorkerID(env)
	if err != nil {
		return nil, err
	}
	return e.worker(tx, env.ID, workerID)
}
