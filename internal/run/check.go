package run

import "fmt"

// Check returns the first invariant that r breaks, nil when it is sound. Tests
// call it after every transition; the doctor may call it on a whole store.
func Check(r Run) error {
	for _, c := range []struct {
		broken bool
		what   string
	}{
		{r.Seq < 1, "a run has at least one snapshot"},
		{(r.Exec == Finished) != r.Status.Final() && r.Exec != PendingCancel, "a final status and FINISHED go together"},
		{r.Exec == PendingCancel && r.Status != StatusCanceled, "a run that is to be cancelled is CANCELED"},
		{r.Exec == Finished && r.Status != StatusCompleted && r.Err == nil, "an unsuccessful run has an error"},
		{!r.CompletedAt.IsZero() != r.Status.Final(), "a run of a final status has a completion time, and no other"},
		{r.Status == StatusCompleted && r.Err != nil, "a successful run has no error"},
		{r.Slot && !holdsSlot(r.Exec), "only a run in a worker's hands holds a slot"},
		{(r.Exec == PendingExecuting || r.Exec == Executing) && !r.Slot, "a run in a worker's hands holds a slot"},
		{r.Attempt > MaxAttempts, "too many attempts"},
		{r.Exec == Delayed && !r.Due.Equal(r.DelayUntil), "a delayed run has its delay as deadline"},
		{r.Exec.WithWorker() && r.Due.IsZero(), "somebody must answer for a run in a worker's hands"},
		{(r.Exec == Finished || r.Exec == Suspended) && !r.Due.IsZero(), "nothing is due for a run at rest"},
		{r.Exec == Created && r.Due.IsZero() == (r.Reason == ExternalPending), "a parked run is given up only if it waits for a deployment"},
		{r.Exec == Created && r.Reason == "", "a parked run says why"},
	} {
		if c.broken {
			return fmt.Errorf("run %s (%s, %s, snapshot %d): %s", r.ID, r.Exec, r.Status, r.Seq, c.what)
		}
	}
	return nil
}

func holdsSlot(e Exec) bool {
	return e == PendingExecuting || e == Executing || e == Waiting || e == PendingCancel
}
