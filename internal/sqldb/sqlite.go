package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sear/internal/fault"
)

// basePragmas apply to every connection. busy_timeout comes first: the others
// may meet the lock of a sqlite3 shell or a backup.
var basePragmas = []string{
	"busy_timeout = 5000",
	"foreign_keys = ON",
	"temp_store = MEMORY",
}

// writerPragmas make commits durable and bound the write-ahead log: a commit that
// takes it past 8 MB also copies its pages into the file, which BenchmarkDrain
// shows to hold up nobody for long; once copied it shrinks to 64 MB. The cache of
// 64 MB lets large transactions stay in memory until their commit. Sizes are in
// pages of 4 KB, bytes, and, being negative, KB.
var writerPragmas = []string{
	"journal_mode = WAL",
	"synchronous = FULL",
	"wal_autocheckpoint = 2000",
	"journal_size_limit = 67108864",
	"cache_size = -65536",
}

// readerPragmas keep View from writing. A larger cache than SQLite's 2 MB gains
// nothing, since every commit empties it, and mapped memory is slower.
var readerPragmas = []string{"query_only = ON"}

// sqlite is the backend for one file: a write connection and a pool of readers.
type sqlite struct {
	path    string
	folder  string   // to remove on close; only of a private database
	lock    *os.File // nil for a reader
	writer  *writer  // nil for a reader
	dialect *dialect
	readers chan *liteConn // holds every idle reader; nil stands for one not opened yet
	mode    string         // how readers open the file: rw or ro
	closing chan struct{}
}

func newSQLite(path, mode string) *sqlite {
	s := &sqlite{
		path:    path,
		mode:    mode,
		dialect: newDialect(false),
		readers: make(chan *liteConn, 2*runtime.GOMAXPROCS(0)),
		closing: make(chan struct{}),
	}
	for range cap(s.readers) {
		s.readers <- nil
	}
	return s
}

// openSQLite opens path for reading and writing and keeps other processes out.
func openSQLite(ctx context.Context, path string, o Options) (*sqlite, error) {
	private := path == ":memory:"
	pragmas := append(basePragmas[:len(basePragmas):len(basePragmas)], writerPragmas...)
	s := newSQLite(path, "rw")
	if private {
		var err error
		if s.folder, err = os.MkdirTemp("", "sear-db-"); err != nil {
			return nil, err
		}
		s.path = filepath.Join(s.folder, "private.db")
		pragmas = append(pragmas, "synchronous = OFF")
	}
	if err := s.start(ctx, pragmas, o.Log); err != nil {
		s.dispose()
		return nil, err
	}
	if err := migrate(ctx, s, false, o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// start takes the lock and opens the write connection.
func (s *sqlite) start(ctx context.Context, pragmas []string, log *slog.Logger) error {
	lock, err := lockFile(s.path)
	if err != nil {
		return err
	}
	s.lock = lock
	if err := createFile(s.path); err != nil {
		return err
	}
	modernc.Fdatasync(true) // half the time of a commit, and as durable; an error means the system has no such call
	c, err := openLite(ctx, fileURI(s.path, "rw"), s.dialect, pragmas)
	if err != nil {
		return err
	}
	s.writer = startWriter(c, log)
	return nil
}

// openSQLiteReader opens an existing file that another process may be writing.
func openSQLiteReader(ctx context.Context, path string) (*sqlite, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	s := newSQLite(path, "ro")
	c, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	s.readers <- c
	return s, nil
}

// createFile makes an empty database that only its owner may read; SQLite gives
// its companion files the same mode.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // and not opened: closing it would drop locks that SQLite holds
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// fileURI names path the way SQLite wants it when it has a mode.
func fileURI(path, mode string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: "mode=" + mode}
	return u.String()
}

func (s *sqlite) update(ctx context.Context, fn func(*Tx) error) (*Tx, error) {
	if s.writer == nil {
		return nil, errReadOnly
	}
	tx, err := s.writer.update(ctx, fn)
	return tx, unwritable(err)
}

// unwritable gives an error that says that the disk took nothing a face which asks the
// caller to come again: nothing was written, and it is for somebody to make room.
func unwritable(err error) error {
	code, ok := sqliteCode(err)
	if !ok {
		return err
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return fault.Wrap(fault.Unavailable, err, "The disk is full: nothing was written, try again once there is room")
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return fault.Wrap(fault.Unavailable, err, "The disk does not take what is written: nothing was, try again")
	}
	return err
}

func (s *sqlite) view(ctx context.Context, fn func(*Tx) error) error {
	c, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer func() { s.release(c) }()
	if err := c.control("BEGIN"); err != nil {
		return err
	}
	tx := &Tx{ctx: ctx, stmts: ctx, session: c}
	defer tx.closeRows()
	return fn(tx)
}

// acquire waits for an idle reader, opening it on first use.
func (s *sqlite) acquire(ctx context.Context) (*liteConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.closing: // before the pool, which may have idle readers as well
		return nil, errClosed
	default:
	}
	select {
	case c := <-s.readers:
		if c != nil {
			return c, nil
		}
		c, err := openLite(ctx, fileURI(s.path, s.mode), s.dialect, append(basePragmas[:len(basePragmas):len(basePragmas)], readerPragmas...))
		if err != nil {
			s.readers <- nil
			return nil, err
		}
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closing:
		return nil, errClosed
	}
}

// release ends the snapshot and returns the reader to the pool, or discards one
// that cannot end it.
func (s *sqlite) release(c *liteConn) {
	if err := c.rollback(); err != nil {
		c.close()
		c = nil
	}
	s.readers <- c
}

// size adds up the file and its write-ahead log.
func (s *sqlite) size(context.Context) (int64, error) {
	var total int64
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(s.path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("size of database: %w", err)
		}
		total += info.Size()
	}
	return total, nil
}

// close ends everything, the write connection last: as the last to close, it
// moves the write-ahead log into the file and removes it.
func (s *sqlite) close() error {
	close(s.closing)
	if s.writer != nil {
		s.writer.stop()
	}
	var errs []error
	for range cap(s.readers) {
		if c := <-s.readers; c != nil {
			errs = append(errs, c.close())
		}
	}
	if s.writer != nil {
		c := s.writer.conn
		errs = append(errs, c.control("PRAGMA optimize"), c.control("PRAGMA wal_checkpoint(TRUNCATE)"), c.close())
	}
	s.dispose()
	return errors.Join(errs...)
}

// dispose lets go of what surrounds the database file.
func (s *sqlite) dispose() {
	if s.lock != nil {
		s.lock.Close()
	}
	if s.folder != "" {
		os.RemoveAll(s.folder)
	}
}
