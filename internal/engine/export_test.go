package engine

import (
	"context"
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

// AsOnly carries out what only one node may do.
func (e *Engine) AsOnly(ctx context.Context, lease string, fn func(*store.Tx) error) error {
	return e.asOnly(ctx, lease, fn)
}
