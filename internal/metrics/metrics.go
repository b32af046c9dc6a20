// Package metrics tells Prometheus how a Sear is doing. What it counts has few labels, none
// of which comes from users.
package metrics

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/version"
)

// Metrics is what is counted. It observes an engine and the requests of a server.
type Metrics struct {
	registry *prometheus.Registry
	created  prometheus.Counter
	finished *prometheus.CounterVec
	took     prometheus.Histogram
	waited   prometheus.Histogram
	commands prometheus.Histogram
	commit   prometheus.Histogram
	late     prometheus.Histogram
	requests *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

// Buckets of durations in seconds: of work inside the server, and of runs.
var (
	short = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}
	long  = []float64{.01, .05, .1, .5, 1, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600}
)

// New makes metrics that also look at a store whenever they are asked for.
func New(st *store.Store) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		created:  counter("sear_runs_created_total", "Runs made by triggers, batches, replays and schedules."),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sear_runs_finished_total", Help: "Runs that ended, by final status."}, []string{"status"}),
		took:     histogram("sear_run_seconds", "From the making of a run to its end.", long),
		waited:   histogram("sear_run_queue_seconds", "From when a run might go to when a worker got it: its queue was long, a limit reached or no worker there.", long),
		commands: histogram("sear_commit_commands", "Commands that shared a transaction: many under load, one when idle.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}),
		commit:   histogram("sear_commit_seconds", "How long such a transaction took: the disk, or Postgres.", short),
		late:     histogram("sear_timer_late_seconds", "How late deadlines of runs are carried out: more than a second means that the server is overloaded.", short),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sear_http_request_seconds", Help: "Requests, by route and class of status. Long polls of workers take up to ten seconds on purpose.", Buckets: short},
			[]string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sear_http_requests_in_flight", Help: "Requests under way, with those of workers that wait for work."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sear_build_info", Help: "Always 1; the labels say what runs.", ConstLabels: buildLabels()})
	build.Set(1)
	m.registry.MustRegister(m.created, m.finished, m.took, m.waited, m.commands, m.commit, m.late, m.requests, m.inFlight, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newQueues(st))
	return m
}

func buildLabels() prometheus.Labels {
	return prometheus.Labels{"version": version.Text(), "go": runtime.Version()}
}

// Created counts runs that were made.
func (m *Metrics) Created(n int) { m.created.Add(float64(n)) }

// Finished counts a run that ended.
func (m *Metrics) Finished(status run.Status, took time.Duration) {
	m.finished.WithLabelValues(string(status)).Inc()
	m.took.Observe(took.Seconds())
}

// Dequeued notes how long a run waited for a worker.
func (m *Metrics) Dequeued(waited time.Duration) { m.waited.Observe(waited.Seconds()) }

// Committed notes a transaction of commands.
func (m *Metrics) Committed(commands int, took time.Duration) {
	m.commands.Observe(float64(commands))
	m.commit.Observe(took.Seconds())
}

// Late notes how late a deadline was carried out.
func (m *Metrics) Late(by time.Duration) { m.late.Observe(by.Seconds()) }

// Requests is the middleware of a chi router that counts requests by the pattern of their route.
func (m *Metrics) Requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Inc()
		begin := time.Now()
		status := &statusWriter{ResponseWriter: w, code: http.StatusOK}
		defer func() {
			m.inFlight.Dec()
			m.requests.WithLabelValues(method(r.Method), rest.Route(r), strconv.Itoa(status.code/100)+"xx").Observe(time.Since(begin).Seconds())
		}()
		next.ServeHTTP(status, r)
	})
}

// method bounds the methods that clients may invent.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	}
	return "other"
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader remembers the status.
func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Handler answers with everything in the format of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
