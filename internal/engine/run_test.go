package engine_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

func TestOneRun(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello", Payload: run.Packet{Data: "{\"n\":1}\x00", Type: run.TypeText}, Tags: []string{"a", "b"}})
		started := r.begin()
		if started.ID != id || started.Attempt != 1 || started.Version == "" || started.MaxAttempts != 3 {
			t.Fatalf("started %+v", started)
		}
		done := r.finish(id, `{"ok":true}`)
		if done.Exec != run.Finished || done.Status != run.StatusCompleted || done.Usage != time.Second {
			t.Fatalf("ended %+v", done)
		}
		var d store.Detail
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { d, err = tx.Detail(r.env.ID, id); return err }))
		if d.Payload.Data != "{\"n\":1}\x00" || d.Output.Data != `{"ok":true}` || !cmp.Equal(d.Tags, []string{"a", "b"}) {
			t.Errorf("stored %+v", d)
		}
		states := must(r.Since(r.ctx, r.env, id, 1))(t)
		var seen []run.Exec
		for _, s := range states {
			seen = append(seen, s.Exec)
		}
		if want := []run.Exec{run.PendingExecuting, run.Executing, run.Finished}; !cmp.Equal(seen, want) {
			t.Errorf("snapshots %v, want %v", seen, want)
		}
		r.check(id)
	})
}

// TestCallsAgain covers a worker whose answers were lost, and one that is late.
func TestCallsAgain(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.trigger(engine.Trigger{Task: "hello"})
		d := r.take()
		start := func(key string) error {
			_, err := r.StartAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq, Request: key})
			return err
		}
		r.ok(start("one"))
		r.ok(start("one"))
		if err := start("two"); !fault.Is(err, fault.Stale) {
			t.Errorf("a second start: %v", err)
		}
		call := engine.Call{Seq: d.Run.Seq + 1, Request: "three"}
		first := must(r.CompleteAttempt(r.ctx, r.env, d.Run.ID, call, engine.Completion{Err: boom, Retry: &run.Retry{Delay: time.Second}}))(t)
		again := must(r.CompleteAttempt(r.ctx, r.env, d.Run.ID, call, engine.Completion{Err: boom, Retry: &run.Retry{Delay: time.Second}}))(t)
		if d := cmp.Diff(first, again); d != "" || first.Status != run.StatusRetrying {
			t.Errorf("the same call got another answer: %s", d)
		}
		call.Request = "four"
		if _, err := r.CompleteAttempt(r.ctx, r.env, d.Run.ID, call, engine.Completion{}); !fault.Is(err, fault.Stale) {
			t.Errorf("a late completion: %v", err)
		}
		other := *r.env
		other.ID = "another"
		if _, err := r.StartAttempt(r.ctx, &other, d.Run.ID, engine.Call{Seq: 4}); !fault.Is(err, fault.NotFound) {
			t.Errorf("another environment's call: %v", err)
		}
	})
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		key := engine.Trigger{Task: "hello", Key: engine.Key{Text: "k"}}
		var wg sync.WaitGroup
		ids := make([]string, 20)
		for i := range ids {
			wg.Go(func() { ids[i] = r.trigger(key) })
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatalf("one key made the runs %s and %s", ids[0], id)
			}
		}
		if other := r.trigger(engine.Trigger{Task: "child", Key: engine.Key{Text: "k"}}); other == ids[0] {
			t.Error("two tasks share a key")
		}
		r.ok(r.Cancel(r.ctx, r.env, ids[0], "test", false))
		if again := must(r.Trigger(r.ctx, r.env, key))(t); again.ID != ids[0] || !again.Cached {
			t.Errorf("a cancelled run keeps its key: %+v", again)
		}
		r.ok(r.ResetKey(r.ctx, r.env, "hello", "k"))
		fresh := r.trigger(key)
		if fresh == ids[0] {
			t.Error("a reset key still leads to its run")
		}
		if err := r.ResetKey(r.ctx, r.env, "hello", "unknown"); !fault.Is(err, fault.NotFound) {
			t.Errorf("reset of an unknown key: %v", err)
		}
		once := engine.Trigger{Task: "hello", Request: "transport-1"}
		if a, b := r.trigger(once), r.trigger(once); a != b {
			t.Error("a repeated call made two runs")
		}
	})
}

// TestLimits has fifty runs in a queue of three while eight workers take what they can.
func TestLimits(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		m := manifest("hello")
		limit := 3
		m.Queues = append(m.Queues, queueOf("narrow", &limit))
		r.register(m)
		const runs = 50
		for i := range runs {
			r.trigger(engine.Trigger{Task: "hello", Queue: "narrow", Extra: run.Extra{Source: fmt.Sprint(i)}})
		}
		var mu sync.Mutex
		var now, most, done int
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					mu.Lock()
					over := done >= runs
					mu.Unlock()
					if over {
						return
					}
					list := must(r.Dequeue(r.ctx, r.env, "", 2))(t)
					mu.Lock()
					now += len(list)
					most = max(most, now)
					mu.Unlock()
					for _, d := range list {
						must(r.StartAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq}))(t)
						mu.Lock()
						now--
						done++
						mu.Unlock()
						r.finish(d.Run.ID, "1")
					}
				}
			})
		}
		wg.Wait()
		if most > limit || most < 2 {
			t.Errorf("%d runs at once under a limit of %d", most, limit)
		}
	})
}

