package engine

import (
	"context"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// maxSnapshots is how many snapshots one answer holds.
//
//limit:workers Snapshots in one answer | snapshots | the newest are left out, and come with the next call
const maxSnapshots = 50

// State is a snapshot of a run with what it delivers.
type State struct {
	store.Snapshot
	Run       run.Run
	Completed []store.Completed
}

// Ping returns once the engine has committed a command that does nothing.
func (e *Engine) Ping(ctx context.Context) error {
	return e.do(ctx, nil, func(*work) error { return nil })
}

// Latest is the newest snapshot of a run.
func (e *Engine) Latest(ctx context.Context, env *tenant.Environment, runID string) (State, error) {
	var s State
	err := e.view(ctx, func(tx *store.Tx) error {
		r, err := tx.Run(env.ID, runID)
		if err != nil {
			return err
		}
		s = State{Snapshot: store.SnapshotOf(r), Run: r}
		s.Completed, err = tx.CompletedEdges(r.ID, r.Seq)
		return err
	})
	return s, err
}

// Since lists the snapshots of a run after seq, oldest first, at most fifty; only
// the newest carries its completed waitpoints. A seq that the run has not reached
// is fault.NotFound.
func (e *Engine) Since(ctx context.Context, env *tenant.Environment, runID string, seq int64) ([]State, error) {
	var out []State
	err := e.view(ctx, func(tx *store.Tx) error {
		r, err := tx.Run(env.ID, runID)
		if err != nil {
			return err
		}
		if seq < 1 || seq > r.Seq {
			return fault.New(fault.NotFound, "Snapshot not found")
		}
		old, err := tx.SnapshotsSince(r.ID, seq, maxSnapshots)
		if err != nil {
			return err
		}
		out = nil
		for _, s := range old {
			out = append(out, State{Snapshot: s, Run: r})
		}
		if len(out) == maxSnapshots || seq == r.Seq {
			return nil
		}
		last := State{Snapshot: store.SnapshotOf(r), Run: r}
		last.Completed, err = tx.CompletedEdges(r.ID, r.Seq)
		out = append(out, last)
		return err
	})
	return out, err
}
