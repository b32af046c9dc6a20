package engine

import (
	"sear/internal/deploy"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// external locks a trigger to the version that its external id leads to, and returns
// that version's worker; nil when there is none yet. A developer's machine has the one
// version that is there, so nothing waits for another.
func (w *work) external(env *tenant.Environment, t *Trigger) (*deploy.Worker, error) {
	if env.Type == tenant.Development {
		t.External = ""
		return nil, nil
	}
	workerID, err := w.tx.ExternalWorkerID(env.ID, t.External)
	if isNotFound(err) {
		// A deployment that is about to be finalized releases the runs it sees. Once the
		// environment is locked, it is done with that or will see this one.
		if err := w.tx.LockEnvironment(env.ID); err != nil {
			return nil, err
		}
		workerID, err = w.tx.ExternalWorkerID(env.ID, t.External)
	}
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	worker, err := w.worker(env.ID, workerID)
	if err == nil {
		t.Version = worker.Version
	}
	return worker, err
}

// lastLook is what becomes of a run whose patience is over: it goes on if the
// deployment that it waits for has appeared after all.
func (w *work) lastLook(env *tenant.Environment, r run.Run) (run.Command, error) {
	d, err := w.tx.Detail(env.ID, r.ID)
	if err != nil {
		return nil, err
	}
	rel := releaser{worker: w.loader(), env: env, external: map[string]*deploy.Worker{}}
	commands := map[string]run.Enqueue{}
	err = rel.sort(w.tx, []store.Parked{{Run: r, External: d.Extra.ExternalDeployment}}, commands)
	if c, ok := commands[r.ID]; ok {
		return c, err
	}
	return run.Expire{}, err
}
