package run

import "time"

// Command is something that may happen to a run. The commands are the types of
// this file; nothing else changes a run.
type Command interface{ command() }

// Create makes a run. Run carries identity, family, lane and limits; Decide fills in the rest.
type Create struct {
	Run        Run
	QueueTime  time.Time // the instant its place in the queue counts from; zero: now, or when the delay ends
	PriorityMS int64     // how much earlier than QueueTime it is to stand in the queue
	External   bool      // it waits, for a while, for a deployment that does not exist yet
	Failed     *Error    // not nil: a stand-in for a batch item that could not be triggered, finished from the start
}

// Enqueue moves a delayed run whose time has come, or a parked one whose version
// exists, to its queue. The worker, if any, is the version that the parked run waited
// for, and which it is locked to from now on.
type Enqueue struct{ WorkerID, Version string }

// Reschedule gives a delayed run another time.
type Reschedule struct{ Until time.Time }

// Debounce pushes a run that is [Run.Postponable] further into the future, never nearer. The other fields
// are what the latest trigger says of the attempts; zero leaves a value alone.
type Debounce struct {
	Until       time.Time
	MaxAttempts int
	MaxDuration int // seconds
	Machine     string
}

// Dequeue hands a queued run to a worker. Its fields come from the worker's
// manifest and fill only what the run does not say itself.
type Dequeue struct {
	WorkerID, Version string
	MaxAttempts       int
	MaxDuration       int // seconds
	Machine           string
	Missing           string // why no version can take the run; it is parked then
}

// Resume gives a run whose waits are over its slot back.
type Resume struct{}

// Start begins an attempt. Seq is the snapshot the worker believes is newest.
type Start struct {
	Seq     int64
	Request string // idempotency key of the HTTP call
}

// Continue goes on with an attempt that was suspended.
type Continue struct{ Seq int64 }

// Beat says that the worker is alive.
type Beat struct{ Seq int64 }

// Block makes a live run wait. BatchID is the batch it waits for, if any.
type Block struct{ BatchID string }

// Unblock says that a waitpoint of the run completed; Pending still block it.
type Unblock struct{ Pending int }

// Suspend parks a run whose process went away with a checkpoint.
type Suspend struct{ Seq int64 }

// Complete ends an attempt with success.
type Complete struct {
	Seq     int64
	Request string
	Output  Packet
	Usage   time.Duration
}

// Fail ends an attempt with an error.
type Fail struct {
	Seq     int64
	Request string
	Err     *Error
	Retry   *Retry  // what the SDK decided; nil: it decided against, or could not decide
	Policy  *Policy // the task's own retry settings, for when it could not
	Requeue bool    // never on the same worker process
	Usage   time.Duration
}

// Stall says that the deadline of a run in a worker's hands passed without a
// sign of life. Policy is as in Fail.
type Stall struct{ Policy *Policy }

// Cancel ends a run by somebody's wish. Final does so without asking the worker.
type Cancel struct {
	Reason string
	Final  bool
}

// Expire ends a run that nobody took in time.
type Expire struct{}

// Requeue takes back a run that was handed out but has not started, through no fault of its own.
type Requeue struct{}

func (Create) command()     {}
func (Enqueue) command()    {}
func (Reschedule) command() {}
func (Debounce) command()   {}
func (Dequeue) command()    {}
func (Resume) command()     {}
func (Start) command()      {}
func (Continue) command()   {}
func (Beat) command()       {}
func (Block) command()      {}
func (Unblock) command()    {}
func (Suspend) command()    {}
func (Complete) command()   {}
func (Fail) command()       {}
func (Stall) command()      {}
func (Cancel) command()     {}
func (Expire) command()     {}
func (Requeue) command()    {}
