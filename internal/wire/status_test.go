package wire_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sear/internal/run"
	"sear/internal/wire"
)

var statuses = []run.Status{
	run.StatusDelayed, run.StatusPending, run.StatusPendingVersion, run.StatusDequeued, run.StatusExecuting, run.StatusRetrying,
	run.StatusWaiting, run.StatusCompleted, run.StatusFailed, run.StatusCanceled, run.StatusCrashed, run.StatusSystemFailure,
	run.StatusExpired, run.StatusTimedOut,
}

func TestStatusName(t *testing.T) {
	t.Parallel()
	current := []string{"DELAYED", "QUEUED", "PENDING_VERSION", "DEQUEUED", "EXECUTING", "EXECUTING", "WAITING", "COMPLETED",
		"FAILED", "CANCELED", "CRASHED", "SYSTEM_FAILURE", "EXPIRED", "TIMED_OUT"}
	before := []string{"DELAYED", "QUEUED", "PENDING_VERSION", "EXECUTING", "EXECUTING", "REATTEMPTING", "FROZEN", "COMPLETED",
		"FAILED", "CANCELED", "CRASHED", "SYSTEM_FAILURE", "EXPIRED", "TIMED_OUT"}
	for i, s := range statuses {
		if got := wire.StatusName(s, wire.CurrentVersion); got != current[i] {
			t.Errorf("%s is %q, want %q", s, got, current[i])
		}
		for _, version := range []string{"", "2024-01-01"} {
			if got := wire.StatusName(s, version); got != before[i] {
				t.Errorf("%s is %q for version %q, want %q", s, got, version, before[i])
			}
		}
	}
}

func TestFlagsOf(t *testing.T) {
	t.Parallel()
	failed := wire.Flags{IsCompleted: true, IsFailed: true}
	for name, want := range map[string]wire.Flags{
		"QUEUED": {IsQueued: true}, "DELAYED": {IsQueued: true}, "PENDING_VERSION": {IsQueued: true},
		"DEQUEUED": {IsExecuting: true}, "EXECUTING": {IsExecuting: true}, "REATTEMPTING": {IsExecuting: true}, "FROZEN": {IsExecuting: true},
		"WAITING":   {IsWaiting: true},
		"COMPLETED": {IsCompleted: true, IsSuccess: true},
		"FAILED":    failed, "CRASHED": failed, "SYSTEM_FAILURE": failed, "EXPIRED": failed, "TIMED_OUT": failed,
		"CANCELED": {IsCompleted: true, IsFailed: true, IsCancelled: true},
	} {
		if d := cmp.Diff(want, wire.FlagsOf(name)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestFlagsAgree: a run is completed in the API exactly when it will never change again.
func TestFlagsAgree(t *testing.T) {
	t.Parallel()
	for _, s := range statuses {
		for _, version := range []string{"", wire.CurrentVersion} {
			if f := wire.FlagsOf(wire.StatusName(s, version)); f.IsCompleted != s.Final() {
				t.Errorf("%s is completed: %v", s, f.IsCompleted)
			}
		}
	}
}

func TestStatusFilter(t *testing.T) {
	t.Parallel()
	for _, s := range statuses {
		name := wire.StatusName(s, wire.CurrentVersion)
		got, ok := wire.StatusFilter(name)
		if !ok || s != run.StatusRetrying && !slices.Contains(got, s) {
			t.Errorf("filter %s selects %v, %v, not %s", name, got, ok, s)
		}
	}
	if got, ok := wire.StatusFilter("REATTEMPTING"); !ok || !slices.Equal(got, []run.Status{run.StatusRetrying}) {
		t.Errorf("filter REATTEMPTING selects %v, %v", got, ok)
	}
	if _, ok := wire.StatusFilter("FOO"); ok {
		t.Error("FOO is a status")
	}
}
