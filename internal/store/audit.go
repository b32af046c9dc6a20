package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sear/internal/run"
)

// Violation is a rule that rows of the store break.
type Violation struct {
	Rule     string   `json:"rule"` // what should hold
	Count    int64    `json:"count"`
	Examples []string `json:"examples"`          // ids of some of the rows
	Passing  bool     `json:"passing,omitempty"` // it may be so for a while: a limit was lowered while runs were executing
}

// Audit is what a check of a whole store found.
type Audit struct {
	Counts     map[string]int64 `json:"counts"` // rows by table; runs that are not finished under "unfinished"
	Violations []Violation      `json:"violations"`
}

// maxExamples bounds the examples of a violation.
//
//limit:inside examples that a check names
const maxExamples = 5

// note adds a row that breaks a rule.
func (a *Audit) note(rule, id string) {
	for i := range a.Violations {
		if v := &a.Violations[i]; v.Rule == rule {
			v.Count++
			if len(v.Examples) < maxExamples {
				v.Examples = append(v.Examples, id)
			}
			return
		}
	}
	a.Violations = append(a.Violations, Violation{Rule: rule, Count: 1, Examples: []string{id}, Passing: rule == overEnv || rule == overQueue})
}

// The rules that do not hold for a while after a limit was lowered.
const (
	overEnv   = "an environment executes no more runs than it may"
	overQueue = "a queue executes no more runs than it may"
)

// Audit checks on one snapshot of the store what must hold in it at any moment, between
// any two commits, whoever has died. late is how long something may be overdue: while no
// server runs, everything may be. It reads all runs once and changes nothing.
func (s *Store) Audit(ctx context.Context, now time.Time, late time.Duration) (a Audit, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		a, err = tx.Audit(now, late)
		return err
	})
	return a, err
}

// overdue is before when deadlines, as they are stored, should have been carried out, and
// those that judge workers and command lines, which get time to report once they can be heard.
type overdue struct{ done, judged int64 }

func (tx *Tx) overdue(now time.Time, late time.Duration) (overdue, error) {
	o := overdue{done: now.Add(-late).UnixMicro()}
	text, err := tx.Setting(SettingJudging)
	if err != nil {
		return o, err
	}
	judging, _ := time.Parse(time.RFC3339Nano, text) // an error leaves the zero time: nobody was deaf
	if now.Sub(judging) > late {
		o.judged = o.done
	}
	return o, nil
}

// Audit is that of a store, in a transaction.
func (tx *Tx) Audit(now time.Time, late time.Duration) (Audit, error) {
	a := Audit{Violations: []Violation{}}
	o, err := tx.overdue(now, late)
	if err != nil {
		return a, err
	}
	for _, check := range []func(*Audit, overdue) error{tx.count, tx.auditRuns, tx.auditWaits, tx.auditOwners, tx.auditDeadlines, tx.auditSlots} {
		if err := check(&a, o); err != nil {
			return a, err
		}
	}
	return a, tx.auditBatches(&a, now.Add(-batchMemory))
}

// broken notes each row of a query: the rule that it breaks, and its id.
func (tx *Tx) broken(a *Audit, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var rule, id string
		if err := rows.Scan(&rule, &id); err != nil {
			return err
		}
		a.note(rule, id)
	}
	return rows.Err()
}

func (tx *Tx) count(a *Audit, _ overdue) (err error) {
	a.Counts, err = tx.Counts()
	return err
}

// Counts counts the rows of the tables that matter most.
func (tx *Tx) Counts() (map[string]int64, error) {
	counts := map[string]int64{}
	for _, table := range []string{"run", "snapshot", "waitpoint", "batch", "edge", "wake", "schedule", "worker", "env"} {
		var n int64
		if err := tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil {
			return nil, err
		}
		counts[table] = n
	}
	return counts, nil
}

// A rule is what must hold of a row, as the condition of one that breaks it.
type rule struct{ says, unless string }

