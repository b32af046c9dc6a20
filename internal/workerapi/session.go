package workerapi

import (
	"context"
	"net/http"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// How long the CLI waits between two dequeues, in milliseconds. There is little
// need to: a dequeue here returns when there is something to do.
const (
	intervalWithRun    = 10
	intervalWithoutRun = 250
)

// config tells the CLI how to behave.
func (a *API) config(w http.ResponseWriter, r *http.Request) error {
	env := environment(r)
	return rest.JSON(w, http.StatusOK, struct {
		EnvironmentID      string `json:"environmentId"`
		IntervalWithRun    int    `json:"dequeueIntervalWithRun"`
		IntervalWithoutRun int    `json:"dequeueIntervalWithoutRun"`
		MaxConcurrentRuns  int    `json:"maxConcurrentRuns"`
		EngineURL          string `json:"engineUrl"`
	}{env.ID, intervalWithRun, intervalWithoutRun, processes(env.ConcurrencyLimit), a.origin(r)})
}

// processes is how many runs the CLI may hold at once. A run that waits gives its
// slot to another here, but keeps its process and its place there: if that counted
// the same, a family of waiting runs would lock itself out.
func processes(limit int) int {
	const perSlot = 10
	return max(1, limit, min(perSlot*limit, mostProcesses))
}

// mostProcesses is how many runs one CLI may hold, unless its environment's limit is higher.
//
//limit:workers Runs that one CLI holds at once: ten for each of its environment's concurrency limit, but no more than | runs | it asks for no more
const mostProcesses = 10_000

// presenceBeat is how often a presence stream shows that it is alive.
const presenceBeat = 10 * time.Second

// presence stays open for as long as the CLI runs and its key lasts. Nothing that is sent
// means anything to it.
func (a *API) presence(w http.ResponseWriter, r *http.Request) error {
	watched, stop := a.auth.Watch(r.Context())
	defer stop()
	s, err := rest.Stream(w)
	if err != nil {
		return err
	}
	beat := time.NewTicker(presenceBeat)
	defer beat.Stop()
	event := rest.Event{Name: "start", Data: "Started " + environment(r).ID}
	for {
		a.see(r, "") // which of its builds is the newest, only its dequeues say
		if err := s.Send(event); err != nil {
			return err
		}
		select {
		case <-watched.Done():
			return nil
		case <-a.ending.Done():
			return nil
		case at := <-beat.C:
			event = rest.Event{Name: "time", Data: at.UTC().Format(time.RFC3339)}
		}
	}
}

// see notes that a CLI is there, and the worker that it names. That it could not be noted is no trouble of its own:
// it is noted again soon.
func (a *API) see(r *http.Request, workerID string) {
	if err := a.engine.SeeWorker(r.Context(), environment(r), workerID); err != nil {
		a.log.Debug("a presence was not noted", "env", environment(r).ID, "error", err)
	}
}

// maxDisconnect is how many runs one call may end.
//
//limit:workers Runs that one call of the watchdog ends | runs | 400 At most {} runs at "runFriendlyIds"
const maxDisconnect = 500

// disconnect ends the runs of a CLI that is gone. Its watchdog calls it.
func (a *API) disconnect(w http.ResponseWriter, r *http.Request) error {
	env := environment(r)
	if env.Type != tenant.Development {
		return fault.New(fault.Forbidden, "Only a development environment has sessions to end")
	}
	body, err := rest.Decode[struct {
		Runs []string `json:"runFriendlyIds"`
	}](r, maxBody)
	if err != nil {
		return err
	}
	if len(body.Runs) > maxDisconnect {
		return fault.Newf(fault.Malformed, "Validation error: At most %d runs at \"runFriendlyIds\"", maxDisconnect)
	}
	list, err := a.held(r.Context(), env, runIDs(body.Runs))
	if err != nil {
		return err
	}
	byEnv := map[*tenant.Environment][]string{}
	for _, h := range list {
		byEnv[h.env] = append(byEnv[h.env], h.run.ID)
	}
	cancelled := 0
	for env, runs := range byEnv {
		n, err := a.engine.Disconnect(r.Context(), env, runs)
		if err != nil {
			return err
		}
		cancelled += n
	}
	return rest.JSON(w, http.StatusOK, map[string]int{"cancelled": cancelled})
}

// heldRun is a run with its environment.
type heldRun struct {
	run run.Run
	env *tenant.Environment
}

// runIDs are the internal ids of the runs named, without the names that are none.
func runIDs(names []string) []string {
	ids := make([]string, 0, len(names))
	for _, name := range names {
		if internal, ok := id.Internal(id.Run, name); ok {
			ids = append(ids, internal)
		}
	}
	return ids
}

// held finds those of the runs that a key of env reaches: the environment's
// own and, because the socket and the watchdog do not say which branch they are of,
// those of the branches below it.
func (a *API) held(ctx context.Context, env *tenant.Environment, runIDs []string) ([]heldRun, error) {
	var out []heldRun
	err := a.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		runs, err := tx.RunsByID(runIDs)
		if err != nil {
			return err
		}
		envs := map[string]*tenant.Environment{env.ID: env}
		for _, r := range runs {
			if envs[r.EnvID] == nil {
				if envs[r.EnvID], err = tx.Environment(r.EnvID); err != nil {
					return err
				}
			}
			if own := envs[r.EnvID]; own.ID == env.ID || own.RootID() == env.ID {
				out = append(out, heldRun{r, own})
			}
		}
		return nil
	})
	return out, err
}

// debugLog takes what the CLI notes for the developers of upstream, and keeps none of it.
func (a *API) debugLog(w http.ResponseWriter, r *http.Request) error {
	rest.NoContent(w)
	return nil
}
