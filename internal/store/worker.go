package store

import (
	"errors"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/sqldb"
)

// ErrNoWorker says that an environment has no worker of that description.
var ErrNoWorker = fault.New(fault.NotFound, "No worker found")

const workerColumns = `id, env_id, version, manifest, created_at`

func (tx *Tx) oneWorker(query string, args ...any) (*deploy.Worker, error) {
	var w deploy.Worker
	err := tx.QueryRow(query, args...).Scan(&w.ID, &w.EnvID, &w.Version, jsonInto(&w.Manifest), instant(&w.CreatedAt))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, ErrNoWorker
	}
	w.Manifest.Index()
	return &w, err
}

// oneWorkerID finds a worker without reading its manifest.
func (tx *Tx) oneWorkerID(query string, args ...any) (workerID string, err error) {
	err = tx.QueryRow(query, args...).Scan(&workerID)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = ErrNoWorker
	}
	return workerID, err
}

// Worker reads a worker of an environment by its id.
func (tx *Tx) Worker(envID, workerID string) (*deploy.Worker, error) {
	return tx.oneWorker(`SELECT `+workerColumns+` FROM worker WHERE id = $1 AND env_id = $2`, workerID, envID)
}

// WorkerByVersion reads a worker of an environment by its version. That of a
// deployment is found once it is deployed.
func (tx *Tx) WorkerByVersion(envID, version string) (*deploy.Worker, error) {
	workerID, err := tx.WorkerIDByVersion(envID, version)
	if err != nil {
		return nil, err
	}
	return tx.Worker(envID, workerID)
}

// WorkerIDByVersion is the id of what WorkerByVersion reads.
func (tx *Tx) WorkerIDByVersion(envID, version string) (string, error) {
	return tx.oneWorkerID(`SELECT id FROM worker WHERE env_id = $1 AND version = $2
		AND (deployment_id IS NULL OR deployment_id IN (SELECT id FROM deployment WHERE env_id = $1 AND status = 'DEPLOYED'))`, envID, version)
}

// LatestVersion is the highest version of the day that a worker or a deployment of an
// environment has, "" for none.
func (tx *Tx) LatestVersion(envID string, now time.Time) (version string, err error) {
	day := deploy.Day(now)
	err = tx.QueryRow(`SELECT version FROM (
		SELECT version FROM worker WHERE env_id = $1 AND version >= $2 AND version < $3 UNION ALL
		SELECT version FROM deployment WHERE env_id = $1 AND version >= $2 AND version < $3) AS v`+newestVersion+` LIMIT 1`,
		envID, day+".", day+"/").Scan(&version) // the slash comes after the point
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", nil
	}
	return version, err
}

// AddWorker registers a build without a deployment. A build with the content of the
// newest such worker is that worker: added is false then.
func (tx *Tx) AddWorker(envID string, m deploy.Manifest, now time.Time) (w *deploy.Worker, added bool, err error) {
	if err := tx.LockEnvironment(envID); err != nil {
		return nil, false, err
	}
	newest, err := tx.newestWorker(envID)
	switch {
	case err == nil && newest.Manifest.ContentHash == m.ContentHash:
		newest.Manifest = m
		return newest, false, nil
	case err != nil && !errors.Is(err, ErrNoWorker):
		return nil, false, err
	}
	latest, err := tx.LatestVersion(envID, now)
	if err != nil {
		return nil, false, err
	}
	w = &deploy.Worker{ID: id.New(now), EnvID: envID, Version: deploy.NextVersion(latest, now), CreatedAt: now}
	return w, true, tx.insertWorker(w, "", m)
}

// newestWorker reads the newest worker of an environment without a deployment; of its
// manifest only the hash of the content.
func (tx *Tx) newestWorker(envID string) (*deploy.Worker, error) {
	var w deploy.Worker
	err := tx.QueryRow(`SELECT id, env_id, version, content_hash, created_at FROM worker
		WHERE env_id = $1 AND deployment_id IS NULL ORDER BY number DESC LIMIT 1`, envID).
		Scan(&w.ID, &w.EnvID, &w.Version, &w.Manifest.ContentHash, instant(&w.CreatedAt))
	if errors.Is(err, sqldb.ErrNoRows) {
		err = ErrNoWorker
	}
	return &w, err
}

// AddDeploymentWorker stores the worker of a deployment, which has its version.
func (tx *Tx) AddDeploymentWorker(d deploy.Deployment, m deploy.Manifest, now time.Time) (*deploy.Worker, error) {
	w := &deploy.Worker{ID: d.WorkerID, EnvID: d.EnvID, Version: d.Version, CreatedAt: now}
	return w, tx.insertWorker(w, d.ID, m)
}

// insertWorker stores a worker and gives it its manifest. The environment must be locked.
func (tx *Tx) insertWorker(w *deploy.Worker, deploymentID string, m deploy.Manifest) error {
	if err := m.Pack(); err != nil {
		return err
	}
	w.Manifest = m
	_, err := tx.Exec(`INSERT INTO worker (id, env_id, number, version, content_hash, manifest, created_at, deployment_id)
		VALUES ($1, $2, (SELECT COALESCE(max(number), 0) + 1 FROM worker WHERE env_id = $2), $3, $4, $5, $6, $7)`,
		w.ID, w.EnvID, w.Version, m.ContentHash, m.Packed(), w.CreatedAt.UnixMicro(), orNull(deploymentID))
	return err
}
