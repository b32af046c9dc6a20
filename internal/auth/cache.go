package auth

import (
	"sync"
	"time"

	"sear/internal/sqldb"
)

// cacheTTL bounds how long a change made on another node may go unnoticed when its
// hint is lost.
//
//limit:access Time in which another node learns that a credential has ended, should word of it get lost |  | it serves the credential until then
const cacheTTL = 5 * time.Second

// cacheSize bounds the entries of one cache. Only what exists is kept, so the bound is
// met by large installations, not by guessers.
const cacheSize = 10_000

// cache remembers what the store said for cacheTTL, and forgets all of it on a hint.
type cache[K comparable, V any] struct {
	watch *sqldb.Watch
	mu    sync.Mutex
	epoch uint64 // counts the times everything was forgotten
	m     map[K]entry[V]
}

type entry[V any] struct {
	value V
	until time.Time
}

func newCache[K comparable, V any](w *sqldb.Watch) *cache[K, V] {
	return &cache[K, V]{watch: w, m: map[K]entry[V]{}}
}

// get returns the value of k, loading it when it is not there. Failures are not kept.
func (c *cache[K, V]) get(k K, load func() (V, error)) (V, error) {
	v, epoch, ok := c.lookup(k)
	if ok {
		return v, nil
	}
	v, err := load()
	if err == nil {
		c.put(k, v, epoch)
	}
	return v, err
}

func (c *cache[K, V]) lookup(k K) (v V, epoch uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heed()
	e, ok := c.m[k]
	if ok && time.Now().After(e.until) {
		return v, c.epoch, false
	}
	return e.value, c.epoch, ok
}

// put keeps v unless there was a hint since the caller began to load it: then v may
// be what was true before.
func (c *cache[K, V]) put(k K, v V, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heed()
	if c.epoch != epoch {
		return
	}
	if len(c.m) >= cacheSize {
		clear(c.m)
	}
	c.m[k] = entry[V]{v, time.Now().Add(cacheTTL)}
}

// heed forgets everything if there was a hint. The caller holds the lock.
func (c *cache[K, V]) heed() {
	select {
	case <-c.watch.C():
		clear(c.m)
		c.epoch++
	default:
	}
}
