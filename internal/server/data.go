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
	return store.Open(ctx, cfg.databaseURL(), log)
}

// openBlobs opens the place of large payloads.
func openBlobs(ctx context.Context, cfg Config) (*blob.Store, error) {
	dir := filepath.Join(cfg.Data, blobDir)
	if cfg.S3.Endpoint == "" && cfg.S3.Bucket == "" {
		return blob.Open(dir)
	}
	return blob.OpenS3(ctx, dir, cfg.S3)
}

// newSealer makes the sealer of the configured key, or of the one in the data
// directory, which is created at the first start.
func newSealer(cfg Config) (*auth.Sealer, error) {
	key, err := sealingKey(cfg)
	if err != nil {
		return nil, err
	}
	return auth.NewSealer(key)
}

func sealingKey(cfg Config) ([]byte, error) {
	if cfg.SecretKey != "" {
		return auth.ParseKey(cfg.SecretKey)
	}
	return auth.LoadOrCreateKey(filepath.Join(cfg.Data, keyFile))
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
	if cfg.SecretKey == "" { // a key made now could open nothing
		if _, err := os.Stat(filepath.Join(cfg.Data, keyFile)); err != nil {
			return KeySet{}, fmt.Errorf("the key of the server's secrets: %w", err)
		}
	}
	sealer, err := newSealer(cfg)
	if err != nil {
		return KeySet{}, err
	}
	st, err := store.Reader(ctx, cfg.databaseURL())
	if err != nil {
		return KeySet{}, err
	}
	defer st.Close()
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
