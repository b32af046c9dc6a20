package store

import (
	"encoding/json"
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
)

// BulkKind is what a bulk action does to runs.
type BulkKind string

// The kinds of bulk actions.
const (
	BulkCancel BulkKind = "CANCEL"
	BulkReplay BulkKind = "REPLAY"
)

// BulkStatus is the status of a bulk action.
type BulkStatus string

// The statuses of a bulk action.
const (
	BulkPending   BulkStatus = "PENDING"
	BulkCompleted BulkStatus = "COMPLETED"
	BulkAborted   BulkStatus = "ABORTED"
)

// Bulk is an action on many runs, and how far it has come.
type Bulk struct {
	ID, EnvID               string
	Kind                    BulkKind
	Status                  BulkStatus
	Name                    string
	Region                  string    // where to replay, "": where each run was
	Filter                  RunFilter // selects the runs
	Request                 string    // transport idempotency key of the call that created it
	LastRun                 string    // the run that was processed last; it goes on with older ones
	Total, Success, Failure int
	CreatedAt, CompletedAt  time.Time
}

const bulkColumns = `id, env_id, kind, status, name, region, filter, request_key, last_run, total, success, failure, created_at, completed_at`

func scanBulk(rs row) (Bulk, error) {
	var b Bulk
	var kind, status string
	err := rs.Scan(&b.ID, &b.EnvID, &kind, &status, text(&b.Name), text(&b.Region), jsonInto(&b.Filter), text(&b.Request), text(&b.LastRun),
		&b.Total, &b.Success, &b.Failure, instant(&b.CreatedAt), instant(&b.CompletedAt))
	b.Kind, b.Status = BulkKind(kind), BulkStatus(status)
	return b, err
}

func (tx *Tx) oneBulk(query string, args ...any) (Bulk, error) {
	b, err := scanBulk(tx.QueryRow(query, args...))
	if errors.Is(err, sqldb.ErrNoRows) {
		return b, fault.New(fault.NotFound, "Bulk action not found")
	}
	return b, err
}

// AddBulk inserts a bulk action.
func (tx *Tx) AddBulk(b Bulk) error {
	filter, err := json.Marshal(b.Filter)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO bulk (`+bulkColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		b.ID, b.EnvID, string(b.Kind), string(b.Status), orNull(b.Name), orNull(b.Region), string(filter), orNull(b.Request), orNull(b.LastRun),
		b.Total, b.Success, b.Failure, micros(b.CreatedAt), micros(b.CompletedAt))
	return err
}

// Bulk reads a bulk action, fault.NotFound when the environment has none of that id.
func (tx *Tx) Bulk(envID, id string) (Bulk, error) {
	return tx.oneBulk(`SELECT `+bulkColumns+` FROM bulk WHERE id = $1 AND env_id = $2`, id, envID)
}

// BulkByRequest is the id of the bulk action that a call created, "" when there is none.
func (tx *Tx) BulkByRequest(envID, request string) (string, error) {
	ids, err := tx.texts(`SELECT id FROM bulk WHERE env_id = $1 AND request_key = $2`, envID, request)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// LockBulk reads a bulk action for update, as Bulk does.
func (tx *Tx) LockBulk(envID, id string) (Bulk, error) {
	return tx.oneBulk(`SELECT `+bulkColumns+` FROM bulk WHERE id = $1 AND env_id = $2 {{lock}}`, id, envID)
}

// ClaimBulk reads a pending bulk action for update, fault.NotFound when there is none
// of that id or another transaction is at it.
func (tx *Tx) ClaimBulk(id string) (Bulk, error) {
	return tx.oneBulk(`SELECT `+bulkColumns+` FROM bulk WHERE id = $1 AND status = 'PENDING' {{skip locked}}`, id)
}

// SaveBulk writes how far a bulk action has come.
func (tx *Tx) SaveBulk(b Bulk) error {
	_, err := tx.Exec(`UPDATE bulk SET status = $1, last_run = $2, success = $3, failure = $4, completed_at = $5 WHERE id = $6`,
		string(b.Status), orNull(b.LastRun), b.Success, b.Failure, micros(b.CompletedAt), b.ID)
	return err
}

// PendingBulks are the bulk actions that have not ended.
func (tx *Tx) PendingBulks() ([]string, error) {
	return tx.texts(`SELECT id FROM bulk WHERE status = 'PENDING'`)
}

// CountPendingBulks counts the bulk actions of a kind in an environment that have not ended.
func (tx *Tx) CountPendingBulks(envID string, kind BulkKind) (n int, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM bulk WHERE env_id = $1 AND kind = $2 AND status = 'PENDING'`, envID, string(kind)).Scan(&n)
	return n, err
}

// BulkRuns reads the next n runs of a bulk action; more says that there are others
// after them. Runs that the action has made are none of them.
func (tx *Tx) BulkRuns(b Bulk, n int) (ids []string, more bool, err error) {
	f := b.Filter
	f.without = b.ID
	ids, err = tx.runIDs(f, Page{Size: n, After: b.LastRun})
	return ids[:min(n, len(ids))], len(ids) > n, err
}

// AddBulkRuns records which runs belong to a bulk action.
func (tx *Tx) AddBulkRuns(bulkID string, runIDs []string) error {
	args := make([]any, 0, 2*len(runIDs))
	for _, runID := range runIDs {
		args = append(args, bulkID, runID)
	}
	_, err := tx.InsertRows(`INSERT INTO bulk_run (bulk_id, run_id) VALUES {{values}} ON CONFLICT DO NOTHING`, 2, args)
	return err
}

// ListBulks reads a page of the bulk actions of an environment, newest first.
func (tx *Tx) ListBulks(envID string, p Page) (List[Bulk], error) {
	q := &pick{from: "bulk", keys: []string{"id"}}
	q.is("env_id", envID)
	ids, err := q.ids(tx, p)
	if err != nil {
		return List[Bulk]{}, err
	}
	page := p.cut(ids)
	out := List[Bulk]{Next: page.Next, Previous: page.Previous}
	if len(page.Items) == 0 {
		return out, nil
	}
	rows, err := tx.Query(`SELECT `+bulkColumns+` FROM bulk WHERE id {{in $1}} ORDER BY id DESC`, sqldb.List(page.Items))
	if err != nil {
		return out, err
	}
	defer rows.Close()
	for rows.Next() {
		b, err := scanBulk(rows)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, b)
	}
	return out, rows.Err()
}