// runRules are the rules of a run's row, those that need no other row first.
var runRules = []rule{
	{"a run is finished when its status is final", `(exec = 'FINISHED' AND NOT ` + isFinal + ` OR ` + isFinal + ` AND exec NOT IN ('FINISHED', 'PENDING_CANCEL'))`},
	{"a finished run holds no slot, place in a queue or deadline", `exec = 'FINISHED' AND (slot = 1 OR queued <> 0 OR due_at IS NOT NULL)`},
	{"a finished run has a time of its end", `exec = 'FINISHED' AND completed_at IS NULL AND expired_at IS NULL`},
	{"runs stand in a queue while they are queued", `queued <> CASE exec WHEN 'QUEUED' THEN 1 WHEN 'QUEUED_EXECUTING' THEN 2 ELSE 0 END`},
	{"who executes has a slot", `exec IN ('EXECUTING', 'PENDING_EXECUTING') AND slot = 0`},
	{"who has a slot executes", `slot = 1 AND exec NOT IN ('EXECUTING', 'PENDING_EXECUTING', 'EXECUTING_WITH_WAITPOINTS', 'PENDING_CANCEL')`},
	{"what depends on somebody has a deadline", `due_at IS NULL AND exec IN ('DELAYED', 'PENDING_EXECUTING', 'EXECUTING', 'EXECUTING_WITH_WAITPOINTS', 'QUEUED_EXECUTING', 'PENDING_CANCEL')`},
	{"a run has no more attempts than it may", `attempt > 1 AND attempt > max_attempts`},
	{"what is due is done", `due_at < $1 AND (due_at < $2 OR exec IN ('RUN_CREATED', 'DELAYED', 'QUEUED'))`},
	{"a worker's version is known", `worker_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.id = run.worker_id)`},
	{"a waiting run waits for something", `exec IN ('EXECUTING_WITH_WAITPOINTS', 'SUSPENDED')
		AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.run_id = run.id AND edge.done = 0)
		AND NOT EXISTS (SELECT 1 FROM wake WHERE wake.run_id = run.id)`},
	{"a run went through each of its snapshots once, and ended once",
		`(SELECT count(*) FROM snapshot WHERE snapshot.run_id = run.id AND snapshot.exec <> 'FINISHED') <> seq - 1`},
}

const isFinal = `status IN ('COMPLETED_SUCCESSFULLY', 'COMPLETED_WITH_ERRORS', 'CANCELED', 'CRASHED', 'SYSTEM_FAILURE', 'EXPIRED', 'TIMED_OUT', 'INTERRUPTED')`

