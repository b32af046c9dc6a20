package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// NewBatch is the first phase of a batch trigger.
type NewBatch struct {
	RunCount     int
	Tasks        []string // of the items, none when the caller does not say
	ParentID     string
	ResumeParent bool // the parent waits for all items, from the moment they are there
	Key          Key
	Request      string // as of a Trigger
	OneTime      OneTime
	Maker        string // as in store.Batch
}

// senderWait is how long the items of a batch are taken to be on their way from whoever
// made it. Later, the next caller with the same key sends them, for the first may have died.
const senderWait = time.Minute

// CreateBatch promises a batch; cached reports that a key led to an earlier one,
// whose items are not to be sent again. They are when that one is not sealed and its sender
// seems to have died, and so they are by a parent that waits for its own batch: its last
// attempt died before it had sent all. Those that came are recognised. A batch whose waiting
// parent is over becomes the caller's.
func (e *Engine) CreateBatch(ctx context.Context, env *tenant.Environment, n NewBatch) (b store.Batch, cached bool, err error) {
	err = e.update(ctx, func(w *work) (err error) {
		if n.ResumeParent {
			if _, err := w.parent(env, Trigger{Task: "a batch", ParentID: n.ParentID, ResumeParent: true}); err != nil {
				return err
			}
		}
		b, cached, err = w.batch(env, n)
		switch {
		case err != nil || !cached:
			return err
		case b.Status == store.BatchPending && b.ResumeParent && !(n.ResumeParent && b.ParentID == n.ParentID):
			over, err := w.over(env, b.ParentID)
			if err != nil || !over {
				cached = !n.ResumeParent
				return errors.Join(err, joined(b, n))
			}
			cached = false
			mine, err := w.tx.AdoptBatch(b, n.ParentID, n.ResumeParent, w.now)
			if err == nil && !mine {
				err = fault.New(fault.Conflict, errUnsealed)
			}
			b.ParentID, b.ResumeParent = n.ParentID, n.ResumeParent
			return err
		case n.ResumeParent && b.Status == store.BatchPending:
			cached = false
			return joined(b, n)
		case n.ResumeParent && b.Status == store.BatchProcessing:
			return w.waitForStored(env, n.ParentID, b)
		}
		abandoned := b.Status == store.BatchPending && !b.CreatedAt.After(w.now.Add(-senderWait))
		cached = !abandoned || b.RunCount != n.RunCount
		return nil
	})
	return b, cached && !madeBy(b, n.Request), err // the answer of an earlier try was lost: its items are still to come
}

const errUnsealed = "Another call is still sending the items of the batch with this idempotency key"

// over reports whether a run is over, or no longer there.
func (w *work) over(env *tenant.Environment, runID string) (bool, error) {
	r, err := w.tx.Run(env.ID, runID)
	if isNotFound(err) {
		return true, nil
	}
	return r.Status.Final(), err
}

// joined refuses who would wait for a batch that, once it is sealed, only another run waits for.
func joined(b store.Batch, n NewBatch) error {
	if n.ResumeParent && (!b.ResumeParent || b.ParentID != n.ParentID) {
		return fault.New(fault.Conflict, errUnsealed)
	}
	return nil
}

// madeBy reports whether an earlier try of the same call made a batch.
func madeBy(b store.Batch, request string) bool { return request != "" && b.Request == request }

