package workerapi_test

import (
	"bufio"
	"net/http"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/servertest"
	"sear/internal/workerapi"
)

// revokedSoon is how long what is open with a key that was replaced may go on, on a busy machine.
const revokedSoon = 5 * time.Second

// rotate replaces the key of the environment at once; the rig's clients still have the old one.
func (r *rig) rotate() (fresh servertest.Client) {
	r.t.Helper()
	key, _, err := r.auth.RotateKey(r.t.Context(), r.env, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return servertest.Client{URL: r.URL, Key: key}
}

// TestReplacedKeyIsHandedNoRun: a dequeue that waits when its key is replaced is refused, and
// a run that is triggered then goes to who has the new one.
func TestReplacedKeyIsHandedNoRun(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	workerapi.SetPoll(r.api, 2*revokedSoon)
	for range 10 { // the run is made as soon as the key is replaced: what comes first is chance
		answered := make(chan servertest.Response, 1)
		old := r.Client
		go func() {
			got, err := old.Send(t.Context(), http.MethodPost, "/engine/v1/dev/dequeue", nil)
			if err != nil {
				t.Error(err)
			}
			answered <- got
		}()
		time.Sleep(20 * time.Millisecond) // for it to arrive; should it not, this round proves less but does not fail
		r.Client = r.rotate()
		runID := r.trigger(engine.Trigger{Task: "task"})
		begin := time.Now()
		got := <-answered
		if got.Status != http.StatusUnauthorized || time.Since(begin) > revokedSoon {
			t.Fatalf("with the old key, after %s: %d %s", time.Since(begin), got.Status, got.Body)
		}
		if m := r.take(); m.Run.FriendlyID != runID {
			t.Fatalf("with the new key: %s, want %s", m.Run.FriendlyID, runID)
		}
	}
}

// TestReplacedKeyEndsItsPresence: the stream ends, and beats no more for the environment.
func TestReplacedKeyEndsItsPresence(t *testing.T) {
	t.Parallel()
	r := setup(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+"/engine/v1/dev/presence", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if lines.Scan(); lines.Text() != "event: start" {
		t.Fatalf("the stream begins with %q", lines.Text())
	}
	overdue := time.AfterFunc(revokedSoon, func() { _ = res.Body.Close() })
	defer overdue.Stop()
	r.rotate()
	for lines.Scan() {
		if lines.Text() == "event: time" {
			t.Error("the stream goes on")
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the server did not end the stream: %v", err)
	}
}

// TestReplacedKeyEndsItsSockets: no notice is given to it, and it may not come again.
func TestReplacedKeyEndsItsSockets(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	runID, s := r.executing()
	k, stranger := servertest.Dial(t, r.Client, "/dev-worker"), servertest.DialRaw(t, r.Client)
	k.Emit("run:subscribe", runs(runID))
	notified(t, k) // it has begun before
	fresh := servertest.Dial(t, r.rotate(), "/dev-worker")
	begin := time.Now()
	if e, ok := k.Next(); ok {
		t.Errorf("the old key hears of %s", e.Name)
	}
	if got := stranger.Frame(); got != "" {
		t.Errorf("one that has not joined is sent %s", got)
	}
	if took := time.Since(begin); took > revokedSoon {
		t.Errorf("the sockets ended after %s", took)
	}
	fresh.Emit("run:subscribe", runs(runID))
	notified(t, fresh)
	if err := r.engine.Cancel(t.Context(), r.env, s.Run.ID, "enough", false); err != nil {
		t.Fatal(err)
	}
	if got := notified(t, fresh); got != runID {
		t.Errorf("the new key is notified of %s", got)
	}
	if got := r.Call(t, http.MethodGet, "/socket.io/?EIO=4&transport=websocket", nil); got.Status != http.StatusUnauthorized {
		t.Errorf("the old key comes again: %d", got.Status)
	}
}
