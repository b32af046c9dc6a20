package sqldb

import (
	"context"
	"errors"
	"fmt"
)

// errOpenRows keeps SQLite, which could, from accepting what Postgres cannot do.
var errOpenRows = errors.New("statement run while rows of an earlier one are open")

// session runs statements on the connection a transaction holds.
type session interface {
	exec(ctx context.Context, st statement, args []any) (affected int64, err error)
	query(ctx context.Context, st statement, args []any) (cursor, error)
}

// cursor is an open result; *sql.Rows is one.
type cursor interface {
	Next() bool
	Scan(dest ...any) error
	Close() error
	Err() error
}

// Tx is a transaction. It is valid until the fn it was given to returns, and
// serves one goroutine.
type Tx struct {
	ctx      context.Context // the caller's
	stmts    context.Context // what statements run under
	session  session
	postgres bool
	rows     *Rows // open, or nil
	after    []func()
	hints    []hint
}

// Context returns the context Update or View was called with.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Postgres reports which database runs tx, for the rare query that tokens
// cannot make common.
func (tx *Tx) Postgres() bool { return tx.postgres }

// Exec runs a statement and returns how many rows it inserted, changed or deleted.
func (tx *Tx) Exec(query string, args ...any) (affected int64, err error) {
	return tx.exec(statement{text: query}, args)
}

func (tx *Tx) exec(st statement, args []any) (int64, error) {
	if tx.rows != nil {
		return 0, errOpenRows
	}
	return tx.session.exec(tx.stmts, st, args)
}

// Query runs a statement that returns rows. Read them to the end or close them.
func (tx *Tx) Query(query string, args ...any) (*Rows, error) {
	if tx.rows != nil {
		return nil, errOpenRows
	}
	c, err := tx.session.query(tx.stmts, statement{text: query}, args)
	if err != nil {
		return nil, err
	}
	tx.rows = &Rows{tx: tx, cursor: c}
	return tx.rows, nil
}

// QueryRow runs a statement of which the first row matters; its error waits for Scan.
func (tx *Tx) QueryRow(query string, args ...any) *Row {
	rows, err := tx.Query(query, args...)
	return &Row{rows: rows, err: err}
}

// chunks are the numbers of rows InsertRows sends at once, descending to 1. Few
// sizes keep prepared statements few; BenchmarkInsertRows compares others.
var chunks = [...]int{64, 8, 1}

// maxParams is how many parameters one SQLite statement takes; Postgres takes more.
//
//limit:inside rows are inserted in several statements before it is reached
const maxParams = 32766

// InsertRows inserts any number of rows. query holds the token {{values}} where
// the rows go and no placeholder of its own: "INSERT INTO t (a, b) VALUES
// {{values}} ON CONFLICT DO NOTHING". args holds the values row by row, cols of
// them to each. It returns how many rows were inserted or changed.
func (tx *Tx) InsertRows(query string, cols int, args []any) (affected int64, err error) {
	if cols < 1 || cols > maxParams || len(args)%cols != 0 {
		return 0, fmt.Errorf("insert: %d values do not make rows of %d columns", len(args), cols)
	}
	for _, rows := range chunks {
		size := rows * cols
		for size <= maxParams && len(args) >= size {
			n, err := tx.exec(statement{text: query, cols: cols, rows: rows}, args[:size])
			if err != nil {
				return affected, err
			}
			affected += n
			args = args[size:]
		}
	}
	return affected, nil
}

// AfterCommit has fn run on the goroutine that called Update, after the commit
// and before Update returns, in the order of registration. It never runs when
// tx does not commit.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Hint wakes, after the commit, those who watch topic and key: on this node
// before Update returns, on others within a few milliseconds. It says "go and
// look", and may be lost between nodes, so watchers must also look from time to
// time. Neither topic nor key may contain control characters.
func (tx *Tx) Hint(topic, key string) { tx.hints = append(tx.hints, hint{topic, key}) }

// closeRows ends a result that fn left open, so that the transaction can end.
func (tx *Tx) closeRows() {
	if tx.rows != nil {
		tx.rows.Close()
	}
}

// Rows is the result of Query, positioned before its first row.
type Rows struct {
	tx     *Tx
	cursor cursor
}

// Next moves to the next row. It returns false, and closes r, at the end and on
// an error, which Err then tells.
func (r *Rows) Next() bool {
	if r.cursor.Next() {
		return true
	}
	r.Close()
	return false
}

// Scan copies the current row into dest: pointers to strings, byte slices,
// integers, floats and booleans, to pointers to these for columns that may be
// NULL, or sql.Scanners.
func (r *Rows) Scan(dest ...any) error { return r.cursor.Scan(dest...) }

// Err returns the error that ended the iteration, if one did.
func (r *Rows) Err() error { return r.cursor.Err() }

// Close ends the result early. It may be called again.
func (r *Rows) Close() error {
	if r.tx.rows == r {
		r.tx.rows = nil
	}
	return r.cursor.Close()
}

// Row is the result of QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the row into dest as Rows.Scan does, or returns ErrNoRows.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}
