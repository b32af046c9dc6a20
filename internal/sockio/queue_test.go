package sockio

import (
	"errors"
	"testing"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	q := newQueue(3 * (frameCost + 1))
	for round := range 2 { // taking makes room again
		for i := range 3 {
			if err := q.push([]byte{byte(i)}); err != nil {
				t.Fatalf("round %d, push %d: %v", round, i, err)
			}
		}
		<-q.ready
		frames := q.take()
		if len(frames) != 3 || frames[0][0] != 0 || frames[2][0] != 2 {
			t.Fatalf("round %d: took %v", round, frames)
		}
	}
	for range 3 {
		_ = q.push([]byte{0})
	}
	if err := q.push(nil); !errors.Is(err, ErrSlow) {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := q.push(nil); !errors.Is(err, ErrClosed) || len(q.take()) > 0 {
		t.Errorf("after that: %v", err)
	}
}
