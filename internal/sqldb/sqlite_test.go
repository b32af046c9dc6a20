package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/sqldb"
)

// batch runs fns in one group commit, in order, and returns their results. It
// keeps the writer busy until all of them wait for it, which only a synctest
// bubble can tell.
func batch(t *testing.T, db *sqldb.DB, fns ...func(*sqldb.Tx) error) []error {
	t.Helper()
	busy := make(chan struct{})
	go db.Update(context.Background(), func(*sqldb.Tx) error { <-busy; return nil })
	synctest.Wait()
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { errs[i] = db.Update(context.Background(), fn) })
		synctest.Wait()
	}
	close(busy)
	wg.Wait()
	return errs
}

// inBubble runs test against a private database.
func inBubble(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, open(t, "sqlite::memory:", schema)) })
}

func inserting(id string) func(*sqldb.Tx) error {
	return func(tx *sqldb.Tx) error { return insert(tx, id) }
}

func TestWaitingUpdatesShareACommit(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		errs := batch(t, db, inserting("a"), func(tx *sqldb.Tx) error {
			var mine []string
			if err := column(tx, &mine, "SELECT id FROM thing"); err != nil {
				return err
			}
			if diff := cmp.Diff([]string{"a"}, mine); diff != "" {
				t.Errorf("within the batch: %s", diff)
			}
			if others := ids(t, db); len(others) > 0 {
				t.Errorf("committed early: %q", others)
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

func TestBatchIsolatesFailures(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	failing := func(tx *sqldb.Tx) error {
		if err := insert(tx, "failing"); err != nil {
			return err
		}
		return boom
	}
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		errs := batch(t, db, failing, inserting("a"), failing, inserting("b"), inserting("a"), inserting("c"))
		for i, want := range []error{boom, nil, boom, nil, errs[4], nil} {
			if errs[i] != want {
				t.Errorf("update %d: %v, want %v", i, errs[i], want)
			}
		}
		if !sqldb.IsUnique(errs[4]) {
			t.Errorf("the second a: %v", errs[4])
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBatchSurvivesPanicAndGoexit(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		var recovered any
		busy := make(chan struct{})
		var wg sync.WaitGroup
		start := func(f func()) {
			wg.Go(f)
			synctest.Wait()
		}
		start(func() { db.Update(t.Context(), func(*sqldb.Tx) error { <-busy; return nil }) })
		start(func() { db.Update(t.Context(), inserting("a")) })
		start(func() {
			defer func() { recovered = recover() }()
			db.Update(t.Context(), func(tx *sqldb.Tx) error { insert(tx, "lost"); panic("boom") })
		})
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			db.Update(t.Context(), func(tx *sqldb.Tx) error { insert(tx, "lost too"); (&testing.T{}).SkipNow(); return nil })
		}()
		synctest.Wait()
		start(func() { db.Update(t.Context(), inserting("b")) })
		close(busy)
		wg.Wait()
		<-gone
		if recovered != "boom" {
			t.Errorf("recovered %v", recovered)
		}
		if diff := cmp.Diff([]string{"a", "b"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

// fill inserts things until the database is full.
func fill(tx *sqldb.Tx) error {
	for i := 0; ; i++ {
		if _, err := tx.Exec("INSERT INTO thing (id) VALUES ($1)", fmt.Sprint(i, strings.Repeat("x", 2000))); err != nil {
			return err
		}
	}
}

func setMaxPages(t *testing.T, db *sqldb.DB, n int) {
	t.Helper()
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(new(int))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFullDiskFailsWhoFillsIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		setMaxPages(t, db, 40)
		var committed atomic.Int32
		counted := func(id string) func(*sqldb.Tx) error {
			return func(tx *sqldb.Tx) error {
				tx.AfterCommit(func() { committed.Add(1) })
				return insert(tx, id)
			}
		}
		var swallowed error
		errs := batch(t, db, counted("a"), fill, counted("b"), func(tx *sqldb.Tx) error {
			fill(tx)
			swallowed = insert(tx, "outside any transaction")
			return nil
		}, counted("c"))
		for i, wantErr := range []bool{false, true, false, true, false} {
			if (errs[i] != nil) != wantErr || wantErr && !strings.Contains(errs[i].Error(), "full") {
				t.Errorf("update %d: %v", i, errs[i])
			}
		}
		if swallowed == nil {
			t.Error("a statement ran after SQLite had given up the transaction")
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
		if got := committed.Load(); got != 3 {
			t.Errorf("AfterCommit ran %d times", got)
		}
		setMaxPages(t, db, 1000)
		exec(t, db, "INSERT INTO thing (id) VALUES ($1)", strings.Repeat("y", 200_000))
	})
}

func TestFailedCommitFailsItsBatchAlone(t *testing.T) {
	t.Parallel()
	m := migrations(`CREATE TABLE thing (id TEXT PRIMARY KEY);
		CREATE TABLE part (thing TEXT NOT NULL REFERENCES thing (id) DEFERRABLE INITIALLY DEFERRED)`)
	synctest.Test(t, func(t *testing.T) {
		db := open(t, "sqlite::memory:", m)
		orphan := func(tx *sqldb.Tx) error {
			tx.AfterCommit(func() { t.Error("AfterCommit ran") })
			_, err := tx.Exec("INSERT INTO part (thing) VALUES ('nobody')") // COMMIT will find out
			return err
		}
		for i, err := range batch(t, db, inserting("a"), orphan) {
			if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
				t.Errorf("update %d: %v", i, err)
			}
		}
		if err := errors.Join(batch(t, db, inserting("b"), inserting("c"))...); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"b", "c"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRefusalIsToldAfterTheCommit: a refusal may rest on what others wrote before it in the
// same transaction. So its caller hears of it once that is durable, and hears of the commit
// instead when that fails.
func TestRefusalIsToldAfterTheCommit(t *testing.T) {
	t.Parallel()
	m := migrations(`CREATE TABLE thing (id TEXT PRIMARY KEY);
		CREATE TABLE part (thing TEXT NOT NULL REFERENCES thing (id) DEFERRABLE INITIALLY DEFERRED)`)
	used := errors.New("already used")
	use := func(tx *sqldb.Tx) error {
		var mine []string
		if err := column(tx, &mine, "SELECT id FROM thing WHERE id = 'token'"); err != nil {
			return err
		}
		if len(mine) > 0 {
			return used
		}
		return insert(tx, "token")
	}
	t.Run("durable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := open(t, "sqlite::memory:", m)
			var seen []string
			var refused error
			hold := make(chan struct{}) // keeps the transaction open after the refusal
			go db.Update(context.Background(), func(*sqldb.Tx) error { <-hold; return nil })
			synctest.Wait()
			go db.Update(context.Background(), use)
			synctest.Wait()
			go func() {
				refused = db.Update(context.Background(), use)
				seen = ids(t, db)
			}()
			synctest.Wait()
			last := make(chan struct{})
			go db.Update(context.Background(), func(*sqldb.Tx) error { <-last; return nil })
			synctest.Wait()
			close(hold)
			synctest.Wait()
			if refused != nil {
				t.Errorf("told %q before the commit, when others see %q", refused, seen)
			}
			close(last)
			synctest.Wait()
			if diff := cmp.Diff([]string{"token"}, seen); refused != used || diff != "" {
				t.Errorf("told %v: %s", refused, diff)
			}
		})
	})
	t.Run("failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := open(t, "sqlite::memory:", m)
			errs := batch(t, db, use, use, func(tx *sqldb.Tx) error {
				_, err := tx.Exec("INSERT INTO part (thing) VALUES ('nobody')") // COMMIT will find out
				return err
			}, use)
			for i, err := range errs {
				if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
					t.Errorf("update %d: %v; the token was not used", i, err)
				}
			}
		})
	})
}

// TestRefusalIsDecidedAnew: a refusal in a transaction that SQLite gave up because of
// another is decided once more, unless its caller is gone, and one in the turn that
// lost the transaction gives way to the loss.
func TestRefusalIsDecidedAnew(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		setMaxPages(t, db, 40)
		refused := errors.New("refused")
		var decided, gone int
		errs := batch(t, db, inserting("a"), func(*sqldb.Tx) error {
			if decided++; decided == 1 {
				return refused
			}
			return nil
		}, func(*sqldb.Tx) error {
			gone++
			runtime.Goexit()
			return nil
		}, func(tx *sqldb.Tx) error {
			fill(tx)
			return refused // because of what it saw, and that is undone
		}, inserting("b"))
		if errs[0] != nil || errs[1] != nil || errs[4] != nil || decided != 2 || gone != 1 {
			t.Errorf("%v; decided %d times, the one that is gone ran %d times", errs, decided, gone)
		}
		if errs[3] == nil || !strings.Contains(errs[3].Error(), "full") {
			t.Errorf("who lost the transaction: %v", errs[3])
		}
		if diff := cmp.Diff([]string{"a", "b"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestContextEndsInTheQueue(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		busy := make(chan struct{})
		go db.Update(context.Background(), func(*sqldb.Tx) error { <-busy; return nil })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := db.Update(ctx, func(*sqldb.Tx) error { t.Error("fn was called"); return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting: %v", err)
		}
		close(busy)
		ctx, cancel = context.WithCancel(context.Background())
		err = db.Update(ctx, func(tx *sqldb.Tx) error { cancel(); return insert(tx, "a") })
		if err != nil {
			t.Errorf("started: %v", err)
		}
		if diff := cmp.Diff([]string{"a"}, ids(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCloseLetsTheBatchFinish(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		busy := make(chan struct{})
		var committed atomic.Bool
		go db.Update(context.Background(), func(tx *sqldb.Tx) error {
			<-busy
			tx.AfterCommit(func() { committed.Store(true) })
			return insert(tx, "a")
		})
		synctest.Wait()
		var closed atomic.Bool
		go func() { db.Close(); closed.Store(true) }()
		synctest.Wait()
		if closed.Load() {
			t.Error("Close did not wait")
		}
		if err := db.Update(context.Background(), inserting("b")); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Update while closing: %v", err)
		}
		close(busy)
		synctest.Wait()
		if !closed.Load() || !committed.Load() {
			t.Errorf("closed %v, committed %v", closed.Load(), committed.Load())
		}
	})
}

// TestMonthOfTicks shows that timers and the database share a bubble's clock.
func TestMonthOfTicks(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, "INSERT INTO thing (id) VALUES ('ticks')")
		w := db.Watch("tick", "")
		defer w.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*24*time.Hour-time.Minute)
		defer cancel()
		go func() {
			for tick := time.NewTicker(time.Hour); ; {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				db.Update(ctx, func(tx *sqldb.Tx) error {
					tx.Hint("tick", "")
					_, err := tx.Exec("UPDATE thing SET n = n + 1 WHERE id = 'ticks'")
					return err
				})
			}
		}()
		heard := 0
		for ctx.Err() == nil {
			select {
			case <-w.C():
				heard++
			case <-ctx.Done():
			}
		}
		var n int
		if err := db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow("SELECT n FROM thing").Scan(&n) }); err != nil {
			t.Fatal(err)
		}
		if want := 30*24 - 1; n != want || heard != want {
			t.Errorf("%d ticks, %d hints, want %d", n, heard, want)
		}
	})
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "core.db")
	first := open(t, "sqlite:"+path, schema)
	exec(t, first, "INSERT INTO thing (id) VALUES ('a')")

	// The lock belongs to an open file, so to be the same process makes no difference.
	_, err := sqldb.Open(context.Background(), "sqlite:"+path, sqldb.Options{})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), path) {
		t.Errorf("second Open: %v", err)
	}
	reader, err := sqldb.OpenReader(context.Background(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, first, "INSERT INTO thing (id) VALUES ('b')")
	if diff := cmp.Diff([]string{"a", "b"}, ids(t, reader)); diff != "" {
		t.Error(diff)
	}
	if err := reader.Update(context.Background(), inserting("c")); err == nil {
		t.Error("a reader wrote")
	}
	if err := errors.Join(reader.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	open(t, "sqlite:"+path, schema) // the lock is free again
}

// TestCrash opens copies of the files as a kill would leave them behind.
func TestCrash(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db := open(t, "sqlite:"+filepath.Join(folder, "core.db"), schema)
	exec(t, db, "INSERT INTO thing (id) VALUES ('a')")
	crashed := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(crashed, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	path := "sqlite:" + filepath.Join(crashed, "core.db")
	reader, err := sqldb.OpenReader(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if diff := cmp.Diff([]string{"a"}, ids(t, reader)); diff != "" {
		t.Error(diff)
	}
	again := open(t, path, schema)
	exec(t, again, "INSERT INTO thing (id) VALUES ('b')")
	if diff := cmp.Diff([]string{"a", "b"}, ids(t, again)); diff != "" {
		t.Error(diff)
	}
}

func TestReaderNeedsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "core.db")
	if _, err := sqldb.OpenReader(context.Background(), "sqlite:"+path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the reader created it")
	}
}

// TestFiles checks what is on the disk: the mode, the durability and, after
// Close, one tidy file.
func TestFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?mode=ro&c#d%41.db")
	db := open(t, "sqlite:"+path, schema)
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		for _, p := range []struct{ name, want string }{{"journal_mode", "wal"}, {"synchronous", "2"}, {"foreign_keys", "1"}} {
			var got string
			if err := tx.QueryRow("SELECT CAST((SELECT * FROM pragma_" + p.name + ") AS TEXT)").Scan(&got); err != nil || got != p.want {
				t.Errorf("%s = %s (%v), want %s", p.name, got, err, p.want)
			}
		}
		return insert(tx, "a")
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, info, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the write-ahead log after Close: %v", err)
	}
	if diff := cmp.Diff([]string{"a"}, ids(t, open(t, "sqlite:"+path, schema))); diff != "" {
		t.Error(diff)
	}
}

func TestPrivateDatabasesAreApart(t *testing.T) {
	t.Parallel()
	a, b := open(t, "sqlite::memory:", schema), open(t, "sqlite::memory:", schema)
	exec(t, a, "INSERT INTO thing (id) VALUES ('a')")
	if got := ids(t, b); len(got) > 0 {
		t.Errorf("the other has %q", got)
	}
}

func TestMoreStatementsThanAreCached(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite::memory:", schema)
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		for i := range 1500 {
			var got int
			if err := tx.QueryRow(fmt.Sprintf("SELECT %d", i)).Scan(&got); err != nil || got != i {
				return fmt.Errorf("statement %d: got %d, %w", i, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
