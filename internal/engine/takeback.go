package engine

import (
	"context"

	"sear/internal/run"
	"sear/internal/tenant"
)

// TakeBack returns runs to their places in the queue that were dequeued for a
// worker who did not live to hear of it. A run that has moved on stays where it is.
func (e *Engine) TakeBack(ctx context.Context, env *tenant.Environment, list []Delivery) error {
	ids := make([]string, len(list))
	for i, d := range list {
		ids[i] = d.Run.ID
	}
	return e.do(ctx, ids, func(w *work) error {
		for _, d := range list {
			r, err := w.run(env, d.Run.ID)
			if isNotFound(err) || err == nil && r.Seq != d.Run.Seq {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := w.decide(env, r.ID, run.Requeue{}); err != nil {
				return err
			}
		}
		return nil
	})
}
