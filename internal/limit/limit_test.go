package limit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sear/internal/limit"
)

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestTake(t *testing.T) {
	t.Parallel()
	b := limit.NewBuckets(limit.Rate{N: 10, Per: 10 * time.Second, Burst: 3})
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	for i, c := range []struct {
		key   string
		n     int
		at    float64
		ok    bool
		left  int
		reset float64
	}{
		{"a", 1, 0, true, 2, 1},
		{"a", 1, 0, true, 1, 2},
		{"a", 1, 0, true, 0, 3},
		{"a", 1, 0, false, 0, 1},
		{"b", 1, 0, true, 2, 1}, // a bucket of its own
		{"a", 1, 0.5, false, 0, 1},
		{"a", 1, 1, true, 0, 4},
		{"a", 2, 2.5, false, 1, 3},
		{"a", 2, 3, true, 0, 6},
		{"a", 3, 100, true, 0, 103}, // it holds no more than its burst
		{"c", 9, 0, true, 0, 3},     // as many as it can hold
		{"c", 9, 1, false, 1, 3},
	} {
		got := b.Take(c.key, c.n, at(c.at))
		want := limit.State{OK: c.ok, Limit: 3, Remaining: c.left, Reset: at(c.reset)}
		if got != want {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
}

// TestBurst: a token that takes no whole number of nanoseconds costs no more than others.
func TestBurst(t *testing.T) {
	t.Parallel()
	b := limit.NewBuckets(limit.Rate{N: 3, Per: time.Second, Burst: 3})
	for left := 2; left >= 0; left-- {
		if s := b.Take("a", 1, start); !s.OK || s.Remaining != left {
			t.Errorf("%+v, want %d left", s, left)
		}
	}
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	b := limit.NewBuckets(limit.Rate{})
	for range 1000 {
		if s := b.Take("a", 1_000_000, start); !s.OK {
			t.Fatal(s)
		}
	}
}

// TestNeverMore: however the calls come, no window sees more tokens than what flowed
// in and what was there, and a caller who comes back at the reset is served.
func TestNeverMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := limit.Rate{N: rapid.IntRange(1, 1000).Draw(t, "n"), Burst: rapid.IntRange(1, 1000).Draw(t, "burst"),
			Per: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "per"))} // 1,000 of which flow in within 42 days
		b := limit.NewBuckets(r)
		now, taken := start, 0
		for range rapid.IntRange(1, 100).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(r.Per)).Draw(t, "pause")))
			n := rapid.IntRange(1, r.Burst).Draw(t, "tokens")
			s := b.Take("key", n, now)
			if !s.OK {
				now = s.Reset
				if s = b.Take("key", n, now); !s.OK {
					t.Fatalf("refused again when it was to hold %d: %+v", n, s)
				}
			}
			taken += n
			most := float64(r.Burst) + float64(now.Sub(start))/float64(r.Per)*float64(r.N)
			if float64(taken) > most+1e-6*most {
				t.Fatalf("%d taken, at most %f were there", taken, most)
			}
		}
	})
}

func TestIdleBucketsAreForgotten(t *testing.T) {
	t.Parallel()
	b := limit.NewBuckets(limit.Rate{N: 1, Per: time.Second, Burst: 1})
	for i := range 200_000 {
		b.Take(fmt.Sprint("key ", i), 1, start.Add(time.Duration(i)*time.Millisecond))
	}
	if n := b.Len(); n > 30_000 { // a thousand are not full at any moment
		t.Errorf("%d buckets are remembered", n)
	}
}

func TestConcurrentTakes(t *testing.T) {
	t.Parallel()
	b := limit.NewBuckets(limit.Rate{N: 1, Per: time.Hour, Burst: 100})
	var mu sync.Mutex
	var wg sync.WaitGroup
	served := 0
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if b.Take("key", 1, start).OK {
					mu.Lock()
					served++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if served != 100 {
		t.Errorf("%d were served of 100", served)
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]limit.Rate{
		"off":            {},
		"250/10s:750":    {N: 250, Per: 10 * time.Second, Burst: 750},
		"60/1m":          {N: 60, Per: time.Minute, Burst: 60},
		"1000000000/24h": {N: 1_000_000_000, Per: 24 * time.Hour, Burst: 1_000_000_000},
	} {
		got, err := limit.ParseRate(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if back, err := limit.ParseRate(got.String()); err != nil || back != want {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for _, text := range []string{"", "on", "10", "/1s", "10/", "10/s", "0/1s", "-1/1s", "1/0s", "1/-1s", "1/25h", "1/1s:", "1/1s:0", "1/1s:2:3", "1e3/1s", "1000000001/1s", "1/24h:366"} {
		if r, err := limit.ParseRate(text); err == nil {
			t.Errorf("%q was read as %v", text, r)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"off", "250/10s:750", "1/1s:2:3", "9/1h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := limit.ParseRate(s)
		if err != nil {
			return
		}
		if again, err := limit.ParseRate(r.String()); err != nil || again != r {
			t.Fatalf("%q became %v, which is read as %v, %v", s, r, again, err)
		}
		limit.NewBuckets(r).Take("key", 1, start)
	})
}

func BenchmarkTake(b *testing.B) {
	buckets := limit.NewBuckets(limit.Rate{N: 1_000_000_000, Per: time.Second, Burst: 1_000_000_000})
	for b.Loop() {
		buckets.Take("an environment", 1, start)
	}
}
