package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// single is phase a: clients that each trigger one run after the other. The runs are
// executed afterwards, to see that all are there.
func single(ctx context.Context, b *bench, s *site) error {
	l := newLedger(b.size.singles)
	var echoes []time.Duration
	var got load
	ceiling, unsteady := compare(
		func() (rate float64, err error) {
			rate, echoes, err = b.echo.throughput(ctx, clients, b.size.calibrate)
			return rate, err
		},
		func() error {
			return b.profiled(ctx, s, "a", func() (err error) {
				got, err = s.triggerAll(ctx, l, nil)
				return err
			})
		})
	if failed(unsteady) {
		return unsteady
	}
	const goal = 0.5
	b.add(
		row{phase: "a", what: fmt.Sprintf("single triggers, %d clients", clients), figure: perSecond(got.rate), ceiling: perSecond(ceiling) + " (echo)",
			ratio: got.rate / ceiling, goal: "≥ 0.5 of the ceiling", met: got.rate >= goal*ceiling},
		row{phase: "a", what: "p50 / p99", figure: millis(percentile(got.times, 50), percentile(got.times, 99)),
			ceiling: millis(percentile(echoes, 50), percentile(echoes, 99))},
		row{phase: "a", what: "server CPU per trigger", figure: perRun(got.cpu, b.size.singles)})
	if err := s.drain(ctx, l); err != nil {
		return err
	}
	return unsteady
}

// load is what clients have measured.
type load struct {
	rate  float64 // a second
	times []time.Duration
	cpu   time.Duration // of the server
}

// triggerAll triggers every run of the ledger, from as many clients as there are.
// Before each, it takes a token, unless tokens is nil.
func (s *site) triggerAll(ctx context.Context, l *ledger, tokens <-chan struct{}) (got load, err error) {
	var next atomic.Int64
	var mu sync.Mutex
	before, begin := s.cpu(), time.Now()
	err = parallel(ctx, clients, func(ctx context.Context, _ int) error {
		c := s.dial(ctx)
		defer c.Close()
		var body []byte
		var times []time.Duration
		for n := int(next.Add(1)) - 1; n < len(l.entries); n = int(next.Add(1)) - 1 {
			if tokens != nil {
				if _, err := receive(ctx, tokens); err != nil {
					return err
				}
			}
			at := time.Now()
			var err error
			if body, err = s.trigger(c, body, n, l); err != nil {
				return err
			}
			times = append(times, time.Since(at))
		}
		mu.Lock()
		defer mu.Unlock()
		got.times = append(got.times, times...)
		return nil
	})
	got.rate = float64(len(l.entries)) / time.Since(begin).Seconds()
	got.cpu = s.cpu() - before
	return got, err
}

// drain executes what has been triggered and accounts for it.
func (s *site) drain(ctx context.Context, l *ledger) error {
	err := s.withWorker(ctx, newWorker(s, l), func(ctx context.Context) error {
		if err := l.await(ctx); err != nil {
			return err
		}
		return s.inspect(ctx, l)
	})
	return errors.Join(err, l.audit())
}

// cpu is the server's CPU time until now.
func (s *site) cpu() time.Duration {
	if s.server == nil {
		return 0
	}
	return cpuTime(s.server.PID())
}

// perRun shows CPU time by run; "" when it is not known.
func perRun(cpu time.Duration, runs int) string {
	if cpu == 0 {
		return ""
	}
	return fmt.Sprintf("%d µs", (cpu / time.Duration(runs)).Microseconds())
}
