package engine

import (
	"context"

	"sear/internal/deploy"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// releaseBatch is how many parked runs one transaction releases.
const releaseBatch = 200

// RegisterWorker makes a build the newest worker of an environment, with its
// queues and schedules, and lets go the runs that waited for it. The build of the
// newest worker registered again is that worker.
func (e *Engine) RegisterWorker(ctx context.Context, env *tenant.Environment, m deploy.Manifest) (*deploy.Worker, error) {
	if err := store.CheckSchedules(m); err != nil {
		return nil, err
	}
	var worker *deploy.Worker
	err := e.update(ctx, func(w *work) error {
		var added bool
		var err error
		if worker, added, err = w.tx.AddWorker(env.ID, m, w.now); err != nil || !added {
			return err
		}
		if err := w.tx.DeclareQueues(env.ID, m.AllQueues(), w.now); err != nil {
			return err
		}
		if err := w.syncSchedules(env, worker); err != nil {
			return err
		}
		w.tx.AfterCommit(func() { e.orders.add(env.ID) })
		return w.tx.OrderRelease(env.ID)
	})
	return worker, err
}

// release moves the parked runs of an environment that its newest worker can take
// to their queues, oldest first. Runs of other versions stay.
func (e *Engine) release(ctx context.Context, o store.Order) error {
	var env *tenant.Environment
	var worker *deploy.Worker
	if err := e.view(ctx, func(tx *store.Tx) (err error) {
		if env, err = e.env(tx, o.Subject); err == nil {
			worker, err = e.newest(tx, o.Subject)
		}
		return err
	}); err != nil {
		return err
	}
	queues := map[string]bool{}
	for _, q := range worker.Manifest.AllQueues() {
		queues[q.Name] = true
	}
	after := ""
	for {
		var list []run.Run
		if err := e.view(ctx, func(tx *store.Tx) (err error) {
			list, err = tx.ParkedRuns(env.ID, after, releaseBatch)
			return err
		}); err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].ID
		var ids []string
		for _, r := range list {
			fits := queues[r.Lane.Queue] || deploy.Implicit(r.Lane.Queue)
			pinned := r.WorkerID != "" && r.WorkerID != worker.ID
			if fits && !pinned && worker.Manifest.Task(r.Task) != nil {
				ids = append(ids, r.ID)
			}
		}
		if err := e.do(ctx, ids, func(w *work) error {
			for _, id := range ids {
				if _, err := w.decide(env, id, run.Enqueue{}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
}
