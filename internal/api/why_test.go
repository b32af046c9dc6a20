package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/why"
)

// explained is a site whose development environment has a worker that was just heard of.
type explained struct {
	*site
	t *testing.T
}

func (s *explained) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// connect registers the worker and has it heard of.
func (s *explained) connect() {
	s.t.Helper()
	_, err := s.engine.RegisterWorker(s.t.Context(), s.env, deploy.Manifest{PackageVersion: "4.8.3", ContentHash: "1",
		Tasks: []deploy.Task{{ID: "hello", FilePath: "hello.ts"}}})
	s.ok(err)
	s.ok(s.engine.See(s.t.Context(), s.env))
}

func (s *explained) trigger(t engine.Trigger) string {
	s.t.Helper()
	if t.Task == "" {
		t.Task = "hello"
	}
	made, err := s.engine.Trigger(s.t.Context(), s.env, t)
	s.ok(err)
	return made.ID
}

// begin starts the run that is next.
func (s *explained) begin() string {
	s.t.Helper()
	list, err := s.engine.Dequeue(s.t.Context(), s.env, "", 1)
	s.ok(err)
	if len(list) != 1 {
		s.t.Fatal("nothing to dequeue")
	}
	_, err = s.engine.StartAttempt(s.t.Context(), s.env, list[0].Run.ID, engine.Call{Seq: list[0].Run.Seq})
	s.ok(err)
	return list[0].Run.ID
}

// started triggers a run and starts it.
func (s *explained) started() string {
	s.t.Helper()
	s.trigger(engine.Trigger{})
	return s.begin()
}

func (s *explained) end(runID string, c engine.Completion) {
	s.t.Helper()
	at, err := s.engine.Latest(s.t.Context(), s.env, runID)
	s.ok(err)
	_, err = s.engine.CompleteAttempt(s.t.Context(), s.env, runID, engine.Call{Seq: at.Run.Seq}, c)
	s.ok(err)
}

func (s *explained) limit(runs int) {
	s.t.Helper()
	s.ok(s.engine.OverrideQueue(s.t.Context(), s.env, store.QueueRef{Name: "task/hello"}, queue.Override{Runs: runs}))
}

func (s *explained) exec(query string, args ...any) {
	s.t.Helper()
	s.ok(s.store.Update(s.t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(query, args...); return err }))
}

func (s *explained) why(runID string) why.Answer {
	s.t.Helper()
	return servertest.Get[why.Answer](s.t, s.Client, "/api/v1/runs/"+id.Friendly(id.Run, runID)+"/why")
}

