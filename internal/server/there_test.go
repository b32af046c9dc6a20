package server_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/backup"
	"sear/internal/doctor"
	"sear/internal/server"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// settings reads what a store says of its server and its copy.
func settings(t testing.TB, cfg server.Config) (url, identity, held string) {
	t.Helper()
	database := cfg.DatabaseURL
	if database == "" {
		database = "sqlite:" + filepath.Join(cfg.Data, "core.db")
	}
	st, err := store.Reader(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	err = st.View(t.Context(), func(tx *store.Tx) error {
		for name, to := range map[string]*string{store.SettingPublicURL: &url, store.SettingIdentity: &identity, store.SettingHeld: &held} {
			if *to, err = tx.Setting(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return url, identity, held
}

// TestCopyBesideItsOriginal: what is done to a copy whose server does not run is not done to
// the original, whose server answers where the copy says its own is.
func TestCopyBesideItsOriginal(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	for name, setUp := range map[string]func(t *testing.T) (original *running, of, copied server.Config){
		"restored": func(t *testing.T) (*running, server.Config, server.Config) {
			of, copied := config(t), config(t)
			original := run(t, of)
			file := filepath.Join(t.TempDir(), "file")
			if _, _, err := server.Backup(t.Context(), of, file, backup.Options{}); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Restore(t.Context(), copied, file); err != nil {
				t.Fatal(err)
			}
			return original, of, copied
		},
		"restored by the tools of Postgres": func(t *testing.T) (*running, server.Config, server.Config) {
			of, copied := config(t), config(t)
			of.DatabaseURL, copied.DatabaseURL = pgtest.URL(t), pgtest.URL(t)
			run(t, copied).end(t)
			original := run(t, of)
			url, identity, _ := settings(t, of)
			for name, value := range map[string]string{store.SettingPublicURL: url, store.SettingIdentity: identity} {
				change(t, copied, fmt.Sprintf(`UPDATE setting SET value = '%s' WHERE name = '%s'`, value, name))
			}
			if err := server.Hold(t.Context(), copied, log); err != nil {
				t.Fatal(err)
			}
			return original, of, copied
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			original, of, copied := setUp(t)
			if url, _, held := settings(t, copied); url != "" || held == "" {
				t.Errorf("the copy is at %q and held %q", url, held)
			}
			if got := finding(t, copied, "public address"); got.Level != doctor.Warn || !strings.Contains(got.Message, "no server has run") {
				t.Errorf("%+v", got)
			}
			keys, err := server.Keys(t.Context(), of)
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Resume(t.Context(), copied, log); err != nil {
				t.Fatal(err)
			}
			if _, _, held := settings(t, copied); held != "" {
				t.Errorf("the copy is held %q after it was resumed", held)
			}
			made, err := server.RotateKey(t.Context(), copied, server.Rotation{Env: tenant.Development}, log)
			if err != nil {
				t.Fatal(err)
			}
			if got := status(t, original.url, keys.SecretKeys.Dev); got != http.StatusOK {
				t.Errorf("the original's key: %d", got)
			}
			if got, err := server.Keys(t.Context(), copied); err != nil || got.SecretKeys.Dev != made.APIKey || made.APIKey == keys.SecretKeys.Dev {
				t.Errorf("the copy's key: %s and %s, %v", got.SecretKeys.Dev, made.APIKey, err)
			}
		})
	}
}

// awaitServed returns when the server of a store has noted, beside its work, that it is there.
func awaitServed(t testing.TB, cfg server.Config) {
	t.Helper()
	st, err := store.Reader(t.Context(), cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var at time.Time
	for end := time.Now().Add(10 * time.Second); at.IsZero(); time.Sleep(10 * time.Millisecond) {
		if err := st.View(t.Context(), func(tx *store.Tx) (err error) { at, err = tx.Served(); return err }); err != nil || time.Now().After(end) {
			t.Fatalf("no note of the server, %v", err)
		}
	}
}

// TestHoldBesideAServer: a server that runs would go on, so its store is not said to be held.
func TestHoldBesideAServer(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.DatabaseURL = pgtest.URL(t)
	cfg.PublicURL = "http://127.0.0.1:1" // where this process cannot reach it
	run(t, cfg)
	awaitServed(t, cfg)
	if err := server.Hold(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "stop all its nodes") {
		t.Errorf("%v", err)
	}
	if _, _, held := settings(t, cfg); held != "" {
		t.Errorf("it is held %q all the same", held)
	}
}

// TestExamineElsewhere: a server is found by its public address, and one of another store is
// not taken for it.
func TestExamineElsewhere(t *testing.T) {
	t.Parallel()
	cfg, other := config(t), config(t)
	r, stranger := run(t, cfg), run(t, other)
	asks := cfg
	asks.Addr = "127.0.0.1:0" // free
	if got := finding(t, asks, "public address"); got.Level != doctor.OK {
		t.Errorf("%+v", got)
	}
	asks.Addr = strings.TrimPrefix(stranger.url, "http://")
	if got := finding(t, asks, "port"); got.Level != doctor.Fail || !strings.Contains(got.Message, "another store") {
		t.Errorf("%+v", got)
	}
	r.end(t)
	change(t, cfg, fmt.Sprintf(`UPDATE setting SET value = '%s' WHERE name = 'public_url'`, stranger.url))
	if got := finding(t, cfg, "public address"); got.Level != doctor.Fail || !strings.Contains(got.Message, "another store") {
		t.Errorf("%+v", got)
	}
}

// TestExamineHeld: what a held server leaves undone is not stuck.
func TestExamineHeld(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.DatabaseURL = pgtest.URL(t)
	run(t, cfg).end(t)
	if err := server.Hold(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	run(t, cfg)
	change(t, cfg, `INSERT INTO waitpoint (id, env_id, kind, done, is_error, due_at, created_at) VALUES ('w', 'e', 'MANUAL', 0, 0, 1, 1)`)
	if got := finding(t, cfg, "runs"); got.Level != doctor.OK {
		t.Errorf("%+v", got)
	}
	if got := finding(t, cfg, "hold"); got.Level != doctor.Warn {
		t.Errorf("%+v", got)
	}
}
