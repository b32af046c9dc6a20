package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/schedule"
	"sear/internal/tenant"
)

// SyncSchedules makes the declarative schedules of an environment those of the worker:
// new ones appear, changed ones change, others go unless keep says that their task is still
// another's. Those that stay as they are keep the occurrence they wait for. It returns the
// earliest occurrence, zero when there is none.
func (tx *Tx) SyncSchedules(env *tenant.Environment, w *deploy.Worker, keep func(task string) bool, now time.Time) (time.Time, error) {
	if err := tx.LockSchedules(env.ProjectID); err != nil {
		return time.Time{}, err
	}
	old, err := tx.declared(env.ID)
	if err != nil {
		return time.Time{}, err
	}
	var earliest time.Time
	for _, t := range w.Manifest.Tasks {
		if t.Schedule == nil || !declaredFor(t.Schedule, env.Type) {
			continue
		}
		timing := declaredTiming(t.Schedule)
		rule, err := timing.Rule()
		if err != nil {
			return time.Time{}, fault.Newf(fault.Invalid, "task %s: %v", t.ID, err)
		}
		scheduleID, err := tx.declare(env.ProjectID, t.ID, now)
		if err != nil {
			return time.Time{}, err
		}
		next := rule.Next(now)
		placed := Instance{Schedule: Schedule{ID: scheduleID}, EnvID: env.ID, Task: t.ID, Timing: timing, Next: next}
		if err := tx.PlaceSchedule(placed, now); err != nil {
			return time.Time{}, err
		}
		if earliest.IsZero() || next.Before(earliest) {
			earliest = next
		}
		delete(old, t.ID)
	}
	for _, task := range slices.Sorted(maps.Keys(old)) {
		if w.Manifest.Task(task) == nil && keep(task) {
			continue
		}
		if err := tx.RemoveInstance(env.ID, old[task].ID); err != nil {
			return time.Time{}, err
		}
	}
	return earliest, nil
}

// declaredFor reports whether a declaration concerns environments of a type: without a
// list it concerns all.
func declaredFor(d *deploy.Schedule, t tenant.EnvType) bool {
	return len(d.Environments) == 0 || slices.Contains(d.Environments, string(t))
}

// declaredTiming is the timing of a declaration.
func declaredTiming(d *deploy.Schedule) schedule.Timing {
	t := schedule.Timing{Cron: d.Cron, Timezone: d.Timezone}
	if t.Timezone == "" {
		t.Timezone = "UTC"
	}
	if len(d.Window) > 0 && json.Unmarshal(d.Window, &t.Window) != nil {
		t.Window = string(d.Window) // no text, and so no window: reading it says so
	}
	return t
}

// CheckSchedules names every problem with the schedules that a build declares.
func CheckSchedules(m deploy.Manifest) error {
	var problems []string
	for _, t := range m.Tasks {
		if t.Schedule == nil {
			continue
		}
		for _, problem := range declaredTiming(t.Schedule).Problems("") {
			problems = append(problems, "task "+t.ID+": "+problem)
		}
		for _, name := range t.Schedule.Environments {
			if !slices.Contains(tenant.EnvTypes, tenant.EnvType(name)) {
				problems = append(problems, "task "+t.ID+": Invalid environment '"+name+"' of its schedule")
			}
		}
	}
	if problems == nil {
		return nil
	}
	return fault.New(fault.Malformed, strings.Join(problems, "; "))
}