// TriggerBatch makes a batch with all its items, in one commit, or finds the one that
// a key or an earlier try of the same call made. cached reports that a key led to it.
// What is returned of items is the batch's.
func (e *Engine) TriggerBatch(ctx context.Context, env *tenant.Environment, n NewBatch, items []Item) (b store.Batch, done []store.BatchItem, cached bool, err error) {
	n.RunCount = len(items)
	for _, item := range items {
		n.Tasks = append(n.Tasks, item.Task)
	}
	err = e.update(ctx, func(w *work) (err error) {
		if err := w.lockAll(nil, debounceKeysOf(env, items)); err != nil {
			return err
		}
		if n.ResumeParent {
			if _, err := w.parent(env, Trigger{Task: "a batch", ParentID: n.ParentID, ResumeParent: true}); err != nil {
				return err
			}
		}
		b, cached, err = w.batch(env, n)
		switch {
		case err != nil:
			return err
		case cached && b.Status == store.BatchPending:
			return fault.New(fault.Conflict, errUnsealed)
		case cached:
			done, err = w.tx.BatchItems(b.ID)
		default:
			if done, err = w.addItems(env, b, items, map[int]bool{}, &Progress{}); err != nil {
				return err
			}
			b.Status = store.BatchProcessing
			err = w.tx.EndBatch(b.ID, b.Status, w.now)
		}
		if err == nil && n.ResumeParent && b.Status == store.BatchProcessing {
			err = w.waitForBatch(env, n.ParentID, b, done)
		}
		return err
	})
	return b, done, cached && !madeBy(b, n.Request), err
}

func (w *work) batch(env *tenant.Environment, n NewBatch) (store.Batch, bool, error) {
	b, found, err := w.batchOf(env, n)
	if err != nil {
		return b, false, err
	}
	if n.OneTime.Token != "" && !(found && madeBy(b, n.Request)) { // it was spent when the same call made this batch
		if err := w.useOnce(n.OneTime, "a batch"); err != nil {
			return store.Batch{}, false, err
		}
	}
	if found {
		return b, true, nil
	}
	b = store.Batch{ID: id.New(w.now), EnvID: env.ID, RunCount: n.RunCount, Status: store.BatchPending, Tasks: taskSet(n.Tasks),
		ParentID: n.ParentID, ResumeParent: n.ResumeParent, Key: n.Key.stored(w.now), KeyOptions: n.Key.Options,
		Maker: n.Maker, Request: n.Request, Due: w.now.Add(w.e.opt.SealWait), CreatedAt: w.now, UpdatedAt: w.now}
	w.soon(b.Due)
	return b, false, w.tx.AddBatch(b)
}

// taskSet is tasks as a batch keeps them.
func taskSet(tasks []string) []string { return slices.Compact(slices.Sorted(slices.Values(tasks))) }

// batchOf finds the batch that a key or an earlier try of the same call made. A key that
// has expired, or whose batch was given up, is free again. One of a batch of other tasks is a
// fault.Invalid: its items are not those that are wanted.
func (w *work) batchOf(env *tenant.Environment, n NewBatch) (b store.Batch, found bool, err error) {
	if n.Key.Text == "" && n.Request == "" {
		return b, false, nil
	}
	switch b, err = w.tx.BatchByKey(env.ID, n.Key.own(), n.Request); {
	case isNotFound(err):
		return store.Batch{}, false, nil
	case err != nil:
		return b, false, err
	case madeBy(b, n.Request):
		return b, true, nil
	case b.Status == store.BatchAborted, b.Key.Key != "" && !b.Key.ExpiresAt.After(w.now):
		return store.Batch{}, false, w.tx.ReleaseBatchKey(b.ID)
	case len(n.Tasks) > 0 && len(b.Tasks) > 0 && !slices.Equal(taskSet(n.Tasks), b.Tasks):
		return b, false, fault.New(fault.Invalid, "Cannot create batch as it has already been created with the same idempotency key.")
	}
	return b, true, nil
}

// Item is one item of a batch. Failed is set when it could not even be decoded
// into a trigger: a run that failed from the start stands in for it.
type Item struct {
	Index int
	Trigger
	Failed *run.Error
}

// debounceKeysOf are the debounce keys of items.
func debounceKeysOf(env *tenant.Environment, items []Item) (keys []store.DebounceKey) {
	for _, item := range items {
		keys = append(keys, item.debounceKeys(env)...)
	}
	return keys
}

