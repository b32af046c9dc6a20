package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/sqldb/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// backend is one of the databases everything must work on.
type backend struct {
	name string
	url  func(testing.TB) string
}

var backends = []backend{
	{"sqlite", func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "core.db") }},
	{"postgres", func(t testing.TB) string { return pgtest.URL(t) }},
}

// onEach runs test on a fresh database of either kind, with the tables of schema.
func onEach(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, b.url(t), schema))
		})
	}
}

// schema is a table of things and a log of what happened to them.
var schema = migrations(`
	CREATE TABLE thing (id TEXT PRIMARY KEY, email TEXT, n BIGINT NOT NULL DEFAULT 0 CHECK (n >= 0));
	CREATE UNIQUE INDEX thing_email ON thing (email);
	CREATE TABLE part (thing TEXT NOT NULL REFERENCES thing (id))`)

// migrations makes the scripts versions 1, 2… of both databases.
func migrations(scripts ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i, script := range scripts {
		for _, folder := range []string{"sqlite", "postgres"} {
			fsys[fmt.Sprintf("%s/%04d_step.sql", folder, i+1)] = &fstest.MapFile{Data: []byte(script)}
		}
	}
	return fsys
}

func open(t testing.TB, url string, m fstest.MapFS) *sqldb.DB {
	t.Helper()
	var o sqldb.Options
	if m != nil {
		o.Migrations = m
	}
	db, err := sqldb.Open(context.Background(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// exec runs one statement in an Update of its own.
func exec(t testing.TB, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// ids returns the ids of all things, in order.
func ids(t testing.TB, db *sqldb.DB) []string {
	t.Helper()
	got := []string{}
	err := db.View(context.Background(), func(tx *sqldb.Tx) error {
		return column(tx, &got, "SELECT id FROM thing ORDER BY id")
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// column appends the one column of a query to dst.
func column(tx *sqldb.Tx, dst *[]string, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		*dst = append(*dst, s)
	}
	return rows.Err()
}

func insert(tx *sqldb.Tx, id string) error {
	_, err := tx.Exec("INSERT INTO thing (id) VALUES ($1)", id)
	return err
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		var wg sync.WaitGroup
		var committed atomic.Int32
		for i := range 40 {
			wg.Go(func() {
				err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
					tx.AfterCommit(func() { committed.Add(1) })
					if err := insert(tx, fmt.Sprintf("%02d", i)); err != nil {
						return err
					}
					if i%4 == 0 {
						return boom
					}
					return insert(tx, fmt.Sprintf("%02d again", i))
				})
				if (err != nil) != (i%4 == 0) || err != nil && err != boom {
					t.Errorf("update %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		var want []string
		for i := range 40 {
			if i%4 != 0 {
				want = append(want, fmt.Sprintf("%02d", i), fmt.Sprintf("%02d again", i))
			}
		}
		if diff := cmp.Diff(want, ids(t, db)); diff != "" {
			t.Error(diff)
		}
		if got := committed.Load(); got != 30 {
			t.Errorf("AfterCommit ran %d times, want 30", got)
		}
	})
}

func TestPanicReachesTheCallerAndRollsBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v", got)
				}
			}()
			db.Update(context.Background(), func(tx *sqldb.Tx) error {
				if err := insert(tx, "lost"); err != nil {
					return err
				}
				panic("boom")
			})
		}()
		exec(t, db, "INSERT INTO thing (id) VALUES ('kept')")
		if diff := cmp.Diff([]string{"kept"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGoexitRollsBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			db.Update(context.Background(), func(tx *sqldb.Tx) error {
				insert(tx, "lost")
				(&testing.T{}).SkipNow() // as FailNow does in a test
				return nil
			})
		}()
		<-done
		exec(t, db, "INSERT INTO thing (id) VALUES ('kept')")
		if diff := cmp.Diff([]string{"kept"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAfterCommitRunsInOrderBeforeUpdateReturns(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		var got []string
		err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
			tx.AfterCommit(func() { got = append(got, ids(t, db)...) })
			tx.AfterCommit(func() { got = append(got, "second") })
			return insert(tx, "first")
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"first", "second"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestIsUnique(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query string
		want  bool
	}{
		{"INSERT INTO thing (id) VALUES ('a')", true},
		{"INSERT INTO thing (id, email) VALUES ('b', 'a@example.com')", true},
		{"INSERT INTO thing (id, n) VALUES ('c', -1)", false},
		{"INSERT INTO part (thing) VALUES ('nobody')", false},
		{"INSERT INTO nowhere VALUES (1)", false},
	}
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, "INSERT INTO thing (id, email) VALUES ('a', 'a@example.com')")
		for _, tt := range tests {
			err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(tt.query)
				return err
			})
			if err == nil || sqldb.IsUnique(fmt.Errorf("wrapped: %w", err)) != tt.want {
				t.Errorf("%s: IsUnique(%v), want %v", tt.query, err, tt.want)
			}
		}
	})
	if sqldb.IsUnique(nil) || sqldb.IsUnique(errors.New("x")) {
		t.Error("not a database's error")
	}
}

func TestInsertRows(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 73, 137, 600} {
			var args []any
			var want []string
			for i := range n {
				id := fmt.Sprintf("%03d", i)
				want = append(want, id+" "+id+"@example.com")
				args = append(args, id, id+"@example.com", i)
			}
			var affected, again int64
			var got []string
			err := db.Update(context.Background(), func(tx *sqldb.Tx) (err error) {
				got = nil
				if _, err = tx.Exec("DELETE FROM thing"); err != nil {
					return err
				}
				const query = "INSERT INTO thing (id, email, n) VALUES {{values}} ON CONFLICT DO NOTHING"
				if affected, err = tx.InsertRows(query, 3, args); err != nil {
					return err
				}
				if again, err = tx.InsertRows(query, 3, args); err != nil {
					return err
				}
				return column(tx, &got, "SELECT id || ' ' || email FROM thing ORDER BY n")
			})
			if err != nil {
				t.Fatal(err)
			}
			if affected != int64(n) || again != 0 {
				t.Errorf("%d rows: affected %d, then %d", n, affected, again)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d rows: %s", n, diff)
			}
		}
	})
}

