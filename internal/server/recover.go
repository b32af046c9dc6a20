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

// tellRecovered says in one line what a server takes up where another, or it, left off.
func tellRecovered(ctx context.Context, st *store.Store, crashed bool, log *slog.Logger) error {
	var s store.Standing
	err := st.View(ctx, func(tx *store.Tx) (err error) { s, err = tx.Standing(time.Now()); return err })
	if err != nil || s == (store.Standing{}) && !crashed {
		return err
	}
	attrs := []any{"executing", s.Executing, "waiting", s.Waiting, "queued", s.Queued, "delayed", s.Delayed, "overdue", s.Overdue, "wakes", s.Wakes}
	if !st.Postgres() {
		attrs = append(attrs, "afterCrash", crashed)
	}
	if !s.FirstLease.IsZero() {
		attrs = append(attrs, "workersReportBy", s.FirstLease)
	}
	log.Info("recovered what was acknowledged", attrs...)
	return nil
}
