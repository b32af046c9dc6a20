package store

import (
	"encoding/json"
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
	return &w, err
}

// NewestWorkerID is the id of the worker registered last in an environment, ErrNoWorker when there is none.
func (tx *Tx) NewestWorkerID(envID string) (string, error) {
	var workerID string
	err := tx.QueryRow(`SELECT id FROM worker WHERE env_id = $1 ORDER BY number DESC LIMIT 1`, envID).Scan(&workerID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", ErrNoWorker
	}
	return workerID, err
}

// Worker reads a worker of an environment by its id.
func (tx *Tx) Worker(envID, workerID string) (*deploy.Worker, error) {
	return tx.oneWorker(`SELECT `+workerColumns+` FROM worker WHERE id = $1 AND env_id = $2`, workerID, envID)
}

// WorkerByVersion reads a worker of an environment by its version.
func (tx *Tx) WorkerByVersion(envID, version string) (*deploy.Worker, error) {
	return tx.oneWorker(`SELECT `+workerColumns+` FROM worker WHERE env_id = $1 AND version = $2`, envID, version)
}

// AddWorker registers a build. A build with the content of the newest worker is
// that worker: added is false then.
func (tx *Tx) AddWorker(envID string, m deploy.Manifest, now time.Time) (w *deploy.Worker, added bool, err error) {
	if err := tx.LockEnvironment(envID); err != nil {
		return nil, false, err
	}
	latest := ""
	switch newest, hash, err := tx.newestWorker(envID); {
	case err == nil && hash == m.ContentHash:
		return newest, false, nil
	case err == nil:
		latest = newest.Version
	case !errors.Is(err, ErrNoWorker):
		return nil, false, err
	}
	files := m.SourceFiles
	m.SourceFiles = nil
	w = &deploy.Worker{ID: id.New(now), EnvID: envID, Version: deploy.NextVersion(latest, now), Manifest: m, CreatedAt: now}
	manifest, err := json.Marshal(m)
	if err != nil {
		return nil, false, err
	}
	if _, err := tx.Exec(`INSERT INTO worker (id, env_id, number, version, content_hash, manifest, created_at)
		VALUES ($1, $2, (SELECT COALESCE(max(number), 0) + 1 FROM worker WHERE env_id = $2), $3, $4, $5, $6)`,
		w.ID, envID, w.Version, m.ContentHash, string(manifest), now.UnixMicro()); err != nil {
		return nil, false, err
	}
	return w, true, tx.addFiles(w.ID, files)
}

func (tx *Tx) newestWorker(envID string) (*deploy.Worker, string, error) {
	workerID, err := tx.NewestWorkerID(envID)
	if err != nil {
		return nil, "", err
	}
	w, err := tx.Worker(envID, workerID)
	if err != nil {
		return nil, "", err
	}
	return w, w.Manifest.ContentHash, nil
}

func (tx *Tx) addFiles(workerID string, files []deploy.SourceFile) error {
	args := make([]any, 0, 4*len(files))
	for _, f := range files {
		args = append(args, workerID, f.FilePath, f.ContentHash, f.Contents)
	}
	_, err := tx.InsertRows(`INSERT INTO worker_file (worker_id, path, hash, contents) VALUES {{values}} ON CONFLICT DO NOTHING`, 4, args)
	return err
}
