package engine_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/sqldb/pgtest"
	"sear/internal/tenant"
)

// TestKeysInAnyOrder: batches that share keys, each in an order of its own, do not come to
// wait for each other: Postgres would need a second to find out each time.
func TestKeysInAnyOrder(t *testing.T) {
	t.Parallel()
	const callers, rounds, keys = 4, 4, 20
	for name, item := range map[string]func(key, round int) engine.Trigger{
		"known keys": func(key, _ int) engine.Trigger {
			return engine.Trigger{Task: "hello", Key: engine.Key{Text: fmt.Sprint("known", key)}}
		},
		"new keys": func(key, round int) engine.Trigger {
			return engine.Trigger{Task: "hello", Key: engine.Key{Text: fmt.Sprint("new", round, "/", key)}}
		},
		"debounce keys": func(key, _ int) engine.Trigger {
			return engine.Trigger{Task: "hello", DelayUntil: time.Now().Add(time.Hour), Debounce: &engine.Debounce{Key: fmt.Sprint("d", key), Delay: time.Hour}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pgtest.URL(t), tenant.Production)
			begin := time.Now()
			var mu sync.Mutex
			made := map[string]map[string]bool{} // runs by key
			for round := range rounds {
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						items := make([]engine.Item, keys)
						order := rand.Perm(keys)
						for i, key := range order {
							items[i] = engine.Item{Index: i, Trigger: item(key, round)}
						}
						_, done, _, err := r.TriggerBatch(r.ctx, r.env, engine.NewBatch{}, items)
						if err != nil {
							t.Errorf("round %d: %v", round, err)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						for _, d := range done {
							k := fmt.Sprint(items[d.Index].Key.Text, items[d.Index].Debounce)
							if d := items[d.Index].Debounce; d != nil {
								k = d.Key
							}
							if made[k] == nil {
								made[k] = map[string]bool{}
							}
							made[k][d.RunID] = true
						}
					})
				}
				wg.Wait()
			}
			if took := time.Since(begin); took > 8*time.Second {
				t.Errorf("%d batches took %v", callers*rounds, took)
			}
			for key, runs := range made {
				if len(runs) != 1 {
					t.Errorf("%s leads to %d runs", key, len(runs))
				}
			}
		})
	}
}
