package engine

import (
	"context"
	"encoding/json"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Key is an idempotency key as a caller gives it. TTL 0 means the default of 30 days.
type Key struct {
	Text    string
	Owner   string // as in run.IdempotencyKey
	TTL     time.Duration
	Options *run.KeyOptions
}

// own is the key as it is unique.
func (k Key) own() string { return run.OwnKey(k.Text, k.Owner) }

// keyTTL is how long an idempotency key holds that names no time.
//
//limit:runs Time that an idempotency key holds, when nobody says |  | it is free again
const keyTTL = 30 * 24 * time.Hour

func (k Key) stored(now time.Time) run.IdempotencyKey {
	if k.Text == "" {
		return run.IdempotencyKey{}
	}
	ttl := k.TTL
	if ttl <= 0 {
		ttl = keyTTL
	}
	return run.IdempotencyKey{Key: k.Text, Owner: k.Owner, ExpiresAt: now.Add(ttl)}
}

// NewWaitpoint is a wish for a wait or a token.
type NewWaitpoint struct {
	At      time.Time // when a wait ends, or a token times out: zero for never
	Key     Key
	Tags    []string
	Request string // transport idempotency key of the HTTP call
}

// WaitFor blocks a run until an instant. With a key that an earlier wait of the
// environment holds, the run waits for that one, which may be over. So it does when the
// same call is sent again, because its answer was lost.
func (e *Engine) WaitFor(ctx context.Context, env *tenant.Environment, runID string, n NewWaitpoint) (store.Waitpoint, error) {
	n.At = n.At.UTC().Truncate(time.Microsecond)
	var p store.Waitpoint
	err := e.update(ctx, func(w *work) error {
		if err := w.lock(runID); err != nil {
			return err
		}
		var err error
		p, _, err = w.waitpoint(env, store.WaitDatetime, n)
		if err != nil {
			return err
		}
		return w.blockOn(env, runID, p)
	})
	return p, err
}

// CreateToken makes a MANUAL waitpoint; cached reports that the key led to an
// existing one. Without a timeout it waits for ever.
func (e *Engine) CreateToken(ctx context.Context, env *tenant.Environment, n NewWaitpoint) (p store.Waitpoint, cached bool, err error) {
	err = e.update(ctx, func(w *work) (err error) {
		p, cached, err = w.waitpoint(env, store.WaitManual, n)
		return err
	})
	return p, cached, err
}

// WaitForToken blocks a run until a token is completed or times out.
func (e *Engine) WaitForToken(ctx context.Context, env *tenant.Environment, runID, tokenID string) error {
	return e.update(ctx, func(w *work) error {
		if err := w.lock(runID); err != nil {
			return err
		}
		p, err := w.tx.LockWaitpoint(env.ID, tokenID)
		if err != nil {
			return err
		}
		return w.blockOn(env, runID, p)
	})
}

// CompleteToken completes a token. Completing it again is no error and changes nothing.
func (e *Engine) CompleteToken(ctx context.Context, env *tenant.Environment, tokenID string, out run.Packet) error {
	return e.update(ctx, func(w *work) error {
		p, err := w.tx.LockWaitpoint(env.ID, tokenID)
		if err != nil {
			return err
		}
		if p.Kind != store.WaitManual {
			return fault.New(fault.NotFound, "Waitpoint not found")
		}
		_, err = w.completeWaitpoint(p.ID, out, false)
		return err
	})
}

// waitpoint makes a waitpoint, or finds the one of its kind that the same call made, or that holds the key.
func (w *work) waitpoint(env *tenant.Environment, kind store.WaitKind, n NewWaitpoint) (store.Waitpoint, bool, error) {
	if n.Request != "" {
		if p, err := w.tx.WaitpointByRequest(env.ID, kind, n.Request); !isNotFound(err) {
			return p, false, err
		}
	}
	if n.Key.Text != "" {
		p, err := w.tx.WaitpointByKey(env.ID, kind, n.Key.Text)
		switch {
		case err == nil && p.Key.ExpiresAt.After(w.now):
			return p, true, nil
		case err == nil:
			if err := w.tx.ReleaseWaitpointKey(p.ID); err != nil {
				return p, false, err
			}
		case !isNotFound(err):
			return p, false, err
		}
	}
	p := store.Waitpoint{ID: id.New(w.now), EnvID: env.ID, Kind: kind, Due: n.At, Key: n.Key.stored(w.now), Tags: n.Tags, Request: n.Request, CreatedAt: w.now}
	w.soon(n.At)
	return p, false, w.tx.AddWaitpoint(p)
}

// blockOn makes a locked run wait for a locked waitpoint.
func (w *work) blockOn(env *tenant.Environment, runID string, p store.Waitpoint) error {
	if _, err := w.decide(env, runID, run.Block{}); err != nil {
		return err
	}
	w.edge(store.Edge{RunID: runID, Kind: p.Kind, WaitpointID: p.ID, Index: store.NoIndex, Done: p.Done})
	return nil
}

// edge blocks a run that is being blocked; if the waitpoint is complete already,
// the run is looked at right after the commit.
func (w *work) edge(edge store.Edge) {
	w.edges = append(w.edges, edge)
	if edge.Done {
		w.unblock = append(w.unblock, edge.RunID)
	}
}

// completeWaitpoint completes a pending waitpoint and lets go whom it blocked.
func (w *work) completeWaitpoint(waitpointID string, out run.Packet, isError bool) (bool, error) {
	done, err := w.tx.CompleteWaitpoint(waitpointID, out, isError, w.now)
	if done {
		w.done = append(w.done, waitpointID)
	}
	return done, err
}

// timedOut is the output of a token that nobody completed in time. The SDK knows its code.
func timedOut(at time.Time) run.Packet {
	b, _ := json.Marshal(struct { // texts always marshal
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"TRIGGER_WAITPOINT_TIMEOUT", "Waitpoint timed out at " + at.UTC().Format("2006-01-02T15:04:05.000Z")})
	return run.Packet{Data: string(b), Type: run.TypeJSON}
}
