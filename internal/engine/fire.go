package engine

import (
	"errors"
	"strconv"
	"time"

	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/schedule"
	"sear/internal/store"
	"sear/internal/tenant"
)

// dueSchedules makes the runs of occurrences whose time has come. A run and the step of
// its instance to the next occurrence are one transaction, so that none fires twice.
func (e *Engine) dueSchedules(w *work) (int, error) { return w.occurrences((*work).fire) }

// occurrences handles what is due; fire makes the run of one.
func (w *work) occurrences(fire fireFunc) (int, error) {
	h, since, err := w.listen()
	if err != nil {
		return 0, err
	}
	list, err := w.tx.DueSchedules(w.now, timerBatch, h.Withheld)
	if err != nil {
		return 0, err
	}
	for _, d := range list {
		if err := w.occur(d, since, fire); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

type fireFunc func(w *work, env *tenant.Environment, d store.Due, rule schedule.Rule) error

// occur handles one occurrence: whatever comes of it, the instance goes on to the next,
// unless its environment is out of use or its timing means nothing any more. A command line
// that came back as soon as it could be heard, at heard, counts as having been there.
func (w *work) occur(d store.Due, heard time.Time, fire fireFunc) error {
	if d.Archived {
		return w.tx.Advance(d, time.Time{}, d.Last)
	}
	rule, err := d.Timing.Rule()
	if err != nil { // a newer list of time zones may lack this one
		if err := w.miss(d, only(d.Next), err.Error()); err != nil {
			return err
		}
		return w.tx.Advance(d, time.Time{}, d.Last)
	}
	env, err := w.e.env(w.tx, d.EnvID)
	if err != nil {
		return err
	}
	next, left := rule.After(d.Next, w.now)
	w.soon(next)
	if !d.Active {
		return w.tx.Advance(d, next, d.Last)
	}
	if env.Type == tenant.Development && w.now.Sub(d.Seen) > presentFor {
		reason := "No CLI was connected"
		if d.Next.Before(heard) {
			reason = "The server was away, and no CLI connected when it was back"
		}
		if err := w.tx.AddMiss(d.Instance, store.Miss{Gap: only(d.Next).Through(left), Reason: reason}); err != nil {
			return err
		}
		return w.tx.Advance(d, next, d.Last)
	}
	last := d.Next
	if err := w.attempt(func(w *work) error { return fire(w, env, d, rule) }); err != nil {
		if w.broken != nil || errors.Is(err, errLoads) {
			return err
		}
		last = d.Last
		if err := w.miss(d, only(d.Next), err.Error()); err != nil {
			return err
		}
	}
	if left.Count > 0 {
		d.Instance.Last = last // what is missed now was missed after it
		if err := w.miss(d, left, "No server was running"); err != nil {
			return err
		}
	}
	return w.tx.Advance(d, next, last)
}

// upcoming is how many occurrences a run is told beforehand.
const upcoming = 10

// fire makes the run of an occurrence. Its request key is the occurrence's own: should
// all else fail, the index of these keys keeps a second one out.
func (w *work) fire(env *tenant.Environment, d store.Due, rule schedule.Rule) error {
	f := schedule.Fire{Type: string(d.Type), ScheduleID: id.Friendly(id.Schedule, d.ID), ExternalID: d.ExternalID,
		Timezone: d.Timing.Timezone, At: d.Next, Last: d.Last, Upcoming: rule.Upcoming(d.Next, upcoming)}
	_, err := w.trigger(env, Trigger{
		Task: d.Task, Payload: run.Packet{Data: f.Payload(), Type: run.TypeSuper}, QueueTime: d.Next,
		Request: "schedule/" + d.ID + "/" + strconv.FormatInt(d.Next.UnixMilli(), 10),
		Extra:   run.Extra{Source: "schedule", ScheduleID: d.ID},
	})
	return err
}

// only is the gap of one occurrence.
func only(at time.Time) schedule.Gap { return schedule.Gap{From: at, To: at, Count: 1} }

// miss records occurrences that nothing came of, and logs them.
func (w *work) miss(d store.Due, g schedule.Gap, reason string) error {
	w.tx.AfterCommit(func() {
		w.e.log.Warn("a schedule missed occurrences", "schedule", id.Friendly(id.Schedule, d.ID), "env", d.EnvID,
			"task", d.Task, "from", g.From, "to", g.To, "count", g.Count, "reason", reason)
	})
	return w.tx.AddMiss(d.Instance, store.Miss{Gap: g, Reason: reason})
}
