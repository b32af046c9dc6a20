package engine

import (
	"errors"
	"testing"
	"time"

	"sear/internal/fault"
)

// TestHearing goes through what interrupts it: the instant from which on workers could be
// heard is the first one after it.
func TestHearing(t *testing.T) {
	t.Parallel()
	const pause = 5 * time.Second
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	away, refused := fault.New(fault.Unavailable, "away"), fault.New(fault.Stale, "stale")
	type step struct {
		at   time.Duration
		took error // of a command; looks when it is looked
	}
	looks := errors.New("a look")
	for name, c := range map[string]struct {
		steps []step
		want  time.Duration
	}{
		"it starts":                      {[]step{{0, looks}}, 0},
		"it goes on":                     {[]step{{0, looks}, {5 * time.Second, looks}, {10 * time.Second, looks}}, 0},
		"it is late under load":          {[]step{{0, looks}, {9 * time.Second, looks}}, 0},
		"it slept":                       {[]step{{0, looks}, {5 * time.Second, looks}, {time.Minute, looks}, {61 * time.Second, looks}}, time.Minute},
		"the clock was set forward":      {[]step{{0, looks}, {time.Hour, looks}}, time.Hour},
		"the clock was set back":         {[]step{{0, looks}, {-time.Hour, looks}, {-time.Hour + time.Second, looks}}, -time.Hour},
		"the clock is adjusted":          {[]step{{0, looks}, {-time.Second, looks}}, 0},
		"one command was not taken":      {[]step{{0, looks}, {time.Second, away}, {2 * time.Second, nil}, {5 * time.Second, looks}}, 0},
		"nothing was taken for a while":  {[]step{{0, looks}, {time.Second, away}, {4 * time.Second, looks}, {8 * time.Second, nil}, {9 * time.Second, looks}}, 8 * time.Second},
		"nothing is taken":               {[]step{{0, looks}, {time.Second, away}, {2 * time.Second, away}, {5 * time.Second, looks}, {10 * time.Second, looks}}, 10 * time.Second},
		"a refusal is an answer":         {[]step{{0, looks}, {time.Second, refused}, {8 * time.Second, refused}, {9 * time.Second, looks}}, 0},
		"it was deaf once more":          {[]step{{0, looks}, {time.Minute, looks}, {2 * time.Minute, looks}}, 2 * time.Minute},
		"it was deaf before, not since":  {[]step{{0, looks}, {time.Minute, looks}, {65 * time.Second, looks}}, time.Minute},
		"what was not taken is forgiven": {[]step{{0, looks}, {time.Second, away}, {8 * time.Second, nil}, {9 * time.Second, looks}, {14 * time.Second, looks}}, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h hearing
			var since time.Time
			for _, s := range c.steps {
				if s.took == looks {
					since, _ = h.look(at(s.at), pause)
				} else {
					h.took(at(s.at), s.took)
				}
			}
			if !since.Equal(at(c.want)) {
				t.Errorf("heard since %s, want %s", since.Sub(noon), c.want)
			}
		})
	}
}
