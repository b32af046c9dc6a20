package run

import (
	"math"
	"time"

	"sear/internal/fault"
)

// decideStart begins an attempt of a delivered run, or the next one on the same
// worker after a failure that is retried at once.
func decideStart(r Run, c Start, x Ctx) (Plan, error) {
	if repeated(r, c.Seq, c.Request) && r.Exec == Executing {
		return keep(r), nil
	}
	retrying := r.Exec == Executing && r.Status == StatusRetrying
	switch {
	case r.Exec == Finished || r.Exec == PendingCancel:
		return Plan{}, fault.Newf(fault.Malformed, "Cannot start an attempt: the run is %s", r.Exec)
	case r.Exec != PendingExecuting && !retrying:
		return Plan{}, stale()
	case c.Seq != r.Seq && !earlierDelivery(r, c.Seq):
		return Plan{}, stale()
	}
	if r.Attempt >= MaxAttempts {
		return finish(r, StatusCrashed, internalError(CodeCrashed, "Max attempts reached"), "Max attempts reached", x), nil
	}
	p := move(r, Executing, StatusExecuting, "Attempt created, starting execution", x)
	n := &p.Run
	n.Attempt++
	n.Began = n.Seq
	n.Request = c.Request
	n.Nacks = 0
	if n.ExecutedAt.IsZero() {
		n.ExecutedAt = x.Now
	}
	n.Due = x.Now.Add(x.Timeouts.Executing)
	return p, nil
}

// earlierDelivery recognises a worker that took long over an earlier delivery of
// the very attempt that has since been delivered again: each lost delivery adds
// two snapshots, QUEUED and PENDING_EXECUTING. The CLI keeps runs it has no free
// process for, so refusing them would only delay the run; the first to start wins.
func earlierDelivery(r Run, seq int64) bool {
	behind := r.Seq - seq
	return r.Exec == PendingExecuting && behind > 0 && behind%2 == 0 && behind <= 2*int64(r.Nacks)
}

// decideContinue restores a suspended attempt.
func decideContinue(r Run, c Continue, x Ctx) (Plan, error) {
	if r.Exec != PendingExecuting || c.Seq != r.Seq {
		return Plan{}, stale()
	}
	p := move(r, Executing, StatusExecuting, "Run was continued after being suspended", x)
	p.Edges = DeliverEdges
	p.Run.Began = p.Run.Seq
	p.Run.Due = x.Now.Add(x.Timeouts.Executing)
	return p, nil
}

// decideBeat extends the deadline of whoever beats for the newest snapshot. A run
// that is to be cancelled gets no more time.
func decideBeat(r Run, c Beat, x Ctx) Plan {
	if c.Seq != r.Seq {
		return keep(r)
	}
	switch {
	case r.Exec == PendingExecuting:
		r.Due = x.Now.Add(x.Timeouts.Pending)
	case r.Exec.Live():
		r.Due = x.Now.Add(x.Timeouts.Executing)
	}
	return keep(r)
}

// reportable reports whether a worker may now say how its attempt ended. It may
// name any snapshot since its process began: one that the server wrote meanwhile
// (blocked, unblocked, to be cancelled) may not have reached it yet, and only that
// process can be the one that ends the attempt.
func reportable(r Run, seq int64) bool {
	running := r.Exec.Live() && r.Status != StatusRetrying || r.Exec == PendingCancel
	return running && r.Began > 0 && seq >= r.Began && seq <= r.Seq
}

func decideComplete(r Run, c Complete, x Ctx) (Plan, error) {
	if repeated(r, c.Seq, c.Request) {
		return keep(r), nil
	}
	if !reportable(r, c.Seq) {
		return Plan{}, stale()
	}
	p := finish(r, StatusCompleted, nil, "Run completed successfully", x)
	p.Run.Request = c.Request
	p.Run.Err = nil // a cancellation that came too late
	p.Run.Output = c.Output
	p.Run.Usage = addUsage(r.Usage, c.Usage)
	return p, nil
}

func decideFail(r Run, c Fail, x Ctx) (Plan, error) {
	if repeated(r, c.Seq, c.Request) {
		return keep(r), nil
	}
	if !reportable(r, c.Seq) {
		return Plan{}, stale()
	}
	r.Usage = addUsage(r.Usage, c.Usage)
	p := failed(r, c, x)
	p.Run.Request = c.Request
	return p, nil
}

// failed decides between the three ends of a failed attempt: the run is over,
// the same worker tries again soon, or any worker does later.
func failed(r Run, c Fail, x Ctx) Plan {
	if r.Exec == PendingCancel || c.Err.Code == CodeCancelled {
		return cancelled(r, x)
	}
	again, ok := nextAttempt(r, c, x)
	if !ok {
		return finish(r, finalStatus(c.Err, x.Dev), c.Err, "Run failed", x)
	}
	// A run that lent its slot while it waited has to queue for another.
	if !again.requeue && again.after < warmRetry && r.Slot {
		p := move(r, Executing, StatusRetrying, "Attempt failed, retrying on the same worker", x)
		p.Edges = DropEdges
		p.Run.Due = x.Now.Add(again.after + x.Timeouts.Executing)
		return p
	}
	r.Machine = again.machine
	r.Score = x.Now.Add(again.after).UnixMilli()
	p := enqueue(r, "Attempt failed, back in the queue for another", x)
	p.Edges = DropEdges
	return p
}

// decideStall ends the patience with a silent worker.
func decideStall(r Run, c Stall, x Ctx) Plan {
	switch r.Exec {
	case PendingExecuting:
		return nack(r, x)
	case PendingCancel:
		return cancelled(r, x)
	case Executing, Waiting, QueuedExecuting:
		code := CodeStalled
		if r.Exec != Executing {
			code = CodeStalledWaiting
		}
		err := internalError(code, "The worker stopped sending heartbeats")
		p := failed(r, Fail{Err: err, Policy: c.Policy, Requeue: true}, x)
		if p.Run.Exec == Queued { // the run goes on and has no error, so the timeline says what happened
			p.Run.Note = "The worker stopped sending heartbeats, back in the queue for another attempt"
		}
		return p
	}
	return keep(r)
}

// maxUsage is what the API's 32-bit milliseconds can hold.
//
//limit:inside the sum of the time of attempts, which saturates
const maxUsage = math.MaxInt32 * time.Millisecond

// addUsage saturates at maxUsage.
func addUsage(sum, more time.Duration) time.Duration {
	if more < 0 || more > maxUsage {
		more = 0
	}
	return min(sum+more, maxUsage)
}
