package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// runColumns are the columns that decisions need, in the order of scanRun.
const runColumns = `id, env_id, task, status, exec, seq, attempt, began, note, moved_at, wait_for, reason, call_key,
	lane, score, slot, nacks, due_at, worker_id, version, max_attempts, max_duration, machine, ttl,
	parent_id, root_id, batch_id, batch_index, depth, resume_parent, usage, created_at, updated_at,
	delay_until, queued_at, started_at, executed_at, completed_at, expired_at, output, output_type, error`

// row is what both a single row and a row of many can do.
type row interface{ Scan(dest ...any) error }

func scanRun(rs row, extra ...any) (run.Run, error) {
	var r run.Run
	var lane, status, exec string
	var failure *run.Error
	dest := append([]any{&r.ID, &r.EnvID, &r.Task, &status, &exec, &r.Seq, &r.Attempt, &r.Began, &r.Note, instant(&r.MovedAt),
		text(&r.WaitFor), text(&r.Reason), text(&r.Request), &lane, &r.Score, &r.Slot, &r.Nacks, instant(&r.Due),
		text(&r.WorkerID), text(&r.Version), &r.MaxAttempts, &r.MaxDuration, text(&r.Machine), &r.TTL,
		text(&r.ParentID), text(&r.RootID), text(&r.BatchID), &r.BatchIndex, &r.Depth, &r.ResumeParent, &r.Usage,
		instant(&r.CreatedAt), instant(&r.UpdatedAt), instant(&r.DelayUntil), instant(&r.QueuedAt), instant(&r.StartedAt),
		instant(&r.ExecutedAt), instant(&r.CompletedAt), instant(&r.ExpiredAt), text(&r.Output.Data), text(&r.Output.Type),
		jsonInto(&failure)}, extra...)
	if err := rs.Scan(dest...); err != nil {
		return run.Run{}, err
	}
	r.Status, r.Exec, r.Lane, r.Err = run.Status(status), run.Exec(exec), run.ParseLane(lane), failure
	if r.RootID == "" {
		r.RootID = r.ID
	}
	return r, nil
}

