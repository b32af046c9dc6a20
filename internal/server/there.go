package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sear/internal/doctor"
	"sear/internal/id"
	"sear/internal/sqldb"
	"sear/internal/store"
)

// there changes a store, which a server may be running on: by asking that server, or in the
// store itself where there is none. A server that answers where the store says its own is
// may be that of the original that the store was copied from, so it must be shown to be the
// one. A SQLite that a server runs on is locked by it; on Postgres see serves.
func there(ctx context.Context, cfg Config, log *slog.Logger, ask func(set KeySet) error, do func(st *store.Store) error) error {
	set, err := Keys(ctx, cfg)
	if err != nil {
		return err
	}
	asked := false
	err = write(ctx, cfg, log, func(st *store.Store) error {
		if cfg.DatabaseURL != "" && set.PersonalAccessToken != "" {
			if asked, err = serves(ctx, st); err != nil || asked {
				return err
			}
		}
		return do(st)
	})
	switch {
	case asked && err == nil:
		return ask(set)
	case errors.Is(err, sqldb.ErrInUse):
		return set.lockedBy(ctx, ask)
	}
	return err
}

// lockedBy asks the server that keeps a SQLite locked.
func (k KeySet) lockedBy(ctx context.Context, ask func(set KeySet) error) error {
	identity, err := doctor.StoreAt(ctx, k.APIURL)
	switch {
	case err == nil && identity != k.store:
		err = fmt.Errorf("the one at %s is of another store", k.APIURL)
	case err == nil && k.PersonalAccessToken == "":
		err = errors.New("the personal access token that came with the data was revoked")
	}
	if err != nil {
		return fmt.Errorf("a server runs on this data, which nobody else can write then, and it cannot be asked: %w", err)
	}
	return ask(k)
}

// How often a server notes that it runs, and for how long after it counts as running.
const (
	serveEvery = 5 * time.Second
	serveFor   = 4 * serveEvery
)

// noteServing notes in the store that a server runs on it, until ctx ends: whoever holds the
// store may not be able to reach it.
func noteServing(ctx context.Context, st *store.Store, log *slog.Logger) {
	server := id.New(time.Now())
	note := func(ctx context.Context, ended bool) {
		err := st.Update(ctx, func(tx *store.Tx) error { return tx.Serve(server, time.Now(), ended) })
		if err != nil && ctx.Err() == nil {
			log.Debug("it is not noted that a server runs", "error", err)
		}
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		note(ctx, true)
	}()
	tick := time.NewTicker(serveEvery)
	defer tick.Stop()
	for {
		note(ctx, false)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// notServing refuses while a server was at work on the store just now.
func notServing(ctx context.Context, st *store.Store) error {
	var at time.Time
	err := st.View(ctx, func(tx *store.Tx) (err error) { at, err = tx.Served(); return err })
	if since := time.Since(at); err == nil && since < serveFor {
		return fmt.Errorf("a server ran on this store %d s ago, and would go on: stop all its nodes first, and try again %s later", int(since.Seconds()), serveFor)
	}
	return err
}

// write opens a store for writing.
func write(ctx context.Context, cfg Config, log *slog.Logger, do func(st *store.Store) error) (err error) {
	st, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return do(st)
}

// serves reports whether a server that runs on this very store answers where the store says
// its server is: it shows an identity that was written only now.
func serves(ctx context.Context, st *store.Store) (bool, error) {
	identity := id.New(time.Now())
	var url string
	err := st.Update(ctx, func(tx *store.Tx) (err error) {
		if url, err = tx.Setting(store.SettingPublicURL); err != nil {
			return err
		}
		return tx.SetSetting(store.SettingIdentity, identity)
	})
	if err != nil || url == "" {
		return false, err
	}
	shown, err := doctor.StoreAt(ctx, url)
	return err == nil && shown == identity, nil
}
