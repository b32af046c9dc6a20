package sqldb_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"sear/internal/sqldb"
)

func openPostgres(t *testing.T) *sqldb.DB {
	t.Helper()
	return open(t, backends[1].url(t), schema)
}

// failing raises a Postgres error of the given class.
func failing(tx *sqldb.Tx, code string) error {
	_, err := tx.Exec("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '" + code + "'; END $$")
	return err
}

func TestPostgresRunsCollidingTransactionsAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code     string
		failures int
		calls    int
		wantErr  bool
	}{
		{"40001", 2, 3, false},
		{"40P01", 2, 3, false},
		{"40001", 1000, 10, true},
		{"23505", 1, 1, true},
	}
	db := openPostgres(t)
	for _, tt := range tests {
		calls, after := 0, 0
		err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
			calls++
			tx.AfterCommit(func() { after++ })
			if calls <= tt.failures {
				return failing(tx, tt.code)
			}
			return nil
		})
		if calls != tt.calls || (err != nil) != tt.wantErr || (after == 1) == tt.wantErr {
			t.Errorf("%s × %d: %d calls, AfterCommit %d times, %v", tt.code, tt.failures, calls, after, err)
		}
	}
}

func TestPostgresResolvesARealDeadlock(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	exec(t, db, "INSERT INTO thing (id) VALUES ('a'), ('b')")
	var first sync.WaitGroup // both hold one row before either asks for the other
	first.Add(2)
	cross := func(order ...string) func() {
		met := sync.OnceFunc(func() { first.Done(); first.Wait() })
		return func() {
			err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
				if _, err := tx.Exec("SET LOCAL deadlock_timeout = '20ms'"); err != nil {
					return err
				}
				for _, id := range order {
					if _, err := tx.Exec("UPDATE thing SET n = n + 1 WHERE id = $1", id); err != nil {
						return err
					}
					met()
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(cross("a", "b"))
	wg.Go(cross("b", "a"))
	wg.Wait()
	var sum int
	err := db.View(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT CAST(sum(n) AS BIGINT) FROM thing").Scan(&sum)
	})
	if err != nil || sum != 4 {
		t.Errorf("sum %d, %v", sum, err)
	}
}

func TestPostgresRowLocks(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	exec(t, db, "INSERT INTO thing (id) VALUES ('a'), ('b')")
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec("SELECT 1 FROM thing WHERE id = 'a' {{lock}}"); err != nil {
			return err
		}
		return db.Update(context.Background(), func(other *sqldb.Tx) error { // only Postgres has two writers
			var free []string
			if err := column(other, &free, "SELECT id FROM thing {{skip locked}}"); err != nil {
				return err
			}
			if !slices.Equal(free, []string{"b"}) {
				t.Errorf("free rows %q", free)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPostgresContextEndsAnUpdate(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	ctx, cancel := context.WithCancel(context.Background())
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := insert(tx, "a"); err != nil {
			return err
		}
		cancel()
		return insert(tx, "b")
	})
	if !errors.Is(err, context.Canceled) || len(ids(t, db)) > 0 {
		t.Errorf("error %v, things %q", err, ids(t, db))
	}
	ctx, cancel = context.WithCancel(context.Background())
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		defer cancel()
		return insert(tx, "c")
	})
	if err != nil || !slices.Equal(ids(t, db), []string{"c"}) {
		t.Errorf("cancelled before the commit: %v, things %q", err, ids(t, db))
	}
}

func TestPostgresSwallowedErrorDoesNotCommit(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		insert(tx, "a")
		insert(tx, "a")
		return nil
	})
	if err == nil || len(ids(t, db)) > 0 {
		t.Errorf("error %v, things %q", err, ids(t, db))
	}
}

func TestPostgresReader(t *testing.T) {
	t.Parallel()
	url := backends[1].url(t)
	db := open(t, url, schema)
	reader, err := sqldb.OpenReader(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	exec(t, db, "INSERT INTO thing (id) VALUES ('a')")
	if got := ids(t, reader); !slices.Equal(got, []string{"a"}) {
		t.Errorf("things %q", got)
	}
	if err := reader.Update(context.Background(), inserting("b")); err == nil {
		t.Error("a reader wrote")
	}
}

func TestPostgresWantsASchema(t *testing.T) {
	t.Parallel()
	url := strings.Replace(backends[1].url(t), "search_path=", "search_path=no_such_", 1)
	if _, err := sqldb.Open(context.Background(), url, sqldb.Options{}); err == nil || !strings.Contains(err.Error(), "search_path") {
		t.Errorf("error %v", err)
	}
}
