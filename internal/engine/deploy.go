package engine

import (
	"context"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/store"
	"sear/internal/tenant"
)

// NewDeployment is a wish to deploy: what the client says of it, and Status if it is
// not to begin as usual.
type NewDeployment struct {
	deploy.Deployment
	Force bool                             // in the place of those under way with the same external id
	Seal  func(deploymentID string) []byte // the variables of the build; nil: none
}

// Initialized is the deployment that answers a wish for one.
type Initialized struct {
	deploy.Deployment
	Existing bool // it was deployed before
	Promoted bool // it is the current one
	Canceled []deploy.Deployment
}

// Deploy begins a deployment. The same call again, known by its request key, gets the
// same answer, and an external id that was deployed already leads to that deployment.
func (e *Engine) Deploy(ctx context.Context, env *tenant.Environment, n NewDeployment) (out Initialized, err error) {
	err = e.update(ctx, func(w *work) error {
		out = Initialized{}
		if err := w.tx.LockEnvironment(env.ID); err != nil {
			return err
		}
		if n.Request != "" {
			d, err := w.tx.DeploymentByRequest(env.ID, n.Request)
			if !isNotFound(err) {
				out.Deployment = d
				return err
			}
		}
		if n.ExternalID != "" {
			if found, err := w.sameExternal(env, n, &out); found || err != nil {
				return err
			}
		}
		return w.initialize(env, n, &out)
	})
	return out, err
}

// shortCode is what short codes are made of.
const (
	shortCodeLetters = "0123456789abcdefghijklmnopqrstuvwxyz"
	shortCodeLength  = 8
)

// initialize stores a new deployment.
func (w *work) initialize(env *tenant.Environment, n NewDeployment, out *Initialized) error {
	latest, err := w.tx.LatestVersion(env.ID, w.now)
	if err != nil {
		return err
	}
	d := n.Deployment
	d.ID, d.EnvID = id.New(w.now), env.ID
	d.ShortCode, d.Version = id.Random(shortCodeLetters, shortCodeLength), deploy.NextVersion(latest, w.now)
	d.Image, d.Platform = deploy.ImageTag(env.Project.Ref, string(env.Type), d), deploy.Platform
	d = deploy.Begin(d, w.now)
	var sealed []byte
	if n.Seal != nil {
		sealed = n.Seal(d.ID)
	}
	out.Deployment = d
	w.soon(d.Due) // it must not take too long
	return w.tx.AddDeployment(env.ProjectID, d, sealed)
}

// maxSameExternal is how many deployments with one external id are looked at.
//
//limit:inside deployments of one external id that are looked at, the newest first; one of them is what is looked for
const maxSameExternal = 20

// sameExternal finds the deployed one of the same external id. One that is under way
// is in the way, or with force ends.
func (w *work) sameExternal(env *tenant.Environment, n NewDeployment, out *Initialized) (found bool, err error) {
	list, err := w.tx.ExternalDeployments(env.ID, n.ExternalID, maxSameExternal)
	if err != nil {
		return false, err
	}
	for _, d := range list {
		switch {
		case d.Status.Final():
		case !n.Force:
			return false, fault.Newf(fault.Conflict, "A deployment with external id %q is already in progress: version %s (%s). Use --force to cancel it.",
				n.ExternalID, d.Version, d.ShortCode)
		default:
			c := deploy.Cancel{Reason: "Superseded by a new deploy with --force for external id \"" + n.ExternalID + "\""}
			if d, err = w.decideDeployment(d, c); err != nil {
				return false, err
			}
			out.Canceled = append(out.Canceled, d)
		}
	}
	for _, d := range list {
		if d.Status != deploy.Deployed || n.Force {
			continue
		}
		current, err := w.currentDeployment(env.ID)
		out.Deployment, out.Existing, out.Promoted = d, true, current != nil && current.ID == d.ID
		return true, err
	}
	return false, nil
}

// currentDeployment is the promoted deployment of an environment; nil when there is none.
func (w *work) currentDeployment(envID string) (*deploy.Deployment, error) {
	d, err := w.tx.CurrentDeployment(envID)
	if isNotFound(err) {
		return nil, nil
	}
	return &d, err
}

// decideDeployment lets the domain decide about a locked deployment and stores what it decided.
func (w *work) decideDeployment(was deploy.Deployment, c deploy.Command) (deploy.Deployment, error) {
	d, refused := deploy.Decide(was, c, w.now)
	if d == was {
		return d, refused
	}
	w.soon(d.Due)
	if err := w.tx.SaveDeployment(d); err != nil {
		return d, err
	}
	return d, refused
}

