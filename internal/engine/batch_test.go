package engine_test

import (
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// TestBatchOfDeadAttempt: an attempt that dies before it has sent all items leaves a batch
// that the next attempt, with the same key, completes and waits for.
func TestBatchOfDeadAttempt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		n := engine.NewBatch{RunCount: 2, ParentID: parent, ResumeParent: true, Key: engine.Key{Text: "k", TTL: time.Hour}, Request: "first"}
		b, _, err := r.CreateBatch(r.ctx, r.env, n)
		r.ok(err)
		items := []engine.Item{{Trigger: engine.Trigger{Task: "child"}}, {Index: 1, Trigger: engine.Trigger{Task: "child"}}}
		must(r.AddItems(r.ctx, r.env, b.ID, items[:1]))(t)

		n.Request = "second"
		again, cached, err := r.CreateBatch(r.ctx, r.env, n)
		if err != nil || cached || again.ID != b.ID {
			t.Fatalf("%s and then %s, cached %v, %v", b.ID, again.ID, cached, err)
		}
		if p := must(r.AddItems(r.ctx, r.env, b.ID, items))(t); p.Accepted != 1 || p.Repeated != 1 {
			t.Errorf("%+v", p)
		}
		must(r.SealBatch(r.ctx, r.env, b.ID))(t)
		r.await(parent, run.Waiting)
		for range items {
			r.finish(r.begin().ID, "1")
		}
		if s := r.await(parent, run.Executing); len(s.Completed) != 1+len(items) { // the batch, and its items
			t.Errorf("told of %d ends", len(s.Completed))
		}
	})
}

// TestBatchKeyWhileUnsealed: nobody is let wait for a batch that will not wake them.
func TestBatchKeyWhileUnsealed(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		key := engine.Key{Text: "k", TTL: 24 * time.Hour}
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 1, Key: key, Request: "r1"})
		r.ok(err)
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		if _, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 1, ParentID: parent, ResumeParent: true, Key: key}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a parent that nothing would wake: %v", err)
		}
		if _, _, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{Key: key}, []engine.Item{{Trigger: engine.Trigger{Task: "child"}}}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a batch in one piece: %v", err)
		}
		time.Sleep(time.Hour) // nobody sealed it
		again, cached, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 1, Key: key, Request: "r2"})
		if err != nil || cached || again.ID == b.ID {
			t.Errorf("a batch that was given up is still the key's: %v, %v", cached, err)
		}
	})
}

// TestBatchRepeatedAfterItsKey: a call that is sent again once its idempotency key has
// expired is still the same call.
func TestBatchRepeatedAfterItsKey(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		n := engine.NewBatch{Key: engine.Key{Text: "k", TTL: time.Second}, Request: "r1"}
		send := func() store.Batch {
			b, _, _, err := r.TriggerBatch(r.ctx, r.env, n, []engine.Item{{Trigger: engine.Trigger{Task: "child"}}})
			r.ok(err)
			return b
		}
		first := send()
		time.Sleep(2 * time.Second)
		if again := send(); again.ID != first.ID {
			t.Errorf("%s and then %s", first.ID, again.ID)
		}
		n.Request = "r2"
		if other := send(); other.ID == first.ID {
			t.Error("the key leads on after it has expired")
		}
	})
}

// TestBatchKeyOfTasks: a key leads to the batch of the same tasks, in whatever order, and
// not to another's, whose items the caller would take for its own.
func TestBatchKeyOfTasks(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		key := engine.Key{Text: "k", TTL: time.Hour}
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 2, Tasks: []string{"b", "a", "b"}, Key: key})
		r.ok(err)
		for _, same := range [][]string{{"a", "b"}, nil} {
			if again, cached, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 2, Tasks: same, Key: key}); err != nil || !cached || again.ID != b.ID {
				t.Errorf("tasks %v: %s, cached %v, %v", same, again.ID, cached, err)
			}
		}
		if _, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 2, Tasks: []string{"a"}, Key: key}); !fault.Is(err, fault.Invalid) {
			t.Errorf("other tasks: %v", err)
		}
		send := func(task string) error {
			_, _, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{Key: engine.Key{Text: "whole", TTL: time.Hour}},
				[]engine.Item{{Trigger: engine.Trigger{Task: task}}})
			return err
		}
		r.ok(send("a"))
		r.ok(send("a"))
		if err := send("b"); !fault.Is(err, fault.Invalid) {
			t.Errorf("other tasks in one piece: %v", err)
		}
	})
}

