package sqldb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// A batch ends when nobody waits, or at one of these bounds, so that the first
// of its callers is not kept for long.
const (
	//limit:inside what one commit takes; the next takes the rest
	maxBatch = 256
	//limit:inside likewise
	maxBatchTime = 50 * time.Millisecond
)

// errAbandoned is the result of an fn that panicked or called runtime.Goexit.
var errAbandoned = errors.New("the transaction function did not return")

// writer owns SQLite's one write connection and groups the transactions that
// wait for it into one commit, which costs one sync of the disk. There is no
// timer: a batch is who came while the last one was being synced.
//
// Each fn runs on its caller's goroutine, one at a time, while the writer waits.
// So a panic or a test's FailNow in fn ends its caller and nobody else.
type writer struct {
	conn     *liteConn
	log      *slog.Logger
	around   func(turn func()) // of tests; may be nil
	queue    chan *ticket      // unbuffered: who is blocked here is waiting
	finished chan error        // the fn whose turn it was reports its result here
	again    []*ticket         // ran, but SQLite gave up the transaction because of a later one
	closing  chan struct{}
	stopped  chan struct{}
}

// ticket is one Update waiting for its turn or for the commit.
type ticket struct {
	ctx    context.Context
	tx     *Tx        // of the latest turn
	result error      // of the latest turn, to be told once the commit is durable
	reply  chan reply // of capacity 1: the writer never waits for a caller who panicked
}

// reply gives the caller its turn when tx is set, and otherwise the final result.
type reply struct {
	tx  *Tx
	err error
}

func startWriter(c *liteConn, log *slog.Logger) *writer {
	w := &writer{
		conn:     c,
		log:      log,
		queue:    make(chan *ticket),
		finished: make(chan error),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	go w.run()
	return w
}

// stop lets the batch in progress finish and turns everybody else away.
func (w *writer) stop() {
	close(w.closing)
	<-w.stopped
}

// update waits for a turn, runs fn in it, and waits for the commit.
func (w *writer) update(ctx context.Context, fn func(*Tx) error) (*Tx, error) {
	t := &ticket{ctx: ctx, reply: make(chan reply, 1)}
	select {
	case w.queue <- t:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.closing:
		return nil, errClosed
	}
	for {
		r := <-t.reply
		if r.tx == nil {
			return t.tx, r.err
		}
		w.take(r.tx, fn)
	}
}

// longTurn is how long a turn may last before the log says whose it was: nobody else
// writes meanwhile. A turn is a few hundred microseconds; on a busy machine some take longer.
const longTurn = 500 * time.Millisecond

// take runs fn, on the caller's goroutine, and hands the turn back.
func (w *writer) take(tx *Tx, fn func(*Tx) error) {
	err := errAbandoned
	begin := time.Now()
	defer func() {
		tx.closeRows()
		w.finished <- err
		if took := time.Since(begin); took > longTurn {
			w.log.Warn("a transaction kept all others from writing", "took", took, "by", callers())
		}
	}()
	if w.around != nil {
		err = measured(w.around, tx, fn)
		return
	}
	err = fn(tx)
}

// measured is apart from take so that the result of an ordinary turn stays on its stack.
func measured(around func(turn func()), tx *Tx, fn func(*Tx) error) error {
	err := errAbandoned
	around(func() { err = fn(tx) })
	return err
}

// callers names the functions that led to Update, the nearest first: this is the goroutine
// of who called it, so the stack knows whose transaction it is.
func callers() string {
	const most = 4
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	var names []string
	for more := true; more && len(names) < most; {
		var f runtime.Frame
		f, more = frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		if inside, _, _ := strings.Cut(name, "."); inside != "sqldb" && inside != "store" && inside != "runtime" {
			names = append(names, name)
		}
	}
	return strings.Join(names, " < ")
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		t := w.next()
		if t == nil {
			select {
			case t = <-w.queue:
			case <-w.closing:
				return
			}
		}
		w.batch(t)
	}
}

// next returns the next ticket, nil when nobody waits.
func (w *writer) next() *ticket {
	if len(w.again) > 0 {
		t := w.again[0]
		w.again = w.again[1:]
		return t
	}
	select {
	case t := <-w.queue:
		return t
	default:
		return nil
	}
}

// batch runs t and those who wait behind it, commits once and tells everybody.
func (w *writer) batch(t *ticket) {
	end := time.Now().Add(maxBatchTime)
	var ran []*ticket
	for n := 1; ; n++ {
		ran = w.admit(t, ran)
		if n >= maxBatch || time.Now().After(end) {
			break
		}
		if t = w.next(); t == nil {
			break
		}
	}
	if len(ran) == 0 {
		return
	}
	err := w.conn.control("COMMIT")
	if err != nil {
		w.conn.rollback()
		err = fmt.Errorf("commit: %w", err)
	}
	for _, t := range ran {
		if err != nil {
			t.result = err
		}
		t.reply <- reply{err: t.result}
	}
}

// admit gives t its turn in a transaction that the tickets in ran have used
// already, and returns those that now wait for the commit. So does one that was
// refused, once the transaction holds the work of others: it may be refused because
// of what it saw of that. Only an fn that is gone is not to run again.
func (w *writer) admit(t *ticket, ran []*ticket) []*ticket {
	if err := t.ctx.Err(); err != nil {
		t.reply <- reply{err: err}
		return ran
	}
	result, intact := w.turn(t, len(ran) > 0)
	if !intact { // those before t did no wrong: they run once more, in a new transaction
		w.conn.rollback()
		w.again = append(w.again, ran...)
		ran = nil
	}
	if t.result = result; result == nil || len(ran) > 0 && result != errAbandoned {
		return append(ran, t)
	}
	t.reply <- reply{err: result}
	return ran
}

// turn runs t's fn and undoes its work when it fails. It returns fn's error, and
// whether the transaction still holds the work of those before it. When it does not, a
// refusal that fn may have based on that work gives way to what went wrong. The first
// of a batch needs no savepoint, because a rollback undoes its work alone.
func (w *writer) turn(t *ticket, nested bool) (result error, intact bool) {
	begin := "BEGIN IMMEDIATE"
	if nested {
		begin = "SAVEPOINT turn"
	}
	if err := w.conn.control(begin); err != nil {
		return err, false
	}
	t.tx = &Tx{ctx: t.ctx, stmts: context.Background(), session: w.conn}
	t.reply <- reply{tx: t.tx}
	result = <-w.finished
	err := w.conn.spoiled
	if err == nil {
		err = w.settle(nested, result == nil)
	}
	if err != nil && (result == nil || nested && !errors.Is(result, err)) {
		result = err
	}
	return result, err == nil
}

// settle keeps or undoes the work of the latest turn.
func (w *writer) settle(nested, keep bool) error {
	switch {
	case nested && keep:
		return w.conn.control("RELEASE turn")
	case nested:
		return errors.Join(w.conn.control("ROLLBACK TO turn"), w.conn.control("RELEASE turn"))
	case !keep:
		return w.conn.rollback()
	}
	return nil
}
