package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"os"
	"path/filepath"

	modernc "modernc.org/sqlite"
)

// bareSQLite drives the driver directly, since database/sql would make the ceiling lower.
type bareSQLite struct {
	ctx  context.Context
	dir  string
	conn driver.Conn

	begin, commit, add, take, finish driver.Stmt
}

func openBareSQLite(ctx context.Context, parent string) (*bareSQLite, error) {
	dir, err := os.MkdirTemp(parent, "bare")
	if err != nil {
		return nil, err
	}
	s := &bareSQLite{ctx: ctx, dir: dir}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *bareSQLite) open() error {
	modernc.Fdatasync(true) // half the time of a commit; an error means the system has no such call
	connector, err := modernc.NewConnector(filepath.Join(s.dir, "bare.db"))
	if err != nil {
		return err
	}
	if s.conn, err = connector.Connect(s.ctx); err != nil {
		return err
	}
	setup := []string{"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA cache_size = -65536", bareSchema}
	for _, text := range append(setup, bareIndexes...) {
		stmt, err := s.conn.Prepare(text)
		if err != nil {
			return err
		}
		if err := errors.Join(s.exec(stmt), stmt.Close()); err != nil {
			return err
		}
	}
	return s.prepare()
}

func (s *bareSQLite) prepare() error {
	for text, stmt := range map[string]*driver.Stmt{
		"BEGIN IMMEDIATE": &s.begin,
		"COMMIT":          &s.commit,
		"INSERT INTO run VALUES (?, 'env', 'load', 'QUEUED', ?, ?, ?, NULL)": &s.add,
		`UPDATE run SET status = 'EXECUTING', due_at = ? WHERE id IN (
			SELECT id FROM run WHERE env = 'env' AND status = 'QUEUED' ORDER BY score, id LIMIT ?) RETURNING id`: &s.take,
		"UPDATE run SET status = 'COMPLETED', due_at = NULL, output = ? WHERE id = ?": &s.finish,
	} {
		var err error
		if *stmt, err = s.conn.Prepare(text); err != nil {
			return err
		}
	}
	return nil
}

func values(args []any) []driver.NamedValue {
	list := make([]driver.NamedValue, len(args))
	for i, v := range args {
		list[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return list
}

func (s *bareSQLite) exec(stmt driver.Stmt, args ...any) error {
	_, err := stmt.(driver.StmtExecContext).ExecContext(s.ctx, values(args))
	return err
}

// transact commits what fn does. After an error the database is of no more use.
func (s *bareSQLite) transact(fn func() error) error {
	if err := s.exec(s.begin); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	return s.exec(s.commit)
}

func (s *bareSQLite) insert(from, rows int) error {
	return s.transact(func() error {
		for n := from; n < from+rows; n++ {
			if err := s.exec(s.add, bareID(n), int64(n), int64(n), barePayload); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bareSQLite) claim(rows int) (ids []string, err error) {
	err = s.transact(func() error {
		found, err := s.take.(driver.StmtQueryContext).QueryContext(s.ctx, values([]any{int64(1), int64(rows)}))
		if err != nil {
			return err
		}
		defer found.Close()
		row := make([]driver.Value, 1)
		for {
			if err := found.Next(row); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			id, _ := row[0].(string)
			ids = append(ids, id)
		}
	})
	return ids, err
}

func (s *bareSQLite) complete(ids []string) error {
	return s.transact(func() error {
		for _, id := range ids {
			if err := s.exec(s.finish, output, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bareSQLite) close() {
	for _, stmt := range []driver.Stmt{s.begin, s.commit, s.add, s.take, s.finish} {
		if stmt != nil {
			_ = stmt.Close()
		}
	}
	if s.conn != nil {
		_ = s.conn.Close() // the folder goes with it
	}
	os.RemoveAll(s.dir)
}
