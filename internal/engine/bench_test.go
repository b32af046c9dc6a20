package engine_test

import (
	"fmt"
	"sync"
	"testing"

	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/tenant"
)

// BenchmarkBatchItems triggers items of batches of 500.
func BenchmarkBatchItems(b *testing.B) {
	r := newRig(b, sqliteURL(b), tenant.Development)
	items := make([]engine.Item, 500)
	for i := range items {
		items[i] = engine.Item{Index: i, Trigger: engine.Trigger{Task: "hello", Payload: run.Packet{Data: fmt.Sprintf(`{"n":%d,"text":"%080d"}`, i, i), Type: run.TypeJSON}}}
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += len(items) {
		batch, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: len(items)})
		r.ok(err)
		must(r.AddItems(r.ctx, r.env, batch.ID, items))(b)
		must(r.SealBatch(r.ctx, r.env, batch.ID))(b)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}

// BenchmarkTrigger triggers single runs from 32 callers.
func BenchmarkTrigger(b *testing.B) {
	r := newRig(b, sqliteURL(b), tenant.Development)
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.trigger(engine.Trigger{Task: "hello", Payload: run.Packet{Data: `{"n":1}`, Type: run.TypeJSON}})
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}

// BenchmarkDrain takes, starts and completes a backlog, as a worker with many slots does.
func BenchmarkDrain(b *testing.B) {
	r := newRig(b, sqliteURL(b), tenant.Production)
	for n := 0; n < b.N; {
		count := min(b.N-n, 1000)
		batch, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: count})
		r.ok(err)
		items := make([]engine.Item, count)
		for i := range items {
			items[i] = engine.Item{Index: i, Trigger: engine.Trigger{Task: "hello", Payload: run.Packet{Data: `{"n":1}`, Type: run.TypeJSON}}}
		}
		must(r.AddItems(r.ctx, r.env, batch.ID, items))(b)
		n += count
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	work := make(chan engine.Delivery, 200)
	for range 100 {
		wg.Go(func() {
			for d := range work {
				must(r.StartAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq}))(b)
				must(r.CompleteAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq + 1}, engine.Completion{}))(b)
			}
		})
	}
	for n := 0; n < b.N; {
		for _, d := range must(r.AwaitDequeue(r.ctx, r.env, "", 100))(b) {
			work <- d
			n++
		}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}
