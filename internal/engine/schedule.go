package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/schedule"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Schedule is a wish for an imperative schedule.
type Schedule struct {
	Task       string
	Timing     schedule.Timing
	Key        string // deduplication key; "": one of its own
	ExternalID string
	Zones      string // address of the list of time zones, for the text of a refusal
}

// CreateSchedule makes a schedule with an instance in the environment. If the project has one
// with that deduplication key, the environment gets an instance of that one; the instance that
// it has already is changed, but goes on with its task. Those of other environments stay as they are.
func (e *Engine) CreateSchedule(ctx context.Context, env *tenant.Environment, want Schedule) (out store.Instance, err error) {
	err = e.update(ctx, func(w *work) (err error) {
		rule, err := w.checkSchedule(env, want)
		if err != nil {
			return err
		}
		if err := w.tx.LockSchedules(env.ProjectID); err != nil {
			return err
		}
		s, err := w.scheduleFor(env, want)
		if err != nil {
			return err
		}
		if err := w.placeSchedule(env, s, want, rule); err != nil {
			return err
		}
		out, err = w.tx.Schedule(env.ID, s.ID)
		return err
	})
	return out, err
}

// placeSchedule gives a schedule the instance that is wanted in an environment.
func (w *work) placeSchedule(env *tenant.Environment, s store.Schedule, want Schedule, rule schedule.Rule) error {
	next := rule.Next(w.now)
	w.soon(next)
	return w.tx.PlaceSchedule(store.Instance{
		Schedule: s, EnvID: env.ID, Task: want.Task, ExternalID: want.ExternalID, Timing: want.Timing, Next: next,
	}, w.now)
}

// scheduleFor finds the schedule that a deduplication key leads to, or makes one.
func (w *work) scheduleFor(env *tenant.Environment, want Schedule) (store.Schedule, error) {
	if want.Key != "" {
		s, err := w.tx.ScheduleByKey(env.ProjectID, want.Key)
		if err != nil {
			return store.Schedule{}, err
		}
		if s != nil {
			return *s, imperative(*s, "update")
		}
	}
	s := store.Schedule{ID: id.New(w.now), ProjectID: env.ProjectID, Type: store.Imperative, Origin: want.Task, Key: want.Key,
		UserKey: want.Key != "", CreatedAt: w.now}
	if s.Key == "" {
		s.Key = id.New(w.now)
	}
	return s, w.tx.AddSchedule(s)
}

// UpdateSchedule replaces everything about a schedule in the environment but its key.
func (e *Engine) UpdateSchedule(ctx context.Context, env *tenant.Environment, scheduleID string, want Schedule) (store.Instance, error) {
	return e.changeSchedule(ctx, env, scheduleID, "update", func(w *work, s store.Instance) error {
		rule, err := w.checkSchedule(env, want)
		if err != nil {
			return err
		}
		if err := w.placeSchedule(env, s.Schedule, want, rule); err != nil {
			return err
		}
		return w.tx.AssignSchedule(env.ID, s.ID, want.Task)
	})
}

// SetScheduleActive switches a schedule on or off in the environment. Switched on,
// it begins with the first occurrence from now.
func (e *Engine) SetScheduleActive(ctx context.Context, env *tenant.Environment, scheduleID string, active bool) (store.Instance, error) {
	verb := "deactivate"
	if active {
		verb = "activate"
	}
	return e.changeSchedule(ctx, env, scheduleID, verb, func(w *work, s store.Instance) error {
		if s.Active == active {
			return nil
		}
		if err := w.tx.SwitchSchedule(env.ID, s.ID, active); err != nil || !active {
			return err
		}
		rule, err := s.Timing.Rule()
		if err != nil {
			return err
		}
		next := rule.Next(w.now)
		w.soon(next)
		return w.tx.RestartSchedule(env.ID, s.ID, next)
	})
}

// changeSchedule changes an imperative schedule of an environment and returns what became of it.
func (e *Engine) changeSchedule(ctx context.Context, env *tenant.Environment, scheduleID, verb string, fn func(w *work, s store.Instance) error) (out store.Instance, err error) {
	err = e.update(ctx, func(w *work) error {
		if err := w.tx.LockSchedules(env.ProjectID); err != nil {
			return err
		}
		s, err := w.tx.Schedule(env.ID, scheduleID)
		if err != nil {
			return err
		}
		if err := imperative(s.Schedule, verb); err != nil {
			return err
		}
		if err := fn(w, s); err != nil {
			return err
		}
		out, err = w.tx.Schedule(env.ID, scheduleID)
		return err
	})
	return out, err
}

// DeleteSchedule deletes a schedule in the environment, and with its last instance its id.
func (e *Engine) DeleteSchedule(ctx context.Context, env *tenant.Environment, scheduleID string) error {
	return e.update(ctx, func(w *work) error {
		if err := w.tx.LockSchedules(env.ProjectID); err != nil {
			return err
		}
		s, err := w.tx.Schedule(env.ID, scheduleID)
		if err != nil {
			return err
		}
		if err := imperative(s.Schedule, "delete"); err != nil {
			return err
		}
		return w.tx.RemoveInstance(env.ID, scheduleID)
	})
}

// imperative refuses to touch what the code declares.
func imperative(s store.Schedule, verb string) error {
	if s.Type == store.Declarative {
		return fault.Newf(fault.Invalid, "Cannot %s a declarative schedule", verb)
	}
	return nil
}

// checkSchedule names everything that is wrong with a wish.
func (w *work) checkSchedule(env *tenant.Environment, want Schedule) (schedule.Rule, error) {
	problems := want.Timing.Problems(want.Zones)
	switch worker, err := w.taker(env, want.Task); {
	case err != nil && !errors.Is(err, store.ErrNoWorker):
		return schedule.Rule{}, err
	case err != nil || worker.Manifest.Task(want.Task) == nil:
		problems = append(problems, "Task with identifier "+want.Task+" not found in project.")
	case !worker.Manifest.Task(want.Task).Scheduled():
		problems = append(problems, "Task with identifier "+want.Task+" is not a scheduled task.")
	}
	if problems != nil {
		return schedule.Rule{}, fault.New(fault.Invalid, strings.Join(problems, "; "))
	}
	return want.Timing.Rule()
}

// syncSchedules makes the declarative schedules of an environment those of a worker, beside
// those of other sessions that are there.
func (w *work) syncSchedules(env *tenant.Environment, worker *deploy.Worker) error {
	load := w.loader()
	list, err := present(w.tx, env, "", w.now, func(tx *store.Tx, envID, workerID string) (*deploy.Worker, error) {
		if workerID == worker.ID { // which may not be committed yet, and is not to be remembered
			return worker, nil
		}
		return load(tx, envID, workerID)
	})
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(list, func(c candidate) bool { return related(c.Worker, worker) })
	keep := func(task string) bool { return newestWith(task, others, nil) != nil }
	next, err := w.tx.SyncSchedules(env, worker, keep, w.now)
	w.soon(next)
	return err
}

// related reports whether two workers are builds of one project, as far as can be told: no
// build says of which session it is, but that of a reload has a task of the one before.
func related(a, b *deploy.Worker) bool {
	return slices.ContainsFunc(a.Manifest.Tasks, func(t deploy.Task) bool { return b.Manifest.Task(t.ID) != nil })
}
