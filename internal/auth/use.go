package auth

import (
	"context"
	"maps"
	"sync"
	"time"

	"sear/internal/store"
)

// useEvery is how often the use of credentials is written down, and so how exact it is.
const useEvery = time.Minute

// maxUses bounds the credentials whose use waits to be written; further ones wait a minute more.
//
//limit:inside uses of credentials that wait to be noted
const maxUses = 1000

// used is a credential that was used.
type used struct {
	kind store.CredentialKind
	id   string
}

// uses remembers which credentials were used since that was last written down: requests write
// nothing themselves.
type uses struct {
	mu sync.Mutex
	m  map[used]time.Time
}

func (u *uses) note(kind store.CredentialKind, id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.m) < maxUses {
		u.m[used{kind, id}] = at
	}
}

// take returns what was noted, and forgets it.
func (u *uses) take() map[used]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := maps.Clone(u.m)
	clear(u.m)
	return taken
}

// Run writes down when credentials were last used, until ctx ends.
func (a *Auth) Run(ctx context.Context) error {
	tick := time.NewTicker(useEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			a.noteUses(last)
			return nil
		case <-tick.C:
			a.noteUses(ctx)
		}
	}
}

func (a *Auth) noteUses(ctx context.Context) {
	taken := a.uses.take()
	if len(taken) == 0 {
		return
	}
	err := a.store.Update(ctx, func(tx *store.Tx) error {
		for c, at := range taken {
			if err := tx.NoteUse(c.kind, c.id, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		a.log.Debug("the use of credentials is not noted", "error", err)
	}
}
