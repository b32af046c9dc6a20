package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/store"
)

// populate makes runs in all the states that the rules of a store speak of.
func (r *rig) populate() {
	m := manifest("hello", "parent", "child", "narrow")
	one := 1
	m.Tasks[3].Queue = &deploy.Queue{Limit: &one}
	r.register(m)
	r.trigger(engine.Trigger{Task: "hello", Tags: []string{"a", "b"}, Payload: run.Packet{Data: strings.Repeat("x", 5000), Type: run.TypeJSON}})
	r.finish(r.begin().ID, "1")
	r.trigger(engine.Trigger{Task: "hello"})
	failing := r.begin()
	r.end(failing.ID, engine.Completion{Err: boom})
	parent := r.trigger(engine.Trigger{Task: "parent"})
	r.begin()
	r.trigger(engine.Trigger{Task: "child", ParentID: parent, ResumeParent: true})
	r.begin() // the child executes from now on
	waiting := r.trigger(engine.Trigger{Task: "hello"})
	r.begin()
	token, _, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{At: time.Now().Add(time.Hour)})
	r.ok(err)
	r.ok(r.WaitForToken(r.ctx, r.env, waiting, token.ID))
	r.trigger(engine.Trigger{Task: "narrow"})
	r.begin()
	r.trigger(engine.Trigger{Task: "narrow"}) // stays in its queue
	r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(time.Hour)})
	_, _, _, err = r.TriggerBatch(r.ctx, r.env, engine.NewBatch{RunCount: 1}, []engine.Item{{Trigger: engine.Trigger{Task: "narrow"}}})
	r.ok(err)
}

// TestAuditFinds breaks each rule by hand in a store that the engine made: the audit names
// the rule and the row, and nothing else.
func TestAuditFinds(t *testing.T) {
	t.Parallel()
	const held = `exec = 'EXECUTING' AND task = 'narrow'`
	const overdue = `UPDATE run SET due_at = 1 WHERE ` + held
	breaks := []struct{ rule, by string }{
		{"a run is finished when its status is final", `UPDATE run SET status = 'EXECUTING' WHERE exec = 'FINISHED' AND status = 'COMPLETED_WITH_ERRORS'`},
		{"a run is finished when its status is final", `UPDATE run SET status = 'CRASHED' WHERE ` + held},
		{"a finished run holds no slot, place in a queue or deadline", `UPDATE run SET slot = 1 WHERE status = 'COMPLETED_WITH_ERRORS'`},
		{"a finished run holds no slot, place in a queue or deadline", `UPDATE run SET due_at = 1 WHERE status = 'COMPLETED_WITH_ERRORS'`},
		{"a finished run has a time of its end", `UPDATE run SET completed_at = NULL WHERE status = 'COMPLETED_WITH_ERRORS'`},
		{"runs stand in a queue while they are queued", `UPDATE run SET queued = 0 WHERE exec = 'QUEUED' AND batch_id IS NULL`},
		{"who executes has a slot", `UPDATE run SET slot = 0 WHERE ` + held},
		{"who has a slot executes", `UPDATE run SET slot = 1 WHERE exec = 'DELAYED'`},
		{"what depends on somebody has a deadline", `UPDATE run SET due_at = NULL WHERE ` + held},
		{"a run has no more attempts than it may", `UPDATE run SET attempt = 4 WHERE ` + held},
		{"what is due is done", overdue},
		{"what is due is done", `UPDATE run SET due_at = 1 WHERE exec = 'DELAYED'`},
		{"what is due is done", `UPDATE waitpoint SET due_at = 1`},
		{"a worker's version is known", `UPDATE run SET worker_id = 'nobody' WHERE ` + held},
		{"a waiting run waits for something", `DELETE FROM edge WHERE kind = 'MANUAL'`},
		{"a run went through each of its snapshots once, and ended once", `DELETE FROM snapshot WHERE seq = 1 AND run_id IN (SELECT id FROM run WHERE ` + held + `)`},
		{"a run went through each of its snapshots once, and ended once", `UPDATE snapshot SET exec = 'FINISHED' WHERE seq = 1 AND run_id IN (SELECT id FROM run WHERE status = 'COMPLETED_WITH_ERRORS')`},
		{"what a run waits for is not over yet", `UPDATE waitpoint SET done = 1, completed_at = 1`},
		{"what a run waits for is not over yet", `UPDATE edge SET waitpoint_id = 'nothing' WHERE kind = 'RUN'`},
		{"who is blocked by something waits for it", `INSERT INTO edge (run_id, kind, waitpoint_id, idx, done, seq) SELECT run.id, 'MANUAL', waitpoint.id, -1, 0, 0 FROM run, waitpoint WHERE ` + held},
		{"who goes on is told what is over", `INSERT INTO edge (run_id, kind, waitpoint_id, idx, done, seq) SELECT run.id, 'MANUAL', waitpoint.id, -1, 1, 0 FROM run, waitpoint WHERE ` + held},
		{"a completed waitpoint has a time of its completion", `INSERT INTO waitpoint (id, env_id, kind, done, is_error, created_at) VALUES ('w', 'e', 'MANUAL', 1, 0, 1)`},
		{"a sealed batch has all its items once", `UPDATE batch SET run_count = 2`},
		{"what belongs to a run ends with it: run_tag", `INSERT INTO run_tag (env_id, tag, run_id) VALUES ('e', 't', 'gone')`},
		{"what belongs to a run ends with it: packet", `UPDATE packet SET run_id = 'gone'`},
		{"what belongs to a run ends with it: snapshot", `INSERT INTO snapshot (run_id, seq, exec, status, attempt, note, moved_at) VALUES ('gone', 1, 'QUEUED', 'PENDING', 0, '', 1)`},
		{"an environment executes no more runs than it may", `UPDATE env SET concurrency_limit = 1`},
		{"a queue executes no more runs than it may", `UPDATE queue SET override = 0 WHERE name = 'task/narrow'`},
	}
	onEach(t, func(t *testing.T, r *rig) {
		r.populate()
		r.stop()
		expectAudit(t, r, "", "")
		judging := func(from string) {
			r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { return tx.SetSetting(store.SettingJudging, from) }))
		}
		judging(time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)) // as an engine notes that has just begun
		expectAudit(t, r, overdue, "")
		judging("")
		for _, b := range breaks {
			expectAudit(t, r, b.by, b.rule)
		}
	})
}

