package engine

import (
	"context"
	"errors"
	"time"

	"sear/internal/schedule"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Wake has the timers look at once at what is due.
func (e *Engine) Wake() { e.timer.set(time.Now()) }

// HandleDue carries out what is due and says when to look again.
func (e *Engine) HandleDue(ctx context.Context) (time.Duration, error) { return e.handleDue(ctx) }

// OccurRefused handles what is due as if each trigger was refused.
func (e *Engine) OccurRefused(ctx context.Context, refusal error) error {
	return e.update(ctx, func(w *work) error {
		_, err := w.occurrences(func(*work, *tenant.Environment, store.Due, schedule.Rule) error { return refusal })
		return err
	})
}

// Sweep deletes what ended longer ago than retention.
func (e *Engine) Sweep(ctx context.Context, retention time.Duration) error {
	e.opt.Retention = retention
	return e.sweep(ctx, time.Now())
}

// WaitAndWake lets a run wait for a token in one transaction with a look at whether it may
// go on, as a poke from long ago causes one.
func (e *Engine) WaitAndWake(ctx context.Context, env *tenant.Environment, runID, tokenID string) error {
	wait := &op{ctx: ctx, runs: []string{runID}, fn: func(w *work) error {
		p, err := w.tx.LockWaitpoint(env.ID, tokenID)
		if err != nil {
			return err
		}
		return w.blockOn(env, runID, p)
	}}
	wake := &op{ctx: ctx, runs: []string{runID}, fn: func(w *work) error { return e.unblock(w, []string{runID}) }}
	_, err := e.transact(ctx, []*op{wait, wake}, false)
	return errors.Join(err, wait.err, wake.err)
}

// AsOnly carries out what only one node may do.
func (e *Engine) AsOnly(ctx context.Context, lease string, fn func(*store.Tx) error) error {
	return e.asOnly(ctx, lease, fn)
}

// Slept has the engine look at its deadlines as after a jump of the clock by d: it meant to do so
// that much earlier.
func (e *Engine) Slept(d time.Duration) {
	e.hearing.mu.Lock()
	defer e.hearing.mu.Unlock()
	e.hearing.looked = e.hearing.looked.Add(-d)
}
