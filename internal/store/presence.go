package store

import (
	"errors"
	"time"

	"sear/internal/sqldb"
)

// SeePresence notes that an environment has heard of a worker.
func (tx *Tx) SeePresence(envID string, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO presence (env_id, seen_at) VALUES ($1, $2)
		ON CONFLICT (env_id) DO UPDATE SET seen_at = excluded.seen_at`, envID, now.UnixMicro())
	return err
}

// SeeWorker notes that a worker that registered itself in an environment is there, and
// forgets those that were not heard of since the given instant. came: it was one of those.
// Who is none of the environment's is not noted.
func (tx *Tx) SeeWorker(envID, workerID string, now, since time.Time) (came bool, err error) {
	var seen time.Time
	err = tx.QueryRow(`SELECT seen_at FROM worker_presence WHERE env_id = $1 AND worker_id = $2`, envID, workerID).Scan(instant(&seen))
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return false, err
	}
	if _, err := tx.Exec(`DELETE FROM worker_presence WHERE env_id = $1 AND seen_at < $2`, envID, since.UnixMicro()); err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO worker_presence (env_id, worker_id, seen_at)
		SELECT env_id, id, $3 FROM worker WHERE env_id = $1 AND id = $2 AND deployment_id IS NULL
		ON CONFLICT (env_id, worker_id) DO UPDATE SET seen_at = excluded.seen_at`, envID, workerID, now.UnixMicro())
	return n > 0 && seen.Before(since), err
}

// Present is a worker that was heard of lately.
type Present struct {
	ID     string
	Number int64     // the order in which the workers of an environment were registered
	SeenAt time.Time // zero: never
}

// PresentWorkers are up to n workers of an environment that were heard of since an instant,
// the newest first, and the one that asks, "" for none, whether or not it was.
func (tx *Tx) PresentWorkers(envID, asks string, since time.Time, n int) ([]Present, error) {
	rows, err := tx.Query(`SELECT w.id, w.number, p.seen_at FROM worker w
		LEFT JOIN worker_presence p ON p.env_id = w.env_id AND p.worker_id = w.id
		WHERE w.env_id = $1 AND w.id IN (SELECT worker_id FROM worker_presence WHERE env_id = $1 AND seen_at >= $2 UNION ALL SELECT CAST($3 AS TEXT))
		ORDER BY w.number DESC LIMIT $4`, envID, since.UnixMicro(), asks, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Present
	for rows.Next() {
		var p Present
		if err := rows.Scan(&p.ID, &p.Number, instant(&p.SeenAt)); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
