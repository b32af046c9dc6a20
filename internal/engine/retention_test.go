package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

const day = 24 * time.Hour

// packets is a packet store that is away when it is first asked to delete something.
type packets struct {
	mu    sync.Mutex
	asked bool
	gone  []string
}

func (p *packets) Delete(_ context.Context, _, path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked {
		p.asked = true
		return errors.New("away")
	}
	p.gone = append(p.gone, path)
	return nil
}

// TestRetention lets forty days pass: what ended thirty days ago is deleted with all that
// belongs to it, and nothing that somebody who lives may still look at.
func TestRetention(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.stop()
		gone := &packets{}
		r.start(t, engine.Options{Retention: 30 * day, Packets: gone, Patience: time.Hour})
		stored := func(path string) run.Packet { return run.Packet{Data: path, Type: run.TypeStore} }
		one := func(tr engine.Trigger) string {
			tr.Task = "hello"
			id := r.trigger(tr)
			r.finish(r.begin().ID, "1")
			return id
		}
		old := []string{
			one(engine.Trigger{Tags: []string{"a", "b"}, Payload: stored("mine")}),
			one(engine.Trigger{Payload: stored("shared"), Key: engine.Key{Text: "short", TTL: day}}),
			one(engine.Trigger{Payload: run.Packet{Data: strings.Repeat("x", 5000), Type: run.TypeJSON}}),
		}
		old = append(old, r.trigger(engine.Trigger{Task: "hello"}))
		r.end(r.begin().ID, engine.Completion{Err: boom}) // counts among errors
		token, _, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{})
		r.ok(err)
		r.ok(r.CompleteToken(r.ctx, r.env, token.ID, stored("token")))
		done, _, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{RunCount: 1}, []engine.Item{{Trigger: engine.Trigger{Task: "hello"}}})
		r.ok(err)
		old = append(old, r.begin().ID)
		r.finish(old[len(old)-1], "1")

		kept := []string{
			one(engine.Trigger{Payload: stored("shared"), Key: engine.Key{Text: "long", TTL: 60 * day}}), // the key leads to it
		}
		_, _, _, err = r.TriggerBatch(r.ctx, r.env, engine.NewBatch{RunCount: 2}, []engine.Item{{Trigger: engine.Trigger{Task: "hello"}},
			{Index: 1, Trigger: engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(60 * day)}}})
		r.ok(err)
		kept = append(kept, r.begin().ID) // the rest of its batch has not begun
		r.finish(kept[1], "1")
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		kept = append(kept, parent, r.trigger(engine.Trigger{Task: "child", ParentID: parent, ResumeParent: true}))
		r.begin()
		r.finish(kept[3], "1") // its parent lives
		r.await(parent, run.Executing)
		other, _, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{})
		r.ok(err)
		r.ok(r.WaitForToken(r.ctx, r.env, parent, other.ID))
		r.ok(r.Suspend(r.ctx, r.env, parent, r.get(parent).Seq))

		root := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		middle := r.trigger(engine.Trigger{Task: "child", ParentID: root})
		r.begin()
		r.trigger(engine.Trigger{Task: "hello", ParentID: middle, DelayUntil: time.Now().Add(60 * day)}) // writes to its root's metadata, perhaps
		r.finish(middle, "1")
		r.finish(root, "1")
		item := engine.Key{Text: "item", TTL: day}
		answers := one(engine.Trigger{Key: item})
		_, found, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{Key: engine.Key{Text: "leads", TTL: 60 * day}},
			[]engine.Item{{Trigger: engine.Trigger{Task: "hello", Key: item}}, {Index: 1, Trigger: engine.Trigger{Task: "hello"}}})
		r.ok(err)
		r.finish(r.begin().ID, "1")
		kept = append(kept, root, middle, answers, found[1].RunID)
		if found[0].RunID != answers {
			t.Fatalf("an item was answered by %s", found[0].RunID)
		}

		exists := func(id string) bool {
			_, err := r.Latest(r.ctx, r.env, id)
			return err == nil
		}
		time.Sleep(29 * day)
		for _, id := range old {
			if !exists(id) {
				t.Errorf("%s was deleted too early", id)
			}
		}
		recent := one(engine.Trigger{})
		for _, path := range []string{"unnamed", "named"} {
			r.ok(r.ExpectPacket(r.ctx, r.env.ID, path))
		}
		kept = append(kept, one(engine.Trigger{Payload: stored("named")}))
		r.ok(r.ExpectPacket(r.ctx, r.env.ID, "named")) // an upload that is sent again
		time.Sleep(11 * day)
		for _, id := range old {
			if exists(id) {
				t.Errorf("%s is still there", id)
			}
		}
		for _, id := range append(kept, recent) {
			if !exists(id) {
				t.Errorf("%s was deleted", id)
			}
		}
		if slices.Sort(gone.gone); !slices.Equal(gone.gone, []string{"mine", "token", "unnamed"}) {
			t.Errorf("deleted packets: %v", gone.gone)
		}
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
			if _, err := tx.Batch(r.env.ID, done.ID); err == nil {
				t.Error("a batch without runs is still there")
			}
			for _, table := range []string{"snapshot", "packet", "edge", "run_tag", "error_run", "debounce"} {
				var n int
				if err := tx.QueryRow(`SELECT count(*) FROM ` + table + ` WHERE run_id NOT IN (SELECT id FROM run)`).Scan(&n); err != nil || n > 0 {
					t.Errorf("%d rows of %s are left, %v", n, table, err)
				}
			}
			for _, query := range []string{`packet_gone`, `error_group`, `packet_ref WHERE owner_id NOT IN (SELECT id FROM run)`} {
				var n int
				if err := tx.QueryRow(`SELECT count(*) FROM ` + query).Scan(&n); err != nil || n > 0 {
					t.Errorf("%d rows of %s are left, %v", n, query, err)
				}
			}
			return nil
		}))
		a, err := r.st.Audit(r.ctx, time.Now(), time.Minute)
		if err != nil || len(a.Violations) > 0 {
			t.Errorf("%+v, %v", a.Violations, err)
		}
	})
}

