package workerapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/servertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// childTrace is the trace that the child belongs to.
const childTrace = "305ad374f0f8926d19fb6183ce00ddd7"

// normal makes answers of different runs of the test alike: ids are numbered in the
// order in which they appear, instants, spans and the server's address are replaced.
type normal struct {
	ids map[string]string
	url string
}

var (
	anID      = regexp.MustCompile(`[0-9a-v]{24}01`)
	anInstant = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)
	aVersion  = regexp.MustCompile(`"\d{8}\.1"`)
	aProject  = regexp.MustCompile(`proj_[a-z]{20}`)
	aSpan     = regexp.MustCompile(`"00-[0-9a-f]{32}-[0-9a-f]{16}-01"`)
	aDerived  = regexp.MustCompile(`"queue_[0-9a-f]{26}"`)
)

func (n *normal) text(b []byte) []byte {
	b = anID.ReplaceAllFunc(b, func(found []byte) []byte {
		if n.ids[string(found)] == "" {
			n.ids[string(found)] = fmt.Sprintf("<id %d>", len(n.ids)+1)
		}
		return []byte(n.ids[string(found)])
	})
	b = anInstant.ReplaceAll(b, []byte("<instant>"))
	b = aVersion.ReplaceAll(b, []byte(`"<version>"`))
	b = aProject.ReplaceAll(b, []byte("<project>"))
	b = aSpan.ReplaceAllFunc(b, func(found []byte) []byte {
		if bytes.Contains(found, []byte(childTrace)) {
			return []byte(`"00-` + childTrace + `-<span>-01"`)
		}
		return []byte(`"00-<trace>-<span>-01"`)
	})
	b = aDerived.ReplaceAll(b, []byte(`"queue_<hash>"`))
	return bytes.ReplaceAll(b, []byte(n.url), []byte("<origin>"))
}

// golden compares an answer with a file.
func golden(t testing.TB, name string, n *normal, answer servertest.Response) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, answer.Body, "", "  "); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	got := append(n.text(pretty.Bytes()), '\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, string(want), string(got))
}

// TestShapes pins down the messages that the CLI checks against its schemas, of a run
// that has everything a run can have.
func TestShapes(t *testing.T) {
	t.Parallel()
	r := setup(t)
	n := &normal{map[string]string{}, r.URL}
	path := "/api/v1/projects/" + r.keys.ProjectRef + "/background-workers"
	golden(t, "register", n, r.Call(t, http.MethodPost, path, body("hash",
		task("child", "maxDuration", 300, "exportName", "child", "machine", map[string]any{"preset": "large-1x"}, "retry", map[string]any{"maxAttempts": 4}),
		task("parent", "queue", map[string]any{"name": "mine"}))))

	parent := r.trigger(engine.Trigger{Task: "parent", Queue: "task/elsewhere"})
	dequeue := r.Call(t, http.MethodPost, "/engine/v1/dev/dequeue", nil)
	golden(t, "dequeue", n, dequeue)
	m := read[dequeued](t, dequeue).DequeuedMessages[0]
	start := r.Call(t, http.MethodPost, onSnapshot(parent, m.Snapshot.FriendlyID, "attempts/start"), `{}`)
	golden(t, "start", n, start)
	r.family(n, parent, read[State](t, start).Run.ID)
}

func read[T any](t testing.TB, answer servertest.Response) (v T) {
	t.Helper()
	if err := json.Unmarshal(answer.Body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// family is the second half: the run waits for a batch of one.
func (r *rig) family(n *normal, parent, parentID string) {
	t := r.t
	t.Helper()
	b, _, err := r.engine.CreateBatch(t.Context(), r.env, engine.NewBatch{RunCount: 1, ParentID: parentID, ResumeParent: true})
	if err != nil {
		t.Fatal(err)
	}
	child := engine.Trigger{
		Task: "child", ParentID: parentID, Payload: run.Packet{Data: `{"json":{"n":1},"meta":{}}`, Type: run.TypeSuper},
		Metadata: run.Packet{Data: `{"b":1.0,"a":{}}`, Type: run.TypeJSON}, Tags: []string{"one", "two"}, Test: true, PriorityMS: 2500,
		Key:         engine.Key{Text: "hash-of-key", Options: &run.KeyOptions{Key: "key", Scope: "run"}},
		Traceparent: "00-" + childTrace + "-cfc79ec666460265-01",
		Extra:       run.Extra{ReplayedFrom: "run_x", Region: "here", Streams: "v2"},
	}
	if _, err := r.engine.AddItems(t.Context(), r.env, b.ID, []engine.Item{{Index: 0, Trigger: child}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.engine.SealBatch(t.Context(), r.env, b.ID); err != nil {
		t.Fatal(err)
	}
	r.await(parent, run.Waiting)
	golden(t, "latest-waiting", n, r.Call(t, http.MethodGet, onRun(parent, "snapshots/latest"), nil))

	m := r.take()
	start := r.Call(t, http.MethodPost, onSnapshot(m.Run.FriendlyID, m.Snapshot.FriendlyID, "attempts/start"), nil)
	golden(t, "start-child", n, start)
	on := func(s State, action string) string {
		return onSnapshot(m.Run.FriendlyID, s.Snapshot.FriendlyID, action)
	}
	soon := 10 * time.Millisecond
	retry := r.Call(t, http.MethodPost, on(read[State](t, start), "attempts/complete"), failed(&soon))
	golden(t, "complete-retry", n, retry)
	again := servertest.Post[State](t, r.Client, on(read[result](t, retry).Result.State, "attempts/start"), nil)
	golden(t, "complete", n, r.Call(t, http.MethodPost, on(again, "attempts/complete"), succeeded))
	r.await(parent, run.Executing)
	golden(t, "latest-resumed", n, r.Call(t, http.MethodGet, onRun(parent, "snapshots/latest"), nil))
}
