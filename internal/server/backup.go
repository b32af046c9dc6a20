package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sear/internal/backup"
	"sear/internal/store"
)

var layout = backup.Layout{Database: databaseFile, Key: keyFile, Packets: blobDir}

// lastBackupFile is where a backup leaves a note of itself, for the doctor.
const lastBackupFile = "last-backup.json"

// LastBackup is the note of the newest backup.
type LastBackup struct {
	At    time.Time `json:"at"`
	File  string    `json:"file"`
	Bytes int64     `json:"bytes"`
}

// errPostgresBackup says how a store on Postgres is backed up.
var errPostgresBackup = errors.New("a store on Postgres is backed up with pg_dump and a copy of the packets: see docs/operating.md")

// Backup writes the data directory of a server, which may be running, to a new file.
func Backup(ctx context.Context, cfg Config, file string, o backup.Options) (m backup.Manifest, size int64, err error) {
	if cfg.DatabaseURL != "" {
		return m, 0, errPostgresBackup
	}
	if file, err = filepath.Abs(file); err != nil {
		return m, 0, err
	}
	if cfg.SecretKey != "" { // the file, if there is one, is not the key
		o.NoKey = true
	}
	if !o.NoKey { // one that does not fit would be found out when it is needed
		if err := checkKey(ctx, cfg); err != nil {
			return m, 0, err
		}
	}
	if m, err = backup.Write(ctx, cfg.Data, layout, file, o); err != nil {
		return m, 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return m, 0, err
	}
	note, err := json.Marshal(LastBackup{m.At, file, info.Size()})
	if err != nil {
		return m, 0, err
	}
	if err := replaceFile(filepath.Join(cfg.Data, lastBackupFile), note); err != nil {
		return m, info.Size(), fmt.Errorf("%s is written, but not the note of it for `sear doctor`: %w", file, err)
	}
	return m, info.Size(), nil
}

// checkKey misses the key of a store that a server has set up.
func checkKey(ctx context.Context, cfg Config) error {
	st, err := store.Reader(ctx, cfg.databaseURL())
	if err != nil {
		return err
	}
	defer st.Close()
	_, err = sealerOf(ctx, cfg, st)
	return err
}

// replaceFile gives a file other contents at once: whoever reads it, also after a crash,
// finds the old ones or the new ones.
func replaceFile(name string, contents []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".note-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is no longer there when all went well
	_, err = f.Write(contents)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// readLastBackup reads the note of the newest backup, nil when there was none.
func readLastBackup(dir string) (*LastBackup, error) {
	text, err := os.ReadFile(filepath.Join(dir, lastBackupFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var b LastBackup
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", lastBackupFile, err)
	}
	return &b, nil
}

// VerifyBackup restores a file aside and checks what came of it.
func VerifyBackup(ctx context.Context, file string) (backup.Restored, error) {
	return backup.Verify(ctx, file, layout, slog.New(slog.DiscardHandler))
}

// Restored is what came of a backup, and why a server will not start on it as it is: Key is
// nil when the store's key is there and fits.
type Restored struct {
	backup.Restored
	Key error
}

// Restore makes a data directory of a backup. A server on it is held until Resume.
func Restore(ctx context.Context, cfg Config, file string) (r Restored, err error) {
	if cfg.DatabaseURL != "" {
		return r, errPostgresBackup
	}
	if r.Restored, err = backup.Restore(ctx, file, cfg.Data, layout, slog.New(slog.DiscardHandler)); err == nil {
		r.Key = checkKey(ctx, cfg)
	}
	return r, err
}

// Hold has the servers of a store start nothing until Resume, as after a restore. None may be running.
func Hold(ctx context.Context, cfg Config, log *slog.Logger) error {
	return write(ctx, cfg, log, func(st *store.Store) error {
		if _, err := sealerOf(ctx, cfg, st); err != nil {
			return err
		}
		if err := notServing(ctx, st); err != nil {
			return err
		}
		return st.Update(ctx, func(tx *store.Tx) error { return tx.BecomeCopy(time.Now()) })
	})
}

// Resume ends the hold of a restored store. A server that runs on it is asked to; where
// there is none the store is written directly.
func Resume(ctx context.Context, cfg Config, log *slog.Logger) error {
	ask := func(set KeySet) error { return set.call(ctx, http.MethodPost, "/api/v1/resume", nil, nil) }
	return there(ctx, cfg, log, ask, func(st *store.Store) error {
		return st.Update(ctx, func(tx *store.Tx) error { return tx.SetSetting(store.SettingHeld, "") })
	})
}

// warnHeld says on start that a server starts nothing.
func warnHeld(ctx context.Context, st *store.Store, log *slog.Logger) error {
	return st.View(ctx, func(tx *store.Tx) error {
		since, err := tx.Setting(store.SettingHeld)
		if since != "" {
			log.Warn("held: this store was restored from a backup, and nothing is executed until `sear resume`", "since", since)
		}
		return err
	})
}
