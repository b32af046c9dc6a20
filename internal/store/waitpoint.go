package store

import (
	"encoding/json"
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// Waitpoint is a DATETIME wait or a MANUAL token.
type Waitpoint struct {
	ID, EnvID   string
	Kind        WaitKind
	Done        bool
	Output      run.Packet
	IsError     bool
	Due         time.Time // end of a DATETIME, timeout of a MANUAL
	Key         run.IdempotencyKey
	OldKey      string // the key before it expired
	Tags        []string
	Request     string // transport idempotency key of the call that made it
	CreatedAt   time.Time
	CompletedAt time.Time
}

const waitpointColumns = `id, env_id, kind, done, output, output_type, is_error, due_at, idem_key, idem_expires, old_key, tags, request_key, created_at, completed_at`

func scanWaitpoint(rs row) (Waitpoint, error) {
	var w Waitpoint
	var kind string
	err := rs.Scan(&w.ID, &w.EnvID, &kind, &w.Done, text(&w.Output.Data), text(&w.Output.Type), &w.IsError, instant(&w.Due),
		text(&w.Key.Key), instant(&w.Key.ExpiresAt), text(&w.OldKey), jsonInto(&w.Tags), text(&w.Request), instant(&w.CreatedAt), instant(&w.CompletedAt))
	w.Kind = WaitKind(kind)
	return w, err
}

func (tx *Tx) queryWaitpoints(query string, args ...any) ([]Waitpoint, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Waitpoint
	for rows.Next() {
		w, err := scanWaitpoint(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

// AddWaitpoint inserts a pending waitpoint. A key in use is a unique violation.
func (tx *Tx) AddWaitpoint(w Waitpoint) error {
	_, err := tx.Exec(`INSERT INTO waitpoint (id, env_id, kind, done, is_error, due_at, idem_key, idem_expires, tags, request_key, created_at)
		VALUES ($1, $2, $3, 0, 0, $4, $5, $6, $7, $8, $9)`,
		w.ID, w.EnvID, string(w.Kind), micros(w.Due), orNull(w.Key.Key), micros(w.Key.ExpiresAt), jsonOrNull(w.Tags), orNull(w.Request), micros(w.CreatedAt))
	return err
}

// Waitpoint reads a waitpoint of an environment, fault.NotFound when there is none.
func (tx *Tx) Waitpoint(envID, id string) (Waitpoint, error) {
	return tx.oneWaitpoint(`SELECT `+waitpointColumns+` FROM waitpoint WHERE id = $1 AND env_id = $2`, id, envID)
}

// WaitpointEnvironment is the id of the environment a waitpoint belongs to, for
// callers whose only credential is the waitpoint's own.
func (tx *Tx) WaitpointEnvironment(id string) (string, error) {
	var envID string
	err := tx.QueryRow(`SELECT env_id FROM waitpoint WHERE id = $1`, id).Scan(&envID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", fault.New(fault.NotFound, "Waitpoint not found")
	}
	return envID, err
}

// LockWaitpoint is Waitpoint for a transaction that completes it, or blocks a run with it.
func (tx *Tx) LockWaitpoint(envID, id string) (Waitpoint, error) {
	return tx.oneWaitpoint(`SELECT `+waitpointColumns+` FROM waitpoint WHERE id = $1 AND env_id = $2 {{lock}}`, id, envID)
}

// WaitpointByKey reads the waitpoint that holds an idempotency key among those of its kind.
func (tx *Tx) WaitpointByKey(envID string, kind WaitKind, key string) (Waitpoint, error) {
	return tx.oneWaitpoint(`SELECT `+waitpointColumns+` FROM waitpoint WHERE env_id = $1 AND kind = $2 AND idem_key = $3 {{lock}}`, envID, string(kind), key)
}

// WaitpointByRequest reads the waitpoint of a kind that the same transport call made.
func (tx *Tx) WaitpointByRequest(envID string, kind WaitKind, request string) (Waitpoint, error) {
	return tx.oneWaitpoint(`SELECT `+waitpointColumns+` FROM waitpoint WHERE env_id = $1 AND kind = $2 AND request_key = $3 {{lock}}`, envID, string(kind), request)
}

func (tx *Tx) oneWaitpoint(query string, args ...any) (Waitpoint, error) {
	w, err := scanWaitpoint(tx.QueryRow(query, args...))
	if errors.Is(err, sqldb.ErrNoRows) {
		return w, fault.New(fault.NotFound, "Waitpoint not found")
	}
	return w, err
}

func (tx *Tx) waitpointsByID(ids []string) (map[string]Waitpoint, error) {
	out := make(map[string]Waitpoint, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	list, err := tx.queryWaitpoints(`SELECT `+waitpointColumns+` FROM waitpoint WHERE id {{in $1}}`, sqldb.List(ids))
	for _, w := range list {
		out[w.ID] = w
	}
	return out, err
}

// ReleaseWaitpointKey takes an expired key from its waitpoint, which remembers it.
func (tx *Tx) ReleaseWaitpointKey(id string) error {
	_, err := tx.Exec(`UPDATE waitpoint SET old_key = idem_key, idem_key = NULL WHERE id = $1`, id)
	return err
}

// CompleteWaitpoint completes a pending waitpoint; done is false when it was complete already and nothing changed.
func (tx *Tx) CompleteWaitpoint(id string, out run.Packet, isError bool, now time.Time) (done bool, err error) {
	var envID string
	err = tx.QueryRow(`UPDATE waitpoint SET done = 1, output = $1, output_type = $2, is_error = $3, completed_at = $4 WHERE id = $5 AND done = 0 RETURNING env_id`,
		opaque(out.Data), orNull(out.Type), flag(isError), now.UnixMicro(), id).Scan(&envID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, tx.referTo(envID, id, out)
}

// DueWaitpoints reads up to n pending waitpoints whose time has come, for update.
func (tx *Tx) DueWaitpoints(now time.Time, n int) ([]Waitpoint, error) {
	return tx.queryWaitpoints(`SELECT `+waitpointColumns+` FROM waitpoint WHERE due_at IS NOT NULL AND done = 0 AND due_at <= $1
		ORDER BY due_at LIMIT $2 {{skip locked}}`, now.UnixMicro(), n)
}

// Result is what a finished run hands to those who wait for it.
func Result(r run.Run) (run.Packet, bool) {
	if r.Status == run.StatusCompleted {
		return r.Output, false
	}
	if r.Err == nil {
		return run.Packet{}, true
	}
	b, _ := json.Marshal(r.Err) // texts and raw JSON that was valid when it came in
	return run.Packet{Data: string(b), Type: run.TypeJSON}, true
}