// expectAudit audits a store after a statement that breaks one rule in one place, and
// undoes that.
func expectAudit(t *testing.T, r *rig, by, rule string) {
	t.Helper()
	var a store.Audit
	undo := errors.New("undo")
	err := r.st.Update(r.ctx, func(tx *store.Tx) (err error) {
		if by != "" {
			if n, err := tx.Exec(by); n != 1 {
				return fmt.Errorf("%s: %d rows changed, %w", by, n, err)
			}
		}
		if a, err = tx.Audit(time.Now(), time.Minute); err != nil {
			return err
		}
		return undo
	})
	if err != undo {
		t.Fatal(err)
	}
	var found []string
	for _, v := range a.Violations {
		found = append(found, v.Rule)
		if v.Count != 1 || len(v.Examples) != 1 || v.Examples[0] == "" {
			t.Errorf("%s: %+v", by, v)
		}
	}
	if got := strings.Join(found, "; "); got != rule {
		t.Errorf("%s: found %q, want %q", by, got, rule)
	}
	if a.Counts["run"] != 9 || a.Counts["unfinished"] > 7 || a.Counts["unfinished"] < 6 {
		t.Errorf("%s: counts: %v", by, a.Counts)
	}
}

// TestWaitForWhatIsOver: the commit that makes a run wait for something that is complete
// already leaves a row that says that it can go on. Without one a node that died right
// after that commit left the run waiting for ever.
func TestWaitForWhatIsOver(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		runID := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			return tx.AddEdges([]store.Edge{{RunID: runID, Kind: store.WaitManual, WaitpointID: "over", Index: store.NoIndex, Done: true}})
		}))
		var wakes []string
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { wakes, err = tx.WaitingUnblocks(10); return err }))
		if len(wakes) != 1 || wakes[0] != runID {
			t.Errorf("wakes %v, want %s", wakes, runID)
		}
	})
}
