package run

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"sear/internal/fault"
)

// MaxNacks is how many deliveries of a run may fail for reasons outside the
// task before the run is given up. Retries of the task do not count.
//
//limit:runs Times that a run is handed out and no attempt begins | times | it ends as SYSTEM_FAILURE
const MaxNacks = 12

// decideDequeue hands the run to a worker under a lease: it comes back unless an attempt starts in time.
func decideDequeue(r Run, c Dequeue, x Ctx) (Plan, error) {
	if r.Exec != Queued {
		return Plan{}, fault.New(fault.Conflict, "Run is not in the queue")
	}
	if c.Missing != "" {
		p := move(r, Created, StatusPendingVersion, "Run is waiting for a version: "+c.Missing, x)
		p.Run.Reason = c.Missing
		p.Run.QueuedAt = time.Time{} // its time to live starts again when it is released
		return p, nil
	}
	p := move(r, PendingExecuting, StatusDequeued, "Run was dequeued for execution", x)
	n := &p.Run
	n.Slot = true
	n.WorkerID, n.Version = c.WorkerID, c.Version
	if n.StartedAt.IsZero() {
		n.StartedAt = x.Now
	}
	if n.MaxAttempts == 0 {
		n.MaxAttempts = c.MaxAttempts
	}
	if n.MaxDuration == 0 {
		n.MaxDuration = c.MaxDuration
	}
	if n.Machine == "" {
		n.Machine = c.Machine
	}
	n.Due = x.Now.Add(x.Timeouts.Pending)
	return p, nil
}

// decideRequeue takes a delivered run back at its old place in the queue.
func decideRequeue(r Run, x Ctx) Plan {
	if r.Exec != PendingExecuting {
		return keep(r)
	}
	return enqueue(r, "Run was put back in the queue", x)
}

// nack puts a run back whose delivery failed, a little later each time.
func nack(r Run, x Ctx) Plan {
	r.Nacks++
	if r.Nacks >= MaxNacks {
		err := internalError(CodeTooManyNacks, "The run was handed out too often without starting")
		return finish(r, StatusSystemFailure, err, "Run was handed out too often without starting", x)
	}
	r.Score = x.Now.Add(nackDelay(r.Nacks)).UnixMilli()
	return enqueue(r, "Run did not start in time and was put back in the queue", x)
}

// nackDelay doubles from one second to an hour.
func nackDelay(n int) time.Duration {
	return min(time.Second<<(n-1), time.Hour)
}

// decideExpire ends a run whose time to live is over, unless a worker has ever
// held it, and one that has waited too long for a deployment. A run that merely
// became eligible gets its next deadline.
func decideExpire(r Run, x Ctx) Plan {
	if r.Exec == Created && r.Overdue(x.Now) {
		err := internalError(CodeNoDeployment, "The deployment that the run belongs to did not appear in time")
		p := finish(r, StatusExpired, err, "Run expired while waiting for a deployment", x)
		p.Run.ExpiredAt = x.Now
		return p
	}
	if r.Exec != Queued {
		return keep(r)
	}
	ttl := r.TTL > 0 && r.StartedAt.IsZero() && !r.QueuedAt.Add(r.TTL).After(x.Now)
	if !ttl {
		r.Due = queueDeadline(r, x.Now)
		return keep(r)
	}
	err := &Error{Type: StringError, Raw: "Run expired because the TTL (" + FormatTTL(r.TTL) + ") was reached"}
	p := finish(r, StatusExpired, err, "Run expired", x)
	p.Run.ExpiredAt = x.Now
	return p
}

// finish writes the last snapshot. FINISHED is absorbing.
func finish(r Run, status Status, err *Error, note string, x Ctx) Plan {
	p := move(r, Finished, status, note, x)
	p.Run.Slot = false
	if r.Exec != PendingCancel || status != StatusCanceled { // users saw it end when they cancelled it
		p.Run.CompletedAt = x.Now
	}
	if err != nil {
		p.Run.Err = err.Sanitize()
	}
	p.Edges = DropEdges
	p.Finished = true
	return p
}

// FormatTTL writes a time to live the way users do: 10m, 1h30m, 1m30s.
func FormatTTL(d time.Duration) string {
	d = d.Round(time.Second)
	var out strings.Builder
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d / unit.size; n > 0 {
			fmt.Fprintf(&out, "%d%s", n, unit.name)
			d -= n * unit.size
		}
	}
	return cmp.Or(out.String(), "0s")
}
