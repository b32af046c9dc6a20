package store_test

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sear/internal/sqldb"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
)

// before are the migrations that come before the one of a name.
func before(t *testing.T, name string) fs.FS {
	t.Helper()
	found := fstest.MapFS{}
	for _, folder := range []string{"sqlite", "postgres"} {
		files, err := fs.Glob(store.Migrations, "migrations/"+folder+"/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, name) {
				break
			}
			script, err := fs.ReadFile(store.Migrations, file)
			if err != nil {
				t.Fatal(err)
			}
			found[path.Join(folder, path.Base(file))] = &fstest.MapFile{Data: script}
		}
	}
	return found
}

// TestSchedulesKeepWhatTheyWere: what stood on a schedule stands on each of its instances once
// the store is migrated, and the ids of both stay.
func TestSchedulesKeepWhatTheyWere(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(testing.TB) string{
		"sqlite": func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "core.db") }, "postgres": pgtest.URL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := place(t)
			old, err := sqldb.Open(t.Context(), url, sqldb.Options{Migrations: before(t, "_schedule_instance.sql")})
			if err != nil {
				t.Fatal(err)
			}
			err = old.Update(t.Context(), func(tx *sqldb.Tx) error {
				for _, insert := range []string{
					`INSERT INTO schedule (id, project_id, type, task, dedup_key, user_key, external_id, active, created_at, updated_at) VALUES
						('s1', 'p', 'IMPERATIVE', 'tick', 'k', 1, 'ext', 1, 5, 6), ('s2', 'p', 'DECLARATIVE', 'tock', 'r', 0, NULL, 1, 5, 6),
						('s3', 'p', 'IMPERATIVE', 'tick', 'off', 1, NULL, 0, 5, 6)`,
					`INSERT INTO schedule_instance (env_id, schedule_id, cron, timezone, span, active, next_at, last_at, created_at) VALUES
						('dev', 's1', '* * * * *', 'UTC', NULL, 1, 70, 60, 5), ('prod', 's1', '0 3 * * *', 'Europe/Berlin', '30m', 1, 71, NULL, 5),
						('gone', 's1', '* * * * *', 'UTC', NULL, 0, NULL, 60, 5), ('dev', 's2', '@daily', 'UTC', NULL, 1, 72, NULL, 5),
						('dev', 's3', '@daily', 'UTC', NULL, 1, 73, NULL, 5)`,
				} {
					if _, err := tx.Exec(insert); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}

			st, err := store.Open(t.Context(), url, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { st.Close() })
			type row struct {
				Key, Origin, Task, ExternalID, Cron, Zone, Window string
				Active                                            bool
				Next, Last                                        int64
			}
			got := map[string]row{}
			err = st.View(t.Context(), func(tx *store.Tx) error {
				for _, at := range [][2]string{{"dev", "s1"}, {"prod", "s1"}, {"gone", "s1"}, {"dev", "s2"}, {"dev", "s3"}} {
					i, err := tx.Schedule(at[0], at[1])
					if err != nil {
						return err
					}
					r := row{i.Key, i.Origin, i.Task, i.ExternalID, i.Timing.Cron, i.Timing.Timezone, i.Timing.Window, i.Active, 0, 0}
					if !i.Next.IsZero() {
						r.Next = i.Next.UnixMicro()
					}
					if !i.Last.IsZero() {
						r.Last = i.Last.UnixMicro()
					}
					got[at[0]+" "+at[1]] = r
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]row{
				"dev s1":  {"k", "tick", "tick", "ext", "* * * * *", "UTC", "", true, 70, 60},
				"prod s1": {"k", "tick", "tick", "ext", "0 3 * * *", "Europe/Berlin", "30m", true, 71, 0},
				"gone s1": {"k", "tick", "tick", "ext", "* * * * *", "UTC", "", true, 0, 60},
				"dev s2":  {"r", "tock", "tock", "", "@daily", "UTC", "", true, 72, 0},
				"dev s3":  {"off", "tick", "tick", "", "@daily", "UTC", "", false, 73, 0},
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
