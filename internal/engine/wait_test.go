package engine_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

func queueOf(name string, limit *int) deploy.Queue { return deploy.Queue{Name: name, Limit: limit} }

func TestTriggerAndWait(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		child := r.trigger(engine.Trigger{Task: "child", ParentID: parent, ResumeParent: true})
		if s := r.get(parent); s.Exec != run.Waiting || s.Slot {
			t.Fatalf("the parent is %+v", s)
		}
		c := r.begin()
		if c.ID != child || c.ParentID != parent || c.RootID != parent || c.Depth != 1 {
			t.Fatalf("the child is %+v", c)
		}
		r.finish(child, `{"n":2}`)
		s := r.await(parent, run.Executing)
		if len(s.Completed) != 1 || s.Completed[0].Output.Data != `{"n":2}` || s.Completed[0].Kind != store.WaitRun || s.Completed[0].IsError {
			t.Fatalf("delivered %+v", s.Completed)
		}

		failing := r.trigger(engine.Trigger{Task: "child", ParentID: parent, ResumeParent: true, Key: engine.Key{Text: "k"}})
		r.begin()
		r.end(failing, engine.Completion{Err: boom})
		s = r.await(parent, run.Executing)
		var failure run.Error
		if err := json.Unmarshal([]byte(s.Completed[0].Output.Data), &failure); err != nil || failure.Message != "boom" || !s.Completed[0].IsError {
			t.Fatalf("delivered %+v", s.Completed)
		}
		r.finish(parent, "1")
		if _, err := r.Trigger(r.ctx, r.env, engine.Trigger{Task: "child", ParentID: parent, ResumeParent: true}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a finished parent: %v", err)
		}
		r.check(parent, child, failing)
	})
}

// TestWaitForCachedRuns: a key may lead a waiting parent to a run that is over, or still under way.
func TestWaitForCachedRuns(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		child := r.trigger(engine.Trigger{Task: "child", Key: engine.Key{Text: "k"}})
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		r.begin()
		wait := engine.Trigger{Task: "child", Key: engine.Key{Text: "k"}, ParentID: parent, ResumeParent: true}
		if got := must(r.Trigger(r.ctx, r.env, wait))(t); got.ID != child || !got.Cached {
			t.Fatalf("triggered %+v", got)
		}
		if s := r.get(parent); s.Exec != run.Waiting {
			t.Fatalf("the parent is %s", s.Exec)
		}
		r.finish(child, `"first"`)
		r.await(parent, run.Executing)
		r.trigger(wait)
		if s := r.await(parent, run.Executing); len(s.Completed) != 1 || s.Completed[0].Output.Data != `"first"` {
			t.Errorf("delivered %+v", s.Completed)
		}
	})
}

func TestBatchAndWait(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		const n = 25
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		b, cached, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: n, ParentID: parent, ResumeParent: true})
		if err != nil || cached {
			t.Fatal(err, cached)
		}
		var items []engine.Item
		for i := range n {
			key := ""
			if i >= n-2 {
				key = "same" // the last two items are one run
			}
			items = append(items, engine.Item{Index: i, Trigger: engine.Trigger{Task: "child", Key: engine.Key{Text: key},
				Payload: run.Packet{Data: fmt.Sprint(i), Type: run.TypeJSON}}})
		}
		must(r.AddItems(r.ctx, r.env, b.ID, items[:10]))(t)
		if p := must(r.SealBatch(r.ctx, r.env, b.ID))(t); p.Sealed || p.Arrived != 10 {
			t.Fatalf("progress %+v", p)
		}
		if p := must(r.AddItems(r.ctx, r.env, b.ID, items))(t); p.Repeated != 10 || p.Accepted != n-10 {
			t.Fatalf("progress %+v", p)
		}
		for range 2 {
			if p := must(r.SealBatch(r.ctx, r.env, b.ID))(t); !p.Sealed {
				t.Fatalf("progress %+v", p)
			}
		}
		for range n - 1 {
			c := r.begin()
			r.finish(c.ID, fmt.Sprint(c.BatchIndex))
		}
		s := r.await(parent, run.Executing)
		if len(s.Completed) != n+1 {
			t.Fatalf("%d waitpoints delivered", len(s.Completed))
		}
		for i, c := range s.Completed[1:] {
			want := fmt.Sprint(min(i, n-2))
			if c.Index != i || c.Output.Data != want || c.BatchID != b.ID {
				t.Errorf("item %d delivered as %d with %s", i, c.Index, c.Output.Data)
			}
		}
		if c := s.Completed[0]; c.Kind != store.WaitBatch || s.Run.WaitFor != b.ID {
			t.Errorf("the batch itself: %+v", c)
		}
	})
}

