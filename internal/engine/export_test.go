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

// OccurRefused handles what is due as if each trigger was refused.
func (e *Engine) OccurRefused(ctx context.Context, refusal error) error {
	return e.update(ctx, func(w *work) error {
		_, err := w.occurrences(func(*work, *tenant.Environment, store.Due, schedule.Rule) error { return refusal })
		return err
	})
}
