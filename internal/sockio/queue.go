package sockio

import (
	"errors"
	"sync"
)

// What emitting to a single socket may answer.
var (
	ErrClosed = errors.New("sockio: the connection is closed")
	ErrSlow   = errors.New("sockio: the client does not read; it has been dropped")
)

// frameCost is what a queued frame counts beyond its bytes, so that small ones are not free.
const frameCost = 48

// queue holds the frames that wait for the writer of a connection. Pushing never blocks.
type queue struct {
	limit int           // in bytes
	ready chan struct{} // has an item when there may be something to take

	mu     sync.Mutex
	frames [][]byte
	size   int
	closed bool
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, ready: make(chan struct{}, 1)}
}

// push adds a frame, which must not be changed any more: it may wait in many queues.
func (q *queue) push(frame []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if q.size+len(frame)+frameCost > q.limit {
		q.shut()
		return ErrSlow
	}
	q.frames = append(q.frames, frame)
	q.size += len(frame) + frameCost
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return nil
}

// take empties the queue.
func (q *queue) take() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	frames := q.frames
	q.frames, q.size = nil, 0
	return frames
}

// close drops what waits and refuses more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut()
}

func (q *queue) shut() { q.frames, q.size, q.closed = nil, 0, true }
