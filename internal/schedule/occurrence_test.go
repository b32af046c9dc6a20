package schedule_test

import (
	"testing"
	"time"

	"sear/internal/schedule"
)

// TestCatchUp: whatever has come due besides the occurrence at hand is left out and counted.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	day := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	rule, err := schedule.Timing{Cron: "*/10 * * * *", Timezone: "UTC"}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	const m = time.Minute
	for name, c := range map[string]struct {
		now  time.Duration
		next time.Duration
		left schedule.Gap
	}{
		"on time":        {0, 10 * m, schedule.Gap{}},
		"a little late":  {9 * m, 10 * m, schedule.Gap{}},
		"one has passed": {10 * m, 20 * m, schedule.Gap{From: day.Add(10 * m), To: day.Add(10 * m), Count: 1}},
		"two hours late": {125 * m, 130 * m, schedule.Gap{From: day.Add(10 * m), To: day.Add(120 * m), Count: 12}},
		"a month late":   {30*24*60*m + m, 30*24*60*m + 10*m, schedule.Gap{From: day.Add(10 * m), To: day.Add(30 * 24 * 60 * m), Count: 1000}},
	} {
		next, left := rule.After(day, day.Add(c.now))
		if !next.Equal(day.Add(c.next)) || !left.From.Equal(c.left.From) || !left.To.Equal(c.left.To) || left.Count != c.left.Count {
			t.Errorf("%s: then %s, left %+v", name, next, left)
		}
	}
}
