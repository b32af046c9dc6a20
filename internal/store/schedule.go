package store

import (
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/schedule"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

// ScheduleType says who owns a schedule: the code, or whoever calls the API.
type ScheduleType string

// The types, spelled as the wire has them.
const (
	Declarative ScheduleType = "DECLARATIVE"
	Imperative  ScheduleType = "IMPERATIVE"
)

// Schedule is what the instances of one id have in common: the id, and the key that leads to
// it in the whole project.
type Schedule struct {
	ID, ProjectID string
	Type          ScheduleType
	Origin        string // the task it was made for; of a declarative one, the task that declares it
	Key           string // unique in the project
	UserKey       bool   // the user chose the key
	CreatedAt     time.Time
}

// Instance is a schedule in one of its environments, which it triggers a task in again and
// again. Whatever a caller can change stands here: a key of one environment reaches no other.
type Instance struct {
	Schedule
	EnvID      string
	Task       string
	ExternalID string
	Active     bool // switched on
	Timing     schedule.Timing
	Next       time.Time // the occurrence that is handled next, zero when there is none
	Last       time.Time // the occurrence that made a run last
}

// ErrNoSchedule says that an environment has no schedule of that id.
var ErrNoSchedule = fault.New(fault.NotFound, "Schedule not found")

const scheduleColumns = `s.id, s.project_id, s.type, s.task, s.dedup_key, s.user_key, s.created_at`

func scheduleTargets(s *Schedule) []any {
	return []any{&s.ID, &s.ProjectID, &s.Type, &s.Origin, &s.Key, &s.UserKey, instant(&s.CreatedAt)}
}

const instanceColumns = scheduleColumns + `, i.env_id, i.task, i.external_id, i.active, i.cron, i.timezone, i.span, i.next_at, i.last_at`

func instanceTargets(i *Instance) []any {
	return append(scheduleTargets(&i.Schedule), &i.EnvID, &i.Task, text(&i.ExternalID), &i.Active, &i.Timing.Cron, &i.Timing.Timezone,
		text(&i.Timing.Window), instant(&i.Next), instant(&i.Last))
}

func (tx *Tx) instances(query string, args ...any) ([]Instance, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Instance
	for rows.Next() {
		var i Instance
		if err := rows.Scan(instanceTargets(&i)...); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// Schedule reads a schedule as it stands in an environment, ErrNoSchedule when it has
// no instance there.
func (tx *Tx) Schedule(envID, scheduleID string) (Instance, error) {
	var i Instance
	err := tx.QueryRow(`SELECT `+instanceColumns+` FROM schedule_instance i JOIN schedule s ON s.id = i.schedule_id
		WHERE i.env_id = $1 AND i.schedule_id = $2`, envID, scheduleID).Scan(instanceTargets(&i)...)
	if errors.Is(err, sqldb.ErrNoRows) {
		return i, ErrNoSchedule
	}
	return i, err
}

// ListSchedules reads a page of the schedules of an environment, newest first, and how
// many there are on all pages.
func (tx *Tx) ListSchedules(envID string, offset, limit int) (list []Instance, count int, err error) {
	if err := tx.QueryRow(`SELECT count(*) FROM schedule_instance WHERE env_id = $1`, envID).Scan(&count); err != nil {
		return nil, 0, err
	}
	list, err = tx.instances(`SELECT `+instanceColumns+` FROM schedule_instance i JOIN schedule s ON s.id = i.schedule_id
		WHERE i.env_id = $1 ORDER BY i.schedule_id DESC LIMIT $2 OFFSET $3`, envID, limit, offset)
	return list, count, err
}

// ScheduleEnv is an environment that a schedule has an instance in.
type ScheduleEnv struct {
	ID   string
	Type tenant.EnvType
}

// ScheduleEnvs reads the environments of schedules, by the schedules' ids.
func (tx *Tx) ScheduleEnvs(ids []string) (map[string][]ScheduleEnv, error) {
	rows, err := tx.Query(`SELECT i.schedule_id, e.id, e.type FROM schedule_instance i JOIN env e ON e.id = i.env_id
		WHERE i.schedule_id {{in $1}} ORDER BY e.created_at, e.id`, sqldb.List(ids))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string][]ScheduleEnv{}
	for rows.Next() {
		var scheduleID string
		var e ScheduleEnv
		if err := rows.Scan(&scheduleID, &e.ID, &e.Type); err != nil {
			return nil, err
		}
		out[scheduleID] = append(out[scheduleID], e)
	}
	return out, rows.Err()
}

// LockSchedules makes this transaction the only one that changes what schedules a
// project has. It does not hinder those that are due.
func (tx *Tx) LockSchedules(projectID string) error {
	var found string
	return tx.QueryRow(`SELECT id FROM project WHERE id = $1 {{lock}}`, projectID).Scan(&found)
}

// ScheduleByKey reads the schedule of a project that has a deduplication key; nil when none has.
func (tx *Tx) ScheduleByKey(projectID, key string) (*Schedule, error) {
	return tx.oneSchedule(`SELECT `+scheduleColumns+` FROM schedule s WHERE s.project_id = $1 AND s.dedup_key = $2`, projectID, key)
}

func (tx *Tx) oneSchedule(query string, args ...any) (*Schedule, error) {
	var s Schedule
	err := tx.QueryRow(query, args...).Scan(scheduleTargets(&s)...)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	return &s, err
}

// AddSchedule inserts a schedule without an instance.
func (tx *Tx) AddSchedule(s Schedule) error {
	_, err := tx.Exec(`INSERT INTO schedule (id, project_id, type, task, dedup_key, user_key, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, s.ID, s.ProjectID, string(s.Type), s.Origin, s.Key, flag(s.UserKey), s.CreatedAt.UnixMicro())
	return err
}

// PlaceSchedule makes an instance, switched on. If the environment has one of that schedule,
// that goes on with its task and its switch, and has its external id and timing changed: with
// the timing that it has it waits for the occurrence that it waits for, otherwise for i.Next.
func (tx *Tx) PlaceSchedule(i Instance, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO schedule_instance (env_id, schedule_id, task, external_id, cron, timezone, span, active, next_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9)
		ON CONFLICT (env_id, schedule_id) DO UPDATE SET external_id = excluded.external_id,
		cron = excluded.cron, timezone = excluded.timezone, span = excluded.span,
		next_at = CASE WHEN schedule_instance.cron = excluded.cron AND schedule_instance.timezone = excluded.timezone
			THEN schedule_instance.next_at ELSE excluded.next_at END`,
		i.EnvID, i.ID, i.Task, orNull(i.ExternalID), i.Timing.Cron, i.Timing.Timezone, orNull(i.Timing.Window), micros(i.Next), now.UnixMicro())
	return err
}

// AssignSchedule gives an instance another task.
func (tx *Tx) AssignSchedule(envID, scheduleID, task string) error {
	_, err := tx.Exec(`UPDATE schedule_instance SET task = $1 WHERE env_id = $2 AND schedule_id = $3`, task, envID, scheduleID)
	return err
}

// SwitchSchedule switches an instance on or off.
func (tx *Tx) SwitchSchedule(envID, scheduleID string, active bool) error {
	_, err := tx.Exec(`UPDATE schedule_instance SET active = $1 WHERE env_id = $2 AND schedule_id = $3`, flag(active), envID, scheduleID)
	return err
}

// RestartSchedule makes an occurrence the next one of an instance.
func (tx *Tx) RestartSchedule(envID, scheduleID string, next time.Time) error {
	_, err := tx.Exec(`UPDATE schedule_instance SET next_at = $1 WHERE env_id = $2 AND schedule_id = $3`, micros(next), envID, scheduleID)
	return err
}

// RemoveInstance deletes an instance, and its schedule when that was the last one.
func (tx *Tx) RemoveInstance(envID, scheduleID string) error {
	for _, query := range []string{
		`DELETE FROM schedule_instance WHERE env_id = $1 AND schedule_id = $2`,
		`DELETE FROM schedule_miss WHERE env_id = $1 AND schedule_id = $2`,
	} {
		if _, err := tx.Exec(query, envID, scheduleID); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`DELETE FROM schedule WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM schedule_instance WHERE schedule_id = $1)`, scheduleID)
	return err
}

// declared reads the declarative schedules that an environment has.
func (tx *Tx) declared(envID string) (map[string]Instance, error) {
	list, err := tx.instances(`SELECT `+instanceColumns+` FROM schedule_instance i JOIN schedule s ON s.id = i.schedule_id
		WHERE i.env_id = $1 AND s.type = $2`, envID, string(Declarative))
	out := make(map[string]Instance, len(list))
	for _, i := range list {
		out[i.Task] = i
	}
	return out, err
}

// declare finds or makes the declarative schedule of a task.
func (tx *Tx) declare(projectID, task string, now time.Time) (string, error) {
	s, err := tx.oneSchedule(`SELECT `+scheduleColumns+` FROM schedule s WHERE s.project_id = $1 AND s.task = $2 AND s.type = 'DECLARATIVE'`,
		projectID, task) // the literal: only with it does SQLite take the index, which has no others
	if err != nil || s != nil {
		return s.ID, err
	}
	added := Schedule{ID: id.New(now), ProjectID: projectID, Type: Declarative, Origin: task, Key: id.New(now), CreatedAt: now}
	return added.ID, tx.AddSchedule(added)
}
