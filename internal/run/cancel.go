package run

// decideCancel ends a run at once when no worker holds it, and otherwise asks
// the worker first: the run is already CANCELED for its users, and finished when
// the worker confirms or its deadline passes. Children are cancelled right away.
func decideCancel(r Run, c Cancel, x Ctx) Plan {
	switch {
	case r.Exec == Finished:
		return keep(r)
	case r.Exec == PendingCancel && !c.Final:
		p := keep(r)
		p.Notify = true
		return p
	}
	r.Err = Canceled(c.Reason).Sanitize()
	asks := r.Exec.Live() || r.Exec == PendingExecuting
	if asks && !c.Final {
		p := move(r, PendingCancel, StatusCanceled, "Run was cancelled, waiting for the worker to stop", x)
		p.Run.CompletedAt = x.Now
		p.Run.Due = x.Now.Add(x.Timeouts.Cancel)
		p.Children = c.Reason
		p.Notify = true
		return p
	}
	p := cancelled(r, x)
	p.Children = c.Reason
	p.Notify = asks || r.Exec == PendingCancel
	return p
}

// cancelled writes the last snapshot of a cancelled run.
func cancelled(r Run, x Ctx) Plan {
	err := r.Err
	if err == nil {
		err = Canceled("Canceled by the worker")
	}
	return finish(r, StatusCanceled, err, "Run was cancelled", x)
}
