package store

import (
	"encoding/json"
	"errors"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

const deploymentColumns = `id, env_id, version, short_code, status, external_id, worker_id, request_key, due_at, spec, created_at`

func scanDeployment(rs row) (d deploy.Deployment, err error) {
	var status string
	err = rs.Scan(&d.ID, &d.EnvID, &d.Version, &d.ShortCode, &status, text(&d.ExternalID), text(&d.WorkerID), text(&d.Request),
		instant(&d.Due), jsonInto(&d.Spec), instant(&d.CreatedAt))
	d.Status = deploy.Status(status)
	return d, err
}

// errNoDeployment says that an environment has no deployment of that description.
var errNoDeployment = fault.New(fault.NotFound, "Deployment not found")

func (tx *Tx) oneDeployment(where string, args ...any) (deploy.Deployment, error) {
	d, err := scanDeployment(tx.QueryRow(`SELECT `+deploymentColumns+` FROM deployment WHERE `+where, args...))
	if errors.Is(err, sqldb.ErrNoRows) {
		err = errNoDeployment
	}
	return d, err
}

func (tx *Tx) queryDeployments(where string, args ...any) ([]deploy.Deployment, error) {
	rows, err := tx.Query(`SELECT `+deploymentColumns+` FROM deployment WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []deploy.Deployment
	for rows.Next() {
		d, err := scanDeployment(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// newestVersion orders rows with a version by it, newest first.
const newestVersion = ` ORDER BY substr(version, 1, 8) DESC, length(version) DESC, version DESC`

// AddDeployment stores a new deployment of a project, with the sealed variables of its
// build. A version, short code or request key that another one has is a unique
// violation (sqldb.IsUnique).
func (tx *Tx) AddDeployment(projectID string, d deploy.Deployment, buildEnv []byte) error {
	spec, err := json.Marshal(d.Spec)
	if err != nil {
		return err
	}
	var sealed any
	if buildEnv != nil {
		sealed = buildEnv
	}
	_, err = tx.Exec(`INSERT INTO deployment (id, env_id, project_id, version, short_code, status, external_id, worker_id, request_key,
		due_at, spec, build_env, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		d.ID, d.EnvID, projectID, d.Version, d.ShortCode, string(d.Status), orNull(d.ExternalID), orNull(d.WorkerID),
		orNull(d.Request), micros(d.Due), string(spec), sealed, micros(d.CreatedAt))
	return err
}

// SaveDeployment writes what commands change of a deployment.
func (tx *Tx) SaveDeployment(d deploy.Deployment) error {
	spec, err := json.Marshal(d.Spec)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE deployment SET status = $1, worker_id = $2, due_at = $3, spec = $4 WHERE id = $5`,
		string(d.Status), orNull(d.WorkerID), micros(d.Due), string(spec), d.ID)
	return err
}

// Deployment reads a deployment of an environment by its id.
func (tx *Tx) Deployment(envID, deploymentID string) (deploy.Deployment, error) {
	return tx.oneDeployment(`id = $1 AND env_id = $2`, deploymentID, envID)
}

// LockDeployment is Deployment for update.
func (tx *Tx) LockDeployment(envID, deploymentID string) (deploy.Deployment, error) {
	return tx.oneDeployment(`id = $1 AND env_id = $2 {{lock}}`, deploymentID, envID)
}

// DeploymentByVersion reads a deployment of an environment by its version.
func (tx *Tx) DeploymentByVersion(envID, version string) (deploy.Deployment, error) {
	return tx.oneDeployment(`env_id = $1 AND version = $2`, envID, version)
}

// DeploymentByRequest reads the deployment that a call began.
func (tx *Tx) DeploymentByRequest(envID, request string) (deploy.Deployment, error) {
	return tx.oneDeployment(`env_id = $1 AND request_key = $2`, envID, request)
}

// NewestDeployment reads the deployment of an environment that began last.
func (tx *Tx) NewestDeployment(envID string) (deploy.Deployment, error) {
	return tx.oneDeployment(`env_id = $1 ORDER BY id DESC LIMIT 1`, envID)
}

// CurrentDeployment reads the promoted deployment of an environment.
func (tx *Tx) CurrentDeployment(envID string) (deploy.Deployment, error) {
	return tx.oneDeployment(`id = (SELECT deployment_id FROM promotion WHERE env_id = $1 AND label = 'current')`, envID)
}

// ExternalDeployments reads up to n deployments of an environment with an external id, the highest version first.
func (tx *Tx) ExternalDeployments(envID, externalID string, n int) ([]deploy.Deployment, error) {
	return tx.queryDeployments(`env_id = $1 AND external_id = $2`+newestVersion+` LIMIT $3`, envID, externalID, n)
}

// ExternalWorkerID is the worker of the highest version that was deployed with an
// external id, ErrNoWorker when there is none.
func (tx *Tx) ExternalWorkerID(envID, externalID string) (string, error) {
	return tx.oneWorkerID(`SELECT worker_id FROM deployment
		WHERE env_id = $1 AND external_id = $2 AND status = 'DEPLOYED'`+newestVersion+` LIMIT 1`, envID, externalID)
}

// BuildVariables reads the sealed variables of a deployment's build; nil when it has none.
func (tx *Tx) BuildVariables(envID, deploymentID string) (sealed []byte, err error) {
	err = tx.QueryRow(`SELECT build_env FROM deployment WHERE id = $1 AND env_id = $2`, deploymentID, envID).Scan(&sealed)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = errNoDeployment
	}
	return sealed, err
}

// Promote makes a deployment the current one of its environment.
func (tx *Tx) Promote(d deploy.Deployment, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO promotion (env_id, label, deployment_id, promoted_at) VALUES ($1, 'current', $2, $3)
		ON CONFLICT (env_id, label) DO UPDATE SET deployment_id = excluded.deployment_id, promoted_at = excluded.promoted_at`,
		d.EnvID, d.ID, now.UnixMicro())
	return err
}

// DueDeployments reads up to n deployments that have taken too long, for update; those
// that another node handles right now are left out.
func (tx *Tx) DueDeployments(now time.Time, n int) ([]deploy.Deployment, error) {
	return tx.queryDeployments(`due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2 {{skip locked}}`, now.UnixMicro(), n)
}

// DeploymentFilter selects deployments of an environment. A zero field selects all of them.
type DeploymentFilter struct {
	EnvID    string
	Statuses []deploy.Status
	Created  Created
}

// ListDeployments reads a page of the deployments that a filter selects, newest first.
func (tx *Tx) ListDeployments(f DeploymentFilter, p Page) (List[deploy.Deployment], error) {
	q := &pick{from: "deployment", keys: []string{"id"}}
	q.is("env_id", f.EnvID)
	q.in("status", names(f.Statuses))
	q.within(f.Created)
	ids, err := q.ids(tx, p)
	if err != nil {
		return List[deploy.Deployment]{}, err
	}
	page := p.cut(ids)
	out := List[deploy.Deployment]{Next: page.Next, Previous: page.Previous}
	out.Items, err = tx.queryDeployments(`id {{in $1}} ORDER BY id DESC`, sqldb.List(page.Items))
	return out, err
}

// CurrentWorkerID is the id of the worker that runs go to which are locked to no
// version: that of the current deployment. An environment that nothing was ever
// promoted in may still have workers that registered themselves, as on a developer's
// machine: the newest of them counts then. In a development environment it is the
// other way round, because there whoever saves a file means that build to run. It is
// ErrNoWorker when there is neither.
func (tx *Tx) CurrentWorkerID(env *tenant.Environment) (string, error) {
	const promoted = `(SELECT d.worker_id FROM promotion p JOIN deployment d ON d.id = p.deployment_id
			WHERE p.env_id = $1 AND p.label = 'current')`
	const registered = `(SELECT id FROM worker WHERE env_id = $1 AND deployment_id IS NULL ORDER BY number DESC LIMIT 1)`
	query := `SELECT COALESCE(` + promoted + `, ` + registered + `)`
	if env.Type == tenant.Development {
		query = `SELECT COALESCE(` + registered + `, ` + promoted + `)`
	}
	var workerID string
	err := tx.QueryRow(query, env.ID).Scan(text(&workerID))
	if err == nil && workerID == "" {
		err = ErrNoWorker
	}
	return workerID, err
}
