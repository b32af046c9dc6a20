package limit_test

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"sear/internal/limit"
)

// TestNobodyTakesAllPlaces: who wants everything gets half, and the others find places.
func TestNobodyTakesAllPlaces(t *testing.T) {
	t.Parallel()
	s := limit.NewShares(100)
	all := func(key string) (got []func()) {
		for {
			release, ok := s.Take(key)
			if !ok {
				return got
			}
			got = append(got, release)
		}
	}
	greedy := all("greedy")
	if len(greedy) != 50 {
		t.Errorf("one alone gets %d of 100", len(greedy))
	}
	if got := len(all("second")); got != 25 {
		t.Errorf("the second gets %d of the 50 that are left", got)
	}
	if _, ok := s.Take("newcomer"); !ok {
		t.Error("a newcomer finds no place")
	}
	if _, ok := s.Take("greedy"); ok {
		t.Error("the first gets another")
	}
	for _, release := range greedy {
		release()
		release() // once only
	}
	if got := len(all("third")); got != 37 { // of the 74 that neither the second nor the newcomer has
		t.Errorf("once the first has left, the third gets %d", got)
	}
}

// TestPlacesAreNeitherLostNorMade: whatever is taken and given back, no more are out than there are.
func TestPlacesAreNeitherLostNorMade(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "places")
		s := limit.NewShares(n)
		held := map[string][]func(){}
		out := 0
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			key := strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "key"))
			if list := held[key]; len(list) > 0 && rapid.Bool().Draw(t, "give back") {
				list[0]()
				held[key], out = list[1:], out-1
				continue
			}
			release, ok := s.Take(key)
			if want := len(held[key]) < n-out; ok != want {
				t.Fatalf("with %d of %d out, of which it has %d: %v", out, n, len(held[key]), ok)
			}
			if ok {
				held[key], out = append(held[key], release), out+1
			}
		}
	})
}
