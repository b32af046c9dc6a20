package sqldb

import "sync"

// hint names something that changed.
type hint struct{ topic, key string }

// hints connects Tx.Hint with Watch on one node, and collects for the relay
// what the others should hear.
type hints struct {
	mu      sync.Mutex
	watches map[hint]map[*Watch]struct{}
	relayed bool              // a relay runs and takes what is outgoing
	pending map[hint]struct{} // outgoing
	signal  chan struct{}     // of capacity 1: pending is no longer empty
}

func newHints() *hints {
	return &hints{
		watches: map[hint]map[*Watch]struct{}{},
		pending: map[hint]struct{}{},
		signal:  make(chan struct{}, 1),
	}
}

// Watch is woken when its topic and key are hinted. Hints that come before the
// last one was received are one.
type Watch struct {
	hints *hints
	hint  hint
	c     chan struct{}
}

// C is received from after a hint. It is never closed.
func (w *Watch) C() <-chan struct{} { return w.c }

// Close ends the watch. It may be called again.
func (w *Watch) Close() {
	w.hints.mu.Lock()
	defer w.hints.mu.Unlock()
	set := w.hints.watches[w.hint]
	delete(set, w)
	if len(set) == 0 {
		delete(w.hints.watches, w.hint)
	}
}

func (w *Watch) wake() {
	select {
	case w.c <- struct{}{}:
	default: // it has a hint waiting
	}
}

func (h *hints) watch(topic, key string) *Watch {
	w := &Watch{hints: h, hint: hint{topic, key}, c: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches[w.hint] == nil {
		h.watches[w.hint] = map[*Watch]struct{}{}
	}
	h.watches[w.hint][w] = struct{}{}
	return w
}

// maxPending bounds what waits to be told to other nodes while they cannot be told. What is
// left out they find by looking, as they do now and then.
//
//limit:inside hints that other nodes find by looking when they are left out
const maxPending = 10_000

// publish wakes this node's watches and hands the hints to the relay.
func (h *hints) publish(list []hint) {
	if len(list) == 0 {
		return
	}
	h.wake(list)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.relayed {
		return
	}
	for _, x := range list {
		if len(h.pending) < maxPending {
			h.pending[x] = struct{}{}
		}
	}
	select {
	case h.signal <- struct{}{}:
	default:
	}
}

// wake wakes those who watch any of list on this node.
func (h *hints) wake(list []hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range list {
		for w := range h.watches[x] {
			w.wake()
		}
	}
}

// wakeAll wakes every watch, after hints may have been missed.
func (h *hints) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, set := range h.watches {
		for w := range set {
			w.wake()
		}
	}
}

// setRelayed says whether somebody takes outgoing hints; without, they are dropped.
func (h *hints) setRelayed(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.relayed = on
	clear(h.pending)
}

// takePending returns the outgoing hints and forgets them.
func (h *hints) takePending() []hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]hint, 0, len(h.pending))
	for x := range h.pending {
		list = append(list, x)
	}
	clear(h.pending)
	return list
}
