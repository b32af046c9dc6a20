package workerapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
)

// detail is all that is stored of a run.
func (r *rig) detail(runID string) store.Detail {
	r.t.Helper()
	internal, _ := id.Internal(id.Run, runID)
	var d store.Detail
	err := r.store.View(r.t.Context(), func(tx *store.Tx) (err error) { d, err = tx.Detail(r.env.ID, internal); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func TestAttemptSucceeds(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	if s.Snapshot.ExecutionStatus != "EXECUTING" || s.Run.AttemptNumber != 1 || s.Run.FriendlyID != runID {
		t.Fatalf("started: %+v", s)
	}
	got := servertest.Post[result](t, r.Client, onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete"),
		`{"completion":{"ok":true,"id":"`+runID+`","output":"{\"json\":{\"at\":1.0},  \"meta\":{}}","outputType":"application/super+json","usage":{"durationMs":90.6},
		  "flushedMetadata":{"dataType":"application/json"}}}`).Result
	if got.AttemptStatus != "RUN_FINISHED" || got.Run.AttemptNumber != 1 || got.Run.Status != string(run.StatusCompleted) ||
		got.Snapshot.ExecutionStatus != "FINISHED" || got.Snapshot.FriendlyID == s.Snapshot.FriendlyID {
		t.Errorf("completed: %+v", got)
	}
	d := r.detail(runID)
	diff(t, run.Packet{Data: `{"json":{"at":1.0},  "meta":{}}`, Type: run.TypeSuper}, d.Output)
	if d.Usage != 90600*time.Microsecond {
		t.Errorf("usage %s", d.Usage)
	}
}

// TestOutputsAreOpaque: whatever a worker sends as output is what is stored.
func TestOutputsAreOpaque(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	for name, c := range map[string]struct {
		completion string
		want       run.Packet
	}{
		"nothing":      {`{"ok":true,"outputType":"application/json"}`, run.Packet{}},
		"empty text":   {`{"ok":true,"output":"","outputType":"text/plain"}`, run.Packet{Type: run.TypeText}},
		"text":         {`{"ok":true,"output":"é\u2028\n<b>","outputType":"text/plain"}`, run.Packet{Data: "é\u2028\n<b>", Type: run.TypeText}},
		"no type":      {`{"ok":true,"output":"1"}`, run.Packet{Data: "1", Type: run.TypeJSON}},
		"a store path": {`{"ok":true,"output":"a/b.json","outputType":"application/store"}`, run.Packet{Data: "a/b.json", Type: run.TypeStore}},
		"not JSON":     {`{"ok":true,"output":"{","outputType":"application/json"}`, run.Packet{Data: "{", Type: run.TypeJSON}},
	} {
		runID := r.trigger(engine.Trigger{Task: "task"})
		_, s := r.begin()
		servertest.Post[result](t, r.Client, onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete"), `{"completion":`+c.completion+`}`)
		if got := r.detail(runID).Output; got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestLargeOutputsAreKeptElsewhere: the run refers to them, as if the worker had
// uploaded them itself.
func TestLargeOutputsAreKeptElsewhere(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	output := strings.Repeat("é", blob.Inline/2+1)
	servertest.Post[result](t, r.Client, onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete"),
		map[string]any{"completion": map[string]any{"ok": true, "output": output, "outputType": run.TypeText}})
	kept := r.detail(runID).Output
	if kept.Type != run.TypeStore {
		t.Fatalf("the output has type %s", kept.Type)
	}
	p, err := r.blobs.Open(t.Context(), r.env.ID, kept.Data)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, err := io.ReadAll(p); err != nil || string(got) != output || p.Type != run.TypeText {
		t.Errorf("%d bytes of %s: %v", len(got), p.Type, err)
	}
}

// TestLargeOutputsAreKnownBeforeTheyAreStored: an output that cannot be noted for retention is
// not stored, and the attempt can be completed again.
func TestLargeOutputsAreKnownBeforeTheyAreStored(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	exec := func(query string) {
		t.Helper()
		if err := r.store.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
			t.Fatal(err)
		}
	}
	output := strings.Repeat("x", blob.Inline+1)
	complete := func() servertest.Response {
		return r.Call(t, "POST", onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete"),
			map[string]any{"completion": map[string]any{"ok": true, "output": output, "outputType": run.TypeText}})
	}
	exec(`CREATE TRIGGER unknown BEFORE INSERT ON packet_gone BEGIN SELECT RAISE(ABORT, 'cannot be noted'); END`)
	if got := complete(); got.Status < 500 {
		t.Errorf("%d %.200s", got.Status, got.Body)
	}
	if files, err := filepath.Glob(filepath.Join(r.packets, "*", "*", "*")); err != nil || len(files) != 0 {
		t.Errorf("an output is stored that nobody knows of: %v, %v", files, err)
	}
	exec(`DROP TRIGGER unknown`)
	if got := complete(); got.Status != 200 {
		t.Fatalf("%d %.200s", got.Status, got.Body)
	}
	if kept := r.detail(runID).Output; kept.Type != run.TypeStore {
		t.Errorf("the output has type %s", kept.Type)
	}
}

func TestAttemptIsRetriedAtOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	soon := 300 * time.Millisecond
	got := servertest.Post[result](t, r.Client, onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete"), failed(&soon)).Result
	if got.AttemptStatus != "RETRY_IMMEDIATELY" || got.Run.AttemptNumber != 1 || got.Run.Status != string(run.StatusRetrying) ||
		got.Snapshot.ExecutionStatus != "EXECUTING" {
		t.Fatalf("failed: %+v", got)
	}
	if s := r.latest(runID); s.Run.AttemptNumber != 1 { // it gives the run up when this changes before it starts the next one
		t.Errorf("the newest snapshot is of attempt %d", s.Run.AttemptNumber)
	}
	second := servertest.Post[State](t, r.Client, onSnapshot(runID, got.Snapshot.FriendlyID, "attempts/start"), nil)
	if second.Run.AttemptNumber != 2 {
		t.Errorf("the second attempt has number %d", second.Run.AttemptNumber)
	}
}

func TestAttemptIsRetriedLater(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	later := time.Minute
	got := servertest.Post[result](t, r.Client, onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete"), failed(&later)).Result
	if got.AttemptStatus != "RETRY_QUEUED" || got.Run.AttemptNumber != 1 || got.Snapshot.ExecutionStatus != "QUEUED" {
		t.Errorf("failed: %+v", got)
	}
}

func TestAttemptFailsForGood(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	for _, c := range []struct {
		err    string
		status run.Status
	}{
		{`{"type":"BUILT_IN_ERROR","name":"Error","message":"boom","stackTrace":"Error: boom\n at x","causes":[{"message":"why"}]}`, run.StatusFailed},
		{`{"type":"CUSTOM_ERROR","raw":"{\"a\":1}"}`, run.StatusFailed},
		{`{"type":"STRING_ERROR","raw":"no"}`, run.StatusFailed},
		{`{"type":"INTERNAL_ERROR","code":"MAX_DURATION_EXCEEDED","message":"too long"}`, run.StatusTimedOut},
		{`{"type":"INTERNAL_ERROR","code":"TASK_RUN_CANCELLED"}`, run.StatusCanceled},
		{`{"type":"INTERNAL_ERROR","code":"COULD_NOT_FIND_EXECUTOR"}`, run.StatusSystemFailure},
	} {
		runID := r.trigger(engine.Trigger{Task: "task"})
		_, s := r.begin()
		got := servertest.Post[result](t, r.Client, onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete"),
			`{"completion":{"ok":false,"skippedRetrying":true,"error":`+c.err+`}}`).Result
		if got.AttemptStatus != "RUN_FINISHED" || got.Run.Status != string(c.status) {
			t.Errorf("%s: %+v", c.err, got)
		}
		stored, err := json.Marshal(r.detail(runID).Err)
		if c.status != run.StatusCanceled && (err != nil || string(stored) != c.err) {
			t.Errorf("stored %s (%v), want %s", stored, err, c.err)
		}
	}
}

// TestRepeatedCalls: an answer that was lost is given again, and nothing happens twice.
func TestRepeatedCalls(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	m := r.take()
	first, second := r.Client, r.Client
	first.Header = http.Header{"X-Trigger-Request-Idempotency-Key": {"one"}}
	second.Header = http.Header{"X-Trigger-Request-Idempotency-Key": {"two"}}

	start := onSnapshot(runID, m.Snapshot.FriendlyID, "attempts/start")
	s := servertest.Post[State](t, first, start, nil)
	diff(t, s, servertest.Post[State](t, first, start, nil))
	if got := second.Call(t, http.MethodPost, start, nil); got.Status != http.StatusConflict {
		t.Errorf("another start: %d %s", got.Status, got.Body)
	}

	complete := onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete")
	withMetadata := map[string]any{"completion": map[string]any{"ok": true, "flushedMetadata": map[string]any{
		"data":     `{"json":{"operations":[{"type":"increment","key":"n","value":1}]}}`,
		"dataType": "application/super+json",
	}}}
	done := servertest.Post[result](t, second, complete, withMetadata)
	diff(t, done, servertest.Post[result](t, second, complete, withMetadata))
	if got := r.detail(runID).Metadata.Data; got != `{"n":1}` {
		t.Errorf("metadata %s", got)
	}
	if got := first.Call(t, http.MethodPost, complete, succeeded); got.Status != http.StatusBadRequest {
		t.Errorf("another completion: %d %s", got.Status, got.Body)
	}
}

// TestStaleCalls: whoever is late, or speaks of another run's snapshot, changes nothing.
func TestStaleCalls(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	m := r.take()
	s := servertest.Post[State](t, r.Client, onSnapshot(runID, m.Snapshot.FriendlyID, "attempts/start"), nil)
	other := r.trigger(engine.Trigger{Task: "task"})
	_, foreign := r.begin()
	for name, snapshot := range map[string]string{
		"older": m.Snapshot.FriendlyID, "of another run": foreign.Snapshot.FriendlyID, "unreadable": "snapshot_x",
		"to come": "snapshot_" + s.Run.ID + "000009", "without prefix": "cmf2f73e",
	} {
		got := r.Call(t, http.MethodPost, onSnapshot(runID, snapshot, "attempts/start"), nil)
		if got.Status != http.StatusConflict || got.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("start at a snapshot %s: %d %s", name, got.Status, got.Body)
		}
		got = r.Call(t, http.MethodPost, onSnapshot(runID, snapshot, "attempts/complete"), succeeded)
		if got.Status != http.StatusBadRequest || string(got.Body) != `{"error":"Snapshot ID doesn't match the latest snapshot"}` {
			t.Errorf("completion at a snapshot %s: %d %s", name, got.Status, got.Body)
		}
		diff(t, map[string]bool{"ok": true}, servertest.Post[map[string]bool](t, r.Client, onSnapshot(runID, snapshot, "heartbeat"),
			map[string]int{"cpu": 0, "memory": 0}))
	}
	for _, runID := range []string{runID, other} {
		if s := r.latest(runID); s.Snapshot.ExecutionStatus != "EXECUTING" || s.Run.AttemptNumber != 1 {
			t.Errorf("the run is %+v", s)
		}
	}
}

func TestHeartbeatGivesTime(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	before := r.detail(runID).Due
	servertest.Post[map[string]bool](t, r.Client, onSnapshot(runID, s.Snapshot.FriendlyID, "heartbeat"), map[string]int{"cpu": 0, "memory": 0})
	if after := r.detail(runID).Due; !after.After(before) {
		t.Errorf("the deadline moved from %s to %s", before, after)
	}
}

// TestOtherEnvironmentsRuns: to a key, runs of other environments do not exist.
func TestOtherEnvironmentsRuns(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	unknown := id.New(time.Now())
	for _, c := range []struct {
		client servertest.Client
		run    string
	}{
		{r.prod, runID}, {r.Client, id.Friendly(id.Run, unknown)}, {r.Client, "run_!"}, {r.Client, "batch_" + unknown},
	} {
		snapshot := strings.Replace(s.Snapshot.FriendlyID, s.Run.ID, strings.TrimPrefix(c.run, "run_"), 1)
		for path, body := range map[string]any{
			onSnapshot(c.run, snapshot, "attempts/start"):                                    nil,
			onSnapshot(c.run, snapshot, "attempts/complete"):                                 succeeded,
			onSnapshot(c.run, snapshot, "heartbeat"):                                         map[string]int{},
			"/engine/v1/runs/" + c.run + "/wait/duration":                                    map[string]any{"date": time.Now().Add(time.Hour)},
			"/engine/v1/runs/" + c.run + "/waitpoints/tokens/waitpoint_" + unknown + "/wait": nil,
		} {
			if got := c.client.Call(t, http.MethodPost, path, body); got.Status != http.StatusNotFound {
				t.Errorf("POST %s: %d %s", path, got.Status, got.Body)
			}
		}
		for _, path := range []string{onRun(c.run, "snapshots/latest"), onRun(c.run, "snapshots/since/"+snapshot)} {
			if got := c.client.Call(t, http.MethodGet, path, nil); got.Status != http.StatusNotFound {
				t.Errorf("GET %s: %d %s", path, got.Status, got.Body)
			}
		}
	}
	if s := r.latest(runID); s.Snapshot.ExecutionStatus != "EXECUTING" {
		t.Errorf("the run is %+v", s)
	}
}

func TestCompletionRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID := r.trigger(engine.Trigger{Task: "task"})
	_, s := r.begin()
	path := onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete")
	for _, body := range []string{
		``, `{`, `{}`, `{"completion":{}}`, `{"completion":{"ok":"yes"}}`, `{"completion":{"ok":false}}`,
		`{"completion":{"ok":false,"error":{"type":"OTHER"}}}`, `{"completion":{"ok":false,"error":{"type":"INTERNAL_ERROR"}}}`,
		`{"completion":{"ok":false,"error":{"type":"BUILT_IN_ERROR","causes":{}}}}`, `{"completion":{"ok":true,"output":{}}}`,
		"{\"completion\":{\"ok\":true,\"output\":\"\xff\"}}",
	} {
		if got := r.Call(t, http.MethodPost, path, body); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, got.Status, got.Body)
		}
	}
	if s := r.latest(runID); s.Snapshot.ExecutionStatus != "EXECUTING" {
		t.Errorf("the run is %+v", s)
	}
	// Metadata that makes no sense is no reason to lose a result.
	for i, metadata := range []string{`{"data":"{","dataType":"application/super+json"}`, `{"data":{"a":1},"dataType":"application/json"}`,
		`{"data":"{\"json\":{\"operations\":7}}","dataType":"application/super+json"}`} {
		if i > 0 {
			runID = r.trigger(engine.Trigger{Task: "task"})
			_, s = r.begin()
			path = onSnapshot(runID, s.Snapshot.FriendlyID, "attempts/complete")
		}
		servertest.Post[result](t, r.Client, path, `{"completion":{"ok":true,"flushedMetadata":`+metadata+`}}`)
	}
}

// TestMetadataReachesTheFamily: what a worker had not sent yet is applied with its completion.
func TestMetadataReachesTheFamily(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	root := r.trigger(engine.Trigger{Task: "task"})
	r.begin()
	rootID, _ := id.Internal(id.Run, root)
	parent := r.trigger(engine.Trigger{Task: "task", ParentID: rootID})
	r.begin()
	parentID, _ := id.Internal(id.Run, parent)
	child := r.trigger(engine.Trigger{Task: "task", ParentID: parentID, Metadata: run.Packet{Data: `{"seed":1}`, Type: run.TypeJSON}})
	_, s := r.begin()
	servertest.Post[result](t, r.Client, onSnapshot(child, s.Snapshot.FriendlyID, "attempts/complete"), map[string]any{
		"completion": map[string]any{"ok": true, "flushedMetadata": map[string]any{"dataType": "application/super+json",
			"data": `{"json":{"operations":[{"type":"set","key":"own","value":true}],
				"parentOperations":[{"type":"set","key":"child","value":"a"}],"rootOperations":[{"type":"increment","key":"done","value":2}]}}`}}})
	for runID, want := range map[string]string{child: `{"seed":1,"own":true}`, parent: `{"child":"a"}`, root: `{"done":2}`} {
		if got := r.detail(runID).Metadata.Data; got != want {
			t.Errorf("metadata %s, want %s", got, want)
		}
	}
}
