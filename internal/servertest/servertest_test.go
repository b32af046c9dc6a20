package servertest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"sear/internal/server"
	"sear/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// onEach runs a test on both databases.
func onEach(t *testing.T, test func(t *testing.T, s *servertest.Server), options ...servertest.Option) {
	t.Helper()
	for name, database := range map[string][]servertest.Option{"sqlite": nil, "postgres": {servertest.Postgres()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, servertest.Start(t, append(database, options...)...))
		})
	}
}

// execution is the part of a run that these tests look at.
type execution struct {
	ID, Status   string
	IsCompleted  bool
	Output       any
	AttemptCount int
}

func trigger(t testing.TB, c servertest.Client, task string, payload any) string {
	t.Helper()
	return servertest.Post[execution](t, c, "/api/v1/tasks/"+task+"/trigger", map[string]any{"payload": payload}).ID
}

// ended waits until a run is over.
func ended(t testing.TB, c servertest.Client, runID string) execution {
	t.Helper()
	c.Header = http.Header{"X-Trigger-Api-Version": {"2025-07-16"}}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r := servertest.Get[execution](t, c, "/api/v3/runs/"+runID)
		if r.IsCompleted {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("the run is still %s", r.Status)
		}
	}
}

// family is a set of tasks with every kind of wait. Each execution of a leaf is counted.
func family(executed *atomic.Int64) map[string]servertest.Task {
	return map[string]servertest.Task{
		"hello": func(a *servertest.Attempt) servertest.Completion {
			executed.Add(1)
			return servertest.Succeed(map[string]json.RawMessage{"hello": json.RawMessage(a.Run.Payload)})
		},
		"stubborn": func(a *servertest.Attempt) servertest.Completion {
			if a.Attempt.Number < 3 {
				return servertest.Retry("not yet", 10*time.Millisecond)
			}
			return servertest.Succeed(a.Attempt.Number)
		},
		"hopeless": func(a *servertest.Attempt) servertest.Completion { return servertest.Fail("never") },
		"patient": func(a *servertest.Attempt) servertest.Completion {
			return servertest.Succeed(len(a.WaitFor(time.Second)))
		},
		"parent": func(a *servertest.Attempt) servertest.Completion {
			for _, p := range a.TriggerAndWait("hello", "child") {
				return servertest.Succeed(json.RawMessage(p.Output))
			}
			return servertest.Fail("nothing came back")
		},
	}
}

func TestWorkerExecutesTasks(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *servertest.Server) {
		var executed atomic.Int64
		s.Worker(family(&executed))
		for task, want := range map[string]string{
			"hello":    "COMPLETED map[hello:1] after 1",
			"stubborn": "COMPLETED 3 after 3",
			"hopeless": "FAILED <nil> after 1",
			"patient":  "COMPLETED 1 after 1",
			"parent":   "COMPLETED map[hello:child] after 1",
		} {
			r := ended(t, s.Client(), trigger(t, s.Client(), task, 1))
			if got := fmt.Sprintf("%s %v after %d", r.Status, r.Output, r.AttemptCount); got != want {
				t.Errorf("%s: %s, want %s", task, got, want)
			}
		}
	})
}

// TestKilledServerLosesNothing: whatever was accepted ends once, on the same worker,
// which does not register again.
func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *servertest.Server) {
		var executed atomic.Int64
		tasks := family(&executed)
		began, goOn := make(chan struct{}, 100), make(chan struct{})
		tasks["gated"] = func(a *servertest.Attempt) servertest.Completion {
			began <- struct{}{}
			<-goOn
			return servertest.Succeed("through")
		}
		s.Worker(tasks)
		var gated, waiting, queued []string
		for range 5 {
			gated = append(gated, trigger(t, s.Client(), "gated", nil))
		}
		for range 5 {
			<-began
		}
		for range 5 {
			waiting = append(waiting, trigger(t, s.Client(), "patient", nil))
			waiting = append(waiting, trigger(t, s.Client(), "parent", nil))
		}
		for range 10 {
			queued = append(queued, trigger(t, s.Client(), "hello", 1))
		}
		s.Kill()
		close(goOn) // these end while there is nobody to tell
		s.Start()
		for want, list := range map[string][]string{"through": gated, "": append(waiting, queued...)} {
			for _, runID := range list {
				r := ended(t, s.Client(), runID)
				if r.Status != "COMPLETED" || r.AttemptCount != 1 || want != "" && r.Output != want {
					t.Errorf("after the crash: %+v", r)
				}
			}
		}
		if n := executed.Load(); n != 15 { // ten by themselves, five as children
			t.Errorf("hello was executed %d times", n)
		}
	}, servertest.Config(func(cfg *server.Config) { cfg.Timeouts.Pending = time.Second })) // for runs that were handed out in the last moment
}

// TestStoppedServerGoesOn: the orderly way, with requests that wait and a socket.
func TestStoppedServerGoesOn(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	var executed atomic.Int64
	w := s.Worker(family(&executed))
	k := servertest.Dial(t, s.Client(), "/dev-worker")
	waiting := trigger(t, s.Client(), "patient", nil)
	begin := time.Now()
	s.Stop()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the server took %s to stop", took)
	}
	if e, ok := k.Next(); ok {
		t.Errorf("the socket goes on with %s", e.Name)
	}
	s.Start()
	if r := ended(t, s.Client(), waiting); r.Status != "COMPLETED" {
		t.Errorf("%+v", r)
	}
	again := servertest.Register(t, s.Client(), s.Keys.ProjectRef, nil)
	if w.Version == again.Version {
		t.Error("a version was given twice")
	}
}
