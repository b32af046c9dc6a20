package run_test

import (
	"strings"
	"testing"
	"time"

	"sear/internal/run"
)

// TestStallSaysWhy: a run whose worker vanished goes on without an error, so that its
// timeline must say what happened.
func TestStallSaysWhy(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	executing := run.Run{ID: "r", Exec: run.Executing, Status: run.StatusExecuting, Seq: 3, Attempt: 1, Began: 3, Slot: true, MaxAttempts: 3, Due: now}
	p, err := run.Decide(executing, run.Stall{Policy: &run.Policy{}}, run.Ctx{Now: now, Timeouts: run.DefaultTimeouts})
	if err != nil || p.Run.Exec != run.Queued || !strings.HasPrefix(p.Run.Note, "The worker stopped sending heartbeats") {
		t.Errorf("%s, %q, %v", p.Run.Exec, p.Run.Note, err)
	}
}
