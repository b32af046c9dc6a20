package schedule_test

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sear/internal/schedule"
)

// What cron-parser 4.9.0 and cronstrue 2.50.0 say, recorded by test/tools/cron/record.mjs.
var (
	//go:embed testdata/times.txt
	goldenTimes string
	//go:embed testdata/refused.txt
	goldenRefused string
	//go:embed testdata/described.txt
	goldenDescribed string
	//go:embed testdata/node-zones.txt
	nodeZones string
)

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// TestGoldenTimes replays every recorded walk: three times on, and two times back.
func TestGoldenTimes(t *testing.T) {
	t.Parallel()
	for _, line := range lines(goldenTimes) {
		f := strings.Split(line, "|")
		c, err := schedule.Parse(f[0])
		if err != nil {
			t.Fatalf("%s: %v", f[0], err)
		}
		zone, err := schedule.LoadZone(f[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := follow(c.Next, f[2], f[3], zone); got != f[3] {
			t.Errorf("%s in %s after %s: %s, want %s", f[0], f[1], f[2], got, f[3])
		}
		if got := follow(c.Previous, f[2], f[4], zone); got != f[4] {
			t.Errorf("%s in %s before %s: %s, want %s", f[0], f[1], f[2], got, f[4])
		}
	}
	t.Logf("%d walks of five times each", len(lines(goldenTimes)))
}

// follow walks from a time, in seconds, for as many steps as are wanted.
func follow(step func(time.Time, *time.Location) (time.Time, bool), from, want string, zone *time.Location) string {
	seconds, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return err.Error()
	}
	at := time.Unix(seconds, 0)
	var times []string
	for range strings.Count(want, ",") + 1 {
		next, ok := step(at, zone)
		if !ok {
			break
		}
		at = next
		times = append(times, strconv.FormatInt(at.Unix(), 10))
	}
	return strings.Join(times, ",")
}

func TestGoldenRefused(t *testing.T) {
	t.Parallel()
	for _, line := range lines(goldenRefused) {
		text, want, _ := strings.Cut(line, "|")
		if _, err := schedule.Parse(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestGoldenDescribed(t *testing.T) {
	t.Parallel()
	for _, line := range lines(goldenDescribed) {
		text, want, _ := strings.Cut(line, "|")
		c, err := schedule.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := c.Describe(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	t.Logf("%d descriptions", len(lines(goldenDescribed)))
}

// TestNodesZones: what the official server's runtime knows, we know.
func TestNodesZones(t *testing.T) {
	t.Parallel()
	ours := schedule.Zones()
	for _, name := range lines(nodeZones) {
		if !slices.Contains(ours, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestZones(t *testing.T) {
	t.Parallel()
	names := schedule.Zones()
	if names[0] != "UTC" || !slices.IsSorted(names[1:]) {
		t.Errorf("%v", names[:3])
	}
	for _, name := range names {
		if _, err := schedule.LoadZone(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "Local", "europe/berlin", "Mars/Base", "../etc/passwd", "EST5"} {
		if _, err := schedule.LoadZone(name); err == nil {
			t.Errorf("%q is a zone", name)
		}
	}
}
