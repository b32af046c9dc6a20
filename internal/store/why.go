package store

import (
	"errors"
	"strconv"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/sqldb"
	"sear/internal/tenant"
	"sear/internal/why"
)

// Bounds of what is looked at to explain a run.
const (
	//limit:inside how many examples an answer names
	maxHolders = 5
	//limit:inside likewise
	maxWaits     = 20
	recentRuns   = 200 // of the environment, among which those of the queue are looked for
	recentOfLane = 50
)

// Why gathers what explains whether and why a run does not execute; fault.NotFound when
// the environment has none of that id. Each of its queries reads an index, and no more of
// it than the queue before the run.
func (tx *Tx) Why(envID, runID string, now time.Time) (why.Facts, error) {
	r, err := tx.Run(envID, runID)
	if err != nil {
		return why.Facts{}, err
	}
	f := why.Facts{ID: id.Friendly(id.Run, r.ID), Run: r, Now: now}
	switch r.Exec {
	case run.Waiting, run.Suspended:
		f.Waits, err = tx.waits(r.ID)
	case run.Queued, run.QueuedExecuting:
		err = tx.whyQueued(&f)
	case run.Created:
		var env *tenant.Environment
		if env, err = tx.Environment(r.EnvID); err == nil {
			f.Dev = env.Type == tenant.Development
		}
	}
	return f, err
}

// WhyAnywhere is Why for a run of any environment.
func (tx *Tx) WhyAnywhere(runID string, now time.Time) (why.Facts, error) {
	var envID string
	err := tx.QueryRow(`SELECT env_id FROM run WHERE id = $1`, runID).Scan(&envID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return why.Facts{}, fault.New(fault.NotFound, "Run not found")
	}
	if err != nil {
		return why.Facts{}, err
	}
	return tx.Why(envID, runID, now)
}

func (tx *Tx) whyQueued(f *why.Facts) error {
	env, err := tx.Environment(f.Run.EnvID)
	if err != nil {
		return err
	}
	f.Limit, f.EnvPaused = env.ConcurrencyLimit, env.Paused
	held, err := tx.Setting(SettingHeld)
	if err != nil {
		return err
	}
	f.Held = held != ""
	settings, err := tx.QueueSettings(env.ID, []string{f.Run.Lane.Queue})
	if err != nil {
		return err
	}
	f.Queue = settings[f.Run.Lane.Queue]
	if f.Env, err = tx.holders(`env_id = $1 AND slot = 1`, env.ID); err != nil {
		return err
	}
	if f.Lane, err = tx.holders(`env_id = $1 AND slot = 1 AND lane = $2`, env.ID, f.Run.Lane.String()); err != nil {
		return err
	}
	if f.Run.Exec == run.QueuedExecuting {
		return nil
	}
	err = tx.QueryRow(`SELECT seen_at FROM presence WHERE env_id = $1`, env.ID).Scan(instant(&f.Seen))
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return err
	}
	if f.Run.WorkerID == "" {
		if err := tx.whyVersion(env, f); err != nil {
			return err
		}
	}
	err = tx.QueryRow(`SELECT count(*) FROM run WHERE env_id = $1 AND queued = 1 AND queued > 0 AND lane = $2
		AND (score < $3 OR score = $3 AND id < $4)`, env.ID, f.Run.Lane.String(), f.Run.Score, f.Run.ID).Scan(&f.Ahead)
	if err != nil {
		return err
	}
	f.Durations, err = tx.durations(env.ID, f.Run.Lane.Queue)
	return err
}

// maxSessions is how many workers are looked at for the one that is to take a run.
//
//limit:inside sessions of an environment that an answer takes into account, the newest first
const maxSessions = 16