// Progress is how far a batch has come.
type Progress struct {
	Accepted, Repeated, Arrived int
	Sealed                      bool
}

// AddItems triggers items of a batch. Indexes that arrived before are skipped, so
// a stream may be sent again from its start.
func (e *Engine) AddItems(ctx context.Context, env *tenant.Environment, batchID string, items []Item) (p Progress, err error) {
	err = e.update(ctx, func(w *work) error {
		p = Progress{}
		if err := w.lockAll(nil, debounceKeysOf(env, items)); err != nil {
			return err
		}
		if err := w.waitingParent(env, batchID); err != nil {
			return err
		}
		b, err := w.openBatch(env, batchID)
		if err != nil || b.Status != store.BatchPending {
			p = Progress{Repeated: len(items), Sealed: err == nil}
			return err
		}
		seen, err := w.tx.BatchIndexes(b.ID)
		if err != nil {
			return err
		}
		_, err = w.addItems(env, b, items, seen, &p)
		return err
	})
	return p, err
}

// waitingParent locks the parent of a batch that is not sealed, if it is to wait for it. One
// that is over is a fault.Invalid: nobody would cancel the items with it, or see what they return.
func (w *work) waitingParent(env *tenant.Environment, batchID string) error {
	b, err := w.tx.Batch(env.ID, batchID)
	if err != nil || !b.ResumeParent || b.Status != store.BatchPending {
		if isNotFound(err) {
			err = nil // openBatch says it
		}
		return err
	}
	_, err = w.parent(env, Trigger{Task: "a batch", ParentID: b.ParentID, ResumeParent: true})
	return err
}

// openBatch is a batch that takes items, or took them all.
func (w *work) openBatch(env *tenant.Environment, batchID string) (store.Batch, error) {
	b, err := w.tx.LockBatch(env.ID, batchID)
	switch {
	case isNotFound(err):
		return b, fault.Newf(fault.Invalid, "Batch %s not found", id.Friendly(id.Batch, batchID))
	case err == nil && b.Status == store.BatchAborted:
		return b, fault.Newf(fault.Invalid, "Batch %s is not in PENDING status (current: ABORTED)", id.Friendly(id.Batch, batchID))
	}
	return b, err
}

// addItems triggers those items that have not been seen, and returns them.
func (w *work) addItems(env *tenant.Environment, b store.Batch, items []Item, seen map[int]bool, p *Progress) ([]store.BatchItem, error) {
	parent, err := w.parent(env, Trigger{ParentID: b.ParentID})
	if err != nil {
		return nil, err
	}
	added := make([]store.BatchItem, 0, len(items))
	settings := map[taskKey]run.Create{}
	ids := id.Sequence(w.now, len(items))
	for n, item := range items {
		switch {
		case item.Index < 0 || item.Index >= b.RunCount:
			return nil, fault.Newf(fault.Invalid, "Item index %d exceeds batch runCount %d", item.Index, b.RunCount)
		case seen[item.Index]:
			p.Repeated++
			continue
		}
		seen[item.Index] = true
		p.Accepted++
		done, err := w.addItem(env, b, parent, item, ids[n], settings)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", item.Index, err)
		}
		added = append(added, done)
	}
	return added, nil
}

// taskKey names triggers that resolve alike.
type taskKey struct{ task, queue, version, external string }

