package run

import "time"

// Ctx is what a decision may know besides the run.
type Ctx struct {
	Now      time.Time
	Jitter   float64 // in [0,1): randomness for back-off
	Dev      bool    // the environment is a developer's machine
	KeepSlot bool    // a waiting run keeps its slot; default: it lends it to others
	Timeouts Timeouts
}

// Timeouts say how long a worker may be silent in each state.
type Timeouts struct {
	Pending   time.Duration // handed out, not started
	Executing time.Duration // between heartbeats, also while waiting
	Cancel    time.Duration // asked to stop, not confirmed
}

// ReportsWithin is the time in which a worker reports that lives: the official CLI sends a
// heartbeat every thirty seconds, of which one may get lost.
const ReportsWithin = time.Minute

// Grace is how long workers get to report once they can be heard again.
func (t Timeouts) Grace() time.Duration { return min(ReportsWithin, t.Executing) }

// DefaultTimeouts are upstream's.
var DefaultTimeouts = Timeouts{Pending: startTimeout, Executing: stallTimeout, Cancel: cancelTimeout}

const (
	//limit:workers Time from a run being handed out until its attempt begins (`--start-timeout`) |  | it goes back to its queue
	startTimeout = time.Minute
	//limit:workers Time without a sign of life of an attempt (`--stall-timeout`) |  | the attempt has failed; in development the run is canceled
	stallTimeout = 5 * time.Minute
	//limit:workers Time for a worker to end a run that is being canceled |  | it counts as ended
	cancelTimeout = time.Minute
)

// Edges says what a plan does with the waitpoints that block the run.
type Edges int

// What may happen to the waitpoints of a run.
const (
	KeepEdges    Edges = iota
	DeliverEdges       // they are over and go to the worker with the new snapshot
	DropEdges          // the attempt that waited is gone
)

// Plan is what a command decided. Persisting it, and telling others after the
// commit, is all the engine does.
type Plan struct {
	Run      Run    // the run as it is to be
	Moved    bool   // a new snapshot: the one before goes to the log
	Edges    Edges  // what becomes of the run's own waitpoints
	Finished bool   // whoever waits for this run can go on
	Children string // not "": cancel the run's children for this reason
	Notify   bool   // tell the worker that holds the run to look
}

// move starts a plan that leads to a new snapshot.
func move(r Run, to Exec, status Status, note string, x Ctx) Plan {
	r.Exec, r.Status, r.Note = to, status, note
	r.Seq++
	r.Request = ""
	r.MovedAt, r.UpdatedAt = x.Now, x.Now
	r.Due = time.Time{}
	return Plan{Run: r, Moved: true}
}

// keep is the plan that changes nothing.
func keep(r Run) Plan { return Plan{Run: r} }
