package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sear/internal/store"
)

// absence is how long a node is frozen or cut off: longer than clients wait for an answer
// and than workers may be silent, so that others must take over.
const absence = stallTimeout + 2*time.Second

// disrupt has faults happen until ctx ends, and leaves all nodes at work.
func (t *trial) disrupt(ctx context.Context) error {
	var g errgroup.Group
	for pause(ctx, time.Duration(rand.ExpFloat64()*float64(t.o.every))) == nil {
		n := t.nodes[rand.IntN(len(t.nodes))]
		if !n.busy.TryLock() {
			continue // it has its trouble already
		}
		fault := t.o.faults[rand.IntN(len(t.o.faults))]
		t.faults[fault]++
		t.stats.fault()
		g.Go(func() error { // also when ctx ends meanwhile: what was broken is mended
			defer n.busy.Unlock()
			if err := t.hit(context.WithoutCancel(ctx), n, fault); err != nil {
				return fmt.Errorf("%s of %s: %w", fault, n.name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// hit lets one fault happen to a node, and mends it.
func (t *trial) hit(ctx context.Context, n *node, fault string) error {
	switch fault {
	case faultKill:
		n.proc.Kill()
		if err := t.inspect(ctx, wrong, time.Hour); err != nil { // what is late has had no node to do it
			return err
		}
		return n.start(ctx)
	case faultRestart:
		if n.proc.Stop(stopTime) {
			t.ledger.find("wrong: %s did not stop in %v", n.name, stopTime)
		}
		return n.start(ctx)
	case faultPause:
		n.proc.Signal(syscall.SIGSTOP)
		defer n.proc.Signal(syscall.SIGCONT)
		return errors.Join(pause(ctx, absence), t.inspect(ctx, wrong, time.Hour))
	case faultCut:
		n.cut.set(true)
		defer n.cut.set(false)
		return errors.Join(pause(ctx, absence), t.inspect(ctx, wrong, time.Hour))
	case faultPostgres:
		if err := t.restartPostgres(); err != nil {
			return err
		}
		return t.inspect(ctx, wrong, time.Hour)
	}
	return fmt.Errorf("no such fault")
}

func (t *trial) restartPostgres() error {
	t.pgBusy.Lock()
	defer t.pgBusy.Unlock()
	return t.pg.Restart(rand.IntN(2) == 0)
}

// inspect checks the invariants of the store as it lies there at this moment, and notes
// what breaks them. late is how long something may be overdue.
func (t *trial) inspect(ctx context.Context, kind string, late time.Duration) error {
	t.pgBusy.RLock()
	defer t.pgBusy.RUnlock()
	st, err := t.reader(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	found, err := st.Audit(ctx, time.Now(), late)
	if err != nil {
		return err
	}
	if n := found.Counts["wake"]; kind == stuck && n > 0 {
		t.ledger.find("%s: %d wakes that nobody took", kind, n)
	}
	for _, b := range found.Violations {
		t.ledger.find("%s: %s: %d, such as %v", kind, b.Rule, b.Count, b.Examples)
	}
	return nil
}

// reader opens the store as soon as it can be: nodes that come back may keep Postgres
// from taking another connection for a moment.
func (t *trial) reader(ctx context.Context) (*store.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	for {
		st, err := store.Reader(ctx, t.direct)
		if err == nil || pause(ctx, 100*time.Millisecond) != nil {
			return st, err
		}
	}
}