func TestBatchRefusals(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 2, Key: engine.Key{Text: "b"}})
		r.ok(err)
		if again, cached, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 2, Key: engine.Key{Text: "b"}}); err != nil || !cached || again.ID != b.ID {
			t.Errorf("the same key: %v, %v", cached, err)
		}
		if _, err := r.AddItems(r.ctx, r.env, b.ID, []engine.Item{{Index: 2, Trigger: engine.Trigger{Task: "child"}}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("an index too far: %v", err)
		}
		if _, err := r.AddItems(r.ctx, r.env, "nothere", nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("an unknown batch: %v", err)
		}
		items := []engine.Item{
			{Index: 0, Trigger: engine.Trigger{Task: "child", Version: "1.1"}},
			{Index: 1, Trigger: engine.Trigger{Task: "child"}},
		}
		must(r.AddItems(r.ctx, r.env, b.ID, items))(t)
		must(r.SealBatch(r.ctx, r.env, b.ID))(t)
		var list []store.BatchItem
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { list, err = tx.BatchItems(b.ID); return err }))
		if len(list) != 2 {
			t.Fatalf("%d items", len(list))
		}
		if s := r.get(list[0].RunID); s.Status != run.StatusSystemFailure || s.Err.Code != run.CodeItemUntriggered {
			t.Errorf("the refused item: %+v", s)
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		token, cached, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{Key: engine.Key{Text: "k"}, Tags: []string{"x"}})
		if err != nil || cached {
			t.Fatal(err, cached)
		}
		if same, cached, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{Key: engine.Key{Text: "k"}}); err != nil || !cached || same.ID != token.ID {
			t.Errorf("the same key: %v %v", cached, err)
		}
		r.ok(r.WaitForToken(r.ctx, r.env, id, token.ID))
		r.ok(r.CompleteToken(r.ctx, r.env, token.ID, run.Packet{Data: `"yes"`, Type: run.TypeJSON}))
		r.ok(r.CompleteToken(r.ctx, r.env, token.ID, run.Packet{Data: `"no"`, Type: run.TypeJSON}))
		if s := r.await(id, run.Executing); len(s.Completed) != 1 || s.Completed[0].Output.Data != `"yes"` {
			t.Fatalf("delivered %+v", s.Completed)
		}
		r.ok(r.WaitForToken(r.ctx, r.env, id, token.ID)) // complete already
		r.await(id, run.Executing)
		if err := r.WaitForToken(r.ctx, r.env, id, "nothere"); !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown token: %v", err)
		}
		if s := r.get(id); s.Exec != run.Executing {
			t.Errorf("a refused wait left the run %s", s.Exec)
		}
	})
}

// TestStaleWake: a look at a run that comes together with its next wait does not let it go on
// before that is over, nor without its result.
func TestStaleWake(t *testing.T) {
	t.Parallel()
	for name, complete := range map[string]bool{"pending": false, "complete": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, r *rig) {
				id := r.trigger(engine.Trigger{Task: "hello"})
				r.begin()
				token, _, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{})
				r.ok(err)
				done := func() { r.ok(r.CompleteToken(r.ctx, r.env, token.ID, run.Packet{Data: "1", Type: run.TypeJSON})) }
				if complete {
					done()
				}
				r.ok(r.WaitAndWake(r.ctx, r.env, id, token.ID))
				if !complete {
					if s := r.get(id); s.Exec != run.Waiting {
						t.Fatalf("it goes on: %s", s.Exec)
					}
					done()
				}
				if s := r.await(id, run.Executing); len(s.Completed) != 1 || s.Completed[0].Output.Data != "1" {
					t.Errorf("it was told %+v", s.Completed)
				}
			})
		})
	}
}

