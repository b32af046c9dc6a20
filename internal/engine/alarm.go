package engine

import (
	"slices"
	"sync"
	"time"
)

// alarm wakes one loop at the earliest of the instants it was set to.
type alarm struct {
	mu   sync.Mutex
	at   time.Time
	wake chan struct{}
}

func newAlarm() *alarm { return &alarm{wake: make(chan struct{}, 1)} }

// set asks for a wake at t, unless an earlier one is set; zero asks for nothing.
func (a *alarm) set(t time.Time) {
	if t.IsZero() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.at.IsZero() && !t.Before(a.at) {
		return
	}
	a.at = t
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns the instant and forgets it.
func (a *alarm) take() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.at
	a.at = time.Time{}
	return at
}

// pokes collects ids that a loop is to look at, each once however often it was named.
type pokes struct {
	mu   sync.Mutex
	ids  map[string]bool
	idle map[string]bool // ids that were looked at in vain, to be looked at again
	wake chan struct{}
}

func newPokes() *pokes {
	return &pokes{ids: map[string]bool{}, idle: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// add names ids to look at.
func (p *pokes) add(ids ...string) {
	if len(ids) == 0 {
		return
	}
	p.mu.Lock()
	for _, id := range ids {
		p.ids[id] = true
	}
	p.mu.Unlock()
	p.ring()
}

// again names those of the ids that were looked at in vain.
func (p *pokes) again(ids ...string) {
	p.mu.Lock()
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !p.idle[id] })
	p.mu.Unlock()
	p.add(ids...)
}

// vain remembers, or forgets, that looking at id led nowhere.
func (p *pokes) vain(id string, still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if still {
		p.idle[id] = true
	} else {
		delete(p.idle, id)
	}
}

// take returns up to n ids and forgets them.
func (p *pokes) take(n int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for id := range p.ids {
		if len(out) == n {
			p.ring()
			break
		}
		out = append(out, id)
		delete(p.ids, id)
	}
	return out
}

func (p *pokes) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
