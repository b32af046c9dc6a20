package engine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sear/internal/engine"
	"sear/internal/run"
)

// TestTakeBack: runs that nobody heard of go back to the head of their queue, and
// what has begun since stays with its worker.
func TestTakeBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		lost := r.trigger(engine.Trigger{Task: "hello"})
		first := r.take()
		begun := r.trigger(engine.Trigger{Task: "hello"})
		second := r.take()
		must(r.StartAttempt(r.ctx, r.env, begun, engine.Call{Seq: second.Run.Seq}))(t)
		later := r.trigger(engine.Trigger{Task: "hello"})

		r.ok(r.TakeBack(r.ctx, r.env, []engine.Delivery{first, second}))
		if got := r.get(begun).Exec; got != run.Executing {
			t.Errorf("the run that had begun is %s", got)
		}
		if got := r.get(lost); got.Exec != run.Queued || got.Nacks != 0 || got.Slot {
			t.Errorf("the run that was lost is %+v", got)
		}
		if got := r.take().Run.ID; got != lost {
			t.Errorf("the head of the queue is %s, want %s", got, lost)
		}
		r.check(lost, begun, later)
	})
}

// TestCompletionOutlivesItsMetadata: operations that are refused are no reason to
// lose a result, and those of a repeated call are not applied again.
func TestCompletionOutlivesItsMetadata(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		set := func(value string) run.MetadataEdit {
			return run.MetadataEdit{Own: []run.Operation{{Type: "set", Key: "key", Value: json.RawMessage(value)}}}
		}
		runID := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		r.end(runID, engine.Completion{Metadata: set(`"` + strings.Repeat("x", run.MaxMetadata) + `"`)})
		if got := r.get(runID).Status; got != run.StatusCompleted {
			t.Errorf("the run is %s", got)
		}

		counted := r.trigger(engine.Trigger{Task: "hello"})
		call := engine.Call{Seq: r.begin().Seq, Request: "same"}
		c := engine.Completion{Metadata: run.MetadataEdit{Own: []run.Operation{{Type: "increment", Key: "n", Value: json.RawMessage(`1`)}}}}
		for range 2 {
			must(r.CompleteAttempt(r.ctx, r.env, counted, call, c))(t)
		}
		doc := must(r.EditMetadata(r.ctx, r.env, counted, run.MetadataEdit{}))(t)
		if doc.Data != `{"n":1}` {
			t.Errorf("metadata %s", doc.Data)
		}
	})
}

// TestAttemptKnowsItsWorker, also when the call that began it is repeated.
func TestAttemptKnowsItsWorker(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		runID := r.trigger(engine.Trigger{Task: "hello"})
		d := r.take()
		call := engine.Call{Seq: d.Run.Seq, Request: "same"}
		first := must(r.StartAttempt(r.ctx, r.env, runID, call))(t)
		if first.Worker.ID != d.Worker.ID || first.QueueID == "" || first.Run.Seq != d.Run.Seq+1 {
			t.Errorf("the attempt is %+v", first)
		}
		again := must(r.StartAttempt(r.ctx, r.env, runID, call))(t)
		if again.Run.Seq != first.Run.Seq || again.Run.Attempt != 1 {
			t.Errorf("the repeated start is %+v", again.Run)
		}
	})
}