// whyVersion finds which version a run without one goes to.
func (tx *Tx) whyVersion(env *tenant.Environment, f *why.Facts) error {
	currentID, err := tx.CurrentWorkerID(env)
	if fault.Is(err, fault.NotFound) {
		f.Missing = run.NoWorker
		return nil
	}
	if f.Dev = env.Type == tenant.Development; err != nil || !f.Dev {
		return err
	}
	list, err := tx.PresentWorkers(env.ID, currentID, f.Now.Add(-deploy.PresentFor), maxSessions)
	if err != nil {
		return err
	}
	for _, p := range list {
		worker, err := tx.Worker(env.ID, p.ID)
		if err != nil {
			return err
		}
		if worker.Manifest.Task(f.Run.Task) == nil {
			continue
		}
		if p.ID != currentID {
			f.Session = worker.Version
		}
		return nil
	}
	return nil
}

// holders counts runs and names some of them.
func (tx *Tx) holders(where string, args ...any) (h why.Holders, err error) {
	if err := tx.QueryRow(`SELECT count(*) FROM run WHERE `+where, args...).Scan(&h.N); err != nil {
		return h, err
	}
	ids, err := tx.texts(`SELECT id FROM run WHERE `+where+` LIMIT `+strconv.Itoa(maxHolders), args...)
	for _, internal := range ids {
		h.Runs = append(h.Runs, id.Friendly(id.Run, internal))
	}
	return h, err
}

// durations are how long the newest finished runs of a queue executed.
func (tx *Tx) durations(envID, queue string) ([]time.Duration, error) {
	rows, err := tx.Query(`SELECT lane, executed_at, completed_at FROM (
		SELECT lane, executed_at, completed_at FROM run WHERE env_id = $1 ORDER BY id DESC LIMIT $2) AS r
		WHERE executed_at IS NOT NULL AND completed_at IS NOT NULL`, envID, recentRuns)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []time.Duration
	for rows.Next() {
		var lane string
		var from, to time.Time
		if err := rows.Scan(&lane, instant(&from), instant(&to)); err != nil {
			return nil, err
		}
		if run.ParseLane(lane).Queue == queue && len(list) < recentOfLane {
			list = append(list, to.Sub(from))
		}
	}
	return list, rows.Err()
}

// waits are the waitpoints that still block a run. Of a batch whose runs are waited for
// one by one, the batch is named.
func (tx *Tx) waits(runID string) ([]why.Wait, error) {
	rows, err := tx.Query(`SELECT DISTINCT CASE WHEN batch_id IS NULL THEN kind ELSE 'BATCH' END, coalesce(batch_id, waitpoint_id) FROM edge
		WHERE run_id = $1 AND done = 0 LIMIT $2`, runID, maxWaits)
	if err != nil {
		return nil, err
	}
	type edge struct{ kind, id string }
	var edges []edge
	for rows.Next() {
		var e edge
		if err := rows.Scan(&e.kind, &e.id); err != nil {
			return nil, err
		}
		edges = append(edges, e)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var list []why.Wait
	for _, e := range edges {
		w, err := tx.wait(runID, WaitKind(e.kind), e.id)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

// wait is one of the waitpoints that block a run.
func (tx *Tx) wait(runID string, kind WaitKind, waitpointID string) (w why.Wait, err error) {
	switch kind {
	case WaitRun:
		w.Run = id.Friendly(id.Run, waitpointID)
	case WaitBatch:
		w.Batch = id.Friendly(id.Batch, waitpointID)
		err = tx.QueryRow(`SELECT run_count, run_count - (SELECT count(*) FROM edge WHERE run_id = $1 AND batch_id = batch.id AND done = 0) FROM batch
			WHERE id = $2`, runID, waitpointID).Scan(&w.All, &w.Done)
	default:
		var due time.Time
		err = tx.QueryRow(`SELECT due_at FROM waitpoint WHERE id = $1`, waitpointID).Scan(instant(&due))
		if kind == WaitDatetime {
			w.Until = due
		} else {
			w.Token, w.Timeout = id.Friendly(id.Waitpoint, waitpointID), due
		}
	}
	return w, err
}
