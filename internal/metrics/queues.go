package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sear/internal/store"
)

// What a look at the store may take, and how long its result is good for: whoever asks
// more often gets it again.
const (
	lookTime  = 5 * time.Second
	freshTime = 5 * time.Second
)

// queues shows what waits and what executes. It looks when it is asked.
type queues struct {
	store                     *store.Store
	queued, executing, oldest *prometheus.Desc
	size, reachable           *prometheus.Desc
	mu                        sync.Mutex
	at                        time.Time
	loads                     []store.EnvLoad
	bytes                     int64
	err                       error
}

func newQueues(st *store.Store) *queues {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &queues{
		store:     st,
		queued:    desc("sear_runs_queued", "Runs that wait for a worker, by type of environment.", "environment"),
		executing: desc("sear_runs_executing", "Runs that hold a slot, by type of environment.", "environment"),
		oldest:    desc("sear_queue_oldest_seconds", "How long the run that waits longest has been ready to go, by type of environment.", "environment"),
		size:      desc("sear_database_bytes", "What the database takes on disk."),
		reachable: desc("sear_database_up", "Whether the database answered."),
	}
}

// Describe names what Collect collects.
func (q *queues) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{q.queued, q.executing, q.oldest, q.size, q.reachable} {
		to <- d
	}
}

// Collect looks at the store, unless somebody just did.
func (q *queues) Collect(to chan<- prometheus.Metric) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now(); now.Sub(q.at) > freshTime {
		q.at = now
		q.look(now)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if q.err != nil {
		gauge(q.reachable, 0)
		return
	}
	gauge(q.reachable, 1)
	gauge(q.size, float64(q.bytes))
	for _, l := range q.loads {
		gauge(q.queued, float64(l.Queued), l.Type)
		gauge(q.executing, float64(l.Executing), l.Type)
		gauge(q.oldest, l.Oldest.Seconds(), l.Type)
	}
}

func (q *queues) look(now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	q.err = q.store.View(ctx, func(tx *store.Tx) (err error) {
		q.loads, err = tx.EnvLoads(now)
		return err
	})
	if q.err == nil {
		q.bytes, q.err = q.store.Size(ctx)
	}
}
