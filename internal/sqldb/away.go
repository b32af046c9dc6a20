package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sear/internal/fault"
)

// unavailable gives an error that says that Postgres is away a face which asks the
// caller to come again; others stay as they are. Whether a commit that ended so took
// place is not known: whoever repeats the call must do it so that it counts once.
func unavailable(ctx context.Context, err error) error {
	if err == nil || !isAway(ctx, err) {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "The database does not answer, try again")
}

// isAway reports whether an error is due to the connection to Postgres, or to Postgres
// starting, stopping, or lacking what it needs, and not to what it was asked.
func isAway(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return false // the caller's own doing; a deadline may also be the one of connect_timeout
	}
	switch code := pgCode(err); {
	case code == "":
	case strings.HasPrefix(code, "08"), // the connection
		strings.HasPrefix(code, "57P"),   // it stops, crashed, or starts
		strings.HasPrefix(code, "53"),    // its disk is full, or its memory, or it has no place for another connection
		code == "25006",                  // it is a standby: another has taken over, or will
		code == lockNotAvailable,         // somebody keeps a lock who is away
		code == "40001", code == "40P01", // too many want the same at once
		code == "25P03": // this node was away for too long with a transaction open
		return true
	default:
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// How long a node and Postgres may hear nothing of each other.
const (
	// A node that is frozen in the middle of a transaction holds rows that others want;
	// Postgres ends its session. Nothing here stays in a transaction for longer than it takes.
	//
	//limit:server Time that a node may be frozen in a transaction on Postgres |  | Postgres ends the transaction
	idleInTransaction = 5 * time.Second

	// Nor does anything here wait that long for a lock. A frozen node may wait for one with
	// each of its connections; they would get it one after the other, and each would keep it
	// until its session is ended, so that others wait for minutes.
	//
	//limit:server Time that a transaction waits for a lock on Postgres |  | 503
	lockWait = 4 * time.Second

	// A connection whose other end has vanished is given up.
	silence = 15 * time.Second
)

// IsBlocked reports whether err says that a lock was waited for in vain, or again and again
// crosswise. Nothing was written.
func IsBlocked(err error) bool { return pgCode(err) == lockNotAvailable || isRetryable(err) }

const lockNotAvailable = "55P03"

// hurried is how long a transaction in a hurry waits for a lock.
const hurried = 200 * time.Millisecond

// Hurry has what follows in the transaction wait for locks only briefly. SQLite has none to wait for.
func (tx *Tx) Hurry() error {
	if !tx.postgres {
		return nil
	}
	_, err := tx.Exec("SET LOCAL " + lockTimeout + " = " + strconv.FormatInt(hurried.Milliseconds(), 10))
	return err
}

// lockTimeout is Postgres's name for how long a statement waits for a lock.
const lockTimeout = "lock_timeout"

// notice has both sides notice that the other has gone. What the URL says counts.
func notice(config *pgx.ConnConfig) {
	for setting, after := range map[string]time.Duration{"idle_in_transaction_session_timeout": idleInTransaction, lockTimeout: lockWait} {
		if _, set := config.RuntimeParams[setting]; !set {
			config.RuntimeParams[setting] = strconv.FormatInt(after.Milliseconds(), 10)
		}
	}
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 3, Interval: silence / 3, Count: 2},
		Control:         boundSilence,
		Timeout:         config.ConnectTimeout,
	}
	config.DialFunc = dialer.DialContext
}
