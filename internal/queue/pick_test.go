package queue_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sear/internal/queue"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestPick(t *testing.T) {
	t.Parallel()
	old := now.Add(-time.Hour)
	for _, c := range []struct {
		name  string
		loads []queue.Load
		free  int
		want  []queue.Grant
	}{
		{"nothing waits", nil, 5, nil},
		{"nothing is free", []queue.Load{{Lane: "a", Oldest: old, Limit: 1}}, 0, nil},
		{"one lane takes all", []queue.Load{{Lane: "a", Oldest: old, Limit: 100}}, 5, []queue.Grant{{Lane: "a", N: 5}}},
		{"up to its limit", []queue.Load{{Lane: "a", Oldest: old, Running: 2, Limit: 3}}, 5, []queue.Grant{{Lane: "a", N: 1}}},
		{"a full lane gets nothing", []queue.Load{{Lane: "a", Oldest: old, Running: 3, Limit: 3}}, 5, nil},
		{"a paused lane gets nothing", []queue.Load{{Lane: "a", Oldest: old}}, 5, nil},
		{"over its limit after an override", []queue.Load{{Lane: "a", Oldest: old, Running: 9, Limit: 3}}, 5, nil},
	} {
		if d := cmp.Diff(c.want, queue.Pick(c.loads, c.free, now, rand.Float64)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestPickHoldsLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		loads := make([]queue.Load, rapid.IntRange(0, 20).Draw(t, "lanes"))
		room := 0
		for i := range loads {
			l := queue.Load{Lane: fmt.Sprint(i), Oldest: now.Add(-time.Duration(rapid.IntRange(-10, 1000).Draw(t, "age")) * time.Second),
				Running: rapid.IntRange(0, 5).Draw(t, "running"), Limit: rapid.IntRange(0, 8).Draw(t, "limit")}
			loads[i] = l
			room += max(l.Limit-l.Running, 0)
		}
		free := rapid.IntRange(-1, 30).Draw(t, "free")
		dealt, seen := 0, map[string]bool{}
		for _, g := range queue.Pick(loads, free, now, rand.New(rand.NewPCG(1, 2)).Float64) {
			var l queue.Load
			for _, each := range loads {
				if each.Lane == g.Lane {
					l = each
				}
			}
			if g.N < 1 || l.Running+g.N > l.Limit || seen[g.Lane] {
				t.Fatalf("%+v granted %d", l, g.N)
			}
			seen[g.Lane] = true
			dealt += g.N
		}
		if want := max(min(free, room), 0); dealt > want || dealt < min(want, len(seen)) {
			t.Fatalf("%d slots dealt, %d free and room for %d", dealt, free, room)
		}
	})
}

// TestPickDealsEvenly: whatever their order, lanes get the same share.
func TestPickDealsEvenly(t *testing.T) {
	t.Parallel()
	loads := []queue.Load{{Lane: "a", Oldest: now, Limit: 100}, {Lane: "b", Oldest: now.Add(-time.Hour), Limit: 100}, {Lane: "c", Oldest: now, Limit: 2}}
	for range 100 {
		got := map[string]int{}
		for _, g := range queue.Pick(loads, 10, now, rand.Float64) {
			got[g.Lane] = g.N
		}
		if d := cmp.Diff(map[string]int{"a": 4, "b": 4, "c": 2}, got); d != "" {
			t.Fatal(d)
		}
	}
}

// TestPickFavoursAge: with one slot, the lane that waits longest is served more
// often, and no lane starves.
func TestPickFavoursAge(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	loads := []queue.Load{{Lane: "old", Oldest: now.Add(-time.Hour), Limit: 1}, {Lane: "new", Oldest: now, Limit: 1}}
	first := map[string]int{}
	for range 1000 {
		first[queue.Pick(loads, 1, now, rnd.Float64)[0].Lane]++
	}
	if first["old"] < 700 || first["new"] < 100 { // expected 800 and 200
		t.Errorf("served first: %v", first)
	}
}

func BenchmarkPick10k(b *testing.B) {
	loads := make([]queue.Load, 10_000)
	for i := range loads {
		loads[i] = queue.Load{Lane: fmt.Sprint(i), Oldest: now.Add(-time.Duration(i) * time.Second), Limit: 1}
	}
	for b.Loop() {
		queue.Pick(loads, 50, now, rand.Float64)
	}
}