// auditRuns reads each run once: a row is reported under the first rule it breaks.
func (tx *Tx) auditRuns(a *Audit, o overdue) error {
	var cases strings.Builder
	for i, r := range runRules {
		fmt.Fprintf(&cases, "WHEN %s THEN %d\n", r.unless, i)
	}
	rows, err := tx.Query(`SELECT id, rule FROM (SELECT id, CASE `+cases.String()+` ELSE -1 END AS rule FROM run) AS r WHERE rule >= 0`, o.done, o.judged)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var i int
		if err := rows.Scan(&id, &i); err != nil {
			return err
		}
		a.note(runRules[i].says, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var unfinished int64
	if err := tx.QueryRow(`SELECT count(*) FROM run WHERE exec <> 'FINISHED'`).Scan(&unfinished); err != nil {
		return err
	}
	a.Counts["unfinished"] = unfinished
	return nil
}

// auditWaits checks that who is blocked waits, that nobody goes on without what was waited
// for, and that what somebody waits for can still happen.
func (tx *Tx) auditWaits(a *Audit, _ overdue) error {
	err := tx.broken(a, `SELECT CASE edge.done WHEN 0 THEN 'who is blocked by something waits for it' ELSE 'who goes on is told what is over' END, run.id
		FROM edge JOIN run ON run.id = edge.run_id WHERE edge.seq = 0
		AND (edge.done = 0 AND run.exec NOT IN ('EXECUTING_WITH_WAITPOINTS', 'SUSPENDED', 'PENDING_CANCEL') OR edge.done = 1 AND run.exec = 'EXECUTING')`)
	if err != nil {
		return err
	}
	return tx.broken(a, `SELECT 'what a run waits for is not over yet', run_id FROM edge WHERE done = 0 AND CASE kind
		WHEN 'RUN' THEN NOT EXISTS (SELECT 1 FROM run WHERE run.id = edge.waitpoint_id AND run.exec <> 'FINISHED')
		WHEN 'BATCH' THEN NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = edge.waitpoint_id AND (batch.status = 'PENDING'
			OR batch.status = 'PROCESSING' AND EXISTS (SELECT 1 FROM run WHERE run.batch_id = batch.id AND run.exec <> 'FINISHED')))
		ELSE NOT EXISTS (SELECT 1 FROM waitpoint WHERE waitpoint.id = edge.waitpoint_id AND waitpoint.done = 0) END`)
}

// batchMemory is for how long the items of a batch are all there: retention deletes runs
// later than that.
const batchMemory = 24 * time.Hour

func (tx *Tx) auditBatches(a *Audit, since time.Time) error {
	return tx.broken(a, `SELECT 'a sealed batch has all its items once', id FROM batch WHERE status = 'PROCESSING' AND sealed_at > $1
		AND (SELECT count(*) FROM run WHERE run.batch_id = batch.id) + (SELECT count(*) FROM batch_item WHERE batch_item.batch_id = batch.id) <> run_count`,
		since.UnixMicro())
}

// auditOwners checks that nothing is left of runs that are gone.
func (tx *Tx) auditOwners(a *Audit, _ overdue) error {
	for _, table := range []string{"snapshot", "packet", "run_tag", "edge"} {
		err := tx.broken(a, `SELECT 'what belongs to a run ends with it: `+table+`', run_id FROM (SELECT DISTINCT run_id FROM `+table+`) AS t
			WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.id = t.run_id)`)
		if err != nil {
			return err
		}
	}
	return nil
}

// auditDeadlines checks the deadlines of all but runs.
func (tx *Tx) auditDeadlines(a *Audit, o overdue) error {
	return tx.broken(a, `SELECT 'what is due is done', id FROM waitpoint WHERE done = 0 AND due_at < $1
		UNION ALL SELECT 'what is due is done', id FROM batch WHERE due_at < $1
		UNION ALL SELECT 'what is due is done', id FROM deployment WHERE due_at < $1
		UNION ALL SELECT 'what is due is done', schedule_id FROM schedule_instance WHERE next_at < $2
		UNION ALL SELECT 'a completed waitpoint has a time of its completion', id FROM waitpoint WHERE done = 1 AND completed_at IS NULL`, o.done, o.judged)
}

// auditSlots checks that no more runs execute than the limits allow. One that was lowered
// is reported until the runs above it have ended.
func (tx *Tx) auditSlots(a *Audit, _ overdue) error {
	rows, err := tx.Query(`SELECT env.id, env.concurrency_limit, run.lane, count(*) FROM run JOIN env ON env.id = run.env_id
		WHERE run.slot = 1 GROUP BY env.id, env.concurrency_limit, run.lane`)
	if err != nil {
		return err
	}
	defer rows.Close()
	type load struct {
		env, lane   string
		limit, held int
	}
	var loads []load
	envs := map[string]int{}
	for rows.Next() {
		var l load
		if err := rows.Scan(&l.env, &l.limit, &l.lane, &l.held); err != nil {
			return err
		}
		if envs[l.env] += l.held; envs[l.env] > l.limit && envs[l.env]-l.held <= l.limit {
			a.note(overEnv, l.env)
		}
		loads = append(loads, l)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, l := range loads {
		name := run.ParseLane(l.lane).Queue
		settings, err := tx.QueueSettings(l.env, []string{name})
		if err != nil {
			return err
		}
		if limit := settings[name].Limit(l.limit); limit != nil && l.held > *limit {
			a.note(overQueue, l.lane)
		}
	}
	return nil
}
