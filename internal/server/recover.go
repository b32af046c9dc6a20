package server

import (
	"context"
	"log/slog"
	"os"
	"time"

	"sear/internal/store"
)

// crashed reports whether the server that had the SQLite data before ended without
// closing it: its write-ahead log is still there, and is read when the store is opened.
func (c Config) crashed() bool {
	info, err := os.Stat(c.databaseFile() + "-wal")
	return c.DatabaseURL == "" && err == nil && info.Size() > 0
}

// tellRecovered says in one line what a server takes up where another, or it, left off, and
// by when workers that do not report are given up: no earlier than grace from now. While the
// store is held nobody is.
func tellRecovered(ctx context.Context, st *store.Store, crashed bool, grace time.Duration, log *slog.Logger) error {
	var s store.Standing
	var held string
	now := time.Now()
	err := st.View(ctx, func(tx *store.Tx) (err error) {
		if s, err = tx.Standing(now); err == nil {
			held, err = tx.Setting(store.SettingHeld)
		}
		return err
	})
	if err != nil || s == (store.Standing{}) && !crashed {
		return err
	}
	attrs := []any{"executing", s.Executing, "waiting", s.Waiting, "queued", s.Queued, "delayed", s.Delayed, "overdue", s.Overdue, "wakes", s.Wakes}
	if !st.Postgres() {
		attrs = append(attrs, "afterCrash", crashed)
	}
	if !s.FirstLease.IsZero() && held == "" {
		by := now.Add(grace)
		if s.FirstLease.After(by) {
			by = s.FirstLease
		}
		attrs = append(attrs, "workersReportBy", by)
	}
	log.Info("recovered what was acknowledged", attrs...)
	return nil
}