func (w *work) addItem(env *tenant.Environment, b store.Batch, parent run.Run, item Item, runID string, settings map[taskKey]run.Create) (store.BatchItem, error) {
	t := item.Trigger
	done := store.BatchItem{Index: item.Index, RunID: runID, Task: t.Task, Own: true}
	if found, ok, err := w.existing(env, t); err != nil || ok {
		if err != nil {
			return done, err
		}
		done.RunID, done.Own = found, false
		w.write(func(tx *store.Tx) error { return tx.AddBatchItems(b.ID, []store.BatchItem{done}) })
		return done, nil
	}
	key := taskKey{t.Task, t.Queue, t.Version, t.External}
	c, ok := settings[key]
	if !ok && item.Failed == nil {
		var err error
		shared := t
		shared.TTL = nil // what an item says for itself does not concern the others
		if c, err = w.resolve(env, shared); refusal(err) {
			item.Failed = untriggered(err)
		} else if err != nil {
			return done, err
		} else {
			settings[key] = c
		}
	}
	if item.Failed == nil {
		if err := w.room(env, c.Run.Lane.Queue, t.Task); refusal(err) {
			item.Failed = untriggered(err)
		} else if err != nil {
			return done, err
		}
	}
	c.Run.EnvID, c.Run.Task, c.Failed = env.ID, t.Task, item.Failed
	c.Run.DelayUntil, c.PriorityMS = t.DelayUntil, t.PriorityMS
	c.Run.MaxAttempts, c.Run.MaxDuration, c.Run.Machine, c.Run.Lane.Key = t.MaxAttempts, t.MaxDuration, t.Machine, t.ConcurrencyKey
	if t.TTL != nil {
		c.Run.TTL = *t.TTL
	}
	if c.Run.Lane.Queue == "" {
		c.Run.Lane.Queue = run.TaskQueue(t.Task)
	}
	c.Run.ID, c.Run.BatchID, c.Run.BatchIndex = runID, b.ID, item.Index
	t.ResumeParent = b.ResumeParent
	w.family(&c, t, parent)
	_, err := w.createFor(env, c, t)
	return done, err
}

// untriggered is the error of a run that stands in for an item that was refused.
func untriggered(err error) *run.Error {
	return &run.Error{Type: run.Internal, Code: run.CodeItemUntriggered, Message: err.Error()}
}

// SealBatch ends the stream of items: once all have arrived, the batch is sealed
// and a parent that waits for it is blocked. It may be called again.
func (e *Engine) SealBatch(ctx context.Context, env *tenant.Environment, batchID string) (p Progress, err error) {
	err = e.update(ctx, func(w *work) error {
		b, err := w.tx.Batch(env.ID, batchID)
		if err != nil {
			return err
		}
		if b.ResumeParent {
			if err := w.lock(b.ParentID); err != nil {
				return err
			}
		}
		if b, err = w.openBatch(env, batchID); err != nil {
			return err
		}
		p.Arrived, _, err = w.tx.BatchProgress(b.ID)
		p.Sealed = b.Status == store.BatchProcessing || p.Arrived >= b.RunCount
		if err != nil || !p.Sealed || b.Status == store.BatchProcessing {
			return err
		}
		if err := w.tx.EndBatch(b.ID, store.BatchProcessing, w.now); err != nil {
			return err
		}
		if over, err := w.over(env, b.ParentID); err != nil || over || !b.ResumeParent {
			return err
		}
		return w.waitForStored(env, b.ParentID, b)
	})
	return p, err
}

// waitForStored is waitForBatch for a batch whose items are in the store.
func (w *work) waitForStored(env *tenant.Environment, parentID string, b store.Batch) error {
	items, err := w.tx.BatchItems(b.ID)
	if err != nil {
		return err
	}
	return w.waitForBatch(env, parentID, b, items)
}

// waitForBatch blocks a locked parent with every item of a sealed batch, and with
// the batch itself, which as a waitpoint is complete by then.
func (w *work) waitForBatch(env *tenant.Environment, parentID string, b store.Batch, items []store.BatchItem) error {
	runs := make(map[int]string, len(items))
	for _, i := range items {
		if i.RunID != "" {
			runs[i.Index] = i.RunID
		}
	}
	if err := w.waitForRuns(env, parentID, b.ID, runs); err != nil {
		return err
	}
	w.edge(store.Edge{RunID: parentID, Kind: store.WaitBatch, WaitpointID: b.ID, Index: store.NoIndex, BatchID: b.ID, Done: true})
	return nil
}
