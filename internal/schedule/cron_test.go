package schedule_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sear/internal/schedule"
)

// TestOursAlone: what cron-parser takes and we do not, as upstream's server does not or
// as nobody can have meant it.
func TestOursAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "CRON expression is required",
		"   ":                      "CRON expression is required",
		"*/5 * * * * *":            "CRON expressions with seconds are not allowed",
		"* * * *":                  "",
		"0":                        "",
		"@reboot":                  "",
		strings.Repeat("1,", 5000): "",
	} {
		if _, err := schedule.Parse(text); err == nil || want != "" && err.Error() != want {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if c, err := schedule.Parse("  0 9 * * 1-5 "); err != nil || c.String() != "0 9 * * 1-5" {
		t.Errorf("%q, %v", c, err)
	}
}

func TestNeverAfterTheEnd(t *testing.T) {
	t.Parallel()
	c, err := schedule.Parse("0 0 1 1 *")
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := c.Next(time.Date(9999, 6, 1, 0, 0, 0, 0, time.UTC), time.UTC); ok {
		t.Errorf("%v is after the end of time", at)
	}
	if at, ok := c.Previous(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC); ok {
		t.Errorf("%v is before its beginning", at)
	}
}

// TestWalksAreMonotonous: times only move one way, each on a whole minute, and going back
// from one finds nothing after where the search began.
func TestWalksAreMonotonous(t *testing.T) {
	t.Parallel()
	names := schedule.Zones()
	texts := []string{"* * * * *", "*/7 * * * *", "30 1,2 * * *", "0 0 * * *", "5 3 L * *", "0 12 * * 1#3", "59 23 31 12 *", "0 0 29 2 *", "15 */5 1-9 * 2"}
	rapid.Check(t, func(t *rapid.T) {
		c, err := schedule.Parse(rapid.SampledFrom(texts).Draw(t, "cron"))
		if err != nil {
			t.Fatal(err)
		}
		zone, err := schedule.LoadZone(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		from := time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, "from"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		next, ok := c.Next(from, zone)
		if !ok || !next.After(from) || next.Second() != 0 && next.Unix()%60 != 0 {
			t.Fatalf("after %v comes %v, %v", from, next, ok)
		}
		back, ok := c.Previous(next, zone)
		if !ok || !back.Before(next) || back.After(from) && hoursApart(back, from) > 1 {
			t.Fatalf("from %v on it is %v, and back from there %v", from, next, back)
		}
	})
}

// hoursApart allows for the hours of a change of clocks, which are walked differently back.
func hoursApart(a, b time.Time) float64 { return a.Sub(b).Abs().Hours() }

func FuzzParse(f *testing.F) {
	for _, text := range []string{"* * * * *", "*/5 0-4,8 L JAN-MAR 1#2", "@daily", "0 0 31 2 *", "5L", "* * * * 5L,1", "1/2/3 ? W H #"} {
		f.Add(text, int64(1_764_000_000))
	}
	berlin, err := schedule.LoadZone("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, from int64) {
		c, err := schedule.Parse(text)
		if err != nil {
			return
		}
		if again, err := schedule.Parse(c.String()); err != nil || again.Describe() != c.Describe() || c.Describe() == "" {
			t.Fatalf("%q is written %q: %v", text, c, err)
		}
		at := time.Unix(from%4_000_000_000, 0)
		if next, ok := c.Next(at, berlin); ok && !next.After(at) {
			t.Fatalf("%q: after %v comes %v", text, at, next)
		}
		if last, ok := c.Previous(at, berlin); ok && !last.Before(at) {
			t.Fatalf("%q: before %v was %v", text, at, last)
		}
	})
}

func TestWindow(t *testing.T) {
	t.Parallel()
	problems := func(window string) []string {
		return schedule.Timing{Cron: "* * * * *", Timezone: "UTC", Window: window}.Problems("")
	}
	for _, text := range []string{"", "0m", "30m", "1440m", "2h", "24h", "30%", "100%"} { // "" is none
		if got := problems(text); got != nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	for _, text := range []string{"m", "25h", "1441m", "1.5h", "101%", "-1m", "+1m", "1d", "30 m", "%", "30", "99999999999999999999m"} {
		if got := problems(text); len(got) != 1 || !strings.HasPrefix(got[0], "Invalid window: ") {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	zone, err := schedule.LoadZone("America/New_York")
	if err != nil {
		b.Fatal(err)
	}
	from := time.Date(2026, 11, 27, 10, 11, 12, 0, time.UTC)
	for _, text := range []string{"*/5 * * * *", "0 9 * * 1-5", "59 23 * * *", "0 0 29 2 *"} {
		c, err := schedule.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				c.Next(from, zone)
			}
		})
	}
}