// TestWhy brings a run into each state in which it does not execute: the first cause is
// the true one and names who or what it is.
func TestWhy(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for name, c := range map[string]struct {
		setUp func(s *explained) (runID, names string) // names is what the sentence must name besides
		kind  why.Kind
	}{
		"environment paused": {func(s *explained) (string, string) {
			s.exec(`UPDATE env SET paused = TRUE WHERE id = $1`, s.env.ID)
			return s.trigger(engine.Trigger{}), "environment is paused"
		}, why.EnvPaused},
		"queue paused": {func(s *explained) (string, string) {
			s.ok(s.engine.PauseQueue(s.t.Context(), s.env, store.QueueRef{Name: "task/hello"}, true))
			return s.trigger(engine.Trigger{}), "task/hello is paused"
		}, why.QueuePaused},
		"environment limit": {func(s *explained) (string, string) {
			holder := s.started()
			s.ok(s.store.Update(s.t.Context(), func(tx *store.Tx) error { return tx.LimitConcurrency(1) }))
			return s.trigger(engine.Trigger{}), holder
		}, why.EnvLimit},
		"queue limit": {func(s *explained) (string, string) {
			s.limit(1)
			holder := s.started()
			return s.trigger(engine.Trigger{}), holder
		}, why.QueueLimit},
		"key busy": {func(s *explained) (string, string) {
			s.limit(1)
			s.trigger(engine.Trigger{ConcurrencyKey: "anna"})
			holder := s.begin()
			return s.trigger(engine.Trigger{ConcurrencyKey: "anna"}), `"anna" is busy: 1 of at most 1 run: run_` + holder
		}, why.KeyBusy},
		"delayed": {func(s *explained) (string, string) {
			return s.trigger(engine.Trigger{DelayUntil: in(time.Hour)}), "delayed until"
		}, why.Delayed},
		"tried again later": {func(s *explained) (string, string) {
			s.trigger(engine.Trigger{MaxAttempts: 2})
			runID := s.begin()
			s.end(runID, engine.Completion{Err: &run.Error{Type: run.BuiltIn, Message: "boom"}, Retry: &run.Retry{Delay: time.Hour}})
			return runID, "attempt 1 failed"
		}, why.Retrying},
		"no worker": {func(s *explained) (string, string) {
			s.exec(`UPDATE presence SET seen_at = $1`, in(-time.Minute).UnixMicro())
			return s.trigger(engine.Trigger{}), "no worker of its environment is connected: the last one was heard of at"
		}, why.NoWorker},
		"nothing deployed": {func(s *explained) (string, string) {
			s.exec(`DELETE FROM worker`)
			return s.trigger(engine.Trigger{}), "start the dev command or deploy"
		}, why.NoVersion},
		"task not in the version": {func(s *explained) (string, string) {
			runID := s.trigger(engine.Trigger{Task: "unknown"})
			_, err := s.engine.Dequeue(s.t.Context(), s.env, "", 1)
			s.ok(err)
			return runID, "no task unknown, nor has any session that is connected; `trigger.dev dev --branch NAME`"
		}, why.NoVersion},
		"task of an older session": {func(s *explained) (string, string) {
			_, err := s.engine.RegisterWorker(s.t.Context(), s.env, deploy.Manifest{PackageVersion: "4.8.3", ContentHash: "2",
				Tasks: []deploy.Task{{ID: "other", FilePath: "other.ts"}}})
			s.ok(err)
			return s.trigger(engine.Trigger{}), "an older session is connected that has it"
		}, why.Session},
		"no version is current": {func(s *explained) (string, string) {
			s.env, s.Client = s.prod, s.with(s.keys.SecretKeys.Prod)
			runID := s.trigger(engine.Trigger{})
			_, err := s.engine.Dequeue(s.t.Context(), s.env, "", 1)
			s.ok(err)
			return runID, "has no version: start the dev command or deploy"
		}, why.NoVersion},
		"deployment not there": {func(s *explained) (string, string) {
			s.env, s.Client = s.prod, s.with(s.keys.SecretKeys.Prod)
			return s.trigger(engine.Trigger{External: "release-7"}), "a deployment that does not exist yet and is waited for until"
		}, why.NoVersion},
		"token": {func(s *explained) (string, string) {
			runID := s.started()
			token, _, err := s.engine.CreateToken(s.t.Context(), s.env, engine.NewWaitpoint{At: in(time.Hour)})
			s.ok(err)
			s.ok(s.engine.WaitForToken(s.t.Context(), s.env, runID, token.ID))
			return runID, "waitpoint_" + token.ID + " to be completed or to time out at"
		}, why.Token},
		"child": {func(s *explained) (string, string) {
			runID := s.started()
			child := s.trigger(engine.Trigger{ParentID: runID, ResumeParent: true})
			return runID, "its child run_" + child
		}, why.Child},
		"batch": {func(s *explained) (string, string) {
			runID := s.started()
			b, _, _, err := s.engine.TriggerBatch(s.t.Context(), s.env, engine.NewBatch{RunCount: 2, ParentID: runID, ResumeParent: true},
				[]engine.Item{{Trigger: engine.Trigger{Task: "hello"}}, {Index: 1, Trigger: engine.Trigger{Task: "hello"}}})
			s.ok(err)
			s.end(s.begin(), engine.Completion{})
			return runID, "batch_" + b.ID + ", of which 1 of 2 runs are over"
		}, why.Batch},
		"batch of an earlier run": {func(s *explained) (string, string) {
			key := engine.Key{Text: "earlier"}
			s.trigger(engine.Trigger{Key: key, DelayUntil: in(time.Hour)})
			runID := s.started()
			b, _, _, err := s.engine.TriggerBatch(s.t.Context(), s.env, engine.NewBatch{RunCount: 2, ParentID: runID, ResumeParent: true},
				[]engine.Item{{Trigger: engine.Trigger{Task: "hello", Key: key}}, {Index: 1, Trigger: engine.Trigger{Task: "hello"}}})
			s.ok(err)
			return runID, "batch_" + b.ID + ", of which 0 of 2 runs are over"
		}, why.Batch},
		"time": {func(s *explained) (string, string) {
			runID := s.started()
			_, err := s.engine.WaitFor(s.t.Context(), s.env, runID, engine.NewWaitpoint{At: in(time.Hour)})
			s.ok(err)
			return runID, "it waits until"
		}, why.Time},
		"slot lent to others": {func(s *explained) (string, string) {
			s.limit(1)
			runID := s.started()
			token, _, err := s.engine.CreateToken(s.t.Context(), s.env, engine.NewWaitpoint{})
			s.ok(err)
			s.ok(s.engine.WaitForToken(s.t.Context(), s.env, runID, token.ID))
			holder := s.started()
			s.ok(s.engine.CompleteToken(s.t.Context(), s.env, token.ID, run.Packet{}))
			for at, err := s.engine.Latest(s.t.Context(), s.env, runID); at.Run.Exec != run.QueuedExecuting; at, err = s.engine.Latest(s.t.Context(), s.env, runID) {
				s.ok(err)
				time.Sleep(time.Millisecond)
			}
			return runID, holder
		}, why.QueueLimit},
		"canceled": {func(s *explained) (string, string) {
			runID := s.started()
			s.ok(s.engine.Cancel(s.t.Context(), s.env, runID, "by me", false))
			return runID, "its worker has until"
		}, why.Canceling},
		"behind others": {func(s *explained) (string, string) {
			s.trigger(engine.Trigger{})
			return s.trigger(engine.Trigger{}), "1 run of its queue goes before it"
		}, why.Behind},
		"next": {func(s *explained) (string, string) {
			return s.trigger(engine.Trigger{}), "no worker has asked for it yet"
		}, why.Next},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, plain *site) {
				s := &explained{plain, t}
				s.connect()
				runID, names := c.setUp(s)
				a := s.why(runID)
				if a.Executing || len(a.Causes) == 0 || a.Causes[0].Kind != c.kind || !strings.Contains(a.Sentence, names) {
					t.Errorf("%+v, want %s that names %q", a, c.kind, names)
				}
			})
		})
	}
}

