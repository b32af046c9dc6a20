package crash

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The workers: how many at once, what each takes on, and how long one lives on average.
const (
	crew     = 3
	slots    = 30
	lifetime = 8 * time.Second
)

// How often an attempt that executes beats, and one that waits looks for news: first soon,
// then less and less often, for hundreds that wait must not keep the server busy.
const (
	beatEvery   = time.Second
	lookEvery   = 100 * time.Millisecond
	lookAtLeast = 2 * time.Second
)

// worker executes runs over HTTP as the CLI does, until it dies with all it holds.
type worker struct {
	id     string // that the server knows it by
	caller *caller
	ledger *ledger
}

// keepCrew keeps workers at work until ctx ends. While they are mortal, each that dies is
// followed by another.
func keepCrew(ctx context.Context, w *worker, mortal context.Context, died func()) error {
	g, ctx := errgroup.WithContext(ctx)
	for range crew {
		g.Go(func() error {
			for ctx.Err() == nil {
				life, end := context.WithCancel(ctx)
				death := time.AfterFunc(time.Second+time.Duration(rand.ExpFloat64()*float64(lifetime)), func() {
					if mortal.Err() == nil {
						died()
						end()
					}
				})
				w.work(life)
				death.Stop()
				end()
			}
			return nil
		})
	}
	return g.Wait()
}

// work takes runs until life ends.
func (w *worker) work(life context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, slots)
	for range slots {
		free <- struct{}{}
	}
	for life.Err() == nil {
		n := 0
		for n == 0 || len(free) > 0 {
			select {
			case <-free:
				n++
			case <-life.Done():
				return
			}
		}
		list := w.dequeue(life, n)
		for range n - len(list) {
			free <- struct{}{}
		}
		for _, m := range list {
			wg.Go(func() {
				done := sync.OnceFunc(func() { free <- struct{}{} })
				defer done()
				w.execute(life, m, done)
			})
		}
	}
}

// message is the part of a dequeued message that workers act on.
type message struct{ Run, Snapshot named }

// named is something with a friendly id.
type named struct {
	FriendlyID string `json:"friendlyId"`
}

func (w *worker) dequeue(life context.Context, n int) []message {
	var got struct {
		DequeuedMessages []message `json:"dequeuedMessages"`
	}
	err := w.caller.do(life, call{method: http.MethodPost, path: "/engine/v1/dev/dequeue", patience: pollTime,
		body: map[string]any{"currentWorker": w.id, "oldWorkers": []string{}, "maxRuns": n}}, &got)
	if err != nil && life.Err() == nil {
		w.ledger.find("wrong: dequeue was refused: %v", err)
	}
	return got.DequeuedMessages
}

// execute makes attempts for as long as the server wants them from this worker. idle is
// called when the run waits for the first time: others may have its place then, which
// they need when they are what it waits for.
func (w *worker) execute(life context.Context, m message, idle func()) {
	snapshot := m.Snapshot.FriendlyID
	for life.Err() == nil {
		a, err := w.start(life, m.Run.FriendlyID, snapshot)
		if err != nil {
			return // somebody else was faster, or the run is over
		}
		a.idle = idle
		again, after := a.perform()
		if again == "" {
			return
		}
		snapshot = again
		_ = pause(life, after)
	}
}

// attempt is an attempt that is executed.
type attempt struct {
	*worker
	ctx     context.Context // ends with the worker, or when the server can have given the attempt up
	end     context.CancelFunc
	run     string
	task    string
	name    string
	payload payload
	number  int
	version string

	mu       sync.Mutex
	snapshot string
	proof    time.Time // when the newest call was sent that the server accepted

	release func() // its place among those that execute
	idle    func() // its place in the worker
}

// started is the answer to the start of an attempt.
type started struct {
	Snapshot  named
	Execution struct {
		Attempt struct{ Number int }
		Task    struct{ ID string }
		Run     struct {
			Payload string
			Version string
		}
	}
}

func (w *worker) start(life context.Context, run, snapshot string) (*attempt, error) {
	var s started
	sent := time.Now()
	if err := w.caller.post(life, runPath(run, snapshot)+"/attempts/start", map[string]bool{"isWarmStart": false}, &s); err != nil {
		return nil, err
	}
	a := &attempt{worker: w, run: run, snapshot: s.Snapshot.FriendlyID, task: s.Execution.Task.ID, number: s.Execution.Attempt.Number,
		version: s.Execution.Run.Version, proof: sent}
	var err error
	if a.payload, err = parsePayload(s.Execution.Run.Payload); err != nil {
		w.ledger.find("wrong: %s has payload %.100q", run, s.Execution.Run.Payload)
	}
	if p := a.payload.Pad; p != "" && p != padding {
		w.ledger.find("wrong: %s has %d bytes of padding, not those it was triggered with", run, len(p))
	}
	a.name = a.payload.Name
	a.ctx, a.end = context.WithCancel(life)
	a.release = w.ledger.hold(a.payload.lane(a.task))
	return a, nil
}

