package limit

import "sync"

// Shares are places that many compete for, such as connections. Nobody may hold more of them
// than are still free: one alone gets half, two a third each, and whoever comes new finds some
// left, however much the others want. Places that are held are never taken away. It is safe
// for concurrent use.
type Shares struct {
	mu   sync.Mutex
	free int
	held map[string]int
}

// NewShares makes n free places.
func NewShares(n int) *Shares { return &Shares{free: n, held: map[string]int{}} }

// Take takes a place for whoever has the key, or reports that there is none for it. release
// gives the place back; calling it again does nothing.
func (s *Shares) Take(key string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[key] >= s.free {
		return nil, false
	}
	s.free--
	s.held[key]++
	return sync.OnceFunc(func() { s.give(key) }), true
}

func (s *Shares) give(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.held[key]--; s.held[key] == 0 {
		delete(s.held, key)
	}
}