// again is a packet store on disk in which a packet is expected once more just as it is deleted.
type again struct {
	*blob.Store
	expect func(path string)
}

func (a again) Delete(ctx context.Context, envID, path string) error {
	a.expect(path)
	return a.Store.Delete(ctx, envID, path)
}

// TestSweepOfWhatWasNeverStored: a note about a packet that is not there, because its process
// died before it was stored, ends like any other, and one that is made anew while the packet of
// before is deleted stays.
func TestSweepOfWhatWasNeverStored(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		disk, err := blob.Open(filepath.Join(t.TempDir(), "packets"))
		r.ok(err)
		r.stop()
		r.start(t, engine.Options{Retention: 30 * day, Patience: time.Hour, Packets: again{disk, func(path string) {
			if path == "sent again" {
				r.ok(r.ExpectPacket(r.ctx, r.env.ID, path))
			}
		}}})
		for _, path := range []string{"never stored", "sent again"} {
			r.ok(r.ExpectPacket(r.ctx, r.env.ID, path))
		}
		time.Sleep(8 * day)
		var left []store.Packet
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) {
			left, err = tx.DeadPackets(time.Now().Add(8*day), store.Packet{}, 10)
			return err
		}))
		if len(left) != 1 || left[0].Path != "sent again" {
			t.Errorf("notes are left of %v", left)
		}
	})
}