// queryRuns reads every row of a query over runColumns.
func (tx *Tx) queryRuns(query string, args ...any) ([]run.Run, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []run.Run
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// LockRuns reads the runs with these ids for update, in ascending order of id so
// that two transactions never wait for each other. Ids without a run are absent.
func (tx *Tx) LockRuns(ids []string) ([]run.Run, error) {
	if len(ids) == 1 {
		return tx.queryRuns(`SELECT `+runColumns+` FROM run WHERE id = $1 {{lock}}`, ids[0])
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return tx.queryRuns(`SELECT `+runColumns+` FROM run WHERE id {{in $1}} ORDER BY id {{lock}}`, sqldb.List(ids))
}

// Run reads a run of an environment, fault.NotFound when there is none.
func (tx *Tx) Run(envID, id string) (run.Run, error) {
	r, err := scanRun(tx.QueryRow(`SELECT `+runColumns+` FROM run WHERE id = $1 AND env_id = $2`, id, envID))
	if errors.Is(err, sqldb.ErrNoRows) {
		return r, fault.New(fault.NotFound, "Run not found")
	}
	return r, err
}

// SaveRun writes the run over its row, which must hold snapshot was.
func (tx *Tx) SaveRun(r run.Run, was int64) error {
	failure, err := encodeError(r.Err)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE run SET status = $1, exec = $2, seq = $3, attempt = $4, note = $5, moved_at = $6, began = $33,
		wait_for = $7, reason = $8, call_key = $9, queued = $10, score = $11, slot = $12, nacks = $13, due_at = $14,
		worker_id = $15, version = $16, max_attempts = $17, max_duration = $18, machine = $19, usage = $20,
		updated_at = $21, delay_until = $22, queued_at = $23, started_at = $24, executed_at = $25, completed_at = $26,
		expired_at = $27, output = $28, output_type = $29, error = $30
		WHERE id = $31 AND seq = $32`,
		string(r.Status), string(r.Exec), r.Seq, r.Attempt, r.Note, micros(r.MovedAt),
		orNull(r.WaitFor), orNull(r.Reason), orNull(r.Request), queued(r.Exec), r.Score, flag(r.Slot), r.Nacks, micros(r.Due),
		orNull(r.WorkerID), orNull(r.Version), r.MaxAttempts, r.MaxDuration, orNull(r.Machine), int64(r.Usage),
		micros(r.UpdatedAt), micros(r.DelayUntil), micros(r.QueuedAt), micros(r.StartedAt), micros(r.ExecutedAt), micros(r.CompletedAt),
		micros(r.ExpiredAt), opaque(r.Output.Data), orNull(r.Output.Type), failure,
		r.ID, was, r.Began)
	if err == nil && n != 1 {
		return fault.Newf(fault.Conflict, "run %s is no longer at snapshot %d", r.ID, was)
	}
	if err != nil {
		return err
	}
	return tx.referTo(r.EnvID, r.ID, r.Output)
}

// queued is the value of the queue column: resumed runs stand in a line of their own, before the others.
func queued(e run.Exec) int64 {
	switch e {
	case run.Queued:
		return forWorker
	case run.QueuedExecuting:
		return forSlot
	}
	return 0
}

// The two lines of the queue.
const (
	forWorker = 1
	forSlot   = 2
)

func encodeError(e *run.Error) (any, error) {
	if e == nil {
		return nil, nil
	}
	b, err := json.Marshal(e)
	return string(b), err
}

// inlinePayload is the size up to which a payload lies in its run's row. Larger
// ones would make each transition rewrite them.
const inlinePayload = 2 << 10

// NewRun is a run to be inserted.
type NewRun struct {
	Run run.Run
	Def run.Definition
}

const insertColumns = 44

// InsertRuns inserts runs as a create command made them. A key that another run
// holds is a unique violation (sqldb.IsUnique).
func (tx *Tx) InsertRuns(runs []NewRun) error {
	if tx.Postgres() && len(runs) > 1 {
		runs = byKey(runs)
	}
	args := make([]any, 0, insertColumns*len(runs))
	var packets, tags []any
	var finished []run.Run
	for i := range runs {
		r, d := &runs[i].Run, &runs[i].Def
		extra, err := json.Marshal(d.Extra)
		if err != nil {
			return err
		}
		payload := opaque(d.Payload.Data)
		if len(d.Payload.Data) > inlinePayload {
			payload = nil
			packets = append(packets, r.ID, opaque(d.Payload.Data))
		}
		for _, tag := range d.Tags {
			tags = append(tags, r.EnvID, tag, r.ID)
		}
		if r.Exec == run.Finished {
			finished = append(finished, *r)
		}
		args = append(args, r.ID, r.EnvID, r.Task, string(r.Status), string(r.Exec), r.Seq, r.Attempt, r.Began, r.Note, micros(r.MovedAt),
			queued(r.Exec), r.Lane.String(), r.Score, flag(r.Slot), r.Nacks, micros(r.Due), orNull(r.WorkerID), orNull(r.Version),
			r.MaxAttempts, r.MaxDuration, orNull(r.Machine), int64(r.TTL), orNull(r.ParentID), orNull(root(r)), orNull(r.BatchID),
			r.BatchIndex, r.Depth, flag(r.ResumeParent), int64(r.Usage), micros(r.CreatedAt), micros(r.UpdatedAt), micros(r.DelayUntil),
			micros(r.QueuedAt), flag(d.Test), jsonOrNull(d.Tags), orNull(d.Key.Text()), micros(d.Key.ExpiresAt), orNull(d.CallKey),
			string(extra), orNull(d.Extra.Region), orNull(d.Extra.ScheduleID), payload, orNull(d.Payload.Type), orNull(r.Reason))
	}
	_, err := tx.InsertRows(`INSERT INTO run (id, env_id, task, status, exec, seq, attempt, began, note, moved_at, queued, lane, score,
		slot, nacks, due_at, worker_id, version, max_attempts, max_duration, machine, ttl, parent_id, root_id, batch_id,
		batch_index, depth, resume_parent, usage, created_at, updated_at, delay_until, queued_at, is_test, tags, idem_key,
		idem_expires, request_key, extra, region, schedule_id, payload, payload_type, reason) VALUES {{values}}`, insertColumns, args)
	if err != nil {
		return err
	}
	return tx.insertAround(runs, packets, tags, finished)
}

// insertAround inserts what few runs have beside their row.
func (tx *Tx) insertAround(runs []NewRun, packets, tags []any, finished []run.Run) error {
	if _, err := tx.InsertRows(`INSERT INTO packet (run_id, data) VALUES {{values}}`, 2, packets); err != nil {
		return err
	}
	if _, err := tx.InsertRows(`INSERT INTO run_tag (env_id, tag, run_id) VALUES {{values}} ON CONFLICT DO NOTHING`, 3, tags); err != nil {
		return err
	}
	for _, r := range finished {
		if err := tx.SaveRun(r, r.Seq); err != nil {
			return err
		}
	}
	for i := range runs {
		if err := tx.referTo(runs[i].Run.EnvID, runs[i].Run.ID, runs[i].Def.Payload); err != nil {
			return err
		}
		if d := &runs[i].Def; d.Metadata.Data != "" {
			if err := tx.seedMetadata(runs[i].Run.ID, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// root is the column value of a run's root: absent on the root itself.
func root(r *run.Run) string {
	if r.RootID == r.ID {
		return ""
	}
	return r.RootID
}

// seedMetadata writes the metadata a run was triggered with, and a copy of it for its replays.
func (tx *Tx) seedMetadata(id string, d *run.Definition) error {
	_, err := tx.Exec(`UPDATE run SET metadata = $1, metadata_type = $2, seed = $1, seed_type = $2 WHERE id = $3`,
		d.Metadata.Data, d.Metadata.Type, id)
	return err
}

// Withheld are deadlines that are not looked at yet, because those whom they judge could not be heard.
type Withheld struct {
	Workers  bool      // of runs that a worker answers for, see [run.Exec.WithWorker]
	Sessions time.Time // of schedules of development environments that have not heard of a command line since then; zero: none
}

// runs restricts a query of runs.
func (h Withheld) runs() string {
	if h.Workers {
		return ` AND exec IN ('RUN_CREATED', 'DELAYED', 'QUEUED')`
	}
	return ""
}

// schedules restricts a query of instances of schedules that has the given arguments.
func (h Withheld) schedules(args ...any) (where string, all []any) {
	if h.Sessions.IsZero() {
		return "", args
	}
	return fmt.Sprintf(` AND env_id NOT IN (SELECT id FROM env WHERE type = 'DEVELOPMENT'
		AND NOT EXISTS (SELECT 1 FROM presence WHERE presence.env_id = env.id AND presence.seen_at >= $%d))`, len(args)+1), append(args, h.Sessions.UnixMicro())
}

// DueRuns reads up to n runs whose deadline has passed, for update, but those that are
// withheld; runs that another node handles right now are left out.
func (tx *Tx) DueRuns(now time.Time, n int, h Withheld) ([]run.Run, error) {
	return tx.queryRuns(`SELECT `+runColumns+` FROM run WHERE due_at IS NOT NULL AND due_at <= $1`+h.runs()+` ORDER BY due_at LIMIT $2 {{skip locked}}`,
		now.UnixMicro(), n)
}

// NextDue is the earliest deadline of any run, waitpoint, batch, deployment or schedule, but
// of those that are withheld; zero when there is none.
func (tx *Tx) NextDue(h Withheld) (time.Time, error) {
	var next time.Time
	schedules, args := h.schedules()
	err := tx.QueryRow(`SELECT min(due_at) FROM (
		SELECT min(due_at) AS due_at FROM run WHERE due_at IS NOT NULL`+h.runs()+` UNION ALL
		SELECT min(due_at) FROM waitpoint WHERE due_at IS NOT NULL AND done = 0 UNION ALL
		SELECT min(due_at) FROM batch WHERE due_at IS NOT NULL UNION ALL
		SELECT min(due_at) FROM deployment WHERE due_at IS NOT NULL UNION ALL
		SELECT min(next_at) FROM schedule_instance WHERE next_at IS NOT NULL`+schedules+`) AS d`, args...).Scan(instant(&next))
	return next, err
}

// UnfinishedChildren are the ids of a run's direct children that have not finished.
func (tx *Tx) UnfinishedChildren(parentID string) ([]string, error) {
	return tx.texts(`SELECT id FROM run WHERE parent_id = $1 AND exec <> 'FINISHED' ORDER BY id`, parentID)
}

// texts reads a query of one text column.
func (tx *Tx) texts(query string, args ...any) ([]string, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// Parked is a run that waits for a version, and the external id of the deployment
// that it waits for, if it does.
type Parked struct {
	run.Run
	External string
}

// ParkedRuns are up to n runs that wait for a version, oldest first, after the given id.
func (tx *Tx) ParkedRuns(envID, after string, n int) ([]Parked, error) {
	rows, err := tx.Query(`SELECT `+runColumns+`, extra FROM run WHERE env_id = $1 AND exec = 'RUN_CREATED' AND id > $2 ORDER BY id LIMIT $3`,
		envID, after, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Parked
	for rows.Next() {
		var p Parked
		var extra run.Extra
		if p.Run, err = scanRun(rows, jsonInto(&extra)); err != nil {
			return nil, err
		}
		if p.Reason == run.ExternalPending {
			p.External = extra.ExternalDeployment
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