func TestOrder(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		first := r.trigger(engine.Trigger{Task: "hello"})
		urgent := r.trigger(engine.Trigger{Task: "hello", PriorityMS: 10_000})
		second := r.trigger(engine.Trigger{Task: "hello"})
		var got []string
		for range 3 {
			got = append(got, r.take().Run.ID)
		}
		if want := []string{urgent, first, second}; !cmp.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	})
}

// TestKeysProgress: a key at its limit holds up no other.
func TestKeysProgress(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		m := manifest("hello")
		one := 1
		m.Queues = append(m.Queues, queueOf("keyed", &one))
		r.register(m)
		for _, key := range []string{"a", "a", "b", "*"} {
			r.trigger(engine.Trigger{Task: "hello", Queue: "keyed", ConcurrencyKey: key})
		}
		if list := must(r.Dequeue(r.ctx, r.env, "", 10))(t); len(list) != 3 {
			t.Errorf("%d runs, want one of each key", len(list))
		}
	})
}

func TestParkedRuns(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "later"})
		queued := r.trigger(engine.Trigger{Task: "hello", Queue: "undeclared"})
		if list := must(r.Dequeue(r.ctx, r.env, "", 10))(t); len(list) != 0 {
			t.Fatalf("dequeued %v", list)
		}
		if a, b := r.get(id), r.get(queued); a.Status != run.StatusPendingVersion || b.Reason != "QUEUE_NOT_FOUND" {
			t.Fatalf("parked %+v, %+v", a, b)
		}
		r.register(manifest("later", "hello"))
		if got := r.take().Run.ID; got != id {
			t.Errorf("released %s, want %s", got, id)
		}
		if e := r.get(queued).Exec; e != run.Created {
			t.Errorf("the run of an undeclared queue is %s", e)
		}
		m := manifest("hello")
		m.Queues = append(m.Queues, queueOf("undeclared", nil))
		r.register(m)
		if got := r.take().Run.ID; got != queued {
			t.Errorf("released %s, want %s", got, queued)
		}
	})
}

func TestPinnedVersions(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		old := r.register(manifest("hello"))
		r.register(manifest("hello", "new"))
		id := r.trigger(engine.Trigger{Task: "hello", Version: old.Version})
		if d := r.take(); d.Run.ID != id || d.Worker.ID != old.ID {
			t.Errorf("delivered to %s", d.Worker.Version)
		}
		for _, c := range []engine.Trigger{
			{Task: "hello", Version: "20000101.1"}, {Task: "new", Version: old.Version}, {Task: "hello", Version: old.Version, Queue: "nowhere"},
		} {
			if _, err := r.Trigger(r.ctx, r.env, c); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", c, err)
			}
		}
		same := manifest("hello")
		a, b := r.register(same), r.register(same)
		if a.ID != b.ID || a.Version != b.Version {
			t.Error("the same content twice must be one worker")
		}
	})
}

func TestTimeInTheQueue(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		minute, none := time.Minute, time.Duration(0)
		short := r.trigger(engine.Trigger{Task: "hello", TTL: &minute})
		plain := r.trigger(engine.Trigger{Task: "hello"})
		ever := r.trigger(engine.Trigger{Task: "hello", TTL: &none})
		time.Sleep(61 * time.Second)
		if s := r.get(short); s.Status != run.StatusExpired || s.Err == nil {
			t.Errorf("after its time to live: %+v", s)
		}
		if s := r.get(plain); s.Exec != run.Queued {
			t.Errorf("within the default of dev: %s", s.Exec)
		}
		time.Sleep(9 * time.Minute)
		if s := r.get(plain); s.Status != run.StatusExpired {
			t.Errorf("after the default of dev: %s", s.Status)
		}
		time.Sleep(12 * time.Hour)
		if s := r.get(ever); s.Exec != run.Queued {
			t.Errorf("without a time to live: %s", s.Exec)
		}
		r.check(short, plain, ever)
	})
}

func TestDelays(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(time.Hour)})
		r.ok(r.Reschedule(r.ctx, r.env, id, time.Now().Add(3*time.Hour)))
		time.Sleep(2 * time.Hour)
		if list := must(r.Dequeue(r.ctx, r.env, "", 1))(t); len(list) != 0 {
			t.Fatal("too early")
		}
		time.Sleep(time.Hour + time.Second)
		if d := r.take(); d.Run.ID != id {
			t.Fatalf("dequeued %s", d.Run.ID)
		}
	})
}

