package servertest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"sear/internal/id"
)

// Task does what a task would, in an attempt.
type Task func(a *Attempt) Completion

// Completion says how an attempt ended, as the protocol has it.
type Completion map[string]any

// Succeed ends an attempt with an output.
func Succeed(output any) Completion {
	b, err := json.Marshal(output)
	if err != nil {
		return Fail(err.Error())
	}
	return Completion{"ok": true, "output": string(b), "outputType": "application/json"}
}

// Fail ends an attempt, and the run with it.
func Fail(message string) Completion {
	return Completion{"ok": false, "skippedRetrying": true,
		"error": map[string]any{"type": "BUILT_IN_ERROR", "name": "Error", "message": message, "stackTrace": "Error: " + message}}
}

// Retry ends an attempt and asks for another after a delay.
func Retry(message string, delay time.Duration) Completion {
	c := Fail(message)
	delete(c, "skippedRetrying")
	c["retry"] = map[string]int64{"timestamp": time.Now().Add(delay).UnixMilli(), "delay": delay.Milliseconds()}
	return c
}

// Worker is a dev worker: it dequeues runs and executes them with Go functions, as
// many at once as it gets. While the server is away it tries again, as the CLI does.
type Worker struct {
	ID, Version string

	t      testing.TB
	client Client
	tasks  map[string]Task
	ctx    context.Context
	wg     sync.WaitGroup
}

// StartWorker registers tasks as a new version of the environment that the client's
// key belongs to, and executes their runs until the test ends. The project is needed
// because the path of the registration names it.
func StartWorker(t testing.TB, c Client, project string, tasks map[string]Task) *Worker {
	t.Helper()
	w := Register(t, c, project, tasks)
	ctx, stop := context.WithCancel(context.Background())
	w.ctx = ctx
	w.wg.Go(w.dequeue)
	t.Cleanup(func() {
		stop()
		w.wg.Wait()
	})
	return w
}

// Register registers tasks without executing any.
func Register(t testing.TB, c Client, project string, tasks map[string]Task) *Worker {
	t.Helper()
	manifest := map[string]any{"packageVersion": "4.8.3", "contentHash": id.Random(id.Lower, 16)}
	var list []map[string]any
	for name := range tasks {
		list = append(list, map[string]any{"id": name, "filePath": "src/trigger/" + name + ".ts",
			"retry": map[string]any{"maxAttempts": 3, "minTimeoutInMs": 100, "maxTimeoutInMs": 100, "factor": 1, "randomize": false}})
	}
	manifest["tasks"] = list
	got := Post[struct{ ID, Version string }](t, c, "/api/v1/projects/"+project+"/background-workers",
		map[string]any{"localOnly": true, "metadata": manifest, "engine": "V2", "supportsLazyAttempts": true})
	return &Worker{ID: got.ID, Version: got.Version, t: t, client: c, tasks: tasks}
}

// Message is the part of a dequeued message that workers act on.
type Message struct {
	Run      Named
	Snapshot Named
}

// Named is something with a friendly id.
type Named struct{ FriendlyID string }

// maxRuns is how many runs the worker takes at once.
const maxRuns = 50

func (w *Worker) dequeue() {
	for w.ctx.Err() == nil {
		got, err := persist[struct{ DequeuedMessages []Message }](w, http.MethodPost, "/engine/v1/dev/dequeue",
			map[string]any{"currentWorker": w.ID, "oldWorkers": []string{}, "maxRuns": maxRuns})
		if err != nil {
			w.complain(err)
			return
		}
		for _, m := range got.DequeuedMessages {
			w.wg.Go(func() { w.complain(w.execute(m.Run.FriendlyID, m.Snapshot.FriendlyID)) })
		}
	}
}

// complain fails the test for an error that is not due to its end. Being told that a
// run is no longer the worker's is part of its work.
func (w *Worker) complain(err error) {
	var refused *StatusError
	lost := errors.Is(err, errFinished) ||
		errors.As(err, &refused) && (refused.Status == http.StatusConflict || refused.Status == http.StatusBadRequest)
	if err != nil && !lost && w.ctx.Err() == nil {
		w.t.Error(err)
	}
}

// execute runs attempts for as long as the server wants them from this worker.
func (w *Worker) execute(runID, snapshotID string) error {
	for {
		a, err := w.start(runID, snapshotID)
		if err != nil {
			return err
		}
		task := w.tasks[a.Task.ID]
		if task == nil {
			return fmt.Errorf("the worker has no task %s", a.Task.ID)
		}
		done := task(a)
		switch {
		case a.lost != nil:
			return a.lost
		case a.cancelled:
			done = Completion{"ok": false, "error": map[string]any{"type": "INTERNAL_ERROR", "code": "TASK_RUN_CANCELLED"}}
		}
		done["id"] = runID
		got, err := persist[struct {
			Result struct {
				AttemptStatus string
				Snapshot      Named
			}
		}](w, http.MethodPost, a.path("/attempts/complete"), map[string]any{"completion": done})
		if err != nil || got.Result.AttemptStatus != "RETRY_IMMEDIATELY" {
			return err
		}
		snapshotID = got.Result.Snapshot.FriendlyID
		retry, _ := done["retry"].(map[string]int64)
		w.sleep(time.Duration(retry["delay"]) * time.Millisecond)
	}
}