// TestRetentionOfMany deletes more than one transaction does, on both databases.
func TestRetentionOfMany(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		for range 250 {
			r.trigger(engine.Trigger{Task: "hello", Tags: []string{"a"}})
			r.finish(r.begin().ID, "1")
		}
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { // all that happened, happened long ago
			_, err := tx.Exec(`UPDATE run SET completed_at = 1, id = '000' || substr(id, 4)`)
			for _, table := range []string{"snapshot", "run_tag"} {
				if err == nil {
					_, err = tx.Exec(`UPDATE ` + table + ` SET run_id = '000' || substr(run_id, 4)`)
				}
			}
			return err
		}))
		lives := r.trigger(engine.Trigger{Task: "hello"})
		r.ok(r.Sweep(r.ctx, 30*day))
		a, err := r.st.Audit(r.ctx, time.Now(), time.Minute)
		r.ok(err)
		if a.Counts["run"] != 1 || a.Counts["snapshot"] != 0 || len(a.Violations) > 0 {
			t.Errorf("%+v", a)
		}
		r.get(lives)
	})
}

// TestFence: a node that was away for longer than its lease finds that another holds it,
// and writes nothing until that has let go.
func TestFence(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		lease := func(holder string, at, until int64) (token int64, held bool) {
			t.Helper()
			r.ok(r.st.Update(r.ctx, func(tx *store.Tx) (err error) {
				token, held, err = tx.Lease("x", holder, time.UnixMicro(at), time.UnixMicro(until))
				return err
			}))
			return token, held
		}
		for _, c := range []struct {
			holder    string
			at, until int64
			token     int64
			held      bool
		}{
			{"a", 1, 10, 1, true},
			{"b", 9, 20, 0, false},
			{"a", 9, 19, 1, true}, // kept
			{"b", 18, 30, 0, false},
			{"b", 19, 30, 2, true}, // a is frozen
			{"a", 20, 40, 0, false},
			{"a", 30, 40, 3, true},
		} {
			if token, held := lease(c.holder, c.at, c.until); token != c.token || held != c.held {
				t.Errorf("%s at %d: %d, %v, want %d, %v", c.holder, c.at, token, held, c.token, c.held)
			}
		}
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { return tx.Release("x", "b") })) // not b's
		if _, held := lease("b", 39, 50); held {
			t.Error("b released a's lease")
		}
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { return tx.Release("x", "a") }))
		if _, held := lease("b", 39, 50); !held {
			t.Error("a released lease is not to be had")
		}
		other := engine.New(r.st, engine.Options{})
		took := func(e *engine.Engine) bool {
			wrote := false
			err := e.AsOnly(r.ctx, "y", func(tx *store.Tx) error { wrote = true; return nil })
			if (err == nil) != wrote {
				t.Errorf("wrote: %v, %v", wrote, err)
			}
			return wrote
		}
		if !took(r.Engine) || took(other) || !took(r.Engine) {
			t.Error("the lease is not the first's")
		}
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { _, err := tx.Exec(`UPDATE lease SET expires_at = 1`); return err }))
		if !took(other) || took(r.Engine) {
			t.Error("the lease was not taken over")
		}
	})
}

// TestSweepLooksAgain: what another transaction touches while the sweep waits for it stays.
func TestSweepLooksAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.URL(t), tenant.Production)
	id := r.trigger(engine.Trigger{Task: "hello"})
	r.begin()
	r.end(id, engine.Completion{Err: boom})
	failed := r.get(id)
	r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
		for _, query := range []string{`DELETE FROM error_run`, `UPDATE error_group SET last_seen = 1`} {
			if _, err := tx.Exec(query); err != nil {
				return err
			}
		}
		return nil
	}))
	seen, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	go func() {
		done <- r.st.Update(r.ctx, func(tx *store.Tx) error {
			err := tx.SeeFailures([]run.Run{failed})
			close(seen)
			<-release
			return err
		})
	}()
	<-seen
	var swept int
	go func() {
		done <- r.st.Update(r.ctx, func(tx *store.Tx) (err error) {
			swept, err = tx.DeleteLeftovers(time.Now().Add(-time.Hour), time.Now(), 100)
			return err
		})
	}()
	time.Sleep(200 * time.Millisecond) // it waits for the group
	close(release)
	for range cap(done) {
		r.ok(<-done)
	}
	var groups int
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM error_group`).Scan(&groups) }))
	if groups != 1 || swept != 0 {
		t.Errorf("%d groups of a run that has just failed; %d were swept", groups, swept)
	}
}
