package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// errReadOnly answers Update on a database opened by OpenReader.
var errReadOnly = errors.New("the database was opened for reading only")

// maxAttempts is how often a transaction runs that meets deadlocks or
// serialisation failures.
//
//limit:inside tries of a transaction that lost to others
const maxAttempts = 10

var (
	readWrite = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	snapshot  = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
)

// postgres is the backend for a database that nodes share.
type postgres struct {
	pool     *sql.DB
	config   *pgx.ConnConfig
	schema   string
	dialect  *dialect
	log      *slog.Logger
	readOnly bool
	closed   atomic.Bool
}

// openPatience is how long a node that starts waits for a database that is away: both may
// have been started together.
const openPatience = 30 * time.Second

func openPostgres(ctx context.Context, url string, o Options) (*postgres, error) {
	for begin := time.Now(); ; {
		p, err := connectPostgres(ctx, url, o)
		if err == nil {
			if err = p.locked(ctx, func() error { return migrate(ctx, p, true, o) }); err == nil {
				return p, nil
			}
			p.close()
		}
		if !isAway(ctx, err) || time.Since(begin) > openPatience {
			return nil, err
		}
		o.Log.Warn("the database does not answer, trying again", "error", err)
		if !pause(ctx, jitter(time.Second)) {
			return nil, ctx.Err()
		}
	}
}

// connectPostgres opens the pool and finds the schema it works in.
func connectPostgres(ctx context.Context, url string, o Options) (*postgres, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err // pgx leaves the password out
	}
	notice(config)
	n := o.MaxConns
	if n == 0 {
		n = max(10, 4*runtime.GOMAXPROCS(0))
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(max(n, 2)) // a migration needs a second one beside its lock
	pool.SetMaxIdleConns(max(n, 2))
	p := &postgres{pool: pool, config: config, dialect: newDialect(true), log: o.Log}
	var schema sql.NullString
	if err := pool.QueryRowContext(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
		pool.Close()
		return nil, err
	}
	if !schema.Valid {
		pool.Close()
		return nil, errors.New("no schema in the database's search_path exists")
	}
	p.schema = schema.String
	return p, nil
}

// locked runs fn while no other node migrates the same schema.
func (p *postgres) locked(ctx context.Context, fn func() error) error {
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET "+lockTimeout+" = 0"); err != nil { // another's migration may take long
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "RESET "+lockTimeout)
	key := int64(p.schemaHash())
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", key); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", key)
	return fn()
}

// schemaHash stands for the schema where Postgres has one namespace for the
// whole database: advisory locks and notification channels.
func (p *postgres) schemaHash() uint64 {
	h := fnv.New64a()
	h.Write([]byte("sear " + p.schema))
	return h.Sum64()
}

func (p *postgres) update(ctx context.Context, fn func(*Tx) error) (*Tx, error) {
	if p.readOnly {
		return nil, errReadOnly
	}
	for attempt := 1; ; attempt++ {
		tx, err := p.transact(ctx, readWrite, fn)
		if err == nil || attempt == maxAttempts || !isRetryable(err) {
			return tx, unavailable(ctx, err)
		}
		p.log.Debug("transaction runs again", "attempt", attempt, "error", err)
		if !pause(ctx, jitter(time.Millisecond<<min(attempt, 6))) {
			return nil, ctx.Err()
		}
	}
}

// isRetryable reports a serialisation failure or a deadlock.
func isRetryable(err error) bool {
	code := pgCode(err)
	return code == "40001" || code == "40P01"
}

// jitter returns between a half and the whole of d, so that those who collided
// do not collide again.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func (p *postgres) view(ctx context.Context, fn func(*Tx) error) error {
	_, err := p.transact(ctx, snapshot, fn)
	return unavailable(ctx, err)
}

// transact runs fn once. Statements end with ctx; the transaction itself does
// not, so that ctx cannot cut off a COMMIT and leave its outcome unknown.
func (p *postgres) transact(ctx context.Context, o *sql.TxOptions, fn func(*Tx) error) (*Tx, error) {
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		if p.closed.Load() {
			err = errClosed
		}
		return nil, err
	}
	defer conn.Close()
	stx, err := conn.BeginTx(context.WithoutCancel(ctx), o)
	if err != nil {
		return nil, err
	}
	defer stx.Rollback() // does nothing after a commit
	tx := &Tx{ctx: ctx, stmts: ctx, session: pgSession{stx, p.dialect}, postgres: true}
	defer tx.closeRows()
	if err := fn(tx); err != nil {
		return nil, err
	}
	tx.closeRows()
	if err := stx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return tx, nil
}

func (p *postgres) size(ctx context.Context) (int64, error) {
	var n int64
	err := p.pool.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&n)
	return n, err
}

func (p *postgres) close() error {
	p.closed.Store(true)
	return p.pool.Close()
}

// pgSession runs statements in a Postgres transaction. The driver prepares and
// caches them itself.
type pgSession struct {
	tx      *sql.Tx
	dialect *dialect
}

func (s pgSession) exec(ctx context.Context, st statement, args []any) (int64, error) {
	out, err := s.dialect.sql(st)
	if err != nil {
		return 0, err
	}
	res, err := s.tx.ExecContext(ctx, out.text, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s pgSession) query(ctx context.Context, st statement, args []any) (cursor, error) {
	out, err := s.dialect.sql(st)
	if err != nil {
		return nil, err
	}
	rows, err := s.tx.QueryContext(ctx, out.text, args...)
	if err != nil {
		return nil, err // a nil *sql.Rows must not become a cursor
	}
	return rows, nil
}
