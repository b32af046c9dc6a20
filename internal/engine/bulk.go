package engine

import (
	"context"
	"errors"
	"fmt"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// MaxBulkReplays is how many bulk replays of an environment may be under way.
//
//limit:lists Bulk replays of an environment that are under way | replays | 429 Too many concurrent bulk replays. Maximum is {}; wait for one to finish or abort one.
const MaxBulkReplays = 3

// bulkBatch is how many runs of a bulk action one transaction takes: enough to share
// a commit, few enough to let others write in between.
const bulkBatch = 50

// NewBulk is a wish for a bulk action.
type NewBulk struct {
	Kind    store.BulkKind
	Name    string
	Region  string          // where to replay, "": where each run was
	Filter  store.RunFilter // the environment is added to it
	Request string          // transport idempotency key of the HTTP call
}

// CreateBulk begins a bulk action on the runs that exist and match by now. It goes on
// in the background, also after a restart. A call that is sent again is answered with what
// it began. Too many replays at once are a fault.Limit.
func (e *Engine) CreateBulk(ctx context.Context, env *tenant.Environment, n NewBulk) (string, error) {
	at := now()
	b := store.Bulk{ID: id.New(at), EnvID: env.ID, Kind: n.Kind, Status: store.BulkPending, Name: n.Name, Region: n.Region,
		Filter: n.Filter, Request: n.Request, CreatedAt: at}
	b.Filter.Envs = []string{env.ID}
	if c := &b.Filter.Created; b.Filter.IDs == nil && (c.To.IsZero() || c.To.After(at)) {
		c.To = at
	}
	if err := e.view(ctx, func(tx *store.Tx) (err error) {
		b.Total, err = tx.CountRuns(b.Filter)
		return err
	}); err != nil {
		return "", err
	}
	bulkID := b.ID
	err := e.update(ctx, func(w *work) error {
		if err := w.tx.LockEnvironment(env.ID); err != nil {
			return err
		}
		if n.Request != "" {
			if first, err := w.tx.BulkByRequest(env.ID, n.Request); err != nil || first != "" {
				bulkID = first
				return err
			}
		}
		if n.Kind == store.BulkReplay {
			if err := w.mayReplay(env); err != nil {
				return err
			}
		}
		w.tx.AfterCommit(func() { e.bulks.add(b.ID) })
		return w.tx.AddBulk(b)
	})
	return bulkID, err
}

// mayReplay refuses a bulk replay too many. The caller has locked the environment.
func (w *work) mayReplay(env *tenant.Environment) error {
	n, err := w.tx.CountPendingBulks(env.ID, store.BulkReplay)
	if err == nil && n >= MaxBulkReplays {
		err = fault.Newf(fault.Limit, "Too many concurrent bulk replays. Maximum is %d; wait for one to finish or abort one.", MaxBulkReplays)
	}
	return err
}

// AbortBulk stops a bulk action. What it has done stays done. Aborting it again
// changes nothing; one that has completed is a fault.Malformed.
func (e *Engine) AbortBulk(ctx context.Context, env *tenant.Environment, bulkID string) error {
	return e.update(ctx, func(w *work) error {
		b, err := w.tx.LockBulk(env.ID, bulkID)
		switch {
		case err != nil:
			return err
		case b.Status == store.BulkAborted:
			return nil
		case b.Status == store.BulkCompleted:
			return fault.New(fault.Malformed, "Bulk action has already completed")
		}
		b.Status, b.CompletedAt = store.BulkAborted, w.now
		return w.tx.SaveBulk(b)
	})
}

// runBulks carries out bulk actions, a batch of each in turn.
func (e *Engine) runBulks(ctx context.Context) error {
	return e.loop(ctx, e.bulks, func(ids []string) error {
		var failed []error // one that fails does not hold up the others
		for _, bulkID := range ids {
			if err := e.advance(ctx, bulkID); err != nil {
				failed = append(failed, fmt.Errorf("bulk action %s: %w", bulkID, err))
			}
		}
		return errors.Join(failed...)
	}, func() error {
		return e.view(ctx, func(tx *store.Tx) error {
			ids, err := tx.PendingBulks()
			e.bulks.add(ids...)
			return err
		})
	})
}

// advance carries out the next batch of a bulk action, in one transaction with the
// note how far it has come: a batch happens once or not at all.
func (e *Engine) advance(ctx context.Context, bulkID string) error {
	more := false
	err := e.update(ctx, func(w *work) (err error) {
		more, err = w.advance(bulkID)
		return err
	})
	if err == nil && more {
		e.bulks.add(bulkID)
	}
	return err
}

func (w *work) advance(bulkID string) (more bool, err error) {
	b, err := w.tx.ClaimBulk(bulkID)
	if isNotFound(err) { // it has ended, or another node is at it
		return false, nil
	}
	if err != nil {
		return false, err
	}
	env, err := w.e.env(w.tx, b.EnvID)
	if err != nil {
		return false, err
	}
	ids, more, err := w.tx.BulkRuns(b, bulkBatch)
	if err != nil {
		return false, err
	}
	act := w.bulkReplay
	if b.Kind == store.BulkCancel {
		act = w.bulkCancel
		if err := w.lock(ids...); err != nil {
			return false, err
		}
	}
	var members []string
	for _, runID := range ids {
		member, err := act(env, b, runID)
		switch {
		case err == nil:
			b.Success++
		case refusal(err):
			b.Failure++
		default:
			return false, err
		}
		if member != "" {
			members = append(members, member)
		}
		b.LastRun = runID
	}
	if !more {
		b.Status, b.CompletedAt = store.BulkCompleted, w.now
	}
	if err := w.tx.AddBulkRuns(b.ID, members); err != nil {
		return false, err
	}
	return more, w.tx.SaveBulk(b)
}

// bulkCancel cancels a run, which belongs to the bulk action even if it had finished.
func (w *work) bulkCancel(env *tenant.Environment, _ store.Bulk, runID string) (member string, err error) {
	return runID, w.attempt(func(w *work) error {
		r, err := w.run(env, runID)
		if err != nil {
			return err
		}
		if r.Status.Final() {
			return fault.New(fault.Conflict, "Run has finished")
		}
		_, err = w.decide(env, runID, run.Cancel{Reason: CanceledByUser})
		return err
	})
}

// bulkReplay replays a run; the new one belongs to the bulk action.
func (w *work) bulkReplay(env *tenant.Environment, b store.Bulk, runID string) (member string, err error) {
	err = w.attempt(func(w *work) error {
		t, err := replayOf(w.tx, env, runID)
		if err != nil {
			return err
		}
		t.Request = id.Friendly(id.Bulk, b.ID) + ":" + id.Friendly(id.Run, runID)
		if b.Region != "" && env.Type != tenant.Development { // a laptop is in no region
			t.Extra.Region = b.Region
		}
		done, err := w.trigger(env, t)
		member = done.ID
		return err
	})
	return member, err
}
