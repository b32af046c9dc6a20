package telemetry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sear/internal/run"
	"sear/internal/telemetry"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// after is so many seconds after the trigger.
func after(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// step is a snapshot at a second.
func step(at int, exec run.Exec, status run.Status, attempt int) telemetry.Step {
	return telemetry.Step{Exec: exec, Status: status, Attempt: attempt, Note: "note", At: after(at)}
}

// draw writes spans as text: who, from and to which second, how it ended, and its events.
func draw(spans []telemetry.Span) string {
	var b strings.Builder
	for _, s := range spans {
		end, how := "…", ""
		if !s.Partial() {
			end = fmt.Sprint(int(s.End.Sub(start).Seconds()))
		}
		if s.Failed {
			how += " failed"
		}
		if s.Cancelled {
			how += " cancelled"
		}
		for _, e := range s.Events {
			how += " " + e.Name
		}
		fmt.Fprintf(&b, "%s %d-%s%s; ", s.Message, int(s.Start.Sub(start).Seconds()), end, how)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestSpans(t *testing.T) {
	t.Parallel()
	failure := &run.Error{Type: run.BuiltIn, Name: "TypeError", Message: "no", StackTrace: "at x"}
	queued, dequeued := step(0, run.Queued, run.StatusPending, 0), step(1, run.PendingExecuting, run.StatusDequeued, 0)
	started := step(2, run.Executing, run.StatusExecuting, 1)
	for _, tt := range []struct {
		name  string
		run   run.Run
		steps []telemetry.Step
		want  string
	}{
		{"queued", run.Run{Exec: run.Queued}, []telemetry.Step{queued}, "task 0-…"},
		{"executing", run.Run{Exec: run.Executing}, []telemetry.Step{queued, dequeued, started}, "task 0-…; Attempt 1 2-…"},
		{"completed", run.Run{Exec: run.Finished, Status: run.StatusCompleted, CompletedAt: after(9)},
			[]telemetry.Step{queued, dequeued, started, step(9, run.Finished, run.StatusCompleted, 1)}, "task 0-9; Attempt 1 2-9"},
		{"waited", run.Run{Exec: run.Executing}, []telemetry.Step{queued, dequeued, started, step(3, run.Waiting, run.StatusExecuting, 1),
			step(5, run.QueuedExecuting, run.StatusExecuting, 1), step(6, run.Executing, run.StatusExecuting, 1)}, "task 0-…; Attempt 1 2-…"},
		{"suspended and continued", run.Run{Exec: run.Executing}, []telemetry.Step{queued, dequeued, started, step(3, run.Waiting, run.StatusExecuting, 1),
			step(4, run.Suspended, run.StatusWaiting, 1), step(5, run.Queued, run.StatusWaiting, 1), step(6, run.PendingExecuting, run.StatusWaiting, 1),
			step(7, run.Executing, run.StatusExecuting, 1)}, "task 0-…; Attempt 1 2-…"},
		{"retried at once", run.Run{Exec: run.Executing}, []telemetry.Step{queued, dequeued, started,
			step(4, run.Executing, run.StatusRetrying, 1), step(6, run.Executing, run.StatusExecuting, 2)},
			"task 0-… attempt_failed; Attempt 1 2-4 failed attempt_failed; Attempt 2 6-…"},
		{"retried by the queue, then failed", run.Run{Exec: run.Finished, Status: run.StatusFailed, Err: failure, CompletedAt: after(12)},
			[]telemetry.Step{queued, dequeued, started, step(4, run.Delayed, run.StatusRetrying, 1), step(8, run.Queued, run.StatusPending, 1),
				step(9, run.PendingExecuting, run.StatusDequeued, 1), step(10, run.Executing, run.StatusExecuting, 2), step(12, run.Finished, run.StatusFailed, 2)},
			"task 0-12 failed attempt_failed exception; Attempt 1 2-4 failed attempt_failed; Attempt 2 10-12 failed exception"},
		{"its worker was lost", run.Run{Exec: run.Queued}, []telemetry.Step{queued, dequeued, started, step(7, run.Queued, run.StatusPending, 1)},
			"task 0-… attempt_failed; Attempt 1 2-7 failed attempt_failed"},
		{"cancelled while it executes", run.Run{Exec: run.Finished, Status: run.StatusCanceled, CompletedAt: after(6)},
			[]telemetry.Step{queued, dequeued, started, step(5, run.PendingCancel, run.StatusCanceled, 1), step(6, run.Finished, run.StatusCanceled, 1)},
			"task 0-6 cancelled cancellation; Attempt 1 2-6 cancelled cancellation"},
		{"expired", run.Run{Exec: run.Finished, Status: run.StatusExpired, CompletedAt: after(5), Err: &run.Error{Type: run.StringError, Raw: "too late"}},
			[]telemetry.Step{queued, step(5, run.Finished, run.StatusExpired, 0)}, "task 0-5 failed exception"},
	} {
		tt.run.ID, tt.run.Task, tt.run.CreatedAt = "a", "task", start
		if got := draw(telemetry.History{Run: tt.run, Steps: tt.steps}.Spans()); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// TestEvents: errors are told in the words of OpenTelemetry.
func TestEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  *run.Error
		want string
	}{
		{&run.Error{Type: run.BuiltIn, Name: "TypeError", Message: "no", StackTrace: "at x"}, "map[exception:map[message:no stacktrace:at x type:TypeError]]"},
		{&run.Error{Type: run.StringError, Raw: "no"}, "map[exception:map[message:no type:STRING_ERROR]]"},
		{&run.Error{Type: run.Internal, Code: run.CodeMaxDuration}, "map[exception:map[message: type:MAX_DURATION_EXCEEDED]]"},
	} {
		h := telemetry.History{Run: run.Run{ID: "a", Exec: run.Finished, Status: run.StatusFailed, Err: tt.err, CreatedAt: start, CompletedAt: after(1)}}
		if got := fmt.Sprint(h.Spans()[0].Events[0].Properties); got != tt.want {
			t.Errorf("%+v: %s", tt.err, got)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	lasting, over := telemetry.Span{Start: start}, telemetry.Span{Start: start, End: after(2)}
	if a, b, c := lasting.Duration(after(5)), over.Duration(after(5)), lasting.Duration(after(-5)); a != 5*time.Second || b != 2*time.Second || c != 0 {
		t.Error(a, b, c)
	}
}

// TestTrace: a child hangs below the attempt that triggered it, and ids stay the same.
func TestTrace(t *testing.T) {
	t.Parallel()
	parent := telemetry.History{Run: run.Run{ID: "p", Task: "parent", Exec: run.Executing, CreatedAt: start}, Span: "1111111111111111", Parent: "2222222222222222",
		Steps: []telemetry.Step{step(1, run.Executing, run.StatusExecuting, 1), step(3, run.Queued, run.StatusPending, 1), step(5, run.Executing, run.StatusExecuting, 2)}}
	child := func(id string, at int) telemetry.History {
		return telemetry.History{Run: run.Run{ID: id, Task: id, ParentID: "p", CreatedAt: after(at)}, Span: "span-" + id, Parent: "elsewhere"}
	}
	family := []telemetry.History{parent, child("first", 2), child("between", 4), child("second", 6)}
	spans := telemetry.Trace(family)
	above := map[string]string{}
	for _, s := range spans {
		above[s.ID] = s.Parent
	}
	attempts := parent.Spans()[1:]
	want := map[string]string{"1111111111111111": "", attempts[0].ID: "1111111111111111", attempts[1].ID: "1111111111111111",
		"span-first": attempts[0].ID, "span-between": "1111111111111111", "span-second": attempts[1].ID}
	if fmt.Sprint(above) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", above, want)
	}
	if got := draw(spans); got != "parent 0-… attempt_failed; Attempt 1 1-3 failed attempt_failed; first 2-…; between 4-…; Attempt 2 5-…; second 6-…" {
		t.Error(got)
	}
	if again := telemetry.Trace(family); fmt.Sprint(again) != fmt.Sprint(spans) || len(attempts[0].ID) != 16 || attempts[0].ID == attempts[1].ID {
		t.Error("the spans differ from one time to the next, or have the same ids")
	}
	if parent.Spans()[0].Parent != "2222222222222222" || (telemetry.History{Run: run.Run{ID: "x"}}).Spans()[0].ID == "" {
		t.Error("a run is not where it says, or has no span")
	}
}
