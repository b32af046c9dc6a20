package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// timerBatch is how many due rows one transaction takes.
const timerBatch = 100

// patience is how long the loops sleep without a hint. On SQLite hints never get
// lost and the interval only covers failed attempts; on Postgres another node may
// have died with work that this one must find.
func (e *Engine) patience() time.Duration {
	switch {
	case e.opt.Patience > 0:
		return e.opt.Patience
	case e.store.Postgres():
		return time.Second
	}
	return 5 * time.Second
}

// runTimers carries out deadlines as they come due.
func (e *Engine) runTimers(ctx context.Context) error {
	sleep := time.NewTimer(0)
	defer sleep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.timer.wake:
		case <-sleep.C:
		}
		next, err := e.handleDue(ctx)
		if err != nil && ctx.Err() == nil {
			e.log.Error("timers failed, trying again", "error", err)
		}
		sleep.Reset(min(next, e.patience()))
	}
}

// dueElsewhere is how long the timers wait for another node that holds what is due.
const dueElsewhere = 50 * time.Millisecond

// handleDue carries out what is due and says how long there is until more is. A kind of
// deadline that fails does not hold up the others.
func (e *Engine) handleDue(ctx context.Context) (time.Duration, error) {
	for {
		e.timer.take()
		begin := time.Now()
		var handled int
		var failed error
		for _, fn := range []func(*work) (int, error){e.dueRuns, e.dueWaitpoints, e.dueBatches, e.dueDeployments, e.dueSchedules} {
			var n int
			if err := e.update(ctx, func(w *work) (err error) { n, err = fn(w); return err }); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			handled += n
		}
		if failed != nil {
			return time.Second, failed
		}
		if handled > 0 {
			continue
		}
		next, err := e.nextDue(ctx)
		if err != nil {
			return time.Second, err
		}
		if next.IsZero() {
			return e.patience(), nil
		}
		switch left := time.Until(next); {
		case left > 0:
			return left, nil
		case !next.After(begin):
			return dueElsewhere, nil
		}
	}
}

// nextDue is when there is something to do, as far as is known; zero: nothing.
func (e *Engine) nextDue(ctx context.Context) (next time.Time, err error) {
	since, _ := e.hearing.look(now(), e.patience())
	h := e.withhold(now(), since)
	err = e.view(ctx, func(tx *store.Tx) (err error) { next, err = tx.NextDue(h.Withheld); return err })
	if next.IsZero() || !h.until.IsZero() && h.until.Before(next) {
		next = h.until
	}
	return next, err
}

func (e *Engine) dueRuns(w *work) (int, error) {
	h, since, err := w.listen()
	if err != nil {
		return 0, err
	}
	list, err := w.tx.DueRuns(w.now, timerBatch, h.Withheld)
	if err != nil {
		return 0, err
	}
	w.hold(list...)
	for _, r := range list {
		env, err := e.env(w.tx, r.EnvID)
		if err != nil {
			return 0, err
		}
		policy, err := w.policy(r)
		if err != nil {
			return 0, err
		}
		c := run.Deadline(r, policy, w.now)
		if r.Exec == run.Created {
			if c, err = w.lastLook(env, r); err != nil {
				return 0, err
			}
		}
		after, err := w.decide(env, r.ID, c)
		if err != nil {
			return 0, fmt.Errorf("deadline of run %s: %w", r.ID, err)
		}
		w.tellDeadline(r, after, since)
		if r.Exec == run.Queued { // it may only have become eligible
			w.stir(r.EnvID)
		}
	}
	return len(list), nil
}

// tellDeadline has a deadline known once it is carried out: to the log when a worker was
// silent for too long, for somebody will want to know why. It was no later than it could be
// judged.
func (w *work) tellDeadline(was, is run.Run, heard time.Time) {
	e, late := w.e, w.now.Sub(was.Due)
	if was.Exec.WithWorker() {
		late = min(late, w.now.Sub(heard.Add(e.opt.Timeouts.Grace())))
	}
	w.tx.AfterCommit(func() {
		e.opt.Observer.Late(late)
		if was.Slot && is.Seq != was.Seq {
			e.log.Warn("a worker was silent for too long", "run", id.Friendly(id.Run, was.ID), "env", was.EnvID, "task", was.Task,
				"attempt", was.Attempt, "was", was.Exec, "is", is.Exec, "status", is.Status, "note", is.Note)
		}
	})
}