// changeDeployment carries out a command on a deployment, and what follows if it is
// not refused. What a refused command changes lasts.
func (e *Engine) changeDeployment(ctx context.Context, env *tenant.Environment, deploymentID string, c deploy.Command,
	then func(w *work, was, d deploy.Deployment) error,
) (d deploy.Deployment, err error) {
	var refused error
	err = e.update(ctx, func(w *work) error {
		refused = nil
		if err := w.tx.LockEnvironment(env.ID); err != nil {
			return err
		}
		was, err := w.tx.LockDeployment(env.ID, deploymentID)
		if err != nil {
			return err
		}
		if d, err = w.decideDeployment(was, c); err != nil {
			if refusal(err) {
				refused, err = err, nil
			}
			return err
		}
		if then == nil {
			return nil
		}
		return then(w, was, d)
	})
	if err == nil {
		err = refused
	}
	return d, err
}

// ChangeDeployment carries out a command on a deployment that only concerns itself:
// [deploy.Progress], [deploy.Fail] or [deploy.Cancel].
func (e *Engine) ChangeDeployment(ctx context.Context, env *tenant.Environment, deploymentID string, c deploy.Command) error {
	_, err := e.changeDeployment(ctx, env, deploymentID, c, nil)
	return err
}

// RegisterDeploymentWorker stores the worker that came out of a deployment's build.
// Nothing uses it before the deployment is finalized. The same build registered again
// is the worker that is there.
func (e *Engine) RegisterDeploymentWorker(ctx context.Context, env *tenant.Environment, deploymentID string, m deploy.Manifest) (worker *deploy.Worker, err error) {
	if err := m.Pack(); err != nil {
		return nil, err
	}
	c := deploy.Register{WorkerID: id.New(now()), ContentHash: m.ContentHash, Runtime: m.Runtime, RuntimeVersion: m.RuntimeVersion}
	_, err = e.changeDeployment(ctx, env, deploymentID, c, func(w *work, was, d deploy.Deployment) (err error) {
		if was.WorkerID != "" {
			worker, err = w.worker(env.ID, was.WorkerID)
			return err
		}
		worker, err = w.tx.AddDeploymentWorker(d, m, w.now)
		return err
	})
	return worker, err
}

// FinalizeDeployment makes a deployment's version available, and current unless that
// is to be skipped or a newer one is current: who is overtaken does not turn back the
// clock. It may be repeated.
func (e *Engine) FinalizeDeployment(ctx context.Context, env *tenant.Environment, deploymentID, digest string, skipPromotion bool) (deploy.Deployment, error) {
	e.remember(ctx, env, func(tx *store.Tx) (deploy.Deployment, error) { return tx.Deployment(env.ID, deploymentID) })
	return e.changeDeployment(ctx, env, deploymentID, deploy.Finalize{Digest: digest}, func(w *work, was, d deploy.Deployment) error {
		if was.Status == deploy.Deployed {
			return nil
		}
		current, err := w.currentDeployment(env.ID)
		if err != nil {
			return err
		}
		if !skipPromotion && !d.Build.SkipPromotion && deploy.CheckPromotion(current, d, deploy.Forward) == nil {
			return w.promote(env, d)
		}
		worker, err := w.worker(env.ID, d.WorkerID)
		if err != nil {
			return err
		}
		return w.arrived(env, worker)
	})
}

// remember reads the worker of a deployment before a transaction that needs it: a large
// manifest takes its time. If that fails, the transaction says why.
func (e *Engine) remember(ctx context.Context, env *tenant.Environment, find func(tx *store.Tx) (deploy.Deployment, error)) {
	_ = e.view(ctx, func(tx *store.Tx) error {
		d, err := find(tx)
		if err == nil && d.WorkerID != "" {
			_, err = e.worker(tx, env.ID, d.WorkerID)
		}
		return err
	})
}

// promote makes a deployment the current one.
func (w *work) promote(env *tenant.Environment, d deploy.Deployment) error {
	if err := w.tx.Promote(d, w.now); err != nil {
		return err
	}
	worker, err := w.worker(env.ID, d.WorkerID)
	if err != nil {
		return err
	}
	return w.arrived(env, worker)
}

// Promote makes a deployed version the current one of its environment: runs that are
// locked to no version go to it from then on.
func (e *Engine) Promote(ctx context.Context, env *tenant.Environment, version string, way deploy.Direction) (d deploy.Deployment, err error) {
	e.remember(ctx, env, func(tx *store.Tx) (deploy.Deployment, error) { return tx.DeploymentByVersion(env.ID, version) })
	err = e.update(ctx, func(w *work) error {
		if err := w.tx.LockEnvironment(env.ID); err != nil {
			return err
		}
		if d, err = w.tx.DeploymentByVersion(env.ID, version); err != nil {
			return err
		}
		current, err := w.currentDeployment(env.ID)
		if err != nil {
			return err
		}
		if err := deploy.CheckPromotion(current, d, way); err != nil {
			return err
		}
		return w.promote(env, d)
	})
	return d, err
}

// dueDeployments ends those that have taken too long.
func (e *Engine) dueDeployments(w *work) (int, error) {
	list, err := w.tx.DueDeployments(w.now, timerBatch)
	if err != nil {
		return 0, err
	}
	for _, d := range list {
		if _, err := w.decideDeployment(d, deploy.Expire{}); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}
