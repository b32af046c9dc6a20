package store

import (
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// BatchStatus is the stored part of a batch's status. Whether a sealed batch is
// complete follows from its runs.
type BatchStatus string

// The stored statuses of a batch.
const (
	BatchPending    BatchStatus = "PENDING"    // items may come
	BatchProcessing BatchStatus = "PROCESSING" // sealed: all items are there
	BatchAborted    BatchStatus = "ABORTED"    // given up before it was sealed
)

// Batch is a group of runs that were triggered together.
type Batch struct {
	ID, EnvID    string
	RunCount     int
	Status       BatchStatus
	Tasks        []string // sorted, of its items; none when whoever made it did not say
	ParentID     string
	ResumeParent bool // the parent waits for the whole batch
	Key          run.IdempotencyKey
	KeyOptions   *run.KeyOptions
	Request      string
	Maker        string    // the credential that made it, if it is held to scopes: it may send the items
	Due          time.Time // when it is given up unless sealed
	CreatedAt    time.Time
	UpdatedAt    time.Time
	SealedAt     time.Time
}

const batchColumns = `id, env_id, run_count, status, tasks, parent_id, resume_parent, idem_key, idem_expires, key_options, request_key, due_at, created_at, updated_at, sealed_at, maker`

func scanBatch(rs row) (Batch, error) {
	var b Batch
	var status string
	err := rs.Scan(&b.ID, &b.EnvID, &b.RunCount, &status, jsonInto(&b.Tasks), text(&b.ParentID), &b.ResumeParent, keyInto(&b.Key), instant(&b.Key.ExpiresAt),
		jsonInto(&b.KeyOptions), text(&b.Request), instant(&b.Due), instant(&b.CreatedAt), instant(&b.UpdatedAt), instant(&b.SealedAt), text(&b.Maker))
	b.Status = BatchStatus(status)
	return b, err
}

// AddBatch inserts a batch without items. A key in use is a unique violation.
func (tx *Tx) AddBatch(b Batch) error {
	options, err := encode(b.KeyOptions)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO batch (id, env_id, run_count, status, tasks, parent_id, resume_parent, idem_key, idem_expires, key_options,
		request_key, due_at, created_at, updated_at, maker) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14)`,
		b.ID, b.EnvID, b.RunCount, string(b.Status), jsonOrNull(b.Tasks), orNull(b.ParentID), flag(b.ResumeParent), orNull(b.Key.Text()), micros(b.Key.ExpiresAt),
		options, orNull(b.Request), micros(b.Due), micros(b.CreatedAt), orNull(b.Maker))
	return err
}

// LockBatch reads a batch for update, fault.NotFound when the environment has none of that id.
func (tx *Tx) LockBatch(envID, id string) (Batch, error) {
	return tx.oneBatch(`SELECT `+batchColumns+` FROM batch WHERE id = $1 AND env_id = $2 {{lock}}`, id, envID)
}

// Batch reads a batch.
func (tx *Tx) Batch(envID, id string) (Batch, error) {
	return tx.oneBatch(`SELECT `+batchColumns+` FROM batch WHERE id = $1 AND env_id = $2`, id, envID)
}

// BatchByKey reads the batch that holds an idempotency key, or that the same transport call
// made. Both are given as run.OwnKey writes them.
func (tx *Tx) BatchByKey(envID, key, request string) (Batch, error) {
	return tx.oneBatch(`SELECT `+batchColumns+` FROM batch WHERE env_id = $1 AND (idem_key = $2 OR request_key = $3) ORDER BY id LIMIT 1`,
		envID, orNull(key), orNull(request))
}

func (tx *Tx) oneBatch(query string, args ...any) (Batch, error) {
	b, err := scanBatch(tx.QueryRow(query, args...))
	if errors.Is(err, sqldb.ErrNoRows) {
		return b, fault.New(fault.NotFound, "Batch not found")
	}
	return b, err
}

// ReleaseBatchKey takes an expired idempotency key from its batch.
func (tx *Tx) ReleaseBatchKey(id string) error {
	_, err := tx.Exec(`UPDATE batch SET idem_key = NULL WHERE id = $1`, id)
	return err
}

// AdoptBatch gives a pending batch of a parent to another caller; it is false when somebody
// else was faster, or the batch is no longer pending.
func (tx *Tx) AdoptBatch(b Batch, parentID string, resumeParent bool, now time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE batch SET parent_id = $1, resume_parent = $2, updated_at = $3 WHERE id = $4 AND status = 'PENDING' AND parent_id = $5`,
		orNull(parentID), flag(resumeParent), now.UnixMicro(), b.ID, b.ParentID)
	return n > 0, err
}