func runPath(run, snapshot string) string {
	return "/engine/v1/dev/runs/" + run + "/snapshots/" + snapshot
}

// perform does what the task does and completes the attempt. It returns the snapshot of
// the next one, when that is to follow here.
func (a *attempt) perform() (next string, after time.Duration) {
	defer a.end()
	defer func() { a.release() }()
	go a.beat()
	done := tasks[a.task](a)
	if a.ctx.Err() != nil {
		return "", 0
	}
	done["id"] = a.run
	said, ok := done["output"].(string)
	if !ok {
		said = "failure " + rand64() // each is another completion, whose output nobody has
	}
	a.ledger.report(a.run, said, false)
	a.release()
	var got struct {
		Result struct {
			AttemptStatus string
			Snapshot      named
		}
	}
	err := a.caller.post(a.ctx, runPath(a.run, a.now())+"/attempts/complete", map[string]any{"completion": done}, &got)
	switch {
	case err != nil:
		a.refused("its completion", err)
		return "", 0
	case got.Result.AttemptStatus == "RUN_FINISHED":
		a.ledger.report(a.run, said, true)
	case got.Result.AttemptStatus == "RETRY_IMMEDIATELY":
		return got.Result.Snapshot.FriendlyID, retryDelay
	}
	return "", 0
}

// refused ends the attempt, which the server does not let do something. While the server has
// heard of it lately, nobody else can have the run, and there is no reason to.
func (a *attempt) refused(what string, err error) {
	a.mu.Lock()
	silent := time.Since(a.proof)
	a.mu.Unlock()
	var r *refusal
	if errors.As(err, &r) && a.ctx.Err() == nil && silent < stallTimeout-2*beatEvery {
		a.ledger.find("wrong: %s was refused %s %.1f s after it was last heard of: %v", a.run, what, silent.Seconds(), err)
	}
	a.end()
}

func rand64() string { return strconv.FormatUint(rand.Uint64(), 36) }

func (a *attempt) now() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.snapshot
}

// proven notes that the server accepted what was sent then.
func (a *attempt) proven(sent time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proof = sent
}

// beat keeps the attempt alive. When the server has not answered for nearly as long as
// it has patience, the attempt is given up: somebody else may get the run.
func (a *attempt) beat() {
	for pause(a.ctx, beatEvery) == nil {
		sent := time.Now()
		ctx, cancel := context.WithTimeout(a.ctx, beatEvery)
		if a.caller.post(ctx, runPath(a.run, a.now())+"/heartbeat", map[string]int{"cpu": 0, "memory": 0}, nil) == nil {
			a.proven(sent)
		}
		cancel()
		a.mu.Lock()
		silent := time.Since(a.proof)
		a.mu.Unlock()
		if silent > stallTimeout-2*beatEvery {
			a.end()
		}
	}
}

// waitpoint is a completed waitpoint.
type waitpoint struct {
	Type               string
	Index              *int
	Output             string
	OutputIsError      bool
	CompletedByTaskRun *named
}

// wait waits for what a call has blocked the run by. It returns nothing when the attempt
// is over.
func (a *attempt) wait(path string, body any) []waitpoint {
	a.release()
	if err := a.caller.post(a.ctx, path, body, nil); err != nil {
		a.refused("a wait", err)
		return nil
	}
	return a.resume()
}

// resume returns what the run was blocked by once the server lets it go on.
func (a *attempt) resume() []waitpoint {
	a.idle()
	for wait := lookEvery; pause(a.ctx, wait) == nil; wait = min(2*wait, lookAtLeast) {
		var s struct {
			Execution struct {
				Snapshot struct {
					FriendlyID      string
					ExecutionStatus string
				}
				CompletedWaitpoints []waitpoint
			}
		}
		sent := time.Now()
		err := a.caller.do(a.ctx, call{method: http.MethodGet, path: "/engine/v1/dev/runs/" + a.run + "/snapshots/latest"}, &s)
		newest := s.Execution.Snapshot
		a.mu.Lock()
		moved := newest.FriendlyID != a.snapshot
		a.mu.Unlock()
		switch {
		case err != nil, newest.ExecutionStatus == "FINISHED", newest.ExecutionStatus == "QUEUED", newest.ExecutionStatus == "PENDING_EXECUTING":
			a.end() // it was taken away
			return nil
		case newest.ExecutionStatus == "EXECUTING" && moved:
			a.mu.Lock()
			a.snapshot, a.proof = newest.FriendlyID, sent
			a.mu.Unlock()
			a.release = a.ledger.hold(a.payload.lane(a.task))
			return s.Execution.CompletedWaitpoints
		case newest.ExecutionStatus == "EXECUTING_WITH_WAITPOINTS" && moved:
			a.mu.Lock()
			a.snapshot = newest.FriendlyID
			a.mu.Unlock()
		}
	}
	return nil
}
