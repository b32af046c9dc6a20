package workerapi

import (
	"context"
	"net/http"
	"time"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// pollTime is how long a dequeue waits for work.
//
//limit:workers Time that a call waits for a run |  | an empty list
const pollTime = 10 * time.Second

// Runs handed out by one call.
const (
	someRuns = 10 // to a client that does not say, such as the official CLI
	//limit:workers Runs that one call hands out | runs | further ones come with the next call
	mostRuns = 500 // to one that does
)

// dequeueRequest says who asks, and for how many runs. The latter is an addition of
// ours: upstream hands out one run a call.
type dequeueRequest struct {
	CurrentWorker string `json:"currentWorker"`
	MaxRuns       *int   `json:"maxRuns"`
}

// Validate checks the number of runs.
func (q *dequeueRequest) Validate() error {
	var p rest.Problems
	if q.MaxRuns != nil && *q.MaxRuns < 1 {
		p.Add("maxRuns", "Number must be greater than or equal to 1")
	}
	return p.Err()
}

func (q *dequeueRequest) runs() int {
	if q.MaxRuns == nil {
		return someRuns
	}
	return min(*q.MaxRuns, mostRuns)
}

// worker is the id of the worker that asks, or "" when it has none yet or one that
// cannot be ours: the newest counts then.
func (q *dequeueRequest) worker() string {
	internal, _ := id.Internal(id.Worker, q.CurrentWorker)
	return internal
}

// dequeue hands out runs, waiting for some if there are none. Whoever hangs up while
// waiting gets none, as net/http ends the request's context with the connection; nor does
// a key that ends meanwhile.
func (a *API) dequeue(w http.ResponseWriter, r *http.Request) error {
	q, err := rest.Decode[dequeueRequest](r, maxBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	a.see(r, q.worker())
	env := environment(r)
	watched, stop := a.auth.Watch(r.Context())
	defer stop()
	ctx, cancel := a.patient(watched, a.poll)
	defer cancel()
	list, err := a.engine.AwaitDequeue(ctx, env, q.worker(), q.runs())
	if err != nil {
		return err
	}
	refused := a.auth.Check(r.Context())
	if r.Context().Err() != nil && len(list) > 0 {
		refused = errGone
	}
	if refused != nil {
		a.takeBack(env, list)
		return refused
	}
	at := wire.ISO(time.Now())
	messages := make([]dequeued, len(list))
	for i, d := range list {
		messages[i] = dequeuedMessage(env, d, at)
	}
	return rest.JSON(w, http.StatusOK, map[string]any{"dequeuedMessages": messages})
}

// errGone answers a client that nobody reads the answer of.
var errGone = fault.New(fault.Unavailable, "The client has gone")

// takeBack returns runs to the queue that were handed out in the very moment in which the
// client hung up or its key ended. Should it fail, they come back when nobody starts them
// in time.
func (a *API) takeBack(env *tenant.Environment, list []engine.Delivery) {
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.poll)
	defer cancel()
	if err := a.engine.TakeBack(ctx, env, list); err != nil {
		a.log.Warn("runs of a lost dequeue stay out", "env", env.ID, "runs", len(list), "error", err)
	}
}

// dequeued is a run as a worker first hears of it. The CLI reads little of it, but
// drops the whole answer when any part of any message is not as its schema has it.
type dequeued struct {
	Version      string         `json:"version"`
	Snapshot     snapshot       `json:"snapshot"`
	DequeuedAt   string         `json:"dequeuedAt"`
	Completed    []waitpoint    `json:"completedWaitpoints"`
	Worker       dequeuedWorker `json:"backgroundWorker"`
	Deployment   struct{}       `json:"deployment"` // nothing in it concerns a dev worker
	Run          dequeuedRun    `json:"run"`
	Environment  dequeuedEnv    `json:"environment"`
	Organization reference      `json:"organization"`
	Project      reference      `json:"project"`
}

type dequeuedWorker struct {
	identity
	Version string `json:"version"`
}

type dequeuedRun struct {
	identity
	Test    bool              `json:"isTest"`
	Replay  bool              `json:"isReplay"`
	Machine preset            `json:"machine"`
	Attempt int               `json:"attemptNumber"`
	Queue   string            `json:"masterQueue"`
	Trace   map[string]string `json:"traceContext"`
}

type dequeuedEnv struct {
	reference
	Type tenant.EnvType `json:"type"`
}

// reference is something known by one id only.
type reference struct {
	ID string `json:"id"`
}

func dequeuedMessage(env *tenant.Environment, d engine.Delivery, at string) dequeued {
	return dequeued{
		Version:    protocolVersion,
		Snapshot:   snapshotOf(d.Run),
		DequeuedAt: at,
		Completed:  waitpoints(d.Completed, d.Run.MovedAt),
		Worker:     dequeuedWorker{identify(id.Worker, d.Worker.ID), d.Worker.Version},
		Run: dequeuedRun{
			identity: identify(id.Run, d.Run.ID),
			Test:     d.Test,
			Replay:   d.Extra.ReplayedFrom != "",
			Machine:  presetOf(d.Run.Machine),
			Attempt:  d.Run.Attempt + 1, // the one to be started
			Queue:    env.ID,
			Trace:    traceOf(d.Extra),
		},
		Environment:  dequeuedEnv{reference{env.ID}, env.Type},
		Organization: reference{env.Org.ID},
		Project:      reference{env.Project.ID},
	}
}
