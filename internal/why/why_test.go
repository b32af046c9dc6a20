package why_test

import (
	"testing"
	"time"

	"sear/internal/run"
	"sear/internal/why"
)

// TestEstimate: a run starts after those before it in its queue, and not before those of
// other queues that fill its environment.
func TestEstimate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		facts why.Facts
		want  string
	}{
		"next":                     {why.Facts{Limit: 2}, "12:00"},
		"behind two rounds":        {why.Facts{Limit: 2, Ahead: 3, Lane: why.Holders{N: 2}, Env: why.Holders{N: 2}}, "14:00"},
		"environment full":         {why.Facts{Limit: 2, Env: why.Holders{N: 2}}, "13:00"},
		"environment full, behind": {why.Facts{Limit: 2, Ahead: 3, Env: why.Holders{N: 2}}, "14:00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := c.facts
			f.Run = run.Run{Exec: run.Queued, Status: run.StatusPending, Lane: run.Lane{Queue: "q"}}
			f.Now, f.Seen, f.Durations = now, now, []time.Duration{time.Hour}
			a := why.Explain(f, "2025-07-16")
			at, err := time.Parse(time.RFC3339, a.Start)
			if err != nil || at.Format("15:04") != c.want {
				t.Errorf("estimated %q, want %s; %s", a.Start, c.want, a.Sentence)
			}
		})
	}
}

// TestConnectedForAsLongAsSchedulesFire: a worker counts as connected here for exactly as long
// as it does for the schedules of its environment, which is 25 seconds.
func TestConnectedForAsLongAsSchedulesFire(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]why.Kind{25 * time.Second: why.Next, 26 * time.Second: why.NoWorker} {
		f := why.Facts{Run: run.Run{Exec: run.Queued, Status: run.StatusPending}, Limit: 1, Now: now, Seen: now.Add(-ago)}
		if got := why.Explain(f, "2025-07-16").Causes[0].Kind; got != want {
			t.Errorf("heard of %s ago: %s, want %s", ago, got, want)
		}
	}
}
