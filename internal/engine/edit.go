package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Reschedule gives a delayed run another time.
func (e *Engine) Reschedule(ctx context.Context, env *tenant.Environment, runID string, until time.Time) error {
	return e.do(ctx, []string{runID}, func(w *work) error {
		_, err := w.decide(env, runID, run.Reschedule{Until: until.UTC().Truncate(time.Microsecond)})
		return err
	})
}

// ResetKey releases an idempotency key of a task, whoever owns it.
func (e *Engine) ResetKey(ctx context.Context, env *tenant.Environment, task, key string) error {
	return e.update(ctx, func(w *work) error {
		released, err := w.tx.ResetKey(env.ID, task, key)
		if err == nil && !released {
			err = fault.Newf(fault.NotFound, "No runs found with idempotency key: %s and task: %s", key, task)
		}
		return err
	})
}

// MaxTags is how many tags a run may have.
//
//limit:runs Tags of a run with those that are added later, and of a token | tags | 422 Runs can only have {} tags, …; of a token: Waitpoints can only have {} tags, …
const MaxTags = 10

// AddTags adds tags to a run and returns how many were new. With more than MaxTags in all, none is added.
func (e *Engine) AddTags(ctx context.Context, env *tenant.Environment, runID string, tags []string) (added int, err error) {
	err = e.update(ctx, func(w *work) error {
		if _, err := w.run(env, runID); err != nil {
			return err
		}
		d, err := w.tx.Detail(env.ID, runID)
		if err != nil {
			return err
		}
		fresh := newTags(d.Tags, tags)
		if added = len(fresh); added == 0 {
			return nil
		}
		if total := len(d.Tags) + added; total > MaxTags {
			return fault.Newf(fault.Invalid, "Runs can only have %d tags, you're trying to set %d. These tags have not been set: '%s'.",
				MaxTags, total, strings.Join(fresh, "', '"))
		}
		return w.tx.SetTags(env.ID, runID, append(d.Tags, fresh...), w.now)
	})
	return added, err
}

func newTags(have, more []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range have {
		seen[t] = true
	}
	for _, t := range more {
		if strings.TrimSpace(t) != "" && !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}

// metadataGrace is how long after its end a run's metadata may still change.
//
//limit:metadata Time after its end in which a run's metadata can change |  | 422 Cannot update metadata for a completed run
const metadataGrace = time.Hour

// EditMetadata applies an edit to a run and its family in one commit, and returns
// the run's document. One that is too large or too much work changes nothing: a
// fault.TooLarge or a fault.Malformed.
func (e *Engine) EditMetadata(ctx context.Context, env *tenant.Environment, runID string, m run.MetadataEdit) (doc run.Packet, err error) {
	if err := m.Check(); err != nil {
		return doc, err
	}
	err = e.update(ctx, func(w *work) error {
		r, err := w.run(env, runID)
		if err != nil {
			return err
		}
		if r.Exec == run.Finished && w.now.Sub(r.CompletedAt) > metadataGrace {
			return fault.New(fault.Invalid, "Cannot update metadata for a completed run")
		}
		doc, err = w.editMetadata(env, r, m)
		return err
	})
	return doc, err
}

// editMetadata locks the family from the root down, which is the order of their ids,
// and writes the documents once it is clear that none is refused.
func (w *work) editMetadata(env *tenant.Environment, r run.Run, m run.MetadataEdit) (doc run.Packet, err error) {
	parts := metadataParts(r, m)
	edited := map[string]run.Packet{}
	var editor run.Editor
	for _, id := range slices.Sorted(maps.Keys(parts)) {
		doc, err := w.tx.LockMetadata(env.ID, id)
		if err != nil {
			return doc, err
		}
		for _, p := range parts[id] {
			text, err := editor.Apply(doc.Data, p.replace, p.field, p.ops)
			if err != nil {
				return doc, err
			}
			doc = run.Packet{Data: text, Type: run.TypeJSON}
		}
		edited[id] = doc
	}
	for _, id := range slices.Sorted(maps.Keys(edited)) {
		if len(parts[id]) > 0 {
			if err := w.tx.SetMetadata(id, edited[id], w.now); err != nil {
				return doc, err
			}
		}
	}
	return edited[r.ID], nil
}

// metadataPart is what an edit says of one document, and how its caller calls that.
type metadataPart struct {
	field   string
	replace json.RawMessage
	ops     []run.Operation
}

// metadataParts are the parts of an edit by the run whose document they change. The run's
// own is among them even if nothing does.
func metadataParts(r run.Run, m run.MetadataEdit) map[string][]metadataPart {
	parts := map[string][]metadataPart{r.ID: nil}
	for _, p := range []struct {
		id string
		metadataPart
	}{
		{r.ID, metadataPart{"operations", m.Replace, m.Own}},
		{r.ParentID, metadataPart{"parentOperations", nil, m.Parent}},
		{r.RootID, metadataPart{"rootOperations", nil, m.Root}},
	} {
		if p.replace == nil && len(p.ops) == 0 {
			continue
		}
		id := cmp.Or(p.id, r.ID)
		parts[id] = append(parts[id], p.metadataPart)
	}
	return parts
}

// Replay triggers the task of a run again with its payload, tags and settings;
// change may alter the trigger. What concerned only that run stays behind: its
// keys, its delay, its family, and a queue that nobody has declared.
func (e *Engine) Replay(ctx context.Context, env *tenant.Environment, runID string, change func(*Trigger)) (Triggered, error) {
	var t Trigger
	if err := e.view(ctx, func(tx *store.Tx) (err error) {
		t, err = replayOf(tx, env, runID)
		return err
	}); err != nil {
		return Triggered{}, err
	}
	if change != nil {
		change(&t)
	}
	return e.Trigger(ctx, env, t)
}

// replayOf is the trigger that replays a run.
func replayOf(tx *store.Tx, env *tenant.Environment, runID string) (Trigger, error) {
	d, err := tx.Detail(env.ID, runID)
	if err != nil {
		return Trigger{}, err
	}
	queue := ""
	known, err := tx.HasQueue(env.ID, d.Lane.Queue)
	if known || deploy.Implicit(d.Lane.Queue) {
		queue = d.Lane.Queue
	}
	return Trigger{
		Task: d.Task, Payload: d.Payload, Metadata: d.Seed, Tags: d.Tags, Test: d.Test,
		Queue: queue, ConcurrencyKey: d.Lane.Key, Machine: d.Machine, MaxAttempts: 0, MaxDuration: 0,
		Extra: run.Extra{Context: d.Extra.Context, ReplayedFrom: id.Friendly(id.Run, d.ID), Source: d.Extra.Source, Region: d.Extra.Region, Streams: d.Extra.Streams},
	}, err
}
