package server_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/auth"
	"sear/internal/backup"
	"sear/internal/doctor"
	"sear/internal/server"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
	"sear/internal/tenant"
)

// stopped is a server that has set its store up and ended.
func stopped(t testing.TB, cfg server.Config) server.Config {
	t.Helper()
	run(t, cfg).end(t)
	return cfg
}

// serve starts a server, and ends it if it does start.
func serve(ctx context.Context, cfg server.Config) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cfg.Ready = func(string) { stop() }
	return server.Run(ctx, cfg, slog.New(slog.DiscardHandler))
}

// commands are all that work on a store, by name.
func commands(cfg server.Config) map[string]func(context.Context) error {
	log := slog.New(slog.DiscardHandler)
	all := map[string]func(context.Context) error{
		"serve":  func(ctx context.Context) error { return serve(ctx, cfg) },
		"keys":   func(ctx context.Context) error { _, err := server.Keys(ctx, cfg); return err },
		"hold":   func(ctx context.Context) error { return server.Hold(ctx, cfg, log) },
		"resume": func(ctx context.Context) error { return server.Resume(ctx, cfg, log) },
		"rotate": func(ctx context.Context) error {
			_, err := server.RotateKey(ctx, cfg, server.Rotation{Env: tenant.Development, Grace: time.Hour}, log)
			return err
		},
	}
	if cfg.DatabaseURL == "" {
		all["backup"] = func(ctx context.Context) error {
			_, _, err := server.Backup(ctx, cfg, filepath.Join(cfg.Data, "..", "backup"), backup.Options{})
			return err
		}
	}
	return all
}

// refusing checks that all commands and the doctor say the same.
func refusing(t *testing.T, cfg server.Config, check string, says ...string) {
	t.Helper()
	contains := func(who, text string) {
		t.Helper()
		for _, want := range says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s; want %q", who, text, want)
			}
		}
	}
	for name, command := range commands(cfg) {
		err := command(t.Context())
		if err == nil {
			t.Errorf("%s works", name)
			continue
		}
		contains(name, err.Error())
	}
	f := finding(t, cfg, check)
	contains("doctor", f.Message+": "+f.Fix)
	if f.Level != doctor.Fail {
		t.Errorf("to the doctor it is %s", f.Level)
	}
}

// TestLostKeyIsNeverReplaced: a store that is set up has one key, and whoever starts on it
// without is told where that may be. Nothing is made in its place.
func TestLostKeyIsNeverReplaced(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{"sqlite": func(testing.TB) string { return "" }, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.DatabaseURL = database(t)
			stopped(t, cfg)
			file := filepath.Join(cfg.Data, "secret.key")
			key, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if f := finding(t, cfg, "secret key"); f.Level != doctor.OK || !strings.Contains(f.Message, "opens what the store has sealed") {
				t.Errorf("while it is there the doctor says %+v", f)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			refusing(t, cfg, "secret key", "secret.key: no such file", "backup", "--secret-key")
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("a key was made: %v", err)
			}
			if err := os.WriteFile(file, []byte(hex.EncodeToString(make([]byte, auth.KeySize))), 0o600); err != nil {
				t.Fatal(err)
			}
			refusing(t, cfg, "secret key", "another sealing key", "backup", "--secret-key")
			if err := os.WriteFile(file, key, 0o600); err != nil {
				t.Fatal(err)
			}
			stopped(t, cfg)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			cfg.SecretKey = strings.TrimSpace(string(key))
			stopped(t, cfg)
			if f := finding(t, cfg, "secret key"); f.Level != doctor.OK {
				t.Errorf("when it is given the doctor says %+v", f)
			}
		})
	}
}

// TestLostPacketsAreMissed: an empty directory in the place of large payloads would hide that
// they are gone, or not mounted.
func TestLostPacketsAreMissed(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	r := run(t, cfg)
	keys, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	packets := filepath.Join(cfg.Data, "packets")
	trigger := func(url, payload string) {
		t.Helper()
		c := servertest.Client{URL: url, Key: keys.SecretKeys.Dev}
		if got := c.Call(t, "POST", "/api/v1/tasks/hello/trigger", `{"payload":"`+payload+`"}`); got.Status != 200 {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	trigger(r.url, "small")
	r.end(t)
	if err := os.RemoveAll(packets); err != nil { // nothing lies in it
		t.Fatal(err)
	}
	r = run(t, cfg)
	trigger(r.url, strings.Repeat("x", 600<<10))
	r.end(t)
	if err := os.RemoveAll(packets); err != nil {
		t.Fatal(err)
	}
	err = serve(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "large payloads") || !strings.Contains(err.Error(), packets) {
		t.Errorf("started with %v", err)
	}
	if f := finding(t, cfg, "large payloads"); f.Level != doctor.Fail || !strings.Contains(f.Message, packets) || !strings.Contains(f.Fix, "mkdir") {
		t.Errorf("the doctor says %+v", f)
	}
	if err := os.Mkdir(packets, 0o700); err != nil { // they are given up
		t.Fatal(err)
	}
	stopped(t, cfg)
}

// TestLostDatabaseIsMissed: a new store beside the key and the payloads of an old one is not
// what anybody wants.
func TestLostDatabaseIsMissed(t *testing.T) {
	t.Parallel()
	cfg := stopped(t, config(t))
	for _, name := range []string{"core.db", "core.db-wal", "core.db-shm"} {
		if err := os.Remove(filepath.Join(cfg.Data, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	err := serve(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "core.db") || !strings.Contains(err.Error(), "--database-url") {
		t.Errorf("started with %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "core.db")); !os.IsNotExist(err) {
		t.Errorf("a database was made: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(cfg.Data, "packets")); err != nil {
		t.Fatal(err)
	}
	stopped(t, cfg) // a key that somebody brought along is used
}

// TestRestoreSaysThatItsKeyIsMissing: a backup may be without it.
func TestRestoreSaysThatItsKeyIsMissing(t *testing.T) {
	t.Parallel()
	cfg := stopped(t, config(t))
	for name, o := range map[string]backup.Options{"with": {}, "without": {NoKey: true}} {
		file := filepath.Join(t.TempDir(), "file")
		if _, _, err := server.Backup(t.Context(), cfg, file, o); err != nil {
			t.Fatal(err)
		}
		to := server.Config{Data: filepath.Join(t.TempDir(), "data")}
		r, err := server.Restore(t.Context(), to, file)
		if err != nil || (r.Key != nil) != o.NoKey || o.NoKey && !strings.Contains(r.Key.Error(), "--secret-key") {
			t.Errorf("%s its key: %v, %v", name, r.Key, err)
		}
	}
}
