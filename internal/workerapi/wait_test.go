package workerapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
)

// waiting is the answer to wait/duration.
type waiting struct {
	WaitUntil time.Time
	Waitpoint struct{ ID string }
}

// executing triggers a run and starts its attempt.
func (r *rig) executing() (runID string, s State) {
	r.t.Helper()
	r.trigger(engine.Trigger{Task: "task"})
	return r.begin()
}

func TestWaitUntil(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	at := time.Now().Add(300 * time.Millisecond).UTC().Truncate(time.Millisecond)
	for name, date := range map[string]any{"text": at.Format("2006-01-02T15:04:05.000Z"), "number": at.UnixMilli(), "past": "2001-02-03"} {
		runID, started := r.executing()
		got := servertest.Post[waiting](t, r.Client, "/engine/v1/runs/"+runID+"/wait/duration", map[string]any{"date": date})
		if name != "past" && !got.WaitUntil.Equal(at) || !strings.HasPrefix(got.Waitpoint.ID, "waitpoint_") {
			t.Errorf("%s: %+v", name, got)
		}
		var s State
		for s = r.await(runID, run.Executing); s.Snapshot.ID == started.Snapshot.ID; s = r.await(runID, run.Executing) {
		}
		if s.Run.AttemptNumber != 1 || len(s.CompletedWaitpoints) != 1 {
			t.Fatalf("%s: %+v", name, s)
		}
		if p := s.CompletedWaitpoints[0]; p.Type != "DATETIME" || p.FriendlyID != got.Waitpoint.ID || p.OutputIsError || p.Index != nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestWaitsShareAKey(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	wait := func(ttl string) waiting {
		runID, _ := r.executing()
		return servertest.Post[waiting](t, r.Client, "/engine/v1/runs/"+runID+"/wait/duration",
			map[string]any{"date": time.Now().Add(time.Hour), "idempotencyKey": "key", "idempotencyKeyTTL": ttl})
	}
	first := wait("1h")
	diff(t, first, wait(""))
}

func TestWaitForToken(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	token, _, err := r.engine.CreateToken(t.Context(), r.env, engine.NewWaitpoint{})
	if err != nil {
		t.Fatal(err)
	}
	name := id.Friendly(id.Waitpoint, token.ID)
	runID, _ := r.executing()
	got := servertest.Post[map[string]bool](t, r.Client, "/engine/v1/runs/"+runID+"/waitpoints/tokens/"+name+"/wait", nil)
	diff(t, map[string]bool{"success": true}, got)
	r.await(runID, run.Waiting)
	out := run.Packet{Data: `{"json":{"a":1}}`, Type: run.TypeSuper}
	if err := r.engine.CompleteToken(t.Context(), r.env, token.ID, out); err != nil {
		t.Fatal(err)
	}
	s := r.await(runID, run.Executing)
	if len(s.CompletedWaitpoints) != 1 {
		t.Fatalf("%+v", s)
	}
	p := s.CompletedWaitpoints[0]
	if p.Type != "MANUAL" || p.FriendlyID != name || p.Output != out.Data || p.OutputType != out.Type || p.OutputIsError {
		t.Errorf("%+v", p)
	}
}

// TestWaitForFamily: a process recognises the end of a run by the run or, in a batch,
// by the batch and the position in it.
func TestWaitForFamily(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	parent, started := r.executing()
	b, _, err := r.engine.CreateBatch(t.Context(), r.env, engine.NewBatch{RunCount: 2, ParentID: started.Run.ID, ResumeParent: true})
	if err != nil {
		t.Fatal(err)
	}
	items := make([]engine.Item, 2)
	for i := range items {
		items[i] = engine.Item{Index: i, Trigger: engine.Trigger{Task: "task", ParentID: started.Run.ID}}
	}
	if _, err := r.engine.AddItems(t.Context(), r.env, b.ID, items); err != nil {
		t.Fatal(err)
	}
	if _, err := r.engine.SealBatch(t.Context(), r.env, b.ID); err != nil {
		t.Fatal(err)
	}
	r.await(parent, run.Waiting)
	children := servertest.Post[dequeued](t, r.Client, "/engine/v1/dev/dequeue", nil).DequeuedMessages
	for i, m := range children {
		s := servertest.Post[State](t, r.Client, onSnapshot(m.Run.FriendlyID, m.Snapshot.FriendlyID, "attempts/start"), nil)
		done := succeeded
		if i == 1 {
			done = failed(nil)
		}
		servertest.Post[result](t, r.Client, onSnapshot(m.Run.FriendlyID, s.Snapshot.FriendlyID, "attempts/complete"), done)
	}
	s := r.await(parent, run.Executing)
	seen := map[string]bool{}
	for _, p := range s.CompletedWaitpoints {
		if p.Type == "BATCH" {
			seen["batch "+p.FriendlyID] = true
			continue
		}
		if p.Index == nil || p.CompletedByTaskRun.Batch == nil || p.CompletedByTaskRun.Batch.FriendlyID != id.Friendly(id.Batch, b.ID) {
			t.Fatalf("%+v", p)
		}
		if p.OutputIsError != strings.Contains(p.Output, "BUILT_IN_ERROR") {
			t.Errorf("output %q, error: %t", p.Output, p.OutputIsError)
		}
		seen[strconv.Itoa(*p.Index)+" "+p.CompletedByTaskRun.FriendlyID] = true
		if p.FriendlyID != strings.Replace(p.CompletedByTaskRun.FriendlyID, "run_", "waitpoint_", 1) {
			t.Errorf("the waitpoint of %s is %s", p.CompletedByTaskRun.FriendlyID, p.FriendlyID)
		}
	}
	diff(t, map[string]bool{"0 " + children[0].Run.FriendlyID: true, "1 " + children[1].Run.FriendlyID: true,
		"batch " + strings.Replace(id.Friendly(id.Batch, b.ID), "batch_", "waitpoint_", 1): true}, seen)
}

func TestWaitRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID, s := r.executing()
	queued := r.trigger(engine.Trigger{Task: "task"})
	wait := "/engine/v1/runs/" + runID + "/wait/duration"
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{wait, ``, 400}, {wait, `{}`, 400}, {wait, `{"date":"soon"}`, 400}, {wait, `{"date":null}`, 400}, {wait, `{"date":8.65e15}`, 400},
		{wait, `{"date":"2050-01-01","idempotencyKey":"` + strings.Repeat("k", 2049) + `"}`, 400},
		{wait, `{"date":"2050-01-01","idempotencyKey":"k","idempotencyKeyTTL":"soon"}`, 400},
		{"/engine/v1/runs/" + queued + "/wait/duration", `{"date":"2050-01-01"}`, 422},
		{"/engine/v1/runs/" + runID + "/waitpoints/tokens/waitpoint_unknown/wait", ``, 404},
		{"/engine/v1/runs/" + runID + "/waitpoints/tokens/run_x/wait", ``, 404},
	} {
		if got := r.Call(t, http.MethodPost, c.path, c.body); got.Status != c.status {
			t.Errorf("%s %.60s: %d %s", c.path, c.body, got.Status, got.Body)
		}
	}
	if now := r.latest(runID); now.Snapshot.ID != s.Snapshot.ID {
		t.Errorf("the run is %+v", now)
	}
}

