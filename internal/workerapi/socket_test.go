package workerapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
)

// runs is the argument of both events of a CLI.
func runs(ids ...string) map[string]any { return map[string]any{"version": "1", "runFriendlyIds": ids} }

// notified reads the next event, which must be a notice, and returns its run.
func notified(t testing.TB, s *servertest.Socket) string {
	t.Helper()
	e, ok := s.Next()
	if !ok {
		t.Fatal("the server closed the connection")
	}
	var notice struct {
		Version string
		Run     servertest.Named
	}
	if err := json.Unmarshal(e.Arg, &notice); err != nil || e.Name != "run:notify" || notice.Version != "1" {
		t.Fatalf("%s %s: %v", e.Name, e.Arg, err)
	}
	return notice.Run.FriendlyID
}

// TestNotices: the CLI hears when a run begins to wait, goes on and is cancelled, and
// nothing of what it did itself.
func TestNotices(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	k := servertest.Dial(t, r.Client, "/dev-worker")
	runID := r.trigger(engine.Trigger{Task: "task"})
	m := r.take()
	k.Emit("run:subscribe", runs(runID))
	k.Emit("run:subscribe", runs(runID)) // as each further run repeats it
	s := servertest.Post[State](t, r.Client, onSnapshot(runID, m.Snapshot.FriendlyID, "attempts/start"), nil)

	servertest.Post[waiting](t, r.Client, "/engine/v1/runs/"+runID+"/wait/duration", map[string]any{"date": time.Now().Add(200 * time.Millisecond)})
	expect := func(status run.Exec) {
		t.Helper()
		for { // two changes at once may come as one notice, and one as two
			if got := notified(t, k); got != runID {
				t.Fatalf("notified of %s", got)
			}
			if now := r.latest(runID); now.Snapshot.ExecutionStatus == string(status) && now.Snapshot.ID != s.Snapshot.ID {
				return
			}
		}
	}
	expect(run.Waiting)
	expect(run.Executing)
	if err := r.engine.Cancel(t.Context(), r.env, s.Run.ID, "enough", false); err != nil {
		t.Fatal(err)
	}
	expect(run.PendingCancel)
}

func TestUnsubscribedRunsAreSilent(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	k := servertest.Dial(t, r.Client, "/dev-worker")
	silent := r.trigger(engine.Trigger{Task: "task"})
	first := r.take()
	heard := r.trigger(engine.Trigger{Task: "task"})
	second := r.take()
	k.Emit("run:subscribe", runs(silent, heard))
	k.Emit("run:unsubscribe", runs(silent))
	k.Emit("run:unsubscribe", runs(silent, "run_never")) // as the CLI does now and then
	k.Send(`42/dev-worker,1["run:subscribe",{"runFriendlyIds":[]}]`)
	if got := k.Frame(); got != "43/dev-worker,1[]" {
		t.Fatalf("not the acknowledgement: %s", got)
	}
	for _, m := range []message{first, second} {
		servertest.Post[State](t, r.Client, onSnapshot(m.Run.FriendlyID, m.Snapshot.FriendlyID, "attempts/start"), nil)
		internal, _ := id.Internal(id.Run, m.Run.FriendlyID)
		if err := r.engine.Cancel(t.Context(), r.env, internal, "enough", false); err != nil {
			t.Fatal(err)
		}
	}
	if got := notified(t, k); got != heard {
		t.Errorf("notified of %s, want %s", got, heard)
	}
}

// TestReconnectedSocketCatchesUp: what happened while the CLI was not connected is
// not lost on it.
func TestReconnectedSocketCatchesUp(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID, s := r.executing()
	if err := r.engine.Cancel(t.Context(), r.env, s.Run.ID, "enough", false); err != nil {
		t.Fatal(err)
	}
	k := servertest.Dial(t, r.Client, "/dev-worker")
	k.Emit("run:subscribe", runs(runID))
	if got := notified(t, k); got != runID {
		t.Errorf("notified of %s, want %s", got, runID)
	}
}

// TestSocketsSeeTheirEnvironment: a key hears of its environment and of the branches
// below it, whose CLIs connect without naming them, and of no other runs.
func TestSocketsSeeTheirEnvironment(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	branch := r.branch("x")
	servertest.Register(t, r.onBranch("x"), r.keys.ProjectRef, map[string]servertest.Task{"task": nil})
	made, err := r.engine.Trigger(t.Context(), branch, engine.Trigger{Task: "task"})
	if err != nil {
		t.Fatal(err)
	}
	onBranch := id.Friendly(id.Run, made.ID)
	own, _ := r.executing()

	k := servertest.Dial(t, r.prod, "/dev-worker")
	k.Emit("run:subscribe", runs(own, onBranch))
	k.Emit("run:subscribe", "nonsense") // answered by the end of the connection, after which nothing can come
	if e, ok := k.Next(); ok {
		t.Errorf("another environment hears %s", e.Arg)
	}

	k = servertest.Dial(t, r.Client, "/dev-worker")
	k.Emit("run:subscribe", runs(own, onBranch, "run_unknown", "nonsense"))
	got := map[string]bool{notified(t, k): true, notified(t, k): true}
	diff(t, map[string]bool{own: true, onBranch: true}, got)
}

// TestSocketsNeedAKey: nobody is upgraded, and so given memory, who has not said who it is.
func TestSocketsNeedAKey(t *testing.T) {
	t.Parallel()
	r := setup(t)
	additional, err := r.auth.AddKey(t.Context(), r.env, "test", []string{"admin"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		header string
		want   int
	}{
		"no key":            {"", http.StatusUnauthorized},
		"unknown key":       {"Bearer tr_dev_x", http.StatusUnauthorized},
		"access token":      {"Bearer " + r.keys.PersonalAccessToken, http.StatusUnauthorized},
		"additional key":    {"Bearer " + additional, http.StatusForbidden},
		"the key":           {"Bearer " + r.Key, http.StatusSwitchingProtocols},
		"in another script": {"bearer   " + r.Key + " ", http.StatusSwitchingProtocols},
	} {
		address := "ws" + strings.TrimPrefix(r.URL, "http") + "/socket.io/?EIO=4&transport=websocket"
		ws, res, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {c.header}}})
		if res == nil || res.StatusCode != c.want {
			t.Errorf("%s: %v, %v, want %d", name, res, err, c.want)
		}
		if ws != nil {
			_ = ws.CloseNow()
		}
	}
}

// TestMalformedEventsEndTheirSocketOnly: the others go on.
func TestMalformedEventsEndTheirSocketOnly(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID, _ := r.executing()
	good := servertest.Dial(t, r.Client, "/dev-worker")
	for _, frame := range []string{
		`42/dev-worker,["run:subscribe"]`, `42/dev-worker,["run:subscribe",7]`, `42/dev-worker,["run:unsubscribe",{"runFriendlyIds":"a"}]`,
		`42/dev-worker,{`, `42/dev-worker,[]`, `45-x`, `x`,
	} {
		k := servertest.Dial(t, r.Client, "/dev-worker")
		k.Send(frame)
		if e, ok := k.Next(); ok {
			t.Errorf("%s: the server goes on with %s", frame, e.Name)
		}
	}
	good.Emit("run:unheard", runs(runID))
	good.Emit("run:subscribe", runs(runID))
	if got := notified(t, good); got != runID {
		t.Errorf("notified of %s", got)
	}
}
