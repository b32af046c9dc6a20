package engine

import (
	"context"
	"time"

	"sear/internal/store"
)

// topicHold is hinted when the hold ends.
const topicHold = "hold"

// held reports whether the store is held: it was restored from a backup, and what it
// would start may be under way on the original. Triggers are taken and queued, nothing is
// handed out, fires, times out or goes on. A hold can only end, so that the end of one is
// remembered.
func (e *Engine) held(tx *store.Tx) (bool, error) {
	if e.released.Load() {
		return false, nil
	}
	held, err := tx.Setting(store.SettingHeld)
	if err != nil || held != "" {
		return held != "", err
	}
	e.released.Store(true)
	return false, nil
}

// awaitRelease returns when the store is not held, or ctx ends.
func (e *Engine) awaitRelease(ctx context.Context) error {
	watch := e.store.Watch(topicHold, "")
	defer watch.Close()
	tick := time.NewTicker(e.patience())
	defer tick.Stop()
	for {
		var held bool
		err := e.view(ctx, func(tx *store.Tx) (err error) { held, err = e.held(tx); return err })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			e.log.Error("is the store held? trying again", "error", err)
		case !held:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-watch.C():
		case <-tick.C:
		}
	}
}

// Resume ends the hold of a restored store, on all nodes. Where there is none it does nothing.
func (e *Engine) Resume(ctx context.Context) error {
	return e.store.Update(ctx, func(tx *store.Tx) error {
		tx.Hint(topicHold, "")
		return tx.SetSetting(store.SettingHeld, "")
	})
}
