package server_test

import (
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/backup"
	"sear/internal/doctor"
	"sear/internal/server"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
)

// change writes to the store of a server that does not run.
func change(t testing.TB, cfg server.Config, query string) {
	t.Helper()
	url := cfg.DatabaseURL
	if url == "" {
		url = "sqlite:" + filepath.Join(cfg.Data, "core.db")
	}
	st, err := store.Open(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		t.Fatal(err)
	}
}

// finding is what an examination says of one check.
func finding(t testing.TB, cfg server.Config, check string) doctor.Finding {
	t.Helper()
	list := server.Examine(t.Context(), cfg)
	var got doctor.Finding
	for _, f := range list {
		if f.Check == check && (got.Check == "" || f.Level == doctor.Fail) {
			got = f
		}
	}
	return got
}

// TestExamineFindsWhatIsBroken breaks one thing after the other of an installation whose
// server does not run.
func TestExamineFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		check  string
		level  doctor.Level
		says   string
		damage func(t *testing.T, cfg server.Config)
	}{
		"all well":       {"runs", doctor.OK, "all that must hold does", func(*testing.T, server.Config) {}},
		"directory open": {"data directory", doctor.Warn, "mode 0755", func(t *testing.T, cfg server.Config) { must(t, os.Chmod(cfg.Data, 0o755)) }},
		"key open":       {"secret key", doctor.Fail, "others on this machine", func(t *testing.T, cfg server.Config) { must(t, os.Chmod(filepath.Join(cfg.Data, "secret.key"), 0o644)) }},
		"key gone":       {"secret key", doctor.Fail, "no such file", func(t *testing.T, cfg server.Config) { must(t, os.Remove(filepath.Join(cfg.Data, "secret.key"))) }},
		"database gone":  {"database", doctor.Fail, "cannot be opened", func(t *testing.T, cfg server.Config) { must(t, os.Remove(filepath.Join(cfg.Data, "core.db"))) }},
		"database damaged": {"database", doctor.Fail, "cannot be", func(t *testing.T, cfg server.Config) {
			must(t, os.WriteFile(filepath.Join(cfg.Data, "core.db"), []byte(strings.Repeat("x", 9000)), 0o600))
		}},
		"older": {"migrations", doctor.Warn, "are made", func(t *testing.T, cfg server.Config) {
			change(t, cfg, `DELETE FROM schema_migration WHERE version > 6`)
		}},
		"newer": {"migrations", doctor.Fail, "knows", func(t *testing.T, cfg server.Config) {
			change(t, cfg, `INSERT INTO schema_migration VALUES (99, 'x', 'x', 1)`)
		}},
		"not running": {"public address", doctor.Warn, "does not answer", func(*testing.T, server.Config) {}},
		"run of tomorrow": {"clock", doctor.Warn, "yet to come", func(t *testing.T, cfg server.Config) {
			change(t, cfg, `INSERT INTO run (id, env_id, task, status, exec, seq, attempt, began, note, moved_at, queued, lane, score, slot, nacks, max_attempts, max_duration, ttl,
				batch_index, depth, resume_parent, usage, created_at, updated_at, is_test) VALUES ('z', 'e', 't', 'CANCELED', 'FINISHED', 1, 0, 0, '', 1, 0, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9000000000000000, 1, 0)`)
		}},
		"run without end": {"runs", doctor.Fail, "has a time of its end: not so for 1, such as y", func(t *testing.T, cfg server.Config) {
			change(t, cfg, `INSERT INTO run (id, env_id, task, status, exec, seq, attempt, began, note, moved_at, queued, lane, score, slot, nacks, max_attempts, max_duration, ttl,
				batch_index, depth, resume_parent, usage, created_at, updated_at, is_test) VALUES ('y', 'e', 't', 'CANCELED', 'FINISHED', 1, 0, 0, '', 1, 0, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0)`)
		}},
		"no backup": {"last backup", doctor.Warn, "there was none", func(*testing.T, server.Config) {}},
		"backup": {"last backup", doctor.OK, "20", func(t *testing.T, cfg server.Config) {
			_, _, err := server.Backup(t.Context(), cfg, filepath.Join(t.TempDir(), "file"), backup.Options{})
			must(t, err)
		}},
		"old backup": {"last backup", doctor.Warn, "8 days old", func(t *testing.T, cfg server.Config) {
			note, err := json.Marshal(server.LastBackup{At: time.Now().Add(-8*24*time.Hour - time.Minute)})
			must(t, err)
			must(t, os.WriteFile(filepath.Join(cfg.Data, "last-backup.json"), note, 0o600))
		}},
		"note of the backup torn": {"last backup", doctor.Warn, "last-backup.json", func(t *testing.T, cfg server.Config) {
			must(t, os.WriteFile(filepath.Join(cfg.Data, "last-backup.json"), []byte(`{"at":"20`), 0o600))
		}},
		"held": {"hold", doctor.Warn, "nothing is executed", func(t *testing.T, cfg server.Config) {
			must(t, server.Hold(t.Context(), cfg, slog.New(slog.DiscardHandler)))
		}},
		"port of another": {"port", doctor.Fail, "is taken", func(t *testing.T, cfg server.Config) {
			l, err := net.Listen("tcp", cfg.Addr)
			must(t, err)
			t.Cleanup(func() { l.Close() })
			go func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					c.Close()
				}
			}()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			r := run(t, cfg)
			r.end(t)
			cfg.Addr = strings.TrimPrefix(r.url, "http://")
			c.damage(t, cfg)
			if got := finding(t, cfg, c.check); got.Level != c.level || !strings.Contains(got.Message, c.says) || got.Level != doctor.OK && got.Fix == "" {
				t.Errorf("%+v, want %s that says %q, and a fix", got, c.level, c.says)
			}
		})
	}
}

// TestExamineWhileServing: a server that runs is found, on either database, and one that
// clients are told to look for elsewhere.
func TestExamineWhileServing(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{"sqlite": func(testing.TB) string { return "" }, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.DatabaseURL = database(t)
			r := run(t, cfg)
			cfg.Addr = strings.TrimPrefix(r.url, "http://")
			for _, check := range []string{"data directory", "secret key", "port", "migrations", "public address", "clock", "runs"} {
				if got := finding(t, cfg, check); got.Level != doctor.OK {
					t.Errorf("%+v", got)
				}
			}
			if got := finding(t, cfg, "database"); cfg.DatabaseURL != "" && (got.Level != doctor.Fail || !strings.Contains(got.Message, "fsync is off")) {
				t.Errorf("the cluster of tests keeps nothing safe: %+v", got)
			}
		})
	}
	cfg := config(t)
	cfg.PublicURL = "http://127.0.0.1:1"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Addr = l.Addr().String()
	l.Close()
	run(t, cfg)
	if got := finding(t, cfg, "public address"); got.Level != doctor.Fail || !strings.Contains(got.Message, "clients are told http://127.0.0.1:1") {
		t.Errorf("%+v", got)
	}
}
