package server

import (
	"context"
	"time"

	"sear/internal/doctor"
	"sear/internal/store"
)

// Examine looks at the installation that a configuration describes; its server may be
// running or not.
func Examine(ctx context.Context, cfg Config) []doctor.Finding {
	t := doctor.Target{Data: cfg.Data, Database: cfg.databaseURL(), Addr: cfg.Addr, Postgres: cfg.DatabaseURL != "", Now: time.Now()}
	if cfg.SecretKey == "" {
		t.KeyFile = keyFile
	}
	t.CheckKey = func(ctx context.Context, st *store.Store) error {
		_, err := sealerOf(ctx, cfg, st)
		return err
	}
	t.CheckPackets = func(ctx context.Context, st *store.Store) error { return lostPackets(ctx, cfg, st) }
	if last, err := readLastBackup(cfg.Data); err != nil {
		t.BackupNote = err
	} else if last != nil {
		t.LastBackup = last.At
	}
	return doctor.Examine(ctx, t)
}
