package auth

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"sear/internal/fault"
)

// TestComparisonsAreBounded: so many at once, one of a client, some that wait, and beyond that
// a refusal at once. Who gives up makes room.
func TestComparisonsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newComparisons()
		ctx, giveUp := context.WithCancel(t.Context())
		var ends []func()
		for i := range cap(c.slots) {
			end, err := c.begin(t.Context(), fmt.Sprint("running ", i))
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		var gaveUp atomic.Int64
		for i := range maxWaiting {
			go func() {
				if _, err := c.begin(ctx, fmt.Sprint("waiting ", i)); err == context.Canceled {
					gaveUp.Add(1)
				}
			}()
		}
		synctest.Wait()
		for _, client := range []string{"running 0", "waiting 0", "another"} {
			if _, err := c.begin(t.Context(), client); !fault.Is(err, fault.Limit) {
				t.Errorf("%s: %v", client, err)
			}
		}
		giveUp()
		synctest.Wait()
		if gaveUp.Load() != maxWaiting {
			t.Errorf("%d gave up", gaveUp.Load())
		}
		for _, end := range ends {
			end()
		}
		if end, err := c.begin(t.Context(), "running 0"); err != nil {
			t.Errorf("afterwards: %v", err)
		} else {
			end()
		}
		if len(c.by) != 0 || len(c.slots) != 0 {
			t.Errorf("left over: %v and %d", c.by, len(c.slots))
		}
	})
}
