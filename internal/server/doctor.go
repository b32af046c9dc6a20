package server

import (
	"context"
	"time"

	"sear/internal/doctor"
)

// Examine looks at the installation that a configuration describes; its server may be
// running or not.
func Examine(ctx context.Context, cfg Config) ([]doctor.Finding, error) {
	t := doctor.Target{Data: cfg.Data, Database: cfg.databaseURL(), Addr: cfg.Addr, Postgres: cfg.DatabaseURL != "", Now: time.Now()}
	if cfg.SecretKey == "" {
		t.KeyFile = keyFile
	}
	last, err := readLastBackup(cfg.Data)
	if err != nil {
		return nil, err
	}
	if last != nil {
		t.LastBackup = last.At
	}
	return doctor.Examine(ctx, t), nil
}