func (w *Worker) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
	}
}

// Attempt is an attempt that the worker executes: what the server said when it was
// started. Its methods are for the goroutine of the task.
type Attempt struct {
	Execution
	Client    Client // with the credentials a task has
	Variables map[string]string

	worker    *Worker
	snapshot  string
	cancelled bool
	lost      error
}

// Execution is what the server tells of an attempt.
type Execution struct {
	Attempt struct{ Number int }
	Task    struct{ ID string }
	Run     struct {
		ID, Payload, PayloadType, Version string
		ParentTaskRunID, RootTaskRunID    string
		Tags                              []string
		Metadata                          map[string]any
	}
}

func (w *Worker) start(runID, snapshotID string) (*Attempt, error) {
	a := &Attempt{Client: w.client, worker: w, snapshot: snapshotID}
	a.Run.ID = runID
	got, err := persist[struct {
		Snapshot  Named
		Execution Execution
		EnvVars   map[string]string
	}](w, http.MethodPost, a.path("/attempts/start"), map[string]bool{"isWarmStart": false})
	a.snapshot, a.Execution, a.Variables = got.Snapshot.FriendlyID, got.Execution, got.EnvVars
	return a, err
}

func (a *Attempt) path(action string) string {
	return "/engine/v1/dev/runs/" + a.Run.ID + "/snapshots/" + a.snapshot + action
}

// Waitpoint is a completed waitpoint.
type Waitpoint struct {
	FriendlyID, Type   string
	Index              *int
	Output, OutputType string
	OutputIsError      bool
	CompletedByTaskRun struct {
		FriendlyID string
		Batch      *Named
	}
}

// WaitFor waits as wait.for does.
func (a *Attempt) WaitFor(d time.Duration) []Waitpoint {
	_, err := persist[any](a.worker, http.MethodPost, "/engine/v1/runs/"+a.Run.ID+"/wait/duration",
		map[string]any{"date": time.Now().Add(d)})
	return a.resume(err)
}

// WaitForToken waits for a token, given by its friendly id.
func (a *Attempt) WaitForToken(token string) []Waitpoint {
	_, err := persist[any](a.worker, http.MethodPost, "/engine/v1/runs/"+a.Run.ID+"/waitpoints/tokens/"+token+"/wait", nil)
	return a.resume(err)
}

// TriggerAndWait runs another task and waits for it.
func (a *Attempt) TriggerAndWait(task string, payload any) []Waitpoint {
	_, err := persist[any](a.worker, http.MethodPost, "/api/v1/tasks/"+task+"/trigger", map[string]any{"payload": payload,
		"options": map[string]any{"parentRunId": a.Run.ID, "resumeParentOnCompletion": true, "lockToVersion": a.Run.Version}})
	return a.resume(err)
}

// pollInterval is how often a waiting attempt looks whether it can go on.
const pollInterval = 20 * time.Millisecond

// state is the part of a snapshot that workers act on.
type state struct {
	Execution struct {
		Snapshot            struct{ FriendlyID, ExecutionStatus string }
		CompletedWaitpoints []Waitpoint
	}
}

// resume waits until the server lets the attempt go on. It returns nothing when the
// run was cancelled or taken away; how the attempt ends is of no interest then.
func (a *Attempt) resume(err error) []Waitpoint {
	for err == nil {
		var s state
		s, err = persist[state](a.worker, http.MethodGet, "/engine/v1/dev/runs/"+a.Run.ID+"/snapshots/latest", nil)
		newest := s.Execution.Snapshot
		switch {
		case err != nil:
		case newest.ExecutionStatus == "PENDING_CANCEL":
			a.snapshot, a.cancelled = newest.FriendlyID, true
			return nil
		case newest.ExecutionStatus == "FINISHED":
			err = errFinished
		case newest.FriendlyID != a.snapshot && newest.ExecutionStatus == "EXECUTING":
			a.snapshot = newest.FriendlyID
			return s.Execution.CompletedWaitpoints
		default:
			a.worker.sleep(pollInterval)
			err = a.worker.ctx.Err()
		}
	}
	a.lost = err
	return nil
}

var errFinished = errors.New("the run ended while its attempt was waiting")

// retryPause is how long a worker waits before it repeats a call.
const retryPause = 50 * time.Millisecond

// persist makes a call of the worker, repeating it as the official clients do for as
// long as the server is away.
func persist[T any](w *Worker, method, path string, body any) (T, error) {
	c := w.client
	c.Header = http.Header{"X-Trigger-Request-Idempotency-Key": {rand.Text()}}
	for {
		v, err := request[T](w.ctx, c, method, path, body)
		var refused *StatusError
		var broken *ContractError
		if err == nil || w.ctx.Err() != nil || errors.As(err, &broken) || errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
			return v, err
		}
		w.sleep(retryPause)
	}
}