// EndBatch seals or aborts a pending batch.
func (tx *Tx) EndBatch(id string, status BatchStatus, now time.Time) error {
	_, err := tx.Exec(`UPDATE batch SET status = $1, sealed_at = $2, updated_at = $2, due_at = NULL WHERE id = $3`, string(status), now.UnixMicro(), id)
	return err
}

// DueBatches reads up to n batches that nobody sealed in time, for update.
func (tx *Tx) DueBatches(now time.Time, n int) ([]Batch, error) {
	rows, err := tx.Query(`SELECT `+batchColumns+` FROM batch WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2 {{skip locked}}`,
		now.UnixMicro(), n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Batch
	for rows.Next() {
		b, err := scanBatch(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// BatchItem is an item of a batch: RunID is the run that answers it, "" when it
// could not be triggered. Own says that the item made the run.
type BatchItem struct {
	Index int
	RunID string
	Task  string
	Own   bool
	Error string
	Code  string
}

// AddBatchItems records items that made no run of their own.
func (tx *Tx) AddBatchItems(batchID string, items []BatchItem) error {
	args := make([]any, 0, 6*len(items))
	for _, i := range items {
		args = append(args, batchID, i.Index, orNull(i.RunID), i.Task, orNull(i.Error), orNull(i.Code))
	}
	_, err := tx.InsertRows(`INSERT INTO batch_item (batch_id, idx, run_id, task, error, code) VALUES {{values}} ON CONFLICT DO NOTHING`, 6, args)
	return err
}

// BatchItems are the items of a batch that have arrived, by index.
func (tx *Tx) BatchItems(batchID string) ([]BatchItem, error) {
	rows, err := tx.Query(`SELECT idx, run_id, task, own, error, code FROM (
		SELECT batch_index AS idx, id AS run_id, task, 1 AS own, NULL AS error, NULL AS code FROM run WHERE batch_id = $1
		UNION ALL
		SELECT idx, run_id, task, 0, error, code FROM batch_item WHERE batch_id = $1) AS i ORDER BY idx`, batchID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []BatchItem
	for rows.Next() {
		var i BatchItem
		if err := rows.Scan(&i.Index, text(&i.RunID), &i.Task, &i.Own, text(&i.Error), text(&i.Code)); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// BatchProgress counts the items of a batch that have arrived, and those of its runs that have not finished.
func (tx *Tx) BatchProgress(batchID string) (arrived, unfinished int, err error) {
	err = tx.QueryRow(`SELECT count(*) + (SELECT count(*) FROM batch_item WHERE batch_id = $1), count(*) FILTER (WHERE exec <> 'FINISHED')
		FROM run WHERE batch_id = $1`, batchID).Scan(&arrived, &unfinished)
	return arrived, unfinished, err
}

// BatchIndexes is the set of indexes of a batch that have arrived.
func (tx *Tx) BatchIndexes(batchID string) (map[int]bool, error) {
	rows, err := tx.Query(`SELECT batch_index FROM run WHERE batch_id = $1 UNION ALL SELECT idx FROM batch_item WHERE batch_id = $1`, batchID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int]bool{}
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return nil, err
		}
		out[i] = true
	}
	return out, rows.Err()
}
