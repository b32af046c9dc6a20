package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"sear/internal/auth"
	"sear/internal/doctor"
	"sear/internal/fault"
	"sear/internal/store"
)

// What a store needs and has lost is missed here, by the server, the commands and the doctor
// alike, and is not made anew: a new key opens nothing, and an empty database or directory in
// the place of a lost one would hide the loss.

// firstSealer is the sealer of a store that a server starts on. Only a store that is not set up
// gets a key of its own making.
func firstSealer(ctx context.Context, cfg Config, st *store.Store) (*auth.Sealer, error) {
	sealer, err := sealerOf(ctx, cfg, st)
	if !fault.Is(err, fault.NotFound) {
		return sealer, err
	}
	key, err := cfg.givenKey()
	if key == nil && err == nil {
		key, err = auth.LoadOrCreateKey(filepath.Join(cfg.Data, keyFile))
	}
	if err != nil {
		return nil, err
	}
	return auth.NewSealer(key)
}

// sealerOf is the sealer of a store that is set up, and opens it; it is a fault.NotFound when
// the store is not. A key that is missing or does not fit is a [doctor.Problem].
func sealerOf(ctx context.Context, cfg Config, st *store.Store) (*auth.Sealer, error) {
	err := st.View(ctx, func(tx *store.Tx) error { _, err := tx.Instance(); return err })
	if err != nil {
		return nil, err
	}
	key, err := cfg.givenKey()
	if key == nil && err == nil {
		key, err = auth.LoadKey(filepath.Join(cfg.Data, keyFile))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &doctor.Problem{What: "the key of this store's secrets is missing: " + err.Error(), Cause: err, Fix: "put the file back, which a backup of the store " +
			"and the data directory of its other nodes have, or give the key with --secret-key: without it no secret can be opened, and another does not fit"}
	}
	if err != nil {
		return nil, err
	}
	sealer, err := auth.NewSealer(key)
	if err != nil {
		return nil, err
	}
	if err := auth.CheckSeal(ctx, st, sealer); err != nil {
		return nil, fitting(err)
	}
	return sealer, nil
}

// fitting says what to do about a key that does not fit.
func fitting(err error) error {
	if !errors.Is(err, auth.ErrOtherKey) {
		return err
	}
	return &doctor.Problem{What: auth.ErrOtherKey.Error(), Cause: err,
		Fix: "put back the " + keyFile + " that was made with this store, which a backup of it has, or give that key with --secret-key"}
}

// givenKey is the key that the configuration names, nil when it names none.
func (c Config) givenKey() ([]byte, error) {
	if c.SecretKey == "" {
		return nil, nil
	}
	return auth.ParseKey(c.SecretKey)
}

// lostDatabase misses an SQLite store whose key and large payloads are there.
func (c Config) lostDatabase() error {
	if c.DatabaseURL != "" || c.has(databaseFile) || !c.has(keyFile) || !c.has(blobDir) {
		return nil
	}
	return &doctor.Problem{What: "there is no " + c.databaseFile() + ", beside the key and the large payloads of a store",
		Fix: "put it back, restore a backup into another directory, name the store's Postgres with --database-url, or, to begin anew, move " + keyFile + " and " + blobDir + " away"}
}

// lostPackets misses the directory of large payloads of a store whose runs refer to some.
func lostPackets(ctx context.Context, cfg Config, st *store.Store) error {
	if cfg.inBucket() || cfg.has(blobDir) {
		return nil
	}
	var named bool
	err := st.View(ctx, func(tx *store.Tx) (err error) { named, err = tx.NamesPackets(); return err })
	if err != nil || !named {
		return err
	}
	dir := filepath.Join(cfg.Data, blobDir)
	return &doctor.Problem{What: "runs refer to large payloads, and their directory is missing: " + dir,
		Fix: "put it back from a backup, mount it, share the data directory of the other nodes, or name the bucket; if it is lost for good, `mkdir -m 700 " + dir + "`"}
}

// inBucket reports whether large payloads go to a bucket.
func (c Config) inBucket() bool { return c.S3.Endpoint != "" || c.S3.Bucket != "" }

// has reports whether something of a name is in the data directory, or cannot be said not to be.
func (c Config) has(name string) bool {
	_, err := os.Stat(filepath.Join(c.Data, name))
	return !errors.Is(err, fs.ErrNotExist)
}
