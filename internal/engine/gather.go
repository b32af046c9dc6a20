package engine

import (
	"context"
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/store"
)

// Bounds of one transaction: its commands, and the bytes of packets that they write. What is
// beyond the bytes waits for the next one, so that others write in between.
const (
	//limit:inside what one commit takes; the next takes the rest
	maxOps = 256
	//limit:inside likewise
	maxOpBytes = 4 << 20
)

// op is one command on one or more runs, with the caller who waits for it.
type op struct {
	ctx  context.Context
	runs []string            // locked and loaded before fn
	keys []store.DebounceKey // and so are these, with the runs that they lead to
	fn   func(w *work) error // decides, possibly more than once; it may read through w.tx but write only through w
	err  error
	done chan struct{}
}

// do carries out a command together with whichever others are waiting: they share
// their reads, their writes and their commit. It returns when the command is
// durable, or was refused and changed nothing.
func (e *Engine) do(ctx context.Context, runs []string, fn func(w *work) error, keys ...store.DebounceKey) error {
	var err error = errLoads
	for tries := 0; errors.Is(err, errLoads) && tries <= maxReloads; tries++ {
		err = e.once(ctx, runs, fn, keys)
	}
	return err
}

// once is do for one transaction, in which others may have read as many manifests as it may.
func (e *Engine) once(ctx context.Context, runs []string, fn func(w *work) error, keys []store.DebounceKey) error {
	o := &op{ctx: ctx, runs: runs, keys: keys, fn: fn, done: make(chan struct{})}
	select {
	case e.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done(): // it may still be carried out; the caller must ask again to know
		return ctx.Err()
	}
}

// ask is do for a command that answers. The answer belongs to the command until it is
// done: a caller who goes away early leaves it behind.
func ask[T any](ctx context.Context, e *Engine, runs []string, fn func(w *work, out *T) error, keys ...store.DebounceKey) (T, error) {
	var none T
	out := new(T)
	err := e.do(ctx, runs, func(w *work) error {
		*out = none
		return fn(w, out)
	}, keys...)
	if err != nil {
		return none, err
	}
	return *out, nil
}

// lastCommit is how long the last batch may take when the engine is to end. A database that
// is blocked or frozen must not keep the process: to callers, what is cut off then is as
// what a crash cuts off.
const lastCommit = time.Second

// gather takes all commands that wait and commits them together: the batch is
// whatever came in while the last one was being committed.
func (e *Engine) gather(ctx context.Context) error {
	committing, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastCommit, cut) })()
	batch := make([]*op, 0, maxOps)
	for {
		select {
		case <-ctx.Done():
			return nil
		case o := <-e.ops:
			batch = append(batch[:0], o)
		}
		for more := true; more && len(batch) < maxOps; {
			select {
			case o := <-e.ops:
				batch = append(batch, o)
			default:
				more = false
			}
		}
		e.commit(committing, batch)
	}
}

// commit carries out a batch. If that fails as a whole, each command is carried
// out by itself, so that only the guilty one fails: when one waited in vain for a lock, in a
// hurry, for the others have waited long enough. But when the database went away,
// perhaps in the middle of the commit, nobody knows whether they took place: only the
// callers, who have their request keys, can ask again so that each counts once.
func (e *Engine) commit(ctx context.Context, batch []*op) {
	for len(batch) > 0 {
		n, err := e.transact(ctx, batch, false)
		blocked := sqldb.IsBlocked(err)
		for _, o := range batch[:n] {
			if err != nil {
				if o.err = err; blocked && n > 1 || fault.KindOf(err) != fault.Unavailable {
					o.err = e.alone(ctx, o, blocked)
				}
			}
		}
		for _, o := range batch[:n] {
			close(o.done)
		}
		batch = batch[n:]
	}
}

// keyRaces is how often a command is tried that lost a race for a unique key; the
// next try finds the winner.
const keyRaces = 5

func (e *Engine) alone(ctx context.Context, o *op, hurry bool) error {
	var err error
	for range keyRaces {
		if _, err = e.transact(ctx, []*op{o}, hurry); err == nil {
			return o.err
		}
		if !sqldb.IsUnique(err) {
			break
		}
	}
	return err
}

// transact runs the first n of the batch in one transaction. Its error concerns all of them;
// the refusal of a single command is in op.err.
func (e *Engine) transact(ctx context.Context, batch []*op, hurry bool) (n int, err error) {
	begin, all := time.Now(), len(batch)
	n = all // also if it does not come to it
	defer func() { e.opt.Observer.Committed(n, time.Since(begin)) }()
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		n = all
		if hurry {
			if err := tx.Hurry(); err != nil {
				return err
			}
		}
		w := e.begin(tx)
		var ids []string
		var keys []store.DebounceKey
		for _, o := range batch {
			ids, keys = append(ids, o.runs...), append(keys, o.keys...)
		}
		if err := w.lockAll(ids, keys); err != nil {
			return err
		}
		for i, o := range batch {
			if o.err = o.ctx.Err(); o.err == nil {
				o.err = w.attempt(o.fn)
			}
			if w.broken != nil {
				return w.broken
			}
			if w.bytes > maxOpBytes {
				n = i + 1
				break
			}
		}
		return w.flush()
	})
	e.hearing.took(now(), err)
	return n, err
}

// update carries out a command in a transaction of its own. fn may write through
// w.tx, because its error undoes everything.
func (e *Engine) update(ctx context.Context, fn func(w *work) error) error {
	for races, loads := 1, 0; ; {
		err := e.store.Update(ctx, func(tx *store.Tx) error {
			w := e.begin(tx)
			if err := fn(w); err != nil {
				return err
			}
			return w.flush()
		})
		switch {
		case sqldb.IsUnique(err) && races < keyRaces:
			races++
		case errors.Is(err, errLoads) && loads < maxReloads:
			loads++
		default:
			return err
		}
	}
}

// view reads one snapshot of the store.
func (e *Engine) view(ctx context.Context, fn func(tx *store.Tx) error) error {
	return e.store.View(ctx, fn)
}

// refusal reports whether err is an answer to the caller rather than trouble with the store.
func refusal(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Kind != fault.Internal && f.Kind != fault.Unavailable
}

// now is the instant of a transaction, in the resolution the store keeps.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
