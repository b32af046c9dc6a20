package engine

import (
	"maps"
	"slices"
	"time"

	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// debounced folds a trigger into the run that its debounce key leads to, if there is one that
// is delayed or waits for its deployment. That it belongs to another one makes no difference:
// the first trigger says which.
func (w *work) debounced(env *tenant.Environment, t Trigger) (string, bool, error) {
	if runID, ok, err := w.debouncedHere(env, t); ok || err != nil {
		return runID, ok, err
	}
	runID, err := w.tx.Debounced(env.ID, t.Task, t.Debounce.Key)
	if err != nil || runID == "" {
		return "", false, err
	}
	w.ledTo(env, t, runID)
	r, err := w.run(env, runID)
	if isNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	c, ok := fold(r, t, w.now)
	if !ok {
		return "", false, nil
	}
	if _, err := w.decide(env, runID, c); err != nil {
		return "", false, err
	}
	if t.Debounce.Trailing {
		w.write(func(tx *store.Tx) error { return replace(tx, env.ID, runID, t, w.now) })
	}
	return runID, true, nil
}

// fold is what a trigger does to the run that its debounce key leads to; false when that
// run has begun, or cannot be delayed any further.
func fold(r run.Run, t Trigger, now time.Time) (run.Debounce, bool) {
	c := run.Debounce{Until: now.Add(t.Debounce.Delay).Truncate(time.Second)}
	late := t.Debounce.MaxDelay > 0 && c.Until.After(r.CreatedAt.Add(t.Debounce.MaxDelay))
	if t.Debounce.Trailing {
		c.MaxAttempts, c.MaxDuration, c.Machine = t.MaxAttempts, t.MaxDuration, t.Machine
	}
	return c, r.Postponable() && !late
}

// debounceKey is a debounce key, the run it is to lead to, and the one it led to.
type debounceKey struct{ envID, task, key, runID, was string }

// ledTo notes where a trigger's debounce key led when this transaction looked.
func (w *work) ledTo(env *tenant.Environment, t Trigger, runID string) {
	w.debounce = append(w.debounce, debounceKey{envID: env.ID, task: t.Task, key: t.Debounce.Key, was: runID})
}

// leadTo makes a trigger's debounce key lead to a run.
func (w *work) leadTo(env *tenant.Environment, t Trigger, runID string) {
	w.debounce = append(w.debounce, debounceKey{envID: env.ID, task: t.Task, key: t.Debounce.Key, runID: runID})
}

// saveDebounce writes each key once: the last run it is to lead to counts.
func (w *work) saveDebounce() error {
	merged := map[string]debounceKey{}
	for _, d := range w.debounce {
		m, ok := merged[keyOf(d.envID, d.task, d.key)]
		if !ok {
			m = d
		}
		if d.runID != "" {
			m.runID = d.runID
		}
		merged[keyOf(d.envID, d.task, d.key)] = m
	}
	for _, key := range slices.Sorted(maps.Keys(merged)) { // in the order of all transactions
		d := merged[key]
		if d.runID == "" { // it only led somewhere
			continue
		}
		if err := w.tx.SetDebounced(d.envID, d.task, d.key, d.runID, d.was); err != nil {
			return err
		}
	}
	return nil
}

// debouncedHere folds a trigger into a run that this very transaction has made,
// which no query finds yet. It changes a copy, so that a refusal can take it back.
func (w *work) debouncedHere(env *tenant.Environment, t Trigger) (string, bool, error) {
	i := slices.IndexFunc(w.created, func(n store.NewRun) bool {
		if n.Run.EnvID != env.ID || n.Run.Task != t.Task || n.Def.Extra.Debounce != t.Debounce.Key {
			return false
		}
		_, ok := fold(n.Run, t, w.now)
		return ok
	})
	if i < 0 {
		return "", false, nil
	}
	w.created = slices.Clone(w.created)
	n := &w.created[i]
	c, _ := fold(n.Run, t, w.now)
	p, err := run.Decide(n.Run, c, w.e.context(env, w.now))
	if err != nil {
		return "", false, err
	}
	n.Run = p.Run
	if t.Debounce.Trailing {
		n.Def.Payload = t.Payload
		if t.Metadata.Data != "" {
			n.Def.Metadata, n.Def.Seed = t.Metadata, t.Metadata
		}
		if len(t.Tags) > 0 {
			n.Def.Tags = t.Tags
		}
	}
	return n.Run.ID, true, nil
}

// replace lets the latest of several debounced triggers win. What it does not say stays.
func replace(tx *store.Tx, envID, runID string, t Trigger, at time.Time) error {
	if err := tx.SetPayload(runID, t.Payload); err != nil {
		return err
	}
	if t.Metadata.Data != "" {
		if err := tx.SeedMetadata(runID, t.Metadata, at); err != nil {
			return err
		}
	}
	if len(t.Tags) > 0 {
		return tx.SetTags(envID, runID, t.Tags, at)
	}
	return nil
}