// TestBatchOfDeadCaller: a batch whose sender has died is completed by the next caller with its key.
func TestBatchOfDeadCaller(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		n := engine.NewBatch{RunCount: 1, Key: engine.Key{Text: "k", TTL: time.Hour}}
		create := func(n engine.NewBatch) (string, bool) {
			b, cached, err := r.CreateBatch(r.ctx, r.env, n)
			r.ok(err)
			return b.ID, cached
		}
		first, _ := create(n)
		if again, cached := create(n); again != first || !cached {
			t.Errorf("while the first is sending: %s, cached %v", again, cached)
		}
		time.Sleep(time.Minute)
		if again, cached := create(n); again != first || cached {
			t.Errorf("after a minute: %s, cached %v", again, cached)
		}
		more := n
		more.RunCount = 2
		if _, cached := create(more); !cached {
			t.Error("who has more items is asked for them")
		}
		must(r.AddItems(r.ctx, r.env, first, []engine.Item{{Trigger: engine.Trigger{Task: "child"}}}))(t)
		must(r.SealBatch(r.ctx, r.env, first))(t)
		if again, cached := create(n); again != first || !cached {
			t.Errorf("once it is sealed: %s, cached %v", again, cached)
		}
	})
}

// TestBatchOfDeletedRuns: nobody is let wait for a run that is no longer there.
func TestBatchOfDeletedRuns(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		key := engine.Key{Text: "k", TTL: time.Hour}
		b, items, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{Key: key}, []engine.Item{{Trigger: engine.Trigger{Task: "child"}}})
		r.ok(err)
		r.finish(r.begin().ID, "1")
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(`DELETE FROM run WHERE id = $1`, items[0].RunID); err != nil {
				return err
			}
			return tx.AddBatchItems(b.ID, items)
		}))
		if _, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 1, ParentID: parent, ResumeParent: true, Key: key}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v", err)
		}
		if got := r.get(parent); got.Exec != run.Executing {
			t.Errorf("the parent is %s", got.Exec)
		}
	})
}

// TestKeyOfARefusedItem: an item that is refused does not stand for those after it that
// have its key.
func TestKeyOfARefusedItem(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		key := engine.Key{Text: "k"}
		_, items, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{}, []engine.Item{
			{Trigger: engine.Trigger{Task: "hello", Key: key, Version: "none"}}, {Index: 1, Trigger: engine.Trigger{Task: "hello", Key: key}},
			{Index: 2, Trigger: engine.Trigger{Task: "hello", Key: key}},
		})
		r.ok(err)
		if got := r.get(items[0].RunID); got.Status != run.StatusSystemFailure {
			t.Errorf("the refused item is %s", got.Status)
		}
		if got := r.get(items[1].RunID); got.Exec != run.Queued || items[2].RunID != items[1].RunID {
			t.Errorf("the next is %s, %s, and then %s", items[1].RunID, got.Status, items[2].RunID)
		}
		if again := must(r.Trigger(r.ctx, r.env, engine.Trigger{Task: "hello", Key: key}))(t); again.ID != items[1].RunID {
			t.Errorf("a trigger with the key: %s", again.ID)
		}
	})
}

// TestBatchOfDeadParent: a batch whose waiting parent is over takes no more items for it, and
// belongs to the next caller with its key.
func TestBatchOfDeadParent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		items := []engine.Item{{Trigger: engine.Trigger{Task: "child"}}}
		begun := func() string {
			id := r.trigger(engine.Trigger{Task: "parent"})
			r.begin()
			return id
		}
		n := engine.NewBatch{RunCount: 1, ResumeParent: true, Key: engine.Key{Text: "k", TTL: time.Hour}}
		n.ParentID = begun()
		b, _, err := r.CreateBatch(r.ctx, r.env, n)
		r.ok(err)
		other := n
		other.ParentID = begun()
		if _, _, err := r.CreateBatch(r.ctx, r.env, other); !fault.Is(err, fault.Conflict) {
			t.Errorf("while its parent lives: %v", err)
		}
		r.ok(r.Cancel(r.ctx, r.env, n.ParentID, "enough", false))
		if _, err := r.AddItems(r.ctx, r.env, b.ID, items); !fault.Is(err, fault.Invalid) {
			t.Errorf("items for who is over: %v", err)
		}
		var list []store.BatchItem
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { list, err = tx.BatchItems(b.ID); return err }))
		if len(list) > 0 {
			t.Errorf("it has %d items", len(list))
		}
		again, cached, err := r.CreateBatch(r.ctx, r.env, other)
		if err != nil || cached || again.ID != b.ID {
			t.Fatalf("the next caller: %s, cached %v, %v", again.ID, cached, err)
		}
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { // as one who looked when the first caller did
			if mine, err := tx.AdoptBatch(b, "", false, time.Now()); err != nil || mine {
				t.Errorf("it is given away twice, %v", err)
			}
			return nil
		}))
		must(r.AddItems(r.ctx, r.env, b.ID, items))(t)
		must(r.SealBatch(r.ctx, r.env, b.ID))(t)
		r.await(other.ParentID, run.Waiting)
		r.finish(r.begin().ID, "1")
		r.await(other.ParentID, run.Executing)

		last := engine.NewBatch{RunCount: 1, ResumeParent: true, ParentID: other.ParentID}
		b, _, err = r.CreateBatch(r.ctx, r.env, last)
		r.ok(err)
		must(r.AddItems(r.ctx, r.env, b.ID, items))(t)
		r.finish(other.ParentID, "1")
		if p := must(r.SealBatch(r.ctx, r.env, b.ID))(t); !p.Sealed {
			t.Error("a batch that is complete is not sealed, for its parent is over")
		}
	})
}
