package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"sear/internal/deploy"
	"sear/internal/store"
	"sear/internal/tenant"
)

// What is heard of a worker is written at most every presentStep.
const (
	presentFor  = deploy.PresentFor
	presentStep = 5 * time.Second
	//limit:inside what is remembered of who was written down
	maxSeen = 4096 // that are remembered as written
)

// maxPresent is how many workers of an environment are looked at, the newest first: each
// build that is saved is one, and for presentFor they all count as present.
//
//limit:inside the newest builds that were heard of are those that matter
const maxPresent = 16

// See notes that a command line of an environment is there: without one, schedules of a
// development environment do not fire, and runs of any are said to wait for one. It is a
// row, because any node may have heard of it and any may ask.
func (e *Engine) See(ctx context.Context, env *tenant.Environment) error {
	return e.SeeWorker(ctx, env, "")
}

// SeeWorker is See for a worker that asks for runs, "" for one that does not say which it
// is. In a development environment runs of its tasks wait for it from then on, and those
// that were parked because nobody who was there had their task are let go.
func (e *Engine) SeeWorker(ctx context.Context, env *tenant.Environment, workerID string) error {
	if env.Type != tenant.Development {
		workerID = ""
	}
	at, key := now(), env.ID+" "+workerID
	e.mu.Lock()
	fresh := at.Sub(e.seen[key]) < presentStep
	if !fresh {
		if len(e.seen) >= maxSeen {
			maps.DeleteFunc(e.seen, func(_ string, t time.Time) bool { return at.Sub(t) >= presentStep })
		}
		e.seen[key] = at
	}
	e.mu.Unlock()
	if fresh {
		return nil
	}
	err := e.update(ctx, func(w *work) error {
		if workerID != "" {
			if err := w.tx.LockEnvironment(env.ID); err != nil { // so that nobody parks what is let go here
				return err
			}
			if err := w.see(env, workerID); err != nil {
				return err
			}
		}
		return w.tx.SeePresence(env.ID, at)
	})
	if err != nil { // it is to be written the next time
		e.mu.Lock()
		delete(e.seen, key)
		e.mu.Unlock()
	}
	return err
}

// see notes that a worker is there. The environment must be locked.
func (w *work) see(env *tenant.Environment, workerID string) error {
	came, err := w.tx.SeeWorker(env.ID, workerID, w.now, w.now.Add(-presentFor))
	if err != nil || !came {
		return err
	}
	return w.orderRelease(env)
}

// loader reads a worker.
type loader func(tx *store.Tx, envID, workerID string) (*deploy.Worker, error)

// loader is Engine.worker within the bounds of a transaction that writes.
func (w *work) loader() loader {
	return func(_ *store.Tx, envID, workerID string) (*deploy.Worker, error) { return w.worker(envID, workerID) }
}

// candidate is a worker that runs may go to.
type candidate struct {
	store.Present
	*deploy.Worker
}

// present are the workers of a development environment that are there, the newest first, and
// the one that asks, "" for none. Elsewhere what is promoted decides, whoever is there.
func present(tx *store.Tx, env *tenant.Environment, asks string, at time.Time, load loader) ([]candidate, error) {
	if env.Type != tenant.Development {
		return nil, nil
	}
	list, err := tx.PresentWorkers(env.ID, asks, at.Add(-presentFor), maxPresent)
	if err != nil {
		return nil, err
	}
	out := make([]candidate, len(list))
	for i, p := range list {
		worker, err := load(tx, env.ID, p.ID)
		if err != nil {
			return nil, err
		}
		out[i] = candidate{p, worker}
	}
	return out, nil
}

// taker is the worker that a run of a task without a version goes to: the current one, or
// the newest present one if only that has the task. ErrNoWorker: there is none at all.
func (w *work) taker(env *tenant.Environment, task string) (*deploy.Worker, error) {
	current, err := w.current(env)
	if err != nil || current.Manifest.Task(task) != nil {
		return current, err
	}
	list, err := present(w.tx, env, "", w.now, w.loader())
	return newestWith(task, list, current), err
}

// newestWith is the newest of the present workers that has a task; otherwise when none has.
func newestWith(task string, list []candidate, otherwise *deploy.Worker) *deploy.Worker {
	for _, c := range list {
		if c.Manifest.Task(task) != nil {
			return c.Worker
		}
	}
	return otherwise
}

// reloadTime is how long after the registration of a build its command line may still ask
// for the one before.
const reloadTime = 2 * time.Second

// share says which runs are for a worker of a development environment that asks beside
// others: of each task, those of the newest worker that is there and has it. What is locked
// to another worker that still asks goes to that one.
func share(asks *deploy.Worker, all []candidate) store.For {
	who := store.For{WorkerID: asks.ID}
	place := slices.IndexFunc(all, func(c candidate) bool { return c.Worker.ID == asks.ID })
	if place < 0 { // too many are newer
		place, all = len(all), append(all, candidate{Worker: asks})
	}
	known := map[string]bool{}
	for i, c := range all {
		for _, t := range c.Manifest.Tasks {
			if !known[t.ID] && i != place {
				who.Tasks = append(who.Tasks, t.ID)
			}
			known[t.ID] = true
		}
		if i < place || i > place && c.SeenAt.After(asks.CreatedAt.Add(reloadTime)) {
			who.Workers = append(who.Workers, c.Worker.ID)
		}
	}
	return who
}

// nothing reports whether none of a worker's tasks is left to it.
func nothing(asks *deploy.Worker, who store.For) bool {
	return len(who.Tasks) > 0 && !slices.ContainsFunc(asks.Manifest.Tasks, func(t deploy.Task) bool { return !slices.Contains(who.Tasks, t.ID) })
}