func TestRetriesThroughTheQueue(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello"})
		r.begin()
		r.end(id, engine.Completion{Err: boom, Retry: &run.Retry{Delay: 40 * time.Second}})
		time.Sleep(39 * time.Second)
		if list := must(r.Dequeue(r.ctx, r.env, "", 1))(t); len(list) != 0 {
			t.Fatal("too early")
		}
		before := time.Now()
		if s := r.begin(); s.Attempt != 2 {
			t.Errorf("attempt %d", s.Attempt)
		}
		if d := time.Since(before); d < time.Second || d > 1500*time.Millisecond {
			t.Errorf("a waiting dequeue got it after %v, want about one second", d)
		}
		r.end(id, engine.Completion{Err: &run.Error{Type: run.Internal, Code: run.CodeNonZeroExit}}) // policy: 500 ms · 2
		if s := r.begin(); s.Attempt != 3 {
			t.Errorf("attempt %d", s.Attempt)
		}
		if s := r.end(id, engine.Completion{Err: boom, Retry: &run.Retry{}}); s.Status != run.StatusFailed {
			t.Errorf("after the last attempt: %s", s.Status)
		}
		r.check(id)
	})
}

func TestSilentWorkers(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		id := r.trigger(engine.Trigger{Task: "hello"})
		r.take() // and never starts it
		time.Sleep(time.Minute)
		s := r.begin()
		for range 10 { // alive for longer than the timeout
			time.Sleep(2 * time.Minute)
			r.ok(r.Heartbeat(r.ctx, r.env, id, s.Seq))
		}
		if got := r.get(id); got.Exec != run.Executing {
			t.Fatalf("in spite of heartbeats: %s", got.Exec)
		}
		time.Sleep(5*time.Minute + time.Second)
		if s := r.begin(); s.Attempt != 2 {
			t.Errorf("attempt %d after a stall", s.Attempt)
		}
	})
}

func TestDebounce(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		call := func(payload string, d engine.Debounce) string {
			at := time.Now().Add(d.Delay)
			meta := run.Packet{Data: `{"m":` + payload + `}`, Type: run.TypeJSON}
			return r.trigger(engine.Trigger{Task: "hello", Payload: run.Packet{Data: payload, Type: run.TypeJSON}, Metadata: meta, DelayUntil: at, Debounce: &d})
		}
		detail := func(id string) (d store.Detail) {
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { d, err = tx.Detail(r.env.ID, id); return err }))
			return d
		}
		payload := func(id string) string { return detail(id).Payload.Data }
		leading := engine.Debounce{Key: "l", Delay: 10 * time.Second}
		trailing := engine.Debounce{Key: "t", Delay: 10 * time.Second, Trailing: true}
		l, tr := call("1", leading), call("1", trailing)
		time.Sleep(5 * time.Second)
		if call("2", leading) != l || call("2", trailing) != tr {
			t.Fatal("a second run")
		}
		if payload(l) != "1" || payload(tr) != "2" {
			t.Errorf("payloads %s and %s", payload(l), payload(tr))
		}
		again := must(r.Replay(r.ctx, r.env, tr, func(t *engine.Trigger) { t.DelayUntil = time.Now().Add(time.Hour) }))(t)
		if d := detail(again.ID); d.Payload.Data != "2" || d.Metadata.Data != `{"m":2}` {
			t.Errorf("the replay has payload %s and metadata %s", d.Payload.Data, d.Metadata.Data)
		}
		time.Sleep(8 * time.Second)
		if list := must(r.Dequeue(r.ctx, r.env, "", 5))(t); len(list) != 0 {
			t.Fatal("pushing did not help")
		}
		time.Sleep(3 * time.Second)
		if list := must(r.Dequeue(r.ctx, r.env, "", 5))(t); len(list) != 2 {
			t.Fatalf("%d runs", len(list))
		}
		if call("3", leading) == l {
			t.Error("joined a run that has started")
		}
		trailing.Key = "limits"
		first := r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(trailing.Delay), Debounce: &trailing, Machine: "small-1x", MaxAttempts: 2, MaxDuration: 200})
		r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(trailing.Delay), Debounce: &trailing, Machine: "large-1x", MaxAttempts: 7})
		if got := r.get(first); got.Machine != "large-1x" || got.MaxAttempts != 7 || got.MaxDuration != 200 {
			t.Errorf("the latest does not win: %s, %d attempts, %d s", got.Machine, got.MaxAttempts, got.MaxDuration)
		}
		capped := engine.Debounce{Key: "m", Delay: 10 * time.Second, MaxDelay: 15 * time.Second}
		m := call("1", capped)
		time.Sleep(6 * time.Second)
		if call("2", capped) == m {
			t.Error("pushed beyond the longest delay")
		}
	})
}

// TestDebounceRace: of many first triggers at the same time, one makes the run.
func TestDebounceRace(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		ids := make([]string, 20)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				ids[i] = r.trigger(engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(time.Hour),
					Extra: run.Extra{Debounce: "k"}, Debounce: &engine.Debounce{Key: "k", Delay: time.Hour}})
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatalf("one key made the runs %s and %s", ids[0], id)
			}
		}
	})
}
