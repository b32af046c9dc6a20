package run

import (
	"fmt"
	"time"

	"sear/internal/fault"
)

// Decide says what command c does to run r. It returns a [fault.Stale] when the
// caller acts on an older snapshot, a [fault.Invalid] when the command makes no
// sense in the run's state, and otherwise the plan; a plan that equals the run
// means that nothing is to be done.
func Decide(r Run, c Command, x Ctx) (Plan, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(create, x)
	}
	switch c := c.(type) {
	case Enqueue:
		return decideEnqueue(r, c, x), nil
	case Reschedule:
		return decideReschedule(r, c, x)
	case Debounce:
		return decideDebounce(r, c, x)
	case Dequeue:
		return decideDequeue(r, c, x)
	case Resume:
		return decideResume(r, x), nil
	case Requeue:
		return decideRequeue(r, x), nil
	case Start:
		return decideStart(r, c, x)
	case Continue:
		return decideContinue(r, c, x)
	case Beat:
		return decideBeat(r, c, x), nil
	case Complete:
		return decideComplete(r, c, x)
	case Fail:
		return decideFail(r, c, x)
	}
	return decideOther(r, c, x)
}

// decideOther is the second half of the switch: the commands that do not come from a worker's loop.
func decideOther(r Run, c Command, x Ctx) (Plan, error) {
	switch c := c.(type) {
	case Block:
		return decideBlock(r, c, x)
	case Unblock:
		return decideUnblock(r, c, x), nil
	case Suspend:
		return decideSuspend(r, c, x)
	case Stall:
		return decideStall(r, c, x), nil
	case Cancel:
		return decideCancel(r, c, x), nil
	case Expire:
		return decideExpire(r, x), nil
	}
	return Plan{}, fmt.Errorf("run: unknown command %T", c)
}

// Deadline returns the command that is due when r.Due has passed. policy is the
// retry policy of the run's task, which a stall may need.
func Deadline(r Run, policy *Policy, now time.Time) Command {
	switch r.Exec {
	case Delayed:
		return Enqueue{}
	case Queued, Created:
		return Expire{}
	default:
		return Stall{Policy: policy}
	}
}

// Overdue reports whether r's deadline has passed.
func (r Run) Overdue(now time.Time) bool { return !r.Due.IsZero() && !r.Due.After(now) }

// stale is the answer to a worker that acts on an older snapshot.
func stale() error {
	return fault.New(fault.Stale, "Snapshot ID doesn't match the latest snapshot")
}

// repeated reports whether the call that named snapshot seq with this request
// key is the very call that made the newest snapshot: its answer was lost and
// the client asks again.
func repeated(r Run, seq int64, request string) bool {
	return request != "" && r.Request == request && seq < r.Seq
}