// TestWaitSentAgain: a call whose answer was lost is sent again, and is one wait, also when
// that is over by then; so is one for a token.
func TestWaitSentAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		n := engine.NewWaitpoint{At: time.Now().Add(time.Minute), Request: "call"}
		first := must(r.WaitFor(r.ctx, r.env, id, n))(t)
		again := must(r.WaitFor(r.ctx, r.env, id, n))(t)
		if s := r.await(id, run.Executing); again.ID != first.ID || len(s.Completed) != 1 {
			t.Errorf("%s, then %s; told of %d ends", first.ID, again.ID, len(s.Completed))
		}
		late := must(r.WaitFor(r.ctx, r.env, id, n))(t)
		if s := r.await(id, run.Executing); late.ID != first.ID || len(s.Completed) != 1 {
			t.Errorf("%s, after it %s; told of %d ends", first.ID, late.ID, len(s.Completed))
		}
		for range 2 {
			token, cached, err := r.CreateToken(r.ctx, r.env, n)
			if err != nil || cached || token.ID == first.ID {
				t.Errorf("a token by the same key: %+v, cached %v, %v", token, cached, err)
			}
		}
		var tokens int
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM waitpoint`).Scan(&tokens) }))
		if tokens != 2 {
			t.Errorf("%d waitpoints", tokens)
		}
	})
}

// TestKeysByKind: a token, a wait and a run may have the same key, and none is taken for another.
func TestKeysByKind(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		key := engine.Key{Text: "k"}
		id := r.trigger(engine.Trigger{Task: "hello", Key: key})
		r.begin()
		token, cached, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{Key: key})
		if err != nil || cached {
			t.Fatal(err, cached)
		}
		p := must(r.WaitFor(r.ctx, r.env, id, engine.NewWaitpoint{At: time.Now().Add(time.Hour), Key: key}))(t)
		if p.ID == token.ID || p.Kind != store.WaitDatetime || p.Due.IsZero() {
			t.Errorf("waits for %+v", p)
		}
		if same, cached, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{Key: key}); err != nil || !cached || same.ID != token.ID {
			t.Errorf("the token's key: cached %v, %v", cached, err)
		}
	})
}

func TestWaitsInTime(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		start := time.Now()
		key := engine.Key{Text: "nap"}
		must(r.WaitFor(r.ctx, r.env, id, engine.NewWaitpoint{At: start.Add(time.Minute), Key: key}))(t)
		s := r.await(id, run.Executing)
		if d := time.Since(start); d < time.Minute || d > time.Minute+time.Second {
			t.Errorf("waited %v", d)
		}
		if len(s.Completed) != 1 || s.Completed[0].Kind != store.WaitDatetime || s.Run.Attempt != 1 {
			t.Errorf("delivered %+v", s.Completed)
		}
		must(r.WaitFor(r.ctx, r.env, id, engine.NewWaitpoint{At: time.Now().Add(time.Hour), Key: key}))(t) // the same wait of a repeated attempt
		r.await(id, run.Executing)
		if d := time.Since(start); d > 2*time.Minute {
			t.Errorf("waited again: %v", d)
		}
		token, _, err := r.CreateToken(r.ctx, r.env, engine.NewWaitpoint{At: time.Now().Add(time.Minute)})
		r.ok(err)
		r.ok(r.WaitForToken(r.ctx, r.env, id, token.ID))
		if s := r.await(id, run.Executing); !s.Completed[0].IsError {
			t.Errorf("a token that nobody completed: %+v", s.Completed)
		}
	})
}

// TestWaitingLendsItsSlot: five parents that wait for children in a queue of one
// would starve each other if they kept their slots.
func TestWaitingLendsItsSlot(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		m := manifest("parent", "child")
		one := 1
		m.Queues = append(m.Queues, queueOf("narrow", &one))
		r.register(m)
		parents := map[string]bool{}
		for range 5 {
			parents[r.trigger(engine.Trigger{Task: "parent", Queue: "narrow"})] = true
		}
		for range 10 {
			s := r.begin()
			if parents[s.ID] {
				r.trigger(engine.Trigger{Task: "child", Queue: "narrow", ParentID: s.ID, ResumeParent: true})
				continue
			}
			r.finish(s.ID, "1")
			r.await(s.ParentID, run.Executing)
			r.finish(s.ParentID, "2")
		}
		for id := range parents {
			if s := r.get(id); s.Exec != run.Finished {
				t.Errorf("a parent is %s", s.Exec)
			}
		}
	})
}

func TestCancelFamily(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		a := r.trigger(engine.Trigger{Task: "child", ParentID: parent})
		b := r.trigger(engine.Trigger{Task: "child", ParentID: parent, DelayUntil: time.Now().Add(time.Hour)})
		if s := r.begin(); s.ID != a {
			t.Fatalf("began %s", s.ID)
		}
		grand := r.trigger(engine.Trigger{Task: "child", ParentID: a})
		r.ok(r.Cancel(r.ctx, r.env, parent, "enough", false))
		r.await(b, run.Finished)
		r.await(grand, run.Finished)
		r.await(a, run.PendingCancel)
		if s := r.get(parent); s.Exec != run.PendingCancel || s.Status != run.StatusCanceled {
			t.Errorf("the parent is %+v", s)
		}
		cancelled := &run.Error{Type: run.Internal, Code: run.CodeCancelled}
		for _, id := range []string{parent, a} {
			if s := r.end(id, engine.Completion{Err: cancelled}); s.Exec != run.Finished || s.Err.Raw != "enough" {
				t.Errorf("%s is %s: %+v", id, s.Exec, s.Err)
			}
		}
		r.check(parent, a, b, grand)
		if n := must(r.Disconnect(r.ctx, r.env, []string{parent, "nothere"}))(t); n != 0 {
			t.Errorf("disconnect ended %d runs", n)
		}
	})
}

// TestDebouncedItems: items of one call fold into one run, as calls of their own do.
func TestDebouncedItems(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 3})
		r.ok(err)
		var items []engine.Item
		for i := range 3 {
			items = append(items, engine.Item{Index: i, Trigger: engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(time.Hour),
				MaxAttempts: i + 1, Payload: run.Packet{Data: fmt.Sprint(i), Type: run.TypeJSON}, Extra: run.Extra{Debounce: "k"},
				Debounce: &engine.Debounce{Key: "k", Delay: time.Hour, Trailing: true}}})
		}
		must(r.AddItems(r.ctx, r.env, b.ID, items))(t)
		var list []store.BatchItem
		var d store.Detail
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) {
			if list, err = tx.BatchItems(b.ID); err == nil {
				d, err = tx.Detail(r.env.ID, list[0].RunID)
			}
			return err
		}))
		if len(list) != 3 || list[1].RunID != list[0].RunID || list[2].RunID != list[0].RunID || d.Payload.Data != "2" || d.MaxAttempts != 3 {
			t.Errorf("items %+v, payload %s, %d attempts", list, d.Payload.Data, d.MaxAttempts)
		}
	})
}

// TestItemsOfTheirOwn: what an item says for itself does not concern the next one.
func TestItemsOfTheirOwn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 2})
		r.ok(err)
		must(r.AddItems(r.ctx, r.env, b.ID, []engine.Item{
			{Index: 0, Trigger: engine.Trigger{Task: "hello", TTL: new(time.Minute), Machine: "large-1x", ConcurrencyKey: "k", MaxAttempts: 5}},
			{Index: 1, Trigger: engine.Trigger{Task: "hello"}},
		}))(t)
		var list []store.BatchItem
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { list, err = tx.BatchItems(b.ID); return err }))
		if got := r.get(list[0].RunID); got.TTL != time.Minute {
			t.Errorf("the first lives for %v", got.TTL)
		}
		if got := r.get(list[1].RunID); got.TTL != 0 || got.Machine != "" || got.Lane.Key != "" || got.MaxAttempts != 0 {
			t.Errorf("the second has something of the first: %+v", got)
		}
	})
}
