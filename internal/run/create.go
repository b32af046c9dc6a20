package run

import (
	"cmp"
	"time"

	"sear/internal/fault"
)

// decideCreate writes a run's first snapshot: delayed, or in the queue.
func decideCreate(c Create, x Ctx) (Plan, error) {
	r := c.Run
	r.Seq, r.Exec = 0, ""
	r.CreatedAt = x.Now
	if r.RootID == "" {
		r.RootID = r.ID
	}
	if r.MaxDuration > 0 {
		r.MaxDuration = max(r.MaxDuration, minDuration)
	}
	if c.Failed != nil {
		return finish(r, StatusSystemFailure, c.Failed, "The batch item could not be triggered", x), nil
	}
	delayed := r.DelayUntil.After(x.Now)
	if !delayed {
		r.DelayUntil = time.Time{}
	}
	at := c.QueueTime
	switch {
	case !at.IsZero():
	case delayed:
		at = r.DelayUntil
	default:
		at = x.Now
	}
	r.Score = at.UnixMilli() - c.PriorityMS
	if c.External {
		return park(r, x), nil
	}
	if delayed {
		p := move(r, Delayed, StatusDelayed, "Run was delayed", x)
		p.Run.Due = r.DelayUntil
		return p, nil
	}
	return enqueue(r, "Run was created", x), nil
}

// minDuration is the least maxDuration upstream accepts, in seconds; smaller values are raised to it.
//
//limit:runs The least `maxDuration` of a run | s | a smaller one is taken for it
const minDuration = 5

// enqueue puts a run in the queue. Its time to live starts with its first entry.
func enqueue(r Run, note string, x Ctx) Plan {
	p := move(r, Queued, StatusPending, note, x)
	if p.Run.QueuedAt.IsZero() {
		p.Run.QueuedAt = x.Now
	}
	p.Run.Reason = ""
	p.Run.Slot = false
	p.Run.Due = queueDeadline(p.Run, x.Now)
	return p
}

// queueDeadline is the next instant at which a queued run needs attention: it
// becomes eligible, or its time to live is over. The latter never concerns a
// run that a worker has held before.
func queueDeadline(r Run, now time.Time) time.Time {
	var due time.Time
	if ready := time.UnixMilli(r.Score); ready.After(now) {
		due = ready
	}
	if r.TTL > 0 && r.StartedAt.IsZero() {
		if end := r.QueuedAt.Add(r.TTL); due.IsZero() || end.Before(due) {
			due = end
		}
	}
	return due
}

// ExternalPending is why a run is parked that waits for the deployment with an external id.
const ExternalPending = "EXTERNAL_DEPLOYMENT_PENDING"

// NoWorker is why a run is parked whose environment has no version that it could go to.
const NoWorker = "NO_WORKER"

// maxExternalWait is how long a run waits for that deployment, counted from its delay.
//
//limit:runs Time that a run waits for the deployment with its `externalDeploymentId` |  | it expires
const maxExternalWait = time.Hour

// park keeps a run until the deployment it waits for appears, or its patience is over.
func park(r Run, x Ctx) Plan {
	p := move(r, Created, StatusPendingVersion, "Run is waiting for a deployment", x)
	p.Run.Reason = ExternalPending
	p.Run.Due = patience(r, x.Now)
	return p
}

// patience is when a parked run is given up.
func patience(r Run, now time.Time) time.Time {
	from, wait := now, maxExternalWait
	if r.DelayUntil.After(from) {
		from = r.DelayUntil
	}
	if r.TTL > 0 {
		wait = min(wait, r.TTL)
	}
	return from.Add(wait)
}

// decideEnqueue is a no-op unless the run still waits for its time or its version.
func decideEnqueue(r Run, c Enqueue, x Ctx) Plan {
	switch r.Exec {
	case Delayed:
		if r.DelayUntil.After(x.Now) {
			r.Due = r.DelayUntil
			return keep(r)
		}
		return enqueue(r, "The delay is over", x)
	case Created:
		if c.WorkerID != "" {
			r.WorkerID, r.Version = c.WorkerID, c.Version
		}
		r.Reason = ""
		if r.DelayUntil.After(x.Now) {
			p := move(r, Delayed, StatusDelayed, "Run was delayed", x)
			p.Run.Due = r.DelayUntil
			return p
		}
		return enqueue(r, "A worker version with the task exists", x)
	}
	return keep(r)
}

func decideReschedule(r Run, c Reschedule, x Ctx) (Plan, error) {
	if r.Exec != Delayed {
		return Plan{}, fault.New(fault.Invalid, "Cannot reschedule a run that is not delayed")
	}
	p := move(r, Delayed, StatusDelayed, "Run was rescheduled", x)
	p.Run.delay(c.Until)
	return p, nil
}

// Postponable reports whether a run can still be debounced: it waits for its time, or for
// the deployment that it belongs to.
func (r Run) Postponable() bool {
	return r.Exec == Delayed || r.Exec == Created && r.Reason == ExternalPending
}

func decideDebounce(r Run, c Debounce, x Ctx) (Plan, error) {
	if !r.Postponable() {
		return Plan{}, fault.New(fault.Conflict, "The debounced run has started")
	}
	if c.Until.After(r.DelayUntil) {
		r.delay(c.Until)
		if r.Exec == Created { // its time is the end of its patience
			r.Due = patience(r, x.Now)
		}
		r.UpdatedAt = x.Now
	}
	r.MaxAttempts = cmp.Or(c.MaxAttempts, r.MaxAttempts)
	r.MaxDuration = cmp.Or(c.MaxDuration, r.MaxDuration)
	r.Machine = cmp.Or(c.Machine, r.Machine)
	return keep(r), nil
}

// delay moves a run to another instant and keeps its priority. One that had no delay was
// to run when it was made.
func (r *Run) delay(until time.Time) {
	from := r.DelayUntil
	if from.IsZero() {
		from = r.CreatedAt
	}
	r.Score += until.Sub(from).Milliseconds()
	r.DelayUntil, r.Due = until, until
}
