package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"sear/internal/fault"
)

// errClosed answers calls that come after Close.
var errClosed = fault.New(fault.Unavailable, "The database is closed")

// Options are the choices of Open. The zero value opens a database without tables.
type Options struct {
	Migrations fs.FS        // sqlite/NNNN_name.sql and postgres/NNNN_name.sql; nil for none
	Log        *slog.Logger // nil discards
	MaxConns   int          // connections a Postgres node may hold, hints not counted; 0 for four per core and at least ten
}

// backend is what the two databases do differently.
type backend interface {
	// update runs fn in a durable transaction and returns the Tx that committed.
	update(ctx context.Context, fn func(*Tx) error) (*Tx, error)
	view(ctx context.Context, fn func(*Tx) error) error
	size(ctx context.Context) (int64, error)
	close() error
}

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	backend backend
	close   func() error // the backend's, once
	hints   *hints
	relay   *relay // carries hints between nodes; nil on SQLite
}

func newDB(b backend) *DB {
	return &DB{backend: b, close: sync.OnceValue(b.close), hints: newHints()}
}

// ErrInUse is the cause when a SQLite file is another process's.
var ErrInUse = errors.New("the database is in use")

// Open opens the database that url names, applies pending migrations and
// returns it ready to use. Close must be called.
//
// "sqlite:<path>" is a file. One process at a time may open it; a second is
// refused with fault.Unavailable. "sqlite::memory:" is a private database that
// is gone after Close: a file in a temporary folder that is never synced, so
// that tests meet the same locking as production.
//
// "postgres://…" is a database shared by any number of nodes. Its tables are
// those of the first schema in search_path, which the URL may set.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		s, err := openSQLite(ctx, path, o)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		return newDB(s), nil
	}
	if !isPostgres(url) {
		return nil, errURL
	}
	p, err := openPostgres(ctx, url, o)
	if err != nil {
		return nil, fmt.Errorf("open Postgres database: %w", err)
	}
	db := newDB(p)
	db.relay = newRelay(p, db.hints, o.Log)
	return db, nil
}

// OpenReader opens an existing database for View alone. It migrates nothing and
// takes no lock, so that a command can read while a server runs.
func OpenReader(ctx context.Context, url string) (*DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		s, err := openSQLiteReader(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		return newDB(s), nil
	}
	if !isPostgres(url) {
		return nil, errURL
	}
	p, err := connectPostgres(ctx, url, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("open Postgres database: %w", err)
	}
	p.readOnly = true
	return newDB(p), nil
}

// isPostgres recognises both spellings of the scheme.
func isPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// errURL shows nothing of the URL, which may hold a password anywhere.
var errURL = errors.New("the database URL begins with neither sqlite: nor postgres://; settings such as host=… are not read")

// Close turns new transactions away, lets those in progress finish and closes
// the database. Further calls return what the first did.
func (db *DB) Close() error { return db.close() }

// Postgres reports whether the database may be shared with other nodes.
func (db *DB) Postgres() bool {
	_, ok := db.backend.(*postgres)
	return ok
}

// AroundTurns has around run each turn of SQLite's writer that begins from now on, for tests
// that measure: it must call turn once, on its own goroutine. Nobody may be in Update.
func (db *DB) AroundTurns(around func(turn func())) {
	if s, ok := db.backend.(*sqlite); ok {
		s.writer.around = around
	}
}

// Update runs fn in a read-write transaction and returns once it is durable.
// fn's error, returned unchanged, rolls back; so does a panic in fn. On SQLite fn may
// have seen what others wrote in the same transaction: its error is returned once that is
// durable, and when it cannot become so, what went wrong is returned instead.
//
// fn may be called again, after a serialisation failure, a deadlock or when
// SQLite gave up the transaction it shared with others. So it must touch nothing
// but tx, reset what it fills in, and call neither Update nor View. It runs on
// the caller's goroutine.
//
// When ctx ends before fn's turn, fn is not called and ctx.Err() is returned.
// Once fn runs, SQLite completes it; on Postgres the end of ctx makes its next
// statement fail. A commit under way is never interrupted.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	tx, err := db.backend.update(ctx, fn)
	if err != nil {
		return unstorable(err)
	}
	for _, f := range tx.after {
		f()
	}
	db.hints.publish(tx.hints)
	return nil
}

// View runs fn against one snapshot of the database, in which writes fail. It
// neither waits for Updates nor holds them up.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return unstorable(db.backend.view(ctx, fn))
}

// unstorable blames the request for a text that Postgres has no place for. Those who read
// texts from requests refuse them by name; this is the net below.
func unstorable(err error) error {
	if code := pgCode(err); code == "22021" || code == "22P05" {
		return fault.Wrap(fault.Malformed, err, "Texts must be valid UTF-8 without null characters")
	}
	return err
}

// Watch returns a watch on one topic and key. Close it when done.
func (db *DB) Watch(topic, key string) *Watch { return db.hints.watch(topic, key) }

// Run carries hints to and from the other nodes until ctx ends, then returns
// nil. Lost connections are logged and made again. On SQLite, which has no
// other nodes, it only waits.
func (db *DB) Run(ctx context.Context) error {
	if db.relay != nil {
		db.relay.run(ctx)
	}
	<-ctx.Done()
	return nil
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.View(ctx, func(tx *Tx) error {
		var one int
		return tx.QueryRow("SELECT 1").Scan(&one)
	})
}

// Size returns the bytes the database occupies, including what waits to be
// reclaimed.
func (db *DB) Size(ctx context.Context) (int64, error) { return db.backend.size(ctx) }

// pause waits for d or the end of ctx, and reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
