package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxStmts bounds the prepared statements of one connection. It is above what
// the program has; composed SQL that passes it empties the cache.
//
//limit:inside statements that a connection keeps prepared
const maxStmts = 512

// liteConn is one SQLite connection with its prepared statements. It drives the
// driver directly: database/sql between them costs a fifth to a third of the
// time of a bulk insert and of a read (see the benchmarks).
type liteConn struct {
	conn    driver.Conn
	dialect *dialect
	stmts   map[string]*liteStmt
	args    []driver.NamedValue // reused by every statement
	spoiled error               // SQLite may have given up the transaction; every statement fails with it
}

// liteStmt is a prepared statement, with the two calls that the driver makes
// beyond driver.Stmt and room for one row of its result.
type liteStmt struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	vals  []driver.Value
}

// openLite opens a connection and runs the pragmas in order.
func openLite(ctx context.Context, dsn string, d *dialect, pragmas []string) (*liteConn, error) {
	connector, err := modernc.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &liteConn{conn: conn, dialect: d, stmts: map[string]*liteStmt{}}
	for _, p := range pragmas {
		if err := c.control("PRAGMA " + p); err != nil {
			c.close()
			return nil, fmt.Errorf("PRAGMA %s: %w", p, err)
		}
	}
	return c, nil
}

// control runs a statement of our own, such as COMMIT, to its end.
func (c *liteConn) control(text string) error {
	_, err := c.exec(context.Background(), statement{text: text}, nil)
	return err
}

// rollback ends the transaction, if SQLite has not done so already, and makes
// the connection usable again.
func (c *liteConn) rollback() error {
	c.spoiled = nil
	return c.control("ROLLBACK")
}

func (c *liteConn) exec(ctx context.Context, st statement, args []any) (int64, error) {
	stmt, err := c.prepare(st, args)
	if err != nil {
		return 0, err
	}
	res, err := stmt.exec.ExecContext(ctx, c.args)
	if err != nil {
		return 0, c.failed(err)
	}
	return res.RowsAffected()
}

func (c *liteConn) query(ctx context.Context, st statement, args []any) (cursor, error) {
	stmt, err := c.prepare(st, args)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.query.QueryContext(ctx, c.args)
	if err != nil {
		return nil, c.failed(err)
	}
	if n := len(rows.Columns()); len(stmt.vals) != n {
		stmt.vals = make([]driver.Value, n)
	}
	return &liteRows{ctx: ctx, conn: c, rows: rows, vals: stmt.vals}, nil
}

// prepare finds or makes the statement and converts args into c.args.
func (c *liteConn) prepare(st statement, args []any) (*liteStmt, error) {
	if c.spoiled != nil {
		return nil, c.spoiled
	}
	out, err := c.dialect.sql(st)
	if err != nil {
		return nil, err
	}
	if c.args, err = appendArgs(c.args[:0], args, out.order); err != nil {
		return nil, err
	}
	text := out.text
	if stmt, ok := c.stmts[text]; ok {
		return stmt, nil
	}
	if len(c.stmts) >= maxStmts {
		c.forget()
	}
	prepared, err := c.conn.Prepare(text)
	if err != nil {
		return nil, c.failed(err)
	}
	stmt := &liteStmt{
		Stmt:  prepared,
		exec:  prepared.(driver.StmtExecContext),
		query: prepared.(driver.StmtQueryContext),
	}
	c.stmts[text] = stmt
	return stmt, nil
}

// failed notes errors after which SQLite may have rolled the whole transaction
// back by itself. Statements after that would each commit alone, so they must
// not run.
func (c *liteConn) failed(err error) error {
	code, ok := sqliteCode(err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		c.spoiled = err // the driver reports an interrupt as the context's error
	case !ok:
	default:
		switch code & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT,
			sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL:
			c.spoiled = err
		}
	}
	return err
}

// forget closes every prepared statement.
func (c *liteConn) forget() {
	for _, stmt := range c.stmts {
		stmt.Close()
	}
	clear(c.stmts)
}

func (c *liteConn) close() error {
	c.forget()
	return c.conn.Close()
}

// liteRows is an open result.
type liteRows struct {
	ctx    context.Context
	conn   *liteConn
	rows   driver.Rows
	vals   []driver.Value
	err    error
	closed bool
}

func (r *liteRows) Next() bool {
	if r.closed || r.err != nil {
		return false
	}
	if r.err = r.ctx.Err(); r.err != nil {
		return false
	}
	err := r.rows.Next(r.vals)
	if err != nil && err != io.EOF {
		r.err = r.conn.failed(err)
	}
	return err == nil
}

func (r *liteRows) Scan(dest ...any) error { return scanRow(dest, r.vals) }

func (r *liteRows) Err() error { return r.err }

func (r *liteRows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	return r.rows.Close()
}
