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
		"2026-11-24T14:00:00+0100":           noon.Add(time.Hour),
		" Tue, 24 Nov 2026 15:00 GMT+2 (x) ": noon.Add(time.Hour),
		"2026/11/24 13:00":                   noon.Add(time.Hour),
		" 2026-11-24T13:00:00.000Z\n":        noon.Add(time.Hour),
		"99999d":                             noon.Add(100 * 365 * 24 * time.Hour),
		"99999999999999999999w1s":            noon.Add(100 * 365 * 24 * time.Hour),
		"2020-01-01T00:00:00Z":               time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
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
		"": 0, "5w": 35 * 24 * time.Hour, "1h30m": 90 * time.Minute, "0s": time.Microsecond,
		"99999999999999999999999d": 100 * 365 * 24 * time.Hour,
	} {
		if got, ok := wire.ParseKeyTTL(text); !ok || got != want {
			t.Errorf("ParseKeyTTL(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"s", "5", "-1h", "1.5h", " 1h", "1y", "soon", "2036-01-01"} {
		if got, ok := wire.ParseKeyTTL(text); ok {
			t.Errorf("ParseKeyTTL(%q) = %v, want none", text, got)
		}
	}
}

func TestISO(t *testing.T) {
	t.Parallel()
	if got := wire.ISO(noon.Add(1234567 * time.Microsecond)); got != "2026-11-24T12:00:01.234Z" {
		t.Errorf("ISO = %q", got)
	}
	if got := wire.ISO(time.UnixMilli(8_640_000_000_000_000)); got != "+275760-09-13T00:00:00.000Z" { // as toISOString has it
		t.Errorf("the last instant of JavaScript is %s", got)
	}
	if got := wire.ISO(time.Date(-1, 2, 3, 0, 0, 0, 0, time.UTC)); got != "-000001-02-03T00:00:00.000Z" {
		t.Errorf("the year before 0 is %s", got)
	}
	if got := wire.ISO(time.Time{}); got != "" {
		t.Errorf("the zero time is %q", got)
	}
}
