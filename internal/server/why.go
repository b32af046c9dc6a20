package server

import (
	"context"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/store"
	"sear/internal/why"
	"sear/internal/wire"
)

// Why says why a run does not execute, from the store alone: the server may be running or
// not. A run that the store does not know is fault.NotFound.
func Why(ctx context.Context, cfg Config, friendlyID string) (a why.Answer, err error) {
	runID, ok := id.Internal(id.Run, friendlyID)
	if !ok {
		return a, fault.Newf(fault.Malformed, "%q is no id of a run", friendlyID)
	}
	st, err := store.Reader(ctx, cfg.databaseURL())
	if err != nil {
		return a, err
	}
	defer st.Close()
	var facts why.Facts
	err = st.View(ctx, func(tx *store.Tx) error {
		facts, err = tx.WhyAnywhere(runID, time.Now())
		return err
	})
	if err != nil {
		return a, err
	}
	return why.Explain(facts, wire.CurrentVersion), nil
}
