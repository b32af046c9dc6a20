package engine

import (
	"context"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Call is a worker's call: the snapshot it believes is newest, and the
// idempotency key of its HTTP request ("" for none).
type Call struct {
	Seq     int64
	Request string
}

// Attempt is an attempt that has begun, with all that its worker needs.
type Attempt struct {
	store.Detail                // the run as it was when the attempt began
	Worker       *deploy.Worker // the version it executes
	QueueID      string         // "" while no worker has declared the queue
}

// StartAttempt begins an attempt. fault.Stale: the run is no longer the caller's.
func (e *Engine) StartAttempt(ctx context.Context, env *tenant.Environment, runID string, c Call) (Attempt, error) {
	a, err := ask(ctx, e, []string{runID}, func(w *work, a *Attempt) error {
		r, err := w.decide(env, runID, run.Start{Seq: c.Seq, Request: c.Request})
		if err != nil {
			return err
		}
		a.Run = r
		w.define = append(w.define, &a.Detail)
		if a.Worker, err = w.worker(env.ID, r.WorkerID); err != nil {
			return err
		}
		a.QueueID, err = e.queueID(w.tx, env.ID, r.Lane.Queue)
		return err
	})
	if err == nil && a.Exec == run.Finished {
		err = fault.Newf(fault.Malformed, "Cannot start an attempt: %s", a.Err.Message)
	}
	return a, err
}

// Heartbeat says that the worker of a run is alive; one for an older snapshot is ignored.
func (e *Engine) Heartbeat(ctx context.Context, env *tenant.Environment, runID string, seq int64) error {
	return e.do(ctx, []string{runID}, func(w *work) error {
		_, err := w.decide(env, runID, run.Beat{Seq: seq})
		return err
	})
}

// Continue goes on with a suspended attempt.
func (e *Engine) Continue(ctx context.Context, env *tenant.Environment, runID string, seq int64) (run.Run, error) {
	return ask(ctx, e, []string{runID}, func(w *work, r *run.Run) (err error) {
		*r, err = w.decide(env, runID, run.Continue{Seq: seq})
		return err
	})
}

// Suspend parks a run whose process was checkpointed away.
func (e *Engine) Suspend(ctx context.Context, env *tenant.Environment, runID string, seq int64) error {
	return e.do(ctx, []string{runID}, func(w *work) error {
		if _, err := w.decide(env, runID, run.Suspend{Seq: seq}); err != nil {
			return err
		}
		return w.tryUnblock(env, runID) // it may have become free before it was parked
	})
}

// Completion is how an attempt ended: with Err nil, successfully.
type Completion struct {
	Output  run.Packet
	Err     *run.Error
	Retry   *run.Retry // the SDK's decision to try again
	Requeue bool
	Usage   time.Duration
	// Metadata are the operations the worker had not sent yet, applied in the same commit.
	Metadata run.MetadataEdit
}

// CompleteAttempt ends an attempt and returns the run as it is then: finished,
// about to be retried by the same worker (EXECUTING), or in the queue again. The
// same call again gets the same answer; any other late call fault.Stale.
func (e *Engine) CompleteAttempt(ctx context.Context, env *tenant.Environment, runID string, c Call, done Completion) (r run.Run, err error) {
	if done.Metadata.Empty() {
		return ask(ctx, e, []string{runID}, func(w *work, r *run.Run) (err error) {
			*r, _, err = w.complete(env, runID, c, done)
			return err
		})
	}
	excess, refused := done.Metadata.Check(), error(nil)
	err = e.update(ctx, func(w *work) (err error) { // documents are written as they are edited
		refused = excess
		var fresh bool
		if r, fresh, err = w.complete(env, runID, c, done); err != nil || !fresh || refused != nil {
			return err
		}
		_, err = w.editMetadata(env, r, done.Metadata)
		if refusal(err) {
			refused, err = err, nil
		}
		return err
	})
	if err == nil && refused != nil { // a result must not be lost over it
		e.log.Warn("metadata of a completed attempt refused", "run", runID, "error", refused)
	}
	return r, err
}

// complete decides about the end of an attempt; fresh is false when the call is repeated.
func (w *work) complete(env *tenant.Environment, runID string, c Call, done Completion) (r run.Run, fresh bool, err error) {
	before, err := w.run(env, runID)
	if err != nil {
		return before, false, err
	}
	if done.Err == nil {
		r, err = w.decide(env, runID, run.Complete{Seq: c.Seq, Request: c.Request, Output: done.Output, Usage: done.Usage})
		return r, r.Seq != before.Seq, err
	}
	policy, err := w.policy(before)
	if err != nil {
		return before, false, err
	}
	r, err = w.decide(env, runID, run.Fail{Seq: c.Seq, Request: c.Request, Err: done.Err, Retry: done.Retry,
		Policy: policy, Requeue: done.Requeue, Usage: done.Usage})
	return r, r.Seq != before.Seq, err
}
