package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ledger is what ought to be and what is. Runs are known by the number in their
// payload, from 0 up to its size.
type ledger struct {
	entries []entry
	done    atomic.Int64                       // completions
	marks   [11]atomic.Int64                   // when so many tenths of all runs were done, in Unix nanoseconds
	strange atomic.Int64                       // attempts whose number nobody uses
	ids     [probes + 1]atomic.Pointer[string] // of some runs that completed, to be looked at
	mu      sync.Mutex                         // guards what follows
	refused int                                // calls of the worker that were refused
	reason  error                              // of the first
}

// probes is how many runs are looked at in the end.
const probes = 20

type entry struct{ accepted, started, completed atomic.Uint32 }

func newLedger(n int) *ledger { return &ledger{entries: make([]entry, n)} }

// accept notes that the server has promised count runs from number first on.
func (l *ledger) accept(first, count int) {
	for n := first; n < first+count; n++ {
		l.entries[n].accepted.Add(1)
	}
}

// start notes that an attempt of a run began.
func (l *ledger) start(n int) {
	if n < 0 || n >= len(l.entries) {
		l.strange.Add(1)
		return
	}
	l.entries[n].started.Add(1)
}

// complete notes that a run has finished successfully.
func (l *ledger) complete(n int, runID string) {
	if n < 0 || n >= len(l.entries) {
		return
	}
	l.entries[n].completed.Add(1)
	done, all := l.done.Add(1), int64(len(l.entries))
	if done*10%all < 10 { // a tenth was reached with this one
		l.marks[done*10/all%11].Store(time.Now().UnixNano())
	}
	if done*probes%all < probes {
		l.ids[done*probes/all%(probes+1)].Store(&runID)
	}
}

// refuse notes a call of the worker that the server did not accept. That alone is no
// failure: what counts is whether each run is done once.
func (l *ledger) refuse(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
	if l.reason == nil {
		l.reason = err
	}
}

// patience is how long nothing may happen before the runs left are given up as lost.
const patience = 30 * time.Second

// await returns when all runs have completed, or nothing has for too long.
func (l *ledger) await(ctx context.Context) error {
	return l.awaitDone(ctx, int64(len(l.entries)))
}

// awaitDone returns when so many have.
func (l *ledger) awaitDone(ctx context.Context, all int64) error {
	last, since := int64(-1), time.Now()
	for {
		done := l.done.Load()
		if done >= all {
			return nil
		}
		if done != last {
			last, since = done, time.Now()
		}
		if time.Since(since) > patience {
			return nil // audit says what is missing
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// tenths are the rates at which each tenth of the runs completed, the first since begin.
func (l *ledger) tenths(begin time.Time) []float64 {
	rates := make([]float64, 10)
	before := begin.UnixNano()
	for i := range rates {
		at := l.marks[i+1].Load()
		if at > before {
			rates[i] = float64(len(l.entries)) / 10 / time.Duration(at-before).Seconds()
			before = at
		}
	}
	return rates
}

// last is when the last run completed.
func (l *ledger) last() time.Time { return time.Unix(0, l.marks[10].Load()) }

// audit is an error that says which runs were lost or done twice, if any.
func (l *ledger) audit() error {
	var lost, twice, unknown int
	for i := range l.entries {
		e := &l.entries[i]
		switch accepted, started, completed := e.accepted.Load(), e.started.Load(), e.completed.Load(); {
		case started > 1 || completed > 1:
			twice++
		case accepted == 0 && started+completed > 0:
			unknown++
		case accepted > 0 && completed == 0:
			lost++
		}
	}
	var errs []error
	if lost > 0 {
		errs = append(errs, fmt.Errorf("%d runs lost", lost))
	}
	if twice > 0 {
		errs = append(errs, fmt.Errorf("%d runs done more than once", twice))
	}
	if unknown += int(l.strange.Load()); unknown > 0 {
		errs = append(errs, fmt.Errorf("%d runs that nobody triggered", unknown))
	}
	if len(errs) > 0 && l.reason != nil {
		errs = append(errs, fmt.Errorf("%d calls of the worker refused, the first: %w", l.refused, l.reason))
	}
	return errors.Join(errs...)
}
