package doctor

import (
	"strings"
	"testing"
)

func TestForecast(t *testing.T) {
	t.Parallel()
	const gb = 1 << 30
	for name, c := range map[string]struct {
		free, size, all, day int64
		level                Level
		says                 string
	}{
		"empty":           {free: 100 * gb, level: OK, says: "107.4 GB beside a database of 0.0 GB: some 82595524 more runs"},
		"busy":            {free: 100 * gb, size: 10 * gb, all: 10_000_000, day: 1_000_000, level: OK, says: "100 days at the rate of the last one"},
		"two weeks":       {free: 14 * gb, size: gb, all: gb / 1024, day: gb / 1024, level: OK, says: "14 days"},
		"less than that":  {free: 14*gb - 1, size: gb, all: gb / 1024, day: gb / 1024, level: Warn, says: "13 days"},
		"nearly full":     {free: gb - 1, level: Fail, says: "1.1 GB"},
		"full and busy":   {free: 0, size: gb, all: 2000, day: 2000, level: Fail, says: "some 0 more runs, 0 days"},
		"few large runs":  {free: 2 * gb, size: gb, all: 1000, level: OK, says: "some 1651910 more runs"}, // too few to tell
		"many large runs": {free: 2 * gb, size: gb, all: 1024, level: OK, says: "some 2048 more runs"},
	} {
		if level, says := forecast(c.free, c.size, c.all, c.day); level != c.level || !strings.Contains(says, c.says) {
			t.Errorf("%s: %s, %q; want %s, %q", name, level, says, c.level, c.says)
		}
	}
}

func TestOldestNode(t *testing.T) {
	t.Parallel()
	for version, old := range map[string]bool{"v18.19.9": true, "v18.20.0": false, "v17.99.0": true, "v20.1.0": false, "v24.0.0-nightly": false, "": true, "vx": true} {
		if tooOld(version) != old {
			t.Errorf("%q: too old is %v", version, !old)
		}
	}
}
