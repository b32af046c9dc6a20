package engine

import (
	"context"
	"errors"
	"fmt"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// CanceledByUser is the reason of a cancellation that names none.
const CanceledByUser = "Canceled by user"

// Cancel cancels a run and its descendants. A finished run stays as it is. The
// worker of a live run is asked first; final ends the run without asking.
func (e *Engine) Cancel(ctx context.Context, env *tenant.Environment, runID, reason string, final bool) error {
	return e.do(ctx, []string{runID}, func(w *work) error {
		_, err := w.decide(env, runID, run.Cancel{Reason: reason, Final: final})
		return err
	})
}

// Disconnect ends the live runs of a dev session that is gone, and returns how many there were.
func (e *Engine) Disconnect(ctx context.Context, env *tenant.Environment, runIDs []string) (int, error) {
	return ask(ctx, e, runIDs, func(w *work, n *int) error {
		for _, id := range runIDs {
			r, err := w.run(env, id)
			if isNotFound(err) || err == nil && r.Exec == run.Finished {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := w.decide(env, id, run.Cancel{Reason: "Dev session ended (CLI exited)", Final: true}); err != nil {
				return err
			}
			*n++
		}
		return nil
	})
}

// runOrders carries out what concerns more runs than one commit should: the
// cancellation of a run's children, and the release of parked runs.
func (e *Engine) runOrders(ctx context.Context) error {
	carryOut := func() error { return e.carryOut(ctx) }
	return e.loop(ctx, e.orders, func([]string) error { return carryOut() }, carryOut)
}

func (e *Engine) carryOut(ctx context.Context) error {
	var orders []store.Order
	if err := e.view(ctx, func(tx *store.Tx) (err error) {
		orders, err = tx.Orders()
		return err
	}); err != nil {
		return err
	}
	var failed error
	for _, o := range orders { // one that fails does not hold up the others
		if err := e.carryOutOne(ctx, o); err != nil {
			failed = errors.Join(failed, fmt.Errorf("order for %s: %w", o.Subject, err))
		}
	}
	return failed
}

func (e *Engine) carryOutOne(ctx context.Context, o store.Order) error {
	act := e.cancelChildren
	if o.Release {
		act = e.release
	}
	if err := act(ctx, o); err != nil {
		return err
	}
	return e.update(ctx, func(w *work) error { return w.tx.TakeOrder(o.ID) })
}

// cancelChildren cancels the direct children of a run; their own plans see to theirs.
func (e *Engine) cancelChildren(ctx context.Context, o store.Order) error {
	var children []string
	if err := e.view(ctx, func(tx *store.Tx) (err error) {
		children, err = tx.UnfinishedChildren(o.Subject)
		return err
	}); err != nil {
		return err
	}
	for start := 0; start < len(children); start += maxOps {
		ids := children[start:min(start+maxOps, len(children))]
		if err := e.do(ctx, ids, func(w *work) error { return e.cancelAll(w, ids, o.Reason) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) cancelAll(w *work, ids []string, reason string) error {
	for _, id := range ids {
		h := w.runs[id]
		if h == nil {
			continue
		}
		env, err := e.env(w.tx, h.run.EnvID)
		if err != nil {
			return err
		}
		if _, err := w.decide(env, id, run.Cancel{Reason: reason}); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}
