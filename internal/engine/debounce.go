package engine

import (
	"slices"
	"time"

	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// debounced folds a trigger into the delayed run that its debounce key leads to, if there is one.
func (w *work) debounced(env *tenant.Environment, t Trigger) (string, bool, error) {
	if runID := w.debouncedHere(env, t); runID != "" {
		return runID, true, nil
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
	until := w.now.Add(t.Debounce.Delay).Truncate(time.Second)
	late := t.Debounce.MaxDelay > 0 && until.After(r.CreatedAt.Add(t.Debounce.MaxDelay))
	if r.Exec != run.Delayed || late {
		return "", false, nil
	}
	if _, err := w.decide(env, runID, run.Debounce{Until: until}); err != nil {
		return "", false, err
	}
	if t.Debounce.Trailing {
		w.write(func(tx *store.Tx) error { return replace(tx, env.ID, runID, t, w.now) })
	}
	return runID, true, nil
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
	for _, d := range merged {
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
func (w *work) debouncedHere(env *tenant.Environment, t Trigger) string {
	i := slices.IndexFunc(w.created, func(n store.NewRun) bool {
		return n.Run.EnvID == env.ID && n.Run.Task == t.Task && n.Run.Exec == run.Delayed && n.Def.Extra.Debounce == t.Debounce.Key
	})
	if i < 0 {
		return ""
	}
	w.created = slices.Clone(w.created)
	n := &w.created[i]
	until := w.now.Add(t.Debounce.Delay).Truncate(time.Second)
	if p, err := run.Decide(n.Run, run.Debounce{Until: until}, w.e.context(env, w.now)); err == nil {
		n.Run = p.Run
	}
	if t.Debounce.Trailing {
		n.Def.Payload = t.Payload
		if t.Metadata.Data != "" {
			n.Def.Metadata, n.Def.Seed = t.Metadata, t.Metadata
		}
		if len(t.Tags) > 0 {
			n.Def.Tags = t.Tags
		}
	}
	return n.Run.ID
}

// replace lets the latest of several debounced triggers win. What it does not say stays.
func replace(tx *store.Tx, envID, runID string, t Trigger, at time.Time) error {
	if err := tx.SetPayload(runID, t.Payload); err != nil {
		return err
	}
	if t.Metadata.Data != "" {
		if err := tx.SetMetadata(runID, t.Metadata, at); err != nil {
			return err
		}
	}
	if len(t.Tags) > 0 {
		if err := tx.SetTags(envID, runID, t.Tags, at); err != nil {
			return err
		}
	}
	return tx.SetLimits(runID, t.MaxAttempts, t.MaxDuration, t.Machine)
}
