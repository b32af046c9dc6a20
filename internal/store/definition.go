package store

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// Detail is a run with everything that is stored with it.
type Detail struct {
	run.Run
	run.Definition
}

// definitionColumns are what runColumns leaves out.
const definitionColumns = `is_test, tags, idem_key, idem_expires, request_key, extra, metadata, metadata_type, seed, seed_type,
	COALESCE(payload, (SELECT data FROM packet WHERE run_id = run.id)), payload_type`

// definitionTargets are where definitionColumns go.
func definitionTargets(d *run.Definition) []any {
	return []any{&d.Test, jsonInto(&d.Tags), keyInto(&d.Key), instant(&d.Key.ExpiresAt), text(&d.CallKey), jsonInto(&d.Extra),
		text(&d.Metadata.Data), text(&d.Metadata.Type), text(&d.Seed.Data), text(&d.Seed.Type), text(&d.Payload.Data), text(&d.Payload.Type)}
}

func scanDetail(rs row) (Detail, error) {
	var d Detail
	r, err := scanRun(rs, definitionTargets(&d.Definition)...)
	d.Run = r
	return d, err
}

// Define fills in the definitions of runs that are known already.
func (tx *Tx) Define(list []*Detail) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]string, len(list))
	byID := make(map[string][]*Detail, len(list))
	for i, d := range list {
		ids[i] = d.ID
		byID[d.ID] = append(byID[d.ID], d)
	}
	rows, err := tx.Query(`SELECT id, `+definitionColumns+` FROM run WHERE id {{in $1}}`, sqldb.List(ids))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var runID string
		var def run.Definition
		if err := rows.Scan(append([]any{&runID}, definitionTargets(&def)...)...); err != nil {
			return err
		}
		for _, d := range byID[runID] {
			d.Definition = def
		}
	}
	return rows.Err()
}

// Detail reads a run with its definition, fault.NotFound when the environment has none of that id.
func (tx *Tx) Detail(envID, id string) (Detail, error) {
	d, err := scanDetail(tx.QueryRow(`SELECT `+runColumns+`, `+definitionColumns+` FROM run WHERE id = $1 AND env_id = $2`, id, envID))
	if errors.Is(err, sqldb.ErrNoRows) {
		return d, fault.New(fault.NotFound, "Run not found")
	}
	return d, err
}

// Details reads runs with their definitions, in no particular order.
func (tx *Tx) Details(ids []string) (map[string]Detail, error) {
	list, err := tx.queryDetails(`SELECT `+runColumns+`, `+definitionColumns+` FROM run WHERE id {{in $1}}`, sqldb.List(ids))
	out := make(map[string]Detail, len(list))
	for _, d := range list {
		out[d.ID] = d
	}
	return out, err
}

// Children reads the direct children of a run, oldest first.
func (tx *Tx) Children(parentID string, n int) ([]Detail, error) {
	return tx.queryDetails(`SELECT `+runColumns+`, `+definitionColumns+` FROM run WHERE parent_id = $1 ORDER BY id LIMIT $2`, parentID, n)
}

