package store

import (
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// Queue is a queue with its settings and what stands in it, all of its lanes together.
type Queue struct {
	ID           string
	Name         string
	Settings     queue.Settings
	OverriddenAt time.Time // zero without an override
	Running      int       // runs that hold a slot
	Queued       int       // runs that wait for one
}

// QueueRef names a queue of an environment: by its internal id or, if that is "", by its name.
type QueueRef struct{ ID, Name string }

const queueColumns = `id, name, paused, base_limit, override, override_pct, overridden_at`

func (q *Queue) targets(s *settingsRow) []any {
	return []any{&q.ID, &q.Name, &s.paused, &s.base, &s.runs, &s.percent, instant(&q.OverriddenAt)}
}

// errNoQueue says that no worker of the environment has declared such a queue.
var errNoQueue = fault.New(fault.NotFound, "Queue not found")

// Queue reads a queue without its counts, fault.NotFound when the environment has none like that.
func (tx *Tx) Queue(envID string, ref QueueRef) (Queue, error) {
	column, value := "id", ref.ID
	if value == "" {
		column, value = "name", ref.Name
	}
	var q Queue
	var s settingsRow
	err := tx.QueryRow(`SELECT `+queueColumns+` FROM queue WHERE env_id = $1 AND `+column+` = $2`, envID, value).Scan(q.targets(&s)...)
	if errors.Is(err, sqldb.ErrNoRows) {
		return q, errNoQueue
	}
	q.Settings = s.settings()
	return q, err
}

// CountQueue fills in the counts of a queue.
func (tx *Tx) CountQueue(envID string, q *Queue) error {
	return tx.QueryRow(`SELECT `+queueCounts+` FROM (SELECT env_id, `+ownLane+` FROM queue WHERE env_id = $1 AND id = $2) q`, envID, q.ID).
		Scan(&q.Running, &q.Queued)
}

// queueCounts are the runs of a queue q: those of its own lane, and of the lanes with
// a concurrency key, which follow the lane and a colon. The semicolon is the next
// character. Each count is a range of a partial index.
const queueCounts = `(SELECT count(*) FROM run WHERE env_id = q.env_id AND slot = 1 AND lane = q.lane)
	+ (SELECT count(*) FROM run WHERE env_id = q.env_id AND slot = 1 AND lane > q.lane || ':' AND lane < q.lane || ';'),
	(SELECT count(*) FROM run WHERE env_id = q.env_id AND queued > 0 AND queued IN (1, 2) AND lane = q.lane)
	+ (SELECT count(*) FROM run WHERE env_id = q.env_id AND queued > 0 AND queued IN (1, 2) AND lane > q.lane || ':' AND lane < q.lane || ';')`

// ownLane is the lane of a queue without a concurrency key, as [run.Lane] writes it.
const ownLane = `replace(replace(name, '%', '%25'), ':', '%3A') AS lane`

// lanes are the lane of a queue without a key, and between which those with one lie.
func lanes(queue string) (own, after, before string) {
	own = run.Lane{Queue: queue}.String()
	return own, own + ":", own + ";"
}

// shownName is the name of a queue as the API shows it and sorts by it: that of a
// task's own queue is the task's.
const shownName = `CASE kind WHEN 'task' THEN substr(name, 6) ELSE name END`

// ListQueues reads n queues of an environment with their counts, in the order of the
// names shown, after leaving out some, and how many there are altogether.
func (tx *Tx) ListQueues(envID string, leave int64, n int) (list []Queue, total int, err error) {
	if err := tx.QueryRow(`SELECT count(*) FROM queue WHERE env_id = $1`, envID).Scan(&total); err != nil || int64(total) <= leave {
		return nil, total, err
	}
	rows, err := tx.Query(`SELECT `+queueColumns+`, `+queueCounts+` FROM (
		SELECT env_id, `+ownLane+`, `+shownName+` AS shown, `+queueColumns+` FROM queue WHERE env_id = $1 ORDER BY shown, name LIMIT $2 OFFSET $3) q
		ORDER BY shown, name`, envID, n, leave)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var q Queue
		var s settingsRow
		if err := rows.Scan(append(q.targets(&s), &q.Running, &q.Queued)...); err != nil {
			return nil, 0, err
		}
		q.Settings = s.settings()
		list = append(list, q)
	}
	return list, total, rows.Err()
}

// Waiting counts the runs that stand in a queue, up to most.
func (tx *Tx) Waiting(envID, name string, most int) (n int, err error) {
	own, after, before := lanes(name)
	err = tx.QueryRow(`SELECT (SELECT count(*) FROM (SELECT 1 FROM run WHERE env_id = $1 AND queued > 0 AND queued = 1 AND lane = $2 LIMIT $5) a)
		+ (SELECT count(*) FROM (SELECT 1 FROM run WHERE env_id = $1 AND queued > 0 AND queued = 1 AND lane > $3 AND lane < $4 LIMIT $5) b)`,
		envID, own, after, before, most).Scan(&n)
	return min(n, most), err
}

// SetQueuePaused pauses or resumes a queue.
func (tx *Tx) SetQueuePaused(queueID string, paused bool) error {
	_, err := tx.Exec(`UPDATE queue SET paused = $1 WHERE id = $2`, flag(paused), queueID)
	return err
}

// OverrideQueue sets, or with nil removes, the limit that stands above the declared one.
func (tx *Tx) OverrideQueue(queueID string, o *queue.Override, now time.Time) error {
	var runs, percent, at any
	if o != nil {
		at = now.UnixMicro()
		if runs = o.Runs; o.Percent != 0 {
			runs, percent = nil, o.Percent
		}
	}
	_, err := tx.Exec(`UPDATE queue SET override = $1, override_pct = $2, overridden_at = $3 WHERE id = $4`, runs, percent, at, queueID)
	return err
}

// AdmittedRuns reads the runs of a queue that were handed out and have not started,
// for update, in ascending order of id.
func (tx *Tx) AdmittedRuns(envID, name string) ([]run.Run, error) {
	own, after, before := lanes(name)
	return tx.queryRuns(`SELECT `+runColumns+` FROM run WHERE env_id = $1 AND slot = 1 AND exec = 'PENDING_EXECUTING'
		AND (lane = $2 OR lane > $3 AND lane < $4) ORDER BY id {{lock}}`, envID, own, after, before)
}
