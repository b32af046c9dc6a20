package engine_test

import (
	"sync"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/tenant"
)

// observer keeps what it is told.
type observer struct {
	mu       sync.Mutex
	created  int
	finished []run.Status
	waited   []time.Duration
}

func (o *observer) Created(runs int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.created += runs
}

func (o *observer) Finished(status run.Status, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = append(o.finished, status)
}

func (o *observer) Dequeued(waited time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waited = append(o.waited, waited)
}

func (*observer) Committed(int, time.Duration) {}
func (*observer) Late(time.Duration)           {}

// TestObserved: a run that fails from the start is one that finished, and a priority is no
// time in the queue.
func TestObserved(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.stop()
		o := &observer{}
		r.start(t, engine.Options{Observer: o})
		_, _, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{}, []engine.Item{{Trigger: engine.Trigger{Task: "hello", Version: "none"}}})
		r.ok(err)
		r.trigger(engine.Trigger{Task: "hello", PriorityMS: time.Hour.Milliseconds()})
		time.Sleep(time.Minute)
		r.begin()
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.created != 2 || len(o.finished) != 1 || o.finished[0] != run.StatusSystemFailure {
			t.Errorf("created %d, finished %v", o.created, o.finished)
		}
		if len(o.waited) != 1 || o.waited[0] != time.Minute {
			t.Errorf("waited %v", o.waited)
		}
	})
}
