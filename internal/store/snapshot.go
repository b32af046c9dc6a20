package store

import (
	"time"

	"sear/internal/run"
)

// Snapshot is one line of a run's execution log.
type Snapshot struct {
	RunID    string
	Seq      int64
	Exec     run.Exec
	Status   run.Status
	Attempt  int
	Note     string
	WaitFor  string // batch the run waits for in this snapshot
	WorkerID string
	At       time.Time
}

// SnapshotOf is the newest snapshot of r, which its row holds.
func SnapshotOf(r run.Run) Snapshot {
	return Snapshot{RunID: r.ID, Seq: r.Seq, Exec: r.Exec, Status: r.Status, Attempt: r.Attempt, Note: r.Note,
		WaitFor: r.WaitFor, WorkerID: r.WorkerID, At: r.MovedAt}
}

// LogSnapshots appends superseded snapshots to the log.
func (tx *Tx) LogSnapshots(list []Snapshot) error {
	args := make([]any, 0, 9*len(list))
	for _, s := range list {
		args = append(args, s.RunID, s.Seq, string(s.Exec), string(s.Status), s.Attempt, s.Note, orNull(s.WaitFor),
			orNull(s.WorkerID), micros(s.At))
	}
	_, err := tx.InsertRows(`INSERT INTO snapshot (run_id, seq, exec, status, attempt, note, wait_for, worker_id, moved_at)
		VALUES {{values}}`, 9, args)
	return err
}

// SnapshotsSince reads up to n superseded snapshots of a run after seq, oldest first. The newest is in the run's row.
func (tx *Tx) SnapshotsSince(runID string, seq int64, n int) ([]Snapshot, error) {
	return tx.querySnapshots(`SELECT `+snapshotColumns+` FROM snapshot WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, runID, seq, n)
}

const snapshotColumns = `run_id, seq, exec, status, attempt, note, wait_for, worker_id, moved_at`

func (tx *Tx) querySnapshots(query string, args ...any) ([]Snapshot, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Snapshot
	for rows.Next() {
		var s Snapshot
		var exec, status string
		if err := rows.Scan(&s.RunID, &s.Seq, &exec, &status, &s.Attempt, &s.Note, text(&s.WaitFor), text(&s.WorkerID),
			instant(&s.At)); err != nil {
			return nil, err
		}
		s.Exec, s.Status = run.Exec(exec), run.Status(status)
		out = append(out, s)
	}
	return out, rows.Err()
}
