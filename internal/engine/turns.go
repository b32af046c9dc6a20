package engine

import (
	"context"
	"sync"
)

// turns lets one goroutine at a time do something for an id.
type turns struct {
	mu  sync.Mutex
	ids map[string]*turn
}

type turn struct {
	free  chan struct{} // holds a token while nobody has the turn
	users int           // who has it or waits for it
}

// take waits for the turn of an id; the caller gives it back with done. Its error is
// that of ctx.
func (t *turns) take(ctx context.Context, id string) (done func(), err error) {
	t.mu.Lock()
	u := t.ids[id]
	if u == nil {
		u = &turn{free: make(chan struct{}, 1)}
		u.free <- struct{}{}
		if t.ids == nil {
			t.ids = map[string]*turn{}
		}
		t.ids[id] = u
	}
	u.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if u.users--; u.users == 0 {
			delete(t.ids, id)
		}
	}
	select {
	case <-u.free:
		return func() { u.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// turn waits until nobody else on this node deals the slots of an environment. Only on
// Postgres: there all who deal wait for the row of the environment, each with a
// connection that the commands of running tasks then lack. On SQLite there is one writer,
// which commits the deals of many together.
func (e *Engine) turn(ctx context.Context, envID string) (done func(), err error) {
	if !e.store.Postgres() {
		return func() {}, nil
	}
	return e.dealing.take(ctx, envID)
}