func TestMisuseIsAnError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		fn   func(tx *sqldb.Tx) error
		want string
	}{
		{"uneven rows", func(tx *sqldb.Tx) error {
			_, err := tx.InsertRows("INSERT INTO thing (id, n) VALUES {{values}}", 2, []any{"a", 1, "b"})
			return err
		}, "3 values do not make rows of 2 columns"},
		{"no values token", func(tx *sqldb.Tx) error {
			_, err := tx.InsertRows("INSERT INTO thing (id) VALUES ('a')", 1, []any{"a"})
			return err
		}, "{{values}} belongs once"},
		{"values token in Exec", func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO thing (id) VALUES {{values}}", "a")
			return err
		}, "{{values}} belongs once"},
		{"unknown token", func(tx *sqldb.Tx) error {
			_, err := tx.Exec("SELECT {{now}}")
			return err
		}, "unknown token {{now}}"},
		{"open rows", func(tx *sqldb.Tx) error {
			if _, err := tx.Query("SELECT 1"); err != nil {
				return err
			}
			return insert(tx, "a")
		}, "rows of an earlier one are open"},
	}
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		for _, tt := range tests {
			err := db.Update(context.Background(), tt.fn)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			}
		}
		exec(t, db, "INSERT INTO thing (id) VALUES ('still works')")
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	tests := []struct{ list, want []string }{
		{nil, []string{}},
		{[]string{}, []string{}},
		{[]string{"b"}, []string{"b"}},
		{[]string{"missing", "a", "c", "a"}, []string{"a", "c"}},
		{[]string{`it's "quoted" \ <é>` + "\n"}, []string{`it's "quoted" \ <é>` + "\n"}},
	}
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		for _, id := range []string{"a", "b", "c", tests[4].list[0]} {
			exec(t, db, "INSERT INTO thing (id) VALUES ($1)", id)
		}
		for _, tt := range tests {
			got := []string{}
			err := db.View(context.Background(), func(tx *sqldb.Tx) error {
				return column(tx, &got, "SELECT id FROM thing WHERE n = $2 AND id {{in $1}} ORDER BY id", sqldb.List(tt.list), 0)
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%q: %s", tt.list, diff)
			}
		}
	})
}

func TestLockTokens(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, "INSERT INTO thing (id) VALUES ('a')")
		exec(t, db, "INSERT INTO thing (id) VALUES ('b')")
		for _, token := range []string{"{{lock}}", "{{skip locked}}", "{{share}}"} {
			var got []string
			err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
				got = nil
				return column(tx, &got, "SELECT id FROM thing ORDER BY id LIMIT 1 "+token)
			})
			if err != nil || !slices.Equal(got, []string{"a"}) {
				t.Errorf("%s: %q, %v", token, got, err)
			}
		}
	})
}

