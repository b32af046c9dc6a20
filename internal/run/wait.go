package run

import "sear/internal/fault"

// decideBlock makes a live run wait. Its slot goes back, unless the environment
// wants waiting runs to keep theirs, so that a family never starves itself.
func decideBlock(r Run, c Block, x Ctx) (Plan, error) {
	if !r.Exec.Live() || r.Status == StatusRetrying {
		return Plan{}, fault.Newf(fault.Invalid, "Cannot wait: the run is %s", r.Exec)
	}
	if r.Exec == Waiting && r.WaitFor == c.BatchID {
		return keep(r), nil
	}
	p := move(r, Waiting, StatusExecuting, "Run was blocked by a waitpoint", x)
	p.Run.Slot = r.Slot && x.KeepSlot
	p.Run.WaitFor = c.BatchID
	p.Run.Due = x.Now.Add(x.Timeouts.Executing)
	p.Notify = true
	return p, nil
}

// decideUnblock moves a run on once nothing blocks it any more. It must have its
// slot back before it executes.
func decideUnblock(r Run, c Unblock, x Ctx) Plan {
	if c.Pending > 0 {
		return keep(r)
	}
	switch {
	case r.Exec == Waiting && r.Slot:
		return resumed(r, x)
	case r.Exec == Waiting:
		p := move(r, QueuedExecuting, StatusExecuting, "Run can go on and waits for its slot", x)
		p.Run.Due = x.Now.Add(x.Timeouts.Executing)
		return p
	case r.Exec == Suspended:
		return enqueue(r, "Run can go on and waits for a worker", x)
	}
	return keep(r)
}

func decideResume(r Run, x Ctx) Plan {
	if r.Exec != QueuedExecuting {
		return keep(r)
	}
	return resumed(r, x)
}

// resumed delivers the completed waitpoints to the process that waits for them.
func resumed(r Run, x Ctx) Plan {
	p := move(r, Executing, StatusExecuting, "Run was continued, whilst still executing.", x)
	p.Run.Slot = true
	p.Run.Due = x.Now.Add(x.Timeouts.Executing)
	p.Edges = DeliverEdges
	p.Notify = true
	return p
}

// decideSuspend parks a run whose process was checkpointed away.
func decideSuspend(r Run, c Suspend, x Ctx) (Plan, error) {
	if r.Exec != Executing && r.Exec != Waiting || c.Seq != r.Seq || r.Status == StatusRetrying {
		return Plan{}, stale()
	}
	p := move(r, Suspended, StatusWaiting, "Run was suspended after creating a checkpoint.", x)
	p.Run.Slot = false
	return p, nil
}
