package engine

import (
	"context"
	"maps"
	"slices"

	"sear/internal/deploy"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// releaseBatch is how many parked runs one transaction releases.
const releaseBatch = 200

// RegisterWorker makes a build the newest worker of an environment, with its
// queues and schedules, and lets go the runs that waited for it. The build of the
// newest worker registered again is that worker. Where a deployment is current, a
// worker that registers itself changes nothing but that its version can be asked for.
func (e *Engine) RegisterWorker(ctx context.Context, env *tenant.Environment, m deploy.Manifest) (*deploy.Worker, error) {
	if err := store.CheckSchedules(m); err != nil {
		return nil, err
	}
	if err := m.Pack(); err != nil {
		return nil, err
	}
	var worker *deploy.Worker
	err := e.update(ctx, func(w *work) error {
		var added bool
		var err error
		if worker, added, err = w.tx.AddWorker(env.ID, m, w.now); err != nil {
			return err
		}
		if env.Type == tenant.Development {
			if err := w.see(env, worker.ID); err != nil {
				return err
			}
		}
		if !added {
			return nil
		}
		return w.arrived(env, worker)
	})
	return worker, err
}

// arrived sees to what a worker brings along that runs can go to from now on, and
// lets go the runs that waited for it; dequeues that wait look again who they are for. If it
// is the current one, its queues and schedules become those of the environment; else only
// queues that nobody knows yet.
func (w *work) arrived(env *tenant.Environment, worker *deploy.Worker) error {
	current, err := w.tx.CurrentWorkerID(env)
	if err != nil && !isNotFound(err) {
		return err
	}
	if current == worker.ID {
		if err := w.tx.DeclareQueues(env.ID, worker.Manifest.AllQueues(), w.now); err != nil {
			return err
		}
		err = w.syncSchedules(env, worker)
	} else {
		err = w.tx.AddQueues(env.ID, worker.Manifest.AllQueues(), w.now)
	}
	if err != nil {
		return err
	}
	w.stir(env.ID)
	return w.orderRelease(env)
}

// orderRelease has the parked runs of an environment released after the commit.
func (w *work) orderRelease(env *tenant.Environment) error {
	w.tx.AfterCommit(func() { w.e.orders.add(env.ID) })
	return w.tx.OrderRelease(env.ID)
}

// release moves the parked runs of an environment that a worker can take by now to
// their queues, oldest first: those that wait for a deployment are locked to its
// version, the others go to the current worker or, in development, to one that is there.
func (e *Engine) release(ctx context.Context, o store.Order) error {
	rel := releaser{worker: e.worker, external: map[string]*deploy.Worker{}}
	if err := e.view(ctx, func(tx *store.Tx) (err error) {
		if rel.env, err = e.env(tx, o.Subject); err != nil {
			return err
		}
		rel.current, err = e.current(tx, rel.env)
		if err != nil && !isNotFound(err) {
			return err
		}
		rel.present, err = present(tx, rel.env, "", now(), e.worker)
		return err
	}); err != nil {
		return err
	}
	after := ""
	for {
		var list []store.Parked
		commands := map[string]run.Enqueue{}
		if err := e.view(ctx, func(tx *store.Tx) (err error) {
			if list, err = tx.ParkedRuns(rel.env.ID, after, releaseBatch); err == nil {
				err = rel.sort(tx, list, commands)
			}
			return err
		}); err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].ID
		ids := slices.Sorted(maps.Keys(commands)) // in the order they were made
		if err := e.do(ctx, ids, func(w *work) error {
			for _, id := range ids {
				if _, err := w.decide(rel.env, id, commands[id]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

// releaser is one release of an environment's parked runs.
type releaser struct {
	worker   loader
	env      *tenant.Environment
	current  *deploy.Worker            // nil: none
	present  []candidate               // in development
	external map[string]*deploy.Worker // by external id; nil: none yet
}

// sort finds the runs that can go, and how.
func (l *releaser) sort(tx *store.Tx, list []store.Parked, commands map[string]run.Enqueue) error {
	for _, p := range list {
		worker, c := l.current, run.Enqueue{}
		if p.WorkerID == "" {
			worker = newestWith(p.Task, l.present, worker)
		}
		if p.External != "" {
			var err error
			if worker, err = l.version(tx, p.External); err != nil {
				return err
			}
			if worker != nil {
				c = run.Enqueue{WorkerID: worker.ID, Version: worker.Version}
			}
		}
		pinned := worker != nil && p.WorkerID != "" && p.WorkerID != worker.ID
		if worker == nil || pinned {
			continue
		}
		missing, err := lacks(tx, worker, p.Run)
		if err != nil {
			return err
		}
		if missing == "" {
			commands[p.ID] = c
		}
	}
	return nil
}

// lacks says what a worker lacks to take a run, by upstream's codes; "" when it has all. A
// queue may be another version's, and an implicit one needs no declaration.
func lacks(tx *store.Tx, worker *deploy.Worker, r run.Run) (missing string, err error) {
	if worker.Manifest.Task(r.Task) == nil {
		return "TASK_NOT_IN_LATEST", nil
	}
	if deploy.Implicit(r.Lane.Queue) || worker.Manifest.HasQueue(r.Lane.Queue) {
		return "", nil
	}
	known, err := tx.HasQueue(r.EnvID, r.Lane.Queue)
	if err == nil && !known {
		missing = "QUEUE_NOT_FOUND"
	}
	return missing, err
}

// version is the worker that an external id leads to; nil when there is none yet.
func (l *releaser) version(tx *store.Tx, external string) (*deploy.Worker, error) {
	worker, known := l.external[external]
	if known {
		return worker, nil
	}
	workerID, err := tx.ExternalWorkerID(l.env.ID, external)
	if err == nil {
		worker, err = l.worker(tx, l.env.ID, workerID)
	}
	if isNotFound(err) {
		worker, err = nil, nil
	}
	if err == nil {
		l.external[external] = worker
	}
	return worker, err
}
