package workerapi_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/servertest"
	"sear/internal/workerapi"
)

func TestDequeueHandsOutWhatIsAsked(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	for range 15 {
		r.trigger(engine.Trigger{Task: "task"})
	}
	for _, c := range []struct {
		body any
		want int
	}{
		{map[string]any{"currentWorker": "worker_unknown", "oldWorkers": []string{}, "maxRuns": 2}, 2},
		{nil, 10}, // as many as one that does not say gets
		{map[string]any{"maxRuns": 100_000}, 3},
	} {
		if got := servertest.Post[dequeued](t, r.Client, "/engine/v1/dev/dequeue", c.body); len(got.DequeuedMessages) != c.want {
			t.Errorf("%v: %d runs, want %d", c.body, len(got.DequeuedMessages), c.want)
		}
	}
}

func TestDequeueWaits(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	workerapi.SetPoll(r.api, 300*time.Millisecond)
	begin := time.Now()
	got := servertest.Post[dequeued](t, r.Client, "/engine/v1/dev/dequeue", nil)
	if took := time.Since(begin); got.DequeuedMessages == nil || len(got.DequeuedMessages) > 0 || took < 300*time.Millisecond {
		t.Errorf("%d runs after %s", len(got.DequeuedMessages), took)
	}

	workerapi.SetPoll(r.api, 10*time.Second)
	made := make(chan string, 1)
	time.AfterFunc(200*time.Millisecond, func() { made <- r.trigger(engine.Trigger{Task: "task"}) })
	begin = time.Now()
	if m := r.take(); m.Run.FriendlyID != <-made {
		t.Error("another run was dequeued")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the dequeue woke up after %s", took)
	}
}

func TestDequeueSeesOnlyItsEnvironment(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	r.trigger(engine.Trigger{Task: "task"})
	workerapi.SetPoll(r.api, time.Millisecond)
	servertest.Register(t, r.prod, r.keys.ProjectRef, map[string]servertest.Task{"task": nil})
	if got := servertest.Post[dequeued](t, r.prod, "/engine/v1/dev/dequeue", nil); len(got.DequeuedMessages) > 0 {
		t.Errorf("another environment got %v", got.DequeuedMessages)
	}
}

// TestLostDequeueTakesNothing: whoever hangs up while waiting gets no run.
func TestLostDequeueTakesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	ctx, hangUp := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 10 {
		waiting.Go(func() {
			if got, err := r.Send(ctx, http.MethodPost, "/engine/v1/dev/dequeue", nil); err == nil {
				t.Errorf("a dequeue was answered: %d %s", got.Status, got.Body)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // for them to arrive; should they not, the test proves less but does not fail
	hangUp()
	waiting.Wait()
	time.Sleep(100 * time.Millisecond) // for the server to notice
	runID := r.trigger(engine.Trigger{Task: "task"})
	if got := r.take().Run.FriendlyID; got != runID {
		t.Errorf("dequeued %s, want %s", got, runID)
	}
}

func TestStopEndsDequeues(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.register("task")
	time.AfterFunc(100*time.Millisecond, r.api.Stop)
	begin := time.Now()
	servertest.Post[dequeued](t, r.Client, "/engine/v1/dev/dequeue", nil)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the dequeue took %s", took)
	}
	r.trigger(engine.Trigger{Task: "task"}) // and from now on none is handed out
	if got := servertest.Post[dequeued](t, r.Client, "/engine/v1/dev/dequeue", nil); len(got.DequeuedMessages) > 0 {
		t.Error("a server that is stopping handed out a run")
	}
}

func TestDequeueRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for _, body := range []string{"{", `[]`, `{"maxRuns":0}`, `{"maxRuns":"1"}`, `{"currentWorker":7}`} {
		if got := r.Call(t, http.MethodPost, "/engine/v1/dev/dequeue", body); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, got.Status, got.Body)
		}
	}
}