// policy is the retry policy of a run's task in the worker it is locked to; nil when there is none.
func (w *work) policy(r run.Run) (*run.Policy, error) {
	if r.WorkerID == "" {
		return nil, nil
	}
	worker, err := w.worker(r.EnvID, r.WorkerID)
	if err != nil {
		return nil, err
	}
	task := worker.Manifest.Task(r.Task)
	if task == nil {
		return nil, nil
	}
	return task.Retry, nil
}

func (e *Engine) dueWaitpoints(w *work) (int, error) {
	list, err := w.tx.DueWaitpoints(w.now, timerBatch)
	if err != nil {
		return 0, err
	}
	for _, p := range list {
		var out run.Packet
		if p.Kind == store.WaitManual {
			out = timedOut(p.Due)
		}
		if _, err := w.completeWaitpoint(p.ID, out, p.Kind == store.WaitManual); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

func (e *Engine) dueBatches(w *work) (int, error) {
	list, err := w.tx.DueBatches(w.now, timerBatch)
	if err != nil {
		return 0, err
	}
	for _, b := range list {
		if err := w.tx.EndBatch(b.ID, store.BatchAborted, w.now); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// runWakes looks at runs whose waitpoints completed.
func (e *Engine) runWakes(ctx context.Context) error {
	return e.loop(ctx, e.wakes, func(ids []string) error {
		return e.do(ctx, ids, func(w *work) error { return e.unblock(w, ids) })
	}, func() error {
		return e.view(ctx, func(tx *store.Tx) error {
			ids, err := tx.WaitingUnblocks(1000)
			e.wakes.add(ids...)
			return err
		})
	})
}

// unblock moves on those of the locked runs that nothing blocks any more.
func (e *Engine) unblock(w *work, ids []string) error {
	if err := w.tx.TakeUnblocks(ids); err != nil {
		return err
	}
	for _, id := range ids {
		h := w.runs[id]
		if h == nil || h.run.Exec != run.Waiting && h.run.Exec != run.Suspended {
			continue
		}
		env, err := e.env(w.tx, h.run.EnvID)
		if err != nil {
			return err
		}
		if err := w.tryUnblock(env, id); err != nil {
			return err
		}
	}
	return nil
}

// tryUnblock moves a locked run on if nothing blocks it. What another command of the same
// transaction has blocked it by is not in the store yet; if that is complete already, there
// will be another wake.
func (w *work) tryUnblock(env *tenant.Environment, id string) error {
	if slices.ContainsFunc(w.edges, func(e store.Edge) bool { return e.RunID == id }) {
		return nil
	}
	pending, err := w.tx.PendingEdges(id)
	if err != nil || pending > 0 {
		return err
	}
	_, err = w.decide(env, id, run.Unblock{})
	return err
}

// runResumes gives waiting runs their slot back as slots become free.
func (e *Engine) runResumes(ctx context.Context) error {
	return e.loop(ctx, e.resumes, func(ids []string) error {
		for _, envID := range ids {
			if err := e.resume(ctx, envID); err != nil {
				return err
			}
		}
		return nil
	}, func() error {
		return e.view(ctx, func(tx *store.Tx) error {
			envs, err := tx.EnvironmentsWaitingForSlots()
			e.resumes.add(envs...)
			return err
		})
	})
}

// loop handles what was poked, and now and then searches for what was not.
func (e *Engine) loop(ctx context.Context, p *pokes, handle func(ids []string) error, search func() error) error {
	tick := time.NewTicker(e.patience())
	defer tick.Stop()
	if err := search(); err != nil && ctx.Err() == nil {
		e.log.Error("recovery failed, trying again", "error", err)
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
			if ids := p.take(maxOps); len(ids) > 0 {
				err = handle(ids)
			}
		case <-tick.C:
			err = search()
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error("background work failed, trying again", "error", err)
		}
	}
}