// TestWhyOfOthers: a run that executes, one that is over, one's place and when it may
// start, and who is not told.
func TestWhyOfOthers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, plain *site) {
		s := &explained{plain, t}
		s.connect()
		s.limit(1)
		over := s.started()
		s.end(over, engine.Completion{})
		s.exec(`UPDATE run SET executed_at = completed_at - 60000000 WHERE id = $1`, over) // it took a minute
		if a := s.why(over); a.Executing || len(a.Causes) > 0 || a.Status != "COMPLETED" || !strings.HasPrefix(a.Sentence, "It is over: COMPLETED at 20") {
			t.Errorf("over: %+v", a)
		}
		running := s.started()
		if a := s.why(running); !a.Executing || len(a.Causes) > 0 || !strings.HasPrefix(a.Sentence, "It executes: attempt 1, since 20") {
			t.Errorf("running: %+v", a)
		}
		s.trigger(engine.Trigger{})
		last := s.trigger(engine.Trigger{})
		a := s.why(last)
		start, err := time.Parse(time.RFC3339, a.Start)
		if wait := time.Until(start); err != nil || a.Position != 2 || wait < 100*time.Second || wait > 2*time.Minute { // one executes and one goes first
			t.Errorf("position %d, start %q", a.Position, a.Start)
		}
		if !slices.Equal(a.Causes[0].Runs, []string{"run_" + running}) {
			t.Errorf("held by %v, not %s", a.Causes[0].Runs, running)
		}
		path := "/api/v1/runs/run_" + last + "/why"
		for who, c := range map[string]servertest.Client{"prod": s.with(s.keys.SecretKeys.Prod), "another run's token": s.token("read:runs:run_" + over)} {
			if got := c.Call(t, http.MethodGet, path, nil); got.Status != http.StatusNotFound && got.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s", who, got.Status, got.Body)
			}
		}
		if got := s.token("read:runs:run_"+last).Call(t, http.MethodGet, path, nil); got.Status != http.StatusOK {
			t.Errorf("its own token: %d %s", got.Status, got.Body)
		}
	})
}
