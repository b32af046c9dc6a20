package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// outages are the ways in which nobody hears workers for a while. Each returns once they can
// be heard again.
var outages = map[string]func(t *testing.T, r *rig, d time.Duration){
	"the server is away": func(t *testing.T, r *rig, d time.Duration) {
		r.stop()
		time.Sleep(d)
		r.start(t, engine.Options{})
	},
	"the machine sleeps": func(t *testing.T, r *rig, d time.Duration) { // that is, everything is d ago of a sudden
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			for _, s := range []string{`UPDATE run SET due_at = due_at - $1`, `UPDATE run SET delay_until = delay_until - $1`,
				`UPDATE schedule_instance SET next_at = next_at - $1`, `UPDATE presence SET seen_at = seen_at - $1`} {
				if _, err := tx.Exec(s, d.Microseconds()); err != nil {
					return err
				}
			}
			r.Slept(d)
			return nil
		}))
		r.Wake()
	},
	"the database does not answer": func(_ *testing.T, r *rig, d time.Duration) {
		r.ok(r.st.Update(r.ctx, func(*store.Tx) error { time.Sleep(d); return nil })) // there is one writer
	},
}

// held makes a run for each state in which a worker answers for it.
func (r *rig) held() map[run.Exec]string {
	runs := map[run.Exec]string{run.PendingExecuting: r.trigger(engine.Trigger{Task: "hello"})}
	r.take()
	for _, exec := range []run.Exec{run.Executing, run.Waiting, run.PendingCancel} {
		runs[exec] = r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
	}
	token, _, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{})
	r.ok(err)
	r.ok(r.WaitForToken(r.ctx, r.env, runs[run.Waiting], token.ID))
	r.ok(r.Cancel(r.ctx, r.env, runs[run.PendingCancel], "", false))
	return runs
}

// TestWorkersReportAfterAnOutage: once they can be heard again, workers get the time in which
// they report anyway; what is due for other reasons is done at once, and who does not report
// is given up then.
func TestWorkersReportAfterAnOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
				delayed := r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(9 * time.Minute)})
				vanished := r.held()
				lives := r.trigger(engine.Trigger{Task: "hello"})
				r.begin()
				outage(t, r, 10*time.Minute)

				time.Sleep(time.Second)
				if got := r.get(delayed).Exec; got != run.Queued {
					t.Errorf("a delay that is over: its run is %s", got)
				}
				time.Sleep(29 * time.Second)
				for exec, id := range vanished {
					if got := r.get(id).Exec; got != exec {
						t.Errorf("a worker that had no time to report: its run was %s and is %s", exec, got)
					}
				}
				r.ok(r.Heartbeat(r.ctx, r.env, lives, r.get(lives).Seq))

				time.Sleep(31 * time.Second)
				for exec, id := range vanished {
					if got := r.get(id).Exec; got == exec {
						t.Errorf("a worker that did not report still has its run, which is %s", got)
					}
				}
				if got := r.finish(lives, "1"); got.Status != run.StatusCompleted || got.Attempt != 1 {
					t.Errorf("a worker that reported: its run is %s in attempt %d", got.Status, got.Attempt)
				}
			})
		})
	}
}

// TestScheduleInDevelopmentAfterAnOutage: a command line that is there before and again soon
// after it gets one late fire, and the record says what was left out.
func TestScheduleInDevelopmentAfterAnOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
				r.register(scheduled(nil))
				s := r.schedule("*/10 * * * *")
				time.Sleep(9*time.Minute + 50*time.Second)
				r.ok(r.See(r.ctx, r.env))
				time.Sleep(5 * time.Second)
				outage(t, r, 20*time.Minute) // to five seconds before the third occurrence
				time.Sleep(15 * time.Second)
				r.ok(r.See(r.ctx, r.env))
				time.Sleep(15 * time.Second)
				synctest.Wait()
				fires := r.fired(s.ID)
				_, misses := r.read(s.ID)
				if len(fires) != 1 || len(misses) != 1 || misses[0].Count != 2 || misses[0].Reason != "No server was running" {
					t.Fatalf("it fired at %s and missed %+v", at(fires), misses)
				}
				if late := misses[0].From.Sub(fires[0].Timestamp); late != 10*time.Minute {
					t.Errorf("it fired for %s and missed what was %s later", fires[0].Timestamp, late)
				}
			})
		})
	}
}

// TestPostgresAwayWhileWorkersReport: heartbeats were refused while Postgres was away for
// longer than the patience with workers. Those who live report when it is back.
func TestPostgresAwayWhileWorkersReport(t *testing.T) {
	t.Parallel()
	const patience = 4 * time.Second
	cluster := pgtest.Own(t)
	r := newRig(t, cluster.URL, tenant.Production)
	r.stop()
	r.start(t, engine.Options{Timeouts: run.Timeouts{Pending: patience, Executing: patience, Cancel: patience}})
	lives, vanished := r.trigger(engine.Trigger{Task: "hello"}), r.trigger(engine.Trigger{Task: "hello"})
	r.begin()
	seq := r.begin().Seq
	r.ok(cluster.Stop())
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(patience / 4) {
		if err := r.Heartbeat(r.ctx, r.env, lives, seq); fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("a heartbeat without a database: %v", err)
		}
	}
	r.ok(cluster.Restart(false))
	time.Sleep(patience / 2) // it reports when it would have anyway, not because Postgres is back
	beating := time.Now()
	for time.Since(beating) < 2*patience {
		if err := r.Heartbeat(r.ctx, r.env, lives, seq); err != nil && fault.KindOf(err) != fault.Unavailable { // of connections that it left behind
			t.Fatal(err)
		}
		time.Sleep(patience / 4)
	}
	if got := r.get(vanished); got.Exec != run.Queued {
		t.Errorf("a worker that did not report still has its run, which is %s", got.Exec)
	}
	if got := r.finish(lives, "1"); got.Status != run.StatusCompleted || got.Attempt != 1 {
		t.Errorf("a worker that reported: its run is %s in attempt %d", got.Status, got.Attempt)
	}
}

// TestStartBesideOthers: a node that has just started holds nobody up who could hear all along.
func TestStartBesideOthers(t *testing.T) {
	t.Parallel()
	const patience = 6 * time.Second
	o := engine.Options{Timeouts: run.Timeouts{Pending: patience, Executing: patience, Cancel: patience}}
	url := pgtest.URL(t)
	r := newRig(t, url, tenant.Production)
	r.stop()
	r.start(t, o)
	vanished := r.trigger(engine.Trigger{Task: "hello"})
	r.begin()
	st, err := store.Open(r.ctx, url, nil)
	r.ok(err)
	t.Cleanup(func() { st.Close() })
	time.Sleep(patience - time.Second)
	(&rig{t: t, st: st, ctx: r.ctx}).start(t, o)
	begin := time.Now()
	r.await(vanished, run.Queued)
	if took := time.Since(begin); took > patience-time.Second {
		t.Errorf("found %s after another node started", took)
	}
}
