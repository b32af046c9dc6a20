package main

import (
	"context"
	"time"

	"sear/test/load/rawhttp"
)

// breath is the time between two samples of a latency, so that the server is idle again.
const breath = 3 * time.Millisecond

// idle is phase e, how soon a task starts when nothing else is going on, and the
// first half of phase g, the memory of a server with nothing to do.
func idle(ctx context.Context, b *bench, s *site) error {
	if s.server != nil {
		if err := pause(ctx, b.size.settle); err != nil {
			return err
		}
		const goal = 60_000_000
		memory := resident(s.server.PID(), residentNow)
		b.add(row{phase: "g", what: "memory, idle", figure: megabytes(memory), goal: "≤ 60 MB", met: memory <= goal})
	}
	if !b.opt.wants("e") {
		return nil
	}
	const calls = 3 // trigger, dequeue, start
	ceiling, err := b.echo.exchanges(ctx, b.size.samples, calls)
	if err != nil {
		return err
	}
	times, err := b.latency(ctx, s)
	if err != nil {
		return err
	}
	const goal50, goal99 = 1600 * time.Microsecond, 7 * time.Millisecond
	p50, p99 := percentile(times, 50), percentile(times, 99)
	c50, c99 := percentile(ceiling, 50), percentile(ceiling, 99)
	b.add(
		row{phase: "e", what: "trigger → task starts, idle, p50", figure: millis(p50), ceiling: millis(c50) + " (3 echoes)",
			ratio: float64(c50) / float64(p50), goal: "≤ 1.6 ms", met: p50 <= goal50},
		row{phase: "e", what: "p99", figure: millis(p99), ceiling: millis(c99),
			ratio: float64(c99) / float64(p99), goal: "≤ 7 ms", met: p99 <= goal99})
	return nil
}

// latency triggers one run after the other and times each from before the trigger
// until the worker may run the task.
func (b *bench) latency(ctx context.Context, s *site) ([]time.Duration, error) {
	l := newLedger(b.size.samples)
	w := newWorker(s, l)
	started, completed := make(chan time.Time, 1), make(chan struct{}, 1)
	w.task = func(_ context.Context, _ *rawhttp.Conn, a attempt) (string, error) {
		started <- time.Now()
		return a.snapshot, nil
	}
	w.done = func() { completed <- struct{}{} }
	var times []time.Duration
	err := s.withWorker(ctx, w, func(ctx context.Context) error {
		c := s.dial(ctx)
		defer c.Close()
		for n := range b.size.samples {
			if err := pause(ctx, breath); err != nil {
				return err
			}
			begin := time.Now()
			if _, err := s.trigger(c, nil, n, l); err != nil {
				return err
			}
			at, err := receive(ctx, started)
			if err != nil {
				return err
			}
			times = append(times, at.Sub(begin))
			if _, err := receive(ctx, completed); err != nil {
				return err
			}
		}
		return s.inspect(ctx, l)
	})
	if err == nil {
		err = l.audit()
	}
	return times, err
}
