package engine

import (
	"context"

	"sear/internal/fault"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// PauseQueue lets no more runs of a queue start, or lets them start again. Runs that
// were handed out and have not started go back to their places; what executes goes
// on. A queue that is paused already stays so.
func (e *Engine) PauseQueue(ctx context.Context, env *tenant.Environment, ref store.QueueRef, paused bool) error {
	return e.setQueue(ctx, env, ref, func(w *work, q store.Queue, _ int) error {
		if err := w.tx.SetQueuePaused(q.ID, paused); err != nil || !paused {
			return err
		}
		return w.recall(env, q.Name)
	})
}

// recall puts the runs of a queue back that were handed out and have not started.
// Whoever holds one learns that when it wants to start: the snapshot is stale.
func (w *work) recall(env *tenant.Environment, name string) error {
	list, err := w.tx.AdmittedRuns(env.ID, name)
	if err != nil {
		return err
	}
	w.hold(list...)
	for _, r := range list {
		if _, err := w.decide(env, r.ID, run.Requeue{}); err != nil {
			return err
		}
	}
	return nil
}

// OverrideQueue puts a limit above the one that a queue declares, of no more runs
// than the environment may execute.
func (e *Engine) OverrideQueue(ctx context.Context, env *tenant.Environment, ref store.QueueRef, o queue.Override) error {
	return e.setQueue(ctx, env, ref, func(w *work, q store.Queue, limit int) error {
		if o.Runs > limit {
			return fault.Newf(fault.Malformed, "Concurrency limit %d exceeds the environment's maximum of %d", o.Runs, limit)
		}
		return w.tx.OverrideQueue(q.ID, &o, w.now)
	})
}

// ResetQueue takes the override from a queue, so that its declared limit holds again.
func (e *Engine) ResetQueue(ctx context.Context, env *tenant.Environment, ref store.QueueRef) error {
	return e.setQueue(ctx, env, ref, func(w *work, q store.Queue, _ int) error {
		if q.Settings.Override == nil {
			return fault.New(fault.Malformed, "Queue is not overridden")
		}
		return w.tx.OverrideQueue(q.ID, nil, w.now)
	})
}

// setQueue changes the settings of a queue while nobody hands out slots of the
// environment, and tells whoever waits for some.
func (e *Engine) setQueue(ctx context.Context, env *tenant.Environment, ref store.QueueRef,
	change func(w *work, q store.Queue, limit int) error) error {
	return e.update(ctx, func(w *work) error {
		limit, _, err := w.tx.LockSlots(env.ID)
		if err != nil {
			return err
		}
		q, err := w.tx.Queue(env.ID, ref)
		if err != nil {
			return err
		}
		w.stir(env.ID)
		return change(w, q, limit)
	})
}

// room refuses to trigger a task for a queue in which as many runs wait as may. Two
// transactions at the same moment do not see each other's runs, so that a queue may
// come to hold a few more.
func (w *work) room(env *tenant.Environment, queue, task string) error {
	most := w.e.opt.MaxQueue.Deployed
	if env.Type == tenant.Development {
		most = w.e.opt.MaxQueue.Dev
	}
	if most == 0 {
		return nil
	}
	key := env.ID + " " + queue
	waiting, ok := w.waiting[key]
	if !ok {
		var err error
		if waiting, err = w.tx.Waiting(env.ID, queue, most); err != nil {
			return err
		}
		if w.waiting == nil {
			w.waiting = map[string]int{}
		}
		w.waiting[key] = waiting
	}
	for i := range w.created {
		if r := &w.created[i].Run; r.Exec == run.Queued && r.Lane.Queue == queue && r.EnvID == env.ID {
			waiting++
		}
	}
	if waiting < most {
		return nil
	}
	return fault.Newf(fault.Invalid, "Cannot trigger %s as the queue size limit for this environment has been reached. The maximum size is %d", task, most)
}