func TestViewSeesOneSnapshot(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, "INSERT INTO thing (id) VALUES ('before')")
		err := db.View(context.Background(), func(tx *sqldb.Tx) error {
			for range 2 {
				var got []string
				if err := column(tx, &got, "SELECT id FROM thing"); err != nil {
					return err
				}
				if diff := cmp.Diff([]string{"before"}, got); diff != "" {
					t.Error(diff)
				}
				exec(t, db, "INSERT INTO thing (id) VALUES ('during') ON CONFLICT DO NOTHING")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"before", "during"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestViewCannotWrite(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		called := false
		err := db.View(context.Background(), func(tx *sqldb.Tx) error {
			tx.AfterCommit(func() { called = true })
			return insert(tx, "a")
		})
		if err == nil || len(ids(t, db)) > 0 || called {
			t.Errorf("error %v, things %q, AfterCommit called %v", err, ids(t, db), called)
		}
	})
}

func TestRowsLeftOpenAreClosed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		leave := func(tx *sqldb.Tx) error {
			rows, err := tx.Query("SELECT id FROM thing")
			if err == nil && !rows.Next() {
				err = errors.New("no rows")
			}
			return err
		}
		exec(t, db, "INSERT INTO thing (id) VALUES ('a')")
		exec(t, db, "INSERT INTO thing (id) VALUES ('b')")
		for range 40 { // more than there are connections
			if err := db.Update(context.Background(), leave); err != nil {
				t.Fatal(err)
			}
			if err := db.View(context.Background(), leave); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestQueryRow(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
			var id string
			if err := tx.QueryRow("SELECT id FROM thing").Scan(&id); !errors.Is(err, sqldb.ErrNoRows) {
				t.Errorf("empty table: %v", err)
			}
			if err := tx.QueryRow("INSERT INTO thing (id) VALUES ($1) RETURNING id", "a").Scan(&id); err != nil || id != "a" {
				t.Errorf("returning: %q, %v", id, err)
			}
			n, err := tx.Exec("UPDATE thing SET n = $2 WHERE id = $1 AND n < $2", "a", 5)
			if err != nil || n != 1 {
				t.Errorf("update: %d, %v", n, err)
			}
			if n, err = tx.Exec("UPDATE thing SET n = $2 WHERE id = $1 AND n < $2", "a", 5); n != 0 {
				t.Errorf("update again: %d, %v", n, err)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.View(context.Background(), func(tx *sqldb.Tx) error {
			return tx.QueryRow("SELECT nothing").Scan(new(int))
		}); err == nil {
			t.Error("an unknown column is no error")
		}
	})
}

func TestContextEndedBeforeTheTurn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		called := func(*sqldb.Tx) error { t.Error("fn was called"); return nil }
		if err := db.Update(ctx, called); !errors.Is(err, context.Canceled) {
			t.Errorf("Update: %v", err)
		}
		if err := db.View(ctx, called); !errors.Is(err, context.Canceled) {
			t.Errorf("View: %v", err)
		}
	})
}

func TestContextEndsALongQuery(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		for range 10 { // also proves that connections survive
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			err := db.View(ctx, func(tx *sqldb.Tx) error {
				const endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
				return tx.QueryRow(endless).Scan(new(int))
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("View: %v", err)
			}
			cancel()
		}
		if err := db.Ping(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestTxKnowsItsCallerAndDatabase(t *testing.T) {
	t.Parallel()
	type key struct{}
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		ctx := context.WithValue(context.Background(), key{}, "mine")
		check := func(tx *sqldb.Tx) error {
			if tx.Context().Value(key{}) != "mine" || tx.Postgres() != db.Postgres() {
				t.Error("not the caller's context or database")
			}
			return nil
		}
		if err := errors.Join(db.Update(ctx, check), db.View(ctx, check)); err != nil {
			t.Error(err)
		}
	})
}

func TestSizeAndPing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		before, err := db.Size(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		exec(t, db, "INSERT INTO thing (id) VALUES ($1)", strings.Repeat("0123456789abcdef", 1<<7))
		for range 9 {
			exec(t, db, "INSERT INTO thing (id, n) SELECT id || id || n, n + 1 FROM thing WHERE n = (SELECT max(n) FROM thing) AND n < 5")
		}
		after, err := db.Size(context.Background())
		if err != nil || after <= before {
			t.Errorf("size %d, then %d, %v", before, after, err)
		}
		if err := db.Ping(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		if err := errors.Join(db.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
		called := func(*sqldb.Tx) error { t.Error("fn was called"); return nil }
		if err := db.Update(context.Background(), called); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Update: %v", err)
		}
		if err := db.View(context.Background(), called); !fault.Is(err, fault.Unavailable) {
			t.Errorf("View: %v", err)
		}
	})
}

func TestUnknownURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://user:secret@host/db", "core.db", "postgres://user:secret@host:bad/db", "host=db password=secret:1"} {
		_, err := sqldb.Open(context.Background(), url, sqldb.Options{})
		_, rerr := sqldb.OpenReader(context.Background(), url)
		if err == nil || rerr == nil {
			t.Errorf("%q opened", url)
		} else if text := err.Error() + rerr.Error(); strings.Contains(text, "secret") {
			t.Errorf("the password leaks: %s", text)
		}
	}
}
