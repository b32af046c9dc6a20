package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// live is phase c: runs are triggered and executed at the same time. So that neither
// side starves the other, no more than outstanding are under way.
func live(ctx context.Context, b *bench, s *site) error {
	l := newLedger(b.size.live)
	var rate float64
	var cpu time.Duration
	ceiling, unsteady := compare(
		func() (float64, error) { return b.cycles(ctx) },
		func() error {
			return b.profiled(ctx, s, "c", func() (err error) {
				rate, cpu, err = s.live(ctx, l)
				return err
			})
		})
	if failed(unsteady) {
		return unsteady
	}
	const goal = 3000
	b.add(
		row{phase: "c", what: fmt.Sprintf("runs while %d clients trigger", clients), figure: perSecond(rate), ceiling: perSecond(ceiling) + " (bare cycle)",
			ratio: rate / ceiling, goal: "≥ 3,000/s", met: rate >= goal},
		row{phase: "c", what: "server CPU per run", figure: perRun(cpu, b.size.live)})
	return unsteady
}

func (s *site) live(ctx context.Context, l *ledger) (rate float64, cpu time.Duration, err error) {
	tokens := make(chan struct{}, outstanding)
	for range outstanding {
		tokens <- struct{}{}
	}
	w := newWorker(s, l)
	w.done = func() {
		select {
		case tokens <- struct{}{}:
		default: // a run done twice, which the audit finds
		}
	}
	before, begin := s.cpu(), time.Now()
	err = s.withWorker(ctx, w, func(ctx context.Context) error {
		if _, err := s.triggerAll(ctx, l, tokens); err != nil {
			return err
		}
		if err := l.await(ctx); err != nil {
			return err
		}
		rate = float64(l.done.Load()) / l.last().Sub(begin).Seconds()
		cpu = s.cpu() - before
		return s.inspect(ctx, l)
	})
	return rate, cpu, errors.Join(err, l.audit())
}

// failed reports whether err is more than the note that the machine was unsteady.
func failed(err error) bool { return err != nil && !errors.Is(err, errUnsteady) }