func TestSnapshotsSince(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID, started := r.executing()
	servertest.Post[waiting](t, r.Client, "/engine/v1/runs/"+runID+"/wait/duration", map[string]any{"date": "2001-01-01"})
	var newest State
	for newest = r.latest(runID); len(newest.CompletedWaitpoints) == 0; newest = r.latest(runID) {
		time.Sleep(time.Millisecond)
	}
	got := servertest.Get[struct{ Snapshots []State }](t, r.Client, onRun(runID, "snapshots/since/"+started.Snapshot.FriendlyID)).Snapshots
	if len(got) < 2 || got[0].Snapshot.ExecutionStatus != string(run.Waiting) {
		t.Fatalf("%+v", got)
	}
	for i, s := range got[:len(got)-1] {
		if len(s.CompletedWaitpoints) > 0 || s.Run.AttemptNumber != 1 {
			t.Errorf("snapshot %d: %+v", i, s)
		}
	}
	diff(t, newest, got[len(got)-1])
	none := servertest.Get[struct{ Snapshots []State }](t, r.Client, onRun(runID, "snapshots/since/"+newest.Snapshot.FriendlyID)).Snapshots
	if none == nil || len(none) > 0 {
		t.Errorf("after the newest: %+v", none)
	}
	for _, snapshot := range []string{"snapshot_x", "snapshot_" + started.Run.ID + "000099"} {
		if got := r.Call(t, http.MethodGet, onRun(runID, "snapshots/since/"+snapshot), nil); got.Status != http.StatusNotFound {
			t.Errorf("since %s: %d %s", snapshot, got.Status, got.Body)
		}
	}
}
