package sqldb_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"sear/internal/sqldb"
)

func TestMigrations(t *testing.T) {
	t.Parallel()
	const one = "CREATE TABLE thing (id TEXT PRIMARY KEY); CREATE INDEX i ON thing (id)"
	const two = "ALTER TABLE thing ADD COLUMN n BIGINT; INSERT INTO thing (id) VALUES ('two');\n"
	gap := migrations(one, two)
	for _, folder := range []string{"sqlite", "postgres"} {
		gap[folder+"/0004_step.sql"] = &fstest.MapFile{Data: []byte("SELECT 1")}
	}
	steps := []struct {
		name string
		m    fstest.MapFS
		want string // of the error
	}{
		{"none", fstest.MapFS{}, ""},
		{"first", migrations(one), ""},
		{"again", migrations(one), ""},
		{"fails", migrations(one, "INSERT INTO thing (id) VALUES ('lost'); CREATE TABLE thing (x TEXT)"), "migration 0002_step"},
		{"second", migrations(one, two), ""},
		{"second again", migrations(one, two), ""},
		{"changed", migrations(one+" ", two), "migration 0001_step was changed"},
		{"older program", migrations(one), "the database is at version 2 (step) or later, this program knows versions up to 1"},
		{"gap", gap, "should be 0003"},
	}
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.url(t)
			for _, s := range steps {
				db, err := sqldb.Open(context.Background(), url, sqldb.Options{Migrations: s.m})
				if err == nil {
					err = db.Close()
				}
				if (err == nil) != (s.want == "") || err != nil && !strings.Contains(err.Error(), s.want) {
					t.Errorf("%s: %v, want %q", s.name, err, s.want)
				}
			}
			db := open(t, url, nil)
			if got := ids(t, db); len(got) != 1 || got[0] != "two" {
				t.Errorf("things %q", got)
			}
		})
	}
}

func TestNodesMigrateOneAtATime(t *testing.T) {
	t.Parallel()
	url := backends[1].url(t)
	m := migrations("CREATE TABLE thing (id TEXT PRIMARY KEY)", "INSERT INTO thing (id) VALUES ('once')")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			db, err := sqldb.Open(context.Background(), url, sqldb.Options{Migrations: m})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(db.Ping(context.Background()), db.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
