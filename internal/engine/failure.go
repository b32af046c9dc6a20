package engine

import (
	"context"
	"time"

	"sear/internal/failure"
	"sear/internal/tenant"
)

// ChangeError lets change say what is to become of a group of failures, and returns
// the group as it is then.
func (e *Engine) ChangeError(ctx context.Context, env *tenant.Environment, errorID string, change func(g failure.Group, now time.Time) failure.Group) (g failure.Group, err error) {
	err = e.update(ctx, func(w *work) error {
		was, err := w.tx.LockError(env.ID, errorID)
		if err != nil {
			return err
		}
		g = change(was.At(w.now), w.now)
		return w.tx.SaveError(g)
	})
	return g, err
}
