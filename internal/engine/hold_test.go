package engine_test

import (
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/schedule"
	"sear/internal/store"
	"sear/internal/tenant"
)

// TestHold: while a store is held no delay ends, no wait, no schedule fires, and nothing is
// handed out, however long; after that each happens once, and whoever had a run of it gets
// time to report.
func TestHold(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		m := manifest("hello", "cron")
		m.Tasks[1].TriggerSource = "schedule"
		r.register(m)
		delayed := r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(time.Hour)})
		waits := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		_, err := r.WaitFor(r.ctx, r.env, waits, engine.NewWaitpoint{At: time.Now().Add(time.Minute)})
		r.ok(err)
		_, err = r.CreateSchedule(r.ctx, r.env, engine.Schedule{Task: "cron", Timing: schedule.Timing{Cron: "0 * * * *", Timezone: "UTC"}, Key: "k"})
		r.ok(err)
		queued := r.trigger(engine.Trigger{Task: "hello"})
		r.stop()
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { return tx.SetSetting(store.SettingHeld, "yes") }))
		r.start(t, engine.Options{})

		late := r.trigger(engine.Trigger{Task: "hello"}) // is taken
		time.Sleep(3 * time.Hour)
		for id, want := range map[string]run.Exec{delayed: run.Delayed, waits: run.Waiting, queued: run.Queued, late: run.Queued} {
			if got := r.get(id).Exec; got != want {
				t.Errorf("while it is held a run that was %s is %s", want, got)
			}
		}
		if list, err := r.Dequeue(r.ctx, r.env, "", 10); err != nil || len(list) > 0 {
			t.Errorf("while it is held %d runs were handed out, %v", len(list), err)
		}
		if n := r.count("run"); n != 4 {
			t.Errorf("%d runs, a schedule fired", n)
		}
		r.ok(r.Resume(r.ctx))
		time.Sleep(time.Minute)
		list, err := r.Dequeue(r.ctx, r.env, "", 10)
		r.ok(err)
		fired := 0
		for _, d := range list {
			if d.Run.Task == "cron" {
				fired++
			}
		}
		if len(list) != 4 || fired != 1 { // what was queued, late and delayed, and the schedule
			t.Errorf("after it: %d handed out, of which %d of the schedule", len(list), fired)
		}
		if got := r.get(waits).Exec; got != run.Executing {
			t.Errorf("a worker that had no time to report was given up: its run is %s", got)
		}
		time.Sleep(run.DefaultTimeouts.Executing)
		if got := r.get(waits).Exec; got != run.Queued {
			t.Errorf("a worker that never reported still has its run: it is %s", got)
		}
	})
}

func (r *rig) count(table string) (n int) {
	r.t.Helper()
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n) }))
	return n
}
