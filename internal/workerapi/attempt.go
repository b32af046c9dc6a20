package workerapi

import (
	"fmt"
	"net/http"

	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/run"
)

// startAttempt begins an attempt and says all that its process needs to know.
func (a *API) startAttempt(w http.ResponseWriter, r *http.Request) error {
	internal, c, err := call(r)
	if err != nil {
		return err
	}
	env := environment(r)
	attempt, err := a.engine.StartAttempt(r.Context(), env, internal, c)
	if fault.Is(err, fault.Stale) { // not worth repeating, which a 409 would mean to the CLI but for a header
		return rest.WithStatus(err, http.StatusConflict)
	}
	if err != nil {
		return err
	}
	vars, err := a.runVariables(r, attempt.Run)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		Snapshot  snapshot          `json:"snapshot"`
		Run       runState          `json:"run"`
		Execution taskExecution     `json:"execution"`
		Variables map[string]string `json:"envVars"`
	}{snapshotOf(attempt.Run), stateOf(attempt.Run), executionOfTask(env, attempt), vars})
}

// maxCompletion bounds a completion. Clients upload outputs of 128 KiB and more, but
// need not: other workers may send what they have.
//
//limit:workers Body that ends an attempt | bytes | 413 Request body too large
const maxCompletion = 16 << 20

// completeAttempt ends an attempt.
func (a *API) completeAttempt(w http.ResponseWriter, r *http.Request) error {
	internal, c, err := call(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[completionRequest](r, maxCompletion)
	if err != nil {
		return err
	}
	done, err := a.completion(r.Context(), environment(r), internal, body)
	if err != nil {
		return err
	}
	after, err := a.engine.CompleteAttempt(r.Context(), environment(r), internal, c, done)
	if err != nil {
		return err
	}
	status, err := attemptStatus(after)
	if err != nil {
		return err
	}
	type result struct {
		AttemptStatus string   `json:"attemptStatus"`
		Snapshot      snapshot `json:"snapshot"`
		Run           runState `json:"run"`
	}
	return rest.JSON(w, http.StatusOK, map[string]result{"result": {status, snapshotOf(after), stateOf(after)}})
}

// attemptStatus tells a worker what follows from how the attempt ended. Upstream's
// fourth, RUN_PENDING_CANCEL, would leave the CLI waiting for good.
func attemptStatus(after run.Run) (string, error) {
	switch {
	case after.Exec == run.Finished:
		return "RUN_FINISHED", nil
	case after.Exec == run.Executing && after.Status == run.StatusRetrying:
		return "RETRY_IMMEDIATELY", nil
	case after.Exec == run.Queued:
		return "RETRY_QUEUED", nil
	}
	return "", fmt.Errorf("run %s is %s after the end of an attempt", after.ID, after.Exec)
}

// heartbeat says that the process of a run is alive.
func (a *API) heartbeat(w http.ResponseWriter, r *http.Request) error {
	internal, c, err := call(r)
	if err != nil {
		return err
	}
	if err := a.engine.Heartbeat(r.Context(), environment(r), internal, c.Seq); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]bool{"ok": true})
}
