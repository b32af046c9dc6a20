package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/store"
)

// What is in the data directory.
const (
	databaseFile = "core.db"
	keyFile      = "secret.key"
	blobDir      = "packets"
)

// databaseURL is where the store is.
func (c Config) databaseURL() string {
	if c.DatabaseURL != "" {
		return c.DatabaseURL
	}
	return "sqlite:" + c.databaseFile()
}

// databaseFile is where an SQLite store is.
func (c Config) databaseFile() string { return filepath.Join(c.Data, databaseFile) }

// openStore opens the store, making the data directory where it is missing.
func openStore(ctx context.Context, cfg Config, log *slog.Logger) (*store.Store, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := cfg.lostDatabase(); err != nil {
		return nil, err
	}
	return store.Open(ctx, cfg.databaseURL(), log)
}

// openBlobs opens the place of the large payloads of a store.
func openBlobs(ctx context.Context, cfg Config, st *store.Store) (*blob.Store, error) {
	if err := lostPackets(ctx, cfg, st); err != nil {
		return nil, err
	}
	dir := filepath.Join(cfg.Data, blobDir)
	if !cfg.inBucket() {
		return blob.Open(dir)
	}
	return blob.OpenS3(ctx, dir, cfg.S3)
}

// KeySet is what clients need to reach a server and its first project.
type KeySet struct {
	APIURL string `json:"apiUrl"`
	auth.Keys
	store string // the identity of the store they are from
}

// Keys reads the keys of a store that a server has set up. The server may be
// running; if it is, APIURL is where, whatever cfg.Addr says.
func Keys(ctx context.Context, cfg Config) (KeySet, error) {
	st, err := store.Reader(ctx, cfg.databaseURL())
	if err != nil {
		return KeySet{}, err
	}
	defer st.Close()
	sealer, err := sealerOf(ctx, cfg, st)
	if err != nil {
		return KeySet{}, err
	}
	var set KeySet
	if set.Keys, err = auth.ReadKeys(ctx, st, sealer); err != nil {
		return KeySet{}, err
	}
	err = st.View(ctx, func(tx *store.Tx) (err error) {
		if set.APIURL, err = tx.Setting(store.SettingPublicURL); err != nil {
			return err
		}
		set.store, err = tx.Setting(store.SettingIdentity)
		return err
	})
	return set, err
}
