package store

import (
	"errors"
	"fmt"
	"math"
	"time"

	"sear/internal/deploy"
	"sear/internal/id"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// Line is one of the two lines of the queue: new work, or runs that wait for their slot back.
type Line int64

// The lines.
const (
	ForWorker Line = forWorker
	ForSlot   Line = forSlot
)

// Head is a lane of the queue and the score of its first run, in milliseconds.
type Head struct {
	Lane  string
	Score int64
}

// For says which runs of a line are for the worker that asks. The zero value means all.
type For struct {
	WorkerID string
	Own      bool     // only those that are locked to it
	Tasks    []string // else none of these tasks, unless they are locked to it
	Workers  []string // nor what is locked to these workers
}

// all reports whether no run is left out.
func (f For) all() bool { return !f.Own && len(f.Tasks)+len(f.Workers) == 0 }

// maxPassed is how many runs of a lane are looked at for one that is for who asks. Behind
// more that are for others it waits until those are fewer.
//
//limit:queues Runs at the head of a queue that are for other workers than the one that asks | runs | those behind them wait
const maxPassed = 500

// where is a condition on runs, and its arguments, numbered from n.
func (f For) where(n int) (string, []any) {
	own := fmt.Sprintf(`worker_id = $%d`, n)
	if f.Own {
		return own, []any{f.WorkerID}
	}
	return fmt.Sprintf(`(%s OR NOT task {{in $%d}} AND (worker_id IS NULL OR NOT worker_id {{in $%d}}))`, own, n+1, n+2),
		[]any{f.WorkerID, sqldb.List(f.Tasks), sqldb.List(f.Workers)}
}

// Heads reads up to n lanes of an environment that hold runs, in order of their
// name after the given one: one index seek a lane, however long it is. The first run of a
// lane without one that is for who asks goes never.
func (tx *Tx) Heads(envID string, line Line, who For, after string, n int) ([]Head, error) {
	first := `SELECT min(score) FROM run WHERE env_id = $1 AND queued = $2 AND queued > 0 AND lane = lanes.lane`
	args := []any{envID, int64(line), after, n}
	if !who.all() {
		where, more := who.where(len(args) + 1)
		args = append(args, more...)
		first = fmt.Sprintf(`SELECT coalesce(min(score), %d) FROM (SELECT score, task, worker_id FROM run WHERE env_id = $1
			AND queued = $2 AND queued > 0 AND lane = lanes.lane ORDER BY score, id LIMIT %d) AS f WHERE %s`, int64(math.MaxInt64), maxPassed, where)
	}
	rows, err := tx.Query(`WITH RECURSIVE lanes(lane) AS (
		SELECT min(lane) FROM run WHERE env_id = $1 AND queued = $2 AND queued > 0 AND lane > $3
		UNION ALL
		SELECT (SELECT min(lane) FROM run WHERE env_id = $1 AND queued = $2 AND queued > 0 AND lane > lanes.lane)
		FROM lanes WHERE lanes.lane IS NOT NULL)
		SELECT lane, (`+first+`)
		FROM lanes WHERE lane IS NOT NULL LIMIT $4`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Head
	for rows.Next() {
		var h Head
		if err := rows.Scan(&h.Lane, &h.Score); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// Claimed is a run that may go now, with what its worker is told before it starts.
type Claimed struct {
	run.Run
	Test  bool
	Extra run.Extra
}

// Claim reads up to n runs of a lane that may go now and are for who asks, for update, in
// their order.
func (tx *Tx) Claim(envID string, line Line, who For, lane string, n int, now time.Time) ([]Claimed, error) {
	const from = ` FROM run WHERE env_id = $1 AND queued = $2 AND queued > 0 AND lane = $3 AND score <= $4`
	args := []any{envID, int64(line), lane, now.UnixMilli(), n}
	only := ""
	if !who.all() {
		where, more := who.where(len(args) + 1)
		args = append(args, more...)
		only = fmt.Sprintf(` AND %s AND id IN (SELECT id%s ORDER BY score, id LIMIT %d)`, where, from, maxPassed)
	}
	rows, err := tx.Query(`SELECT `+runColumns+`, is_test, extra`+from+only+` ORDER BY score, id LIMIT $5 {{skip locked}}`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Claimed
	for rows.Next() {
		var c Claimed
		if c.Run, err = scanRun(rows, &c.Test, jsonInto(&c.Extra)); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Running counts the slots each lane of an environment holds.
func (tx *Tx) Running(envID string) (map[string]int, error) {
	rows, err := tx.Query(`SELECT lane, count(*) FROM run WHERE env_id = $1 AND slot = 1 GROUP BY lane`, envID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var lane string
		var n int
		if err := rows.Scan(&lane, &n); err != nil {
			return nil, err
		}
		out[lane] = n
	}
	return out, rows.Err()
}

// EnvironmentsWaitingForSlots are the environments with runs that wait for their slot back.
func (tx *Tx) EnvironmentsWaitingForSlots() ([]string, error) {
	return tx.texts(`SELECT DISTINCT env_id FROM run WHERE exec = 'QUEUED_EXECUTING'`)
}

// QueueSettings are the limits of the queues of these names; those that no worker
// has declared are absent.
func (tx *Tx) QueueSettings(envID string, names []string) (map[string]queue.Settings, error) {
	rows, err := tx.Query(`SELECT name, paused, base_limit, override, override_pct FROM queue WHERE env_id = $1 AND name {{in $2}}`,
		envID, sqldb.List(names))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make(map[string]queue.Settings, len(names))
	for rows.Next() {
		var name string
		var s settingsRow
		if err := rows.Scan(&name, &s.paused, &s.base, &s.runs, &s.percent); err != nil {
			return nil, err
		}
		out[name] = s.settings()
	}
	return out, rows.Err()
}

// settingsRow is how the settings of a queue are stored: of an override either the
// number of runs or the percentage.
type settingsRow struct {
	paused     bool
	base, runs *int
	percent    *float64
}

func (r settingsRow) settings() queue.Settings {
	s := queue.Settings{Paused: r.paused, Declared: r.base}
	switch {
	case r.percent != nil:
		s.Override = &queue.Override{Percent: *r.percent}
	case r.runs != nil:
		s.Override = &queue.Override{Runs: *r.runs}
	}
	return s
}

// HasQueue reports whether an environment knows a queue of this name.
func (tx *Tx) HasQueue(envID, name string) (bool, error) {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM queue WHERE env_id = $1 AND name = $2`, envID, name).Scan(&one)
	if errors.Is(err, sqldb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// DeclareQueues makes the queues of a new worker known. A limit in code changes
// the base only; an override stays in force.
func (tx *Tx) DeclareQueues(envID string, queues []deploy.Queue, now time.Time) error {
	return tx.addQueues(envID, queues, now, `DO UPDATE SET base_limit = excluded.base_limit`)
}

// AddQueues makes those queues known that nobody knows yet, for a version that is not
// to change anything for others.
func (tx *Tx) AddQueues(envID string, queues []deploy.Queue, now time.Time) error {
	return tx.addQueues(envID, queues, now, `DO NOTHING`)
}

func (tx *Tx) addQueues(envID string, queues []deploy.Queue, now time.Time, known string) error {
	args := make([]any, 0, 7*len(queues))
	for _, q := range queues {
		kind := "custom"
		if deploy.Implicit(q.Name) {
			kind = "task"
		}
		var limit any
		if q.Limit != nil {
			limit = *q.Limit
		}
		args = append(args, id.New(now), envID, q.Name, kind, limit, 0, now.UnixMicro())
	}
	_, err := tx.InsertRows(`INSERT INTO queue (id, env_id, name, kind, base_limit, paused, created_at) VALUES {{values}}
		ON CONFLICT (env_id, name) `+known, 7, args)
	return err
}

// QueueID is the internal id of a queue, or "" while no worker has declared it.
func (tx *Tx) QueueID(envID, name string) (string, error) {
	var queueID string
	err := tx.QueryRow(`SELECT id FROM queue WHERE env_id = $1 AND name = $2`, envID, name).Scan(&queueID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", nil
	}
	return queueID, err
}

// LockSlots makes this transaction the only one that hands out slots of an
// environment, and returns its concurrency limit.
func (tx *Tx) LockSlots(envID string) (limit int, paused bool, err error) {
	err = tx.QueryRow(`SELECT concurrency_limit, paused FROM env WHERE id = $1 {{lock}}`, envID).Scan(&limit, &paused)
	return limit, paused, err
}

// ConcurrencyLimit is how many runs an environment may execute at once.
func (tx *Tx) ConcurrencyLimit(envID string) (limit int, err error) {
	err = tx.QueryRow(`SELECT concurrency_limit FROM env WHERE id = $1`, envID).Scan(&limit)
	return limit, err
}
