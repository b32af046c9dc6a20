package wire_test

import (
	"testing"
	"time"

	"sear/internal/wire"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestParseWhen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"1h30m":                         noon.Add(90 * time.Minute),
		"2d":                            noon.AddDate(0, 0, 2),
		"2026-11-24T13:00:00.000Z":      noon.Add(time.Hour),
		"2026-11-24T13:00:00Z":          noon.Add(time.Hour),
		"2026-11-24T14:00:00+01:00":     noon.Add(time.Hour),
		"2026-11-24T13:00:00":           noon.Add(time.Hour),
		"2026-11-24T13:00":              noon.Add(time.Hour),
		"2026-11-24T13:00Z":             noon.Add(time.Hour),
		"2026-11-24 13:00:00":           noon.Add(time.Hour),
		" 2026-11-25 ":                  noon.Add(12 * time.Hour),
		"2026-12":                       time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		"Tue, 24 Nov 2026 13:00:00 GMT": noon.Add(time.Hour),
		"Tue Nov 24 2026 14:00:00 GMT+0100 (Central European Standard Time)": noon.Add(time.Hour),
		"2020-01-01T00:00:00Z": time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, ok := wire.ParseWhen(text, noon)
		if !ok || !got.Equal(want) {
			t.Errorf("ParseWhen(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "soon", "300ms", "1h1h", "-1h", "2026-13-01", "24.11.2026", "1h 30m"} {
		if got, ok := wire.ParseWhen(text, noon); ok {
			t.Errorf("ParseWhen(%q) = %v, want none", text, got)
		}
	}
}

func TestParseKeyTTL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"60s": time.Minute, "5m": 5 * time.Minute, "24h": 24 * time.Hour, "30d": 720 * time.Hour,
		"": 0, "s": 0, "5": 0, "5w": 0, "1h30m": 0, "-1h": 0, "1.5h": 0, " 1h": 0, "0s": 0,
		"99999999999999999999999d": 100 * 365 * 24 * time.Hour,
	} {
		if got := wire.ParseKeyTTL(text); got != want {
			t.Errorf("ParseKeyTTL(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestISO(t *testing.T) {
	t.Parallel()
	if got := wire.ISO(noon.Add(1234567 * time.Microsecond)); got != "2026-11-24T12:00:01.234Z" {
		t.Errorf("ISO = %q", got)
	}
	if got := wire.ISO(time.Time{}); got != "" {
		t.Errorf("the zero time is %q", got)
	}
}
