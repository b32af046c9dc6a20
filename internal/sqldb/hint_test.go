package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"sear/internal/sqldb"
)

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

func hinting(topic, key string) func(*sqldb.Tx) error {
	return func(tx *sqldb.Tx) error { tx.Hint(topic, key); return nil }
}

// woken reports whether w has been hinted already.
func woken(w *sqldb.Watch) bool {
	select {
	case <-w.C():
		return true
	default:
		return false
	}
}

func TestHintsWakeThisNodeAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		ctx := context.Background()
		one, same, other, closed := db.Watch("run", "1"), db.Watch("run", "1"), db.Watch("run", "2"), db.Watch("run", "1")
		defer one.Close()
		defer same.Close()
		defer other.Close()
		closed.Close()
		closed.Close()

		boom := errors.New("boom")
		err := db.Update(ctx, func(tx *sqldb.Tx) error { tx.Hint("run", "1"); return boom })
		if err != boom || woken(one) {
			t.Errorf("rolled back: %v, woken %v", err, woken(one))
		}
		for range 3 {
			if err := db.Update(ctx, hinting("run", "1")); err != nil {
				t.Fatal(err)
			}
		}
		if !woken(one) || !woken(same) {
			t.Error("not woken")
		}
		if woken(one) {
			t.Error("three hints are not one")
		}
		if woken(other) || woken(closed) {
			t.Error("woken for somebody else's hint")
		}
	})
}

// node opens one of several handles on a Postgres schema and runs its relay.
func node(t *testing.T, url string) *sqldb.DB {
	t.Helper()
	db := open(t, url, schema)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return db
}

// awaitHint hints until w, on another node, is woken: nodes need a moment to connect.
func awaitHint(t *testing.T, from *sqldb.DB, topic, key string, w *sqldb.Watch) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if err := from.Update(context.Background(), hinting(topic, key)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.C():
			return
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no hint of %s %s", topic, key)
		}
	}
}

// connect waits until hints go from one node to the other.
func connect(t *testing.T, from, to *sqldb.DB) {
	t.Helper()
	w := to.Watch("connect", "")
	defer w.Close()
	for range 2 { // the first may be due to the connection itself, which wakes everybody
		awaitHint(t, from, "connect", "", w)
	}
}

func TestHintsReachOtherNodes(t *testing.T) {
	t.Parallel()
	url := backends[1].url(t)
	a, b := node(t, url), node(t, url)
	otherURL := backends[1].url(t) // another schema of the same database
	c, d := node(t, otherURL), node(t, otherURL)
	connect(t, a, b)
	connect(t, c, d)
	foreign := d.Watch("run", "500")
	defer foreign.Close()

	watches := map[string]*sqldb.Watch{}
	for i := range 1000 { // more than one payload holds
		key := fmt.Sprint(i)
		watches[key] = b.Watch("run", key)
		defer watches[key].Close()
	}
	quiet := b.Watch("other topic", "500")
	defer quiet.Close()
	err := a.Update(context.Background(), func(tx *sqldb.Tx) error {
		for key := range watches {
			tx.Hint("run", key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(patience)
	for key, w := range watches {
		select {
		case <-w.C():
		case <-deadline:
			t.Fatalf("no hint for %s", key)
		}
	}
	if woken(quiet) || woken(foreign) {
		t.Error("a hint went astray")
	}
}

func TestRelaySurvivesLostConnections(t *testing.T) {
	t.Parallel()
	url := backends[1].url(t) + "&application_name=" + t.Name()
	a, b := node(t, url), node(t, url)
	connect(t, a, b)
	untouched := b.Watch("never", "hinted")
	defer untouched.Close()

	err := a.Update(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE application_name = $1 AND (query LIKE 'LISTEN %' OR query LIKE 'SELECT pg_notify%')`, t.Name()).Scan(new(int))
	})
	if err != nil {
		t.Fatal(err)
	}
	select { // the node says "go and look" about everything it may have missed
	case <-untouched.C():
	case <-time.After(patience):
		t.Error("not woken after the connection came back")
	}
	connect(t, a, b)
}

func TestRunWaitsForTheEndOnSQLite(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite::memory:", nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	select {
	case err := <-done:
		t.Errorf("Run ended with %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
