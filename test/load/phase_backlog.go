package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// backlog is phases b and d, a queue that is filled in batches and then drained, and
// the second half of phase g, what that leaves in memory and on disk.
func backlog(ctx context.Context, b *bench, s *site) error {
	l := newLedger(b.size.backlog)
	unsteadyFill := b.fill(ctx, s, l)
	if failed(unsteadyFill) {
		return unsteadyFill
	}
	unsteadyDrain := b.drain(ctx, s, l)
	if failed(unsteadyDrain) {
		return unsteadyDrain
	}
	if err := b.remains(ctx, s); err != nil {
		return err
	}
	return errors.Join(unsteadyFill, unsteadyDrain)
}

// fill is phase b.
func (b *bench) fill(ctx context.Context, s *site, l *ledger) error {
	var rate float64
	var cpu time.Duration
	ceiling, unsteady := compare(
		func() (float64, error) { return b.inserts(ctx) },
		func() error {
			return b.profiled(ctx, s, "b", func() error {
				before, begin := s.cpu(), time.Now()
				err := s.sendBatches(ctx, l)
				rate, cpu = float64(len(l.entries))/time.Since(begin).Seconds(), s.cpu()-before
				return err
			})
		})
	if failed(unsteady) {
		return unsteady
	}
	const goal = 38_000
	b.add(
		row{phase: "b", what: fmt.Sprintf("triggers in batches of %d", batchSize), figure: perSecond(rate), ceiling: perSecond(ceiling) + " (bare inserts)",
			ratio: rate / ceiling, goal: "≥ 38,000/s", met: rate >= goal},
		row{phase: "b", what: "server CPU per trigger", figure: perRun(cpu, len(l.entries))})
	return unsteady
}

// sendBatches triggers every run of the ledger.
func (s *site) sendBatches(ctx context.Context, l *ledger) error {
	var next atomic.Int64
	return parallel(ctx, batchers, func(ctx context.Context, _ int) error {
		c := s.dial(ctx)
		defer c.Close()
		var lines []byte
		for {
			first := int(next.Add(batchSize)) - batchSize
			if first >= len(l.entries) {
				return nil
			}
			batch, err := s.createBatch(c, fmt.Sprintf(`{"runCount":%d,"taskIdentifiers":[%q]}`, batchSize, taskID))
			if err != nil {
				return err
			}
			lines = itemLines(lines[:0], first, batchSize, "")
			if err := s.sendItems(c, batch, lines, batchSize); err != nil {
				return err
			}
			l.accept(first, batchSize)
		}
	})
}

// drain is phase d.
func (b *bench) drain(ctx context.Context, s *site, l *ledger) error {
	var begin time.Time
	var cpu time.Duration
	ceiling, unsteady := compare(
		func() (float64, error) { return b.cycles(ctx) },
		func() error {
			return b.profiled(ctx, s, "d", func() error {
				before := s.cpu()
				begin = time.Now()
				err := s.drain(ctx, l)
				cpu = s.cpu() - before
				return err
			})
		})
	if failed(unsteady) {
		return unsteady
	}
	const goal, flat = 8000, 0.9
	rate := float64(len(l.entries)) / l.last().Sub(begin).Seconds()
	tenths := l.tenths(begin)
	b.add(
		row{phase: "d", what: fmt.Sprintf("drain of %s", thousands(int64(len(l.entries)))), figure: perSecond(rate), ceiling: perSecond(ceiling) + " (bare cycle)",
			ratio: rate / ceiling, goal: "≥ 8,000/s", met: rate >= goal},
		row{phase: "d", what: "flatness, last tenth by first", figure: ratio(flatness(tenths)), goal: "≥ 0.9", met: flatness(tenths) >= flat},
		row{phase: "d", what: "server CPU per run", figure: perRun(cpu, len(l.entries))})
	if b.opt.wants("d") {
		b.note("phase d by tenths: %s", perSecondList(tenths))
	}
	return unsteady
}

// remains is the second half of phase g.
func (b *bench) remains(ctx context.Context, s *site) error {
	if s.server == nil {
		return nil
	}
	now, peak := resident(s.server.PID(), residentNow), resident(s.server.PID(), residentPeak)
	if s.server.Stop(stopTime) {
		b.note("the server did not stop within %v and was killed", stopTime)
	}
	size, err := s.size(ctx)
	if err != nil {
		return err
	}
	b.add(
		row{phase: "g", what: "memory after d (peak)", figure: megabytes(now) + " (" + megabytes(peak) + ")"},
		row{phase: "g", what: "database per finished run", figure: thousands((size-s.empty)/int64(b.size.backlog)) + " bytes"})
	return nil
}