func (tx *Tx) queryDetails(query string, args ...any) ([]Detail, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Detail
	for rows.Next() {
		d, err := scanDetail(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// KeyHolder is a run that holds an idempotency key, or that a transport call made.
type KeyHolder struct {
	Run       run.Run
	ExpiresAt time.Time
}

// RunByKey reads the run of a task that holds an idempotency key, given as run.OwnKey
// writes it; nil when none does.
func (tx *Tx) RunByKey(envID, task, key string) (*KeyHolder, error) {
	var h KeyHolder
	var err error
	h.Run, err = scanRun(tx.QueryRow(`SELECT `+runColumns+`, idem_expires FROM run
		WHERE env_id = $1 AND task = $2 AND idem_key = $3`, envID, task, key), instant(&h.ExpiresAt))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	return &h, err
}

// RunByRequest is the id of the run that a transport call made, "" when none did.
func (tx *Tx) RunByRequest(envID, task, request string) (string, error) {
	var id string
	err := tx.QueryRow(`SELECT id FROM run WHERE env_id = $1 AND request_key = $2 AND task = $3`, envID, request, task).Scan(&id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// ReleaseKey takes the idempotency key, given as run.OwnKey writes it, from a run that still holds it.
func (tx *Tx) ReleaseKey(runID, key string) error {
	_, err := tx.Exec(`UPDATE run SET idem_key = NULL WHERE id = $1 AND idem_key = $2`, runID, key)
	return err
}

// ResetKey releases a key of a task, the environment's and that of each owner; released is
// false when no run held it.
func (tx *Tx) ResetKey(envID, task, key string) (released bool, err error) {
	owned := key + run.KeyMark
	n, err := tx.Exec(`UPDATE run SET idem_key = NULL WHERE env_id = $1 AND task = $2 AND (idem_key = $3
		OR idem_key > $4 AND idem_key < $5 AND length(idem_key) = $6)`,
		envID, task, key, owned, key+keyMarkEnd, utf8.RuneCountInString(owned)+run.OwnerLen)
	return n > 0, err
}

// keyMarkEnd sorts after all that begins with run.KeyMark.
const keyMarkEnd = "\x20"

// SetTags writes the tags of a run, which only ever grow but for a trailing debounce.
func (tx *Tx) SetTags(envID, runID string, tags []string, now time.Time) error {
	var old []string
	if err := tx.QueryRow(`SELECT tags FROM run WHERE id = $1`, runID).Scan(jsonInto(&old)); err != nil {
		return err
	}
	gone := slices.DeleteFunc(old, func(t string) bool { return slices.Contains(tags, t) })
	if len(gone) > 0 {
		if _, err := tx.Exec(`DELETE FROM run_tag WHERE env_id = $1 AND run_id = $2 AND tag {{in $3}}`, envID, runID, sqldb.List(gone)); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`UPDATE run SET tags = $1, updated_at = $2 WHERE id = $3`, jsonOrNull(tags), now.UnixMicro(), runID); err != nil {
		return err
	}
	args := make([]any, 0, 3*len(tags))
	for _, t := range tags {
		args = append(args, envID, t, runID)
	}
	_, err := tx.InsertRows(`INSERT INTO run_tag (env_id, tag, run_id) VALUES {{values}} ON CONFLICT DO NOTHING`, 3, args)
	return err
}

// SetMetadata replaces the metadata of a run.
func (tx *Tx) SetMetadata(runID string, m run.Packet, now time.Time) error {
	_, err := tx.Exec(`UPDATE run SET metadata = $1, metadata_type = $2, updated_at = $3 WHERE id = $4`,
		orNull(m.Data), orNull(m.Type), now.UnixMicro(), runID)
	return err
}

// SeedMetadata replaces the metadata of a run that has not started, also for its replays.
func (tx *Tx) SeedMetadata(runID string, m run.Packet, now time.Time) error {
	_, err := tx.Exec(`UPDATE run SET metadata = $1, metadata_type = $2, seed = $1, seed_type = $2, updated_at = $3 WHERE id = $4`,
		orNull(m.Data), orNull(m.Type), now.UnixMicro(), runID)
	return err
}

// SetPayload replaces the payload of a run that has not started.
func (tx *Tx) SetPayload(runID string, p run.Packet) error {
	if _, err := tx.Exec(`DELETE FROM packet WHERE run_id = $1`, runID); err != nil {
		return err
	}
	inline := opaque(p.Data)
	if len(p.Data) > inlinePayload {
		inline = nil
		if _, err := tx.Exec(`INSERT INTO packet (run_id, data) VALUES ($1, $2)`, runID, opaque(p.Data)); err != nil {
			return err
		}
	}
	var envID string
	if err := tx.QueryRow(`UPDATE run SET payload = $1, payload_type = $2 WHERE id = $3 RETURNING env_id`, inline, orNull(p.Type), runID).Scan(&envID); err != nil {
		return err
	}
	return tx.referTo(envID, runID, p)
}

// Debounced is the run that a debounce key of a task leads to, "" when none.
func (tx *Tx) Debounced(envID, task, key string) (string, error) {
	var runID string
	err := tx.QueryRow(`SELECT run_id FROM debounce WHERE env_id = $1 AND task = $2 AND key = $3 {{lock}}`, envID, task, key).Scan(&runID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", nil
	}
	return runID, err
}

// SetDebounced makes a debounce key of a task, which this transaction has found to
// lead to run was or with "" nowhere, lead to another run. Of two transactions that
// found it to lead nowhere, one gets a unique violation.
func (tx *Tx) SetDebounced(envID, task, key, runID, was string) error {
	query := `INSERT INTO debounce (env_id, task, key, run_id) VALUES ($1, $2, $3, $4)`
	if was != "" {
		query = `UPDATE debounce SET run_id = $4 WHERE env_id = $1 AND task = $2 AND key = $3`
	}
	_, err := tx.Exec(query, envID, task, key, runID)
	return err
}

// encode stores v as JSON, and a nil pointer as NULL.
func encode[T any](v *T) (any, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// LockMetadata reads the metadata of a run for update, fault.NotFound when the environment has none of that id.
func (tx *Tx) LockMetadata(envID, runID string) (run.Packet, error) {
	var p run.Packet
	err := tx.QueryRow(`SELECT metadata, metadata_type FROM run WHERE id = $1 AND env_id = $2 {{lock}}`, runID, envID).
		Scan(text(&p.Data), text(&p.Type))
	if errors.Is(err, sqldb.ErrNoRows) {
		return p, fault.New(fault.NotFound, "Task Run not found")
	}
	return p, err
}
