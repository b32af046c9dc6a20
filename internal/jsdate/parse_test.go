package jsdate_test

import (
	"testing"
	"time"

	"sear/internal/jsdate"
)

func TestParse(t *testing.T) {
	t.Parallel()
	ten := time.Date(2036, 11, 30, 10, 0, 0, 0, time.UTC)
	midnight := ten.Add(-10 * time.Hour)
	for text, want := range map[string]time.Time{
		"2036-11-30T10:00:00.000Z":                ten,
		"2036-11-30T11:00:00+0100":                ten,
		"2036-11-30 11:00:00 +0100":               ten,
		"2036-11-30 10:00":                        ten,
		"Sun, 30 Nov 2036 05:00:00 EST":           ten,
		"Sun, 30 Nov 2036 11:00 +0100":            ten,
		"30 Nov 2036 10:00 am":                    ten,
		"November 30, 2036 10:00:00 GMT":          ten,
		"11/30/2036 15:00 GMT+5 (Karachi, or so)": ten,
		"2036-11-30":                              midnight,
		"30 Nov 2036":                             midnight,
		"2036/11/30":                              midnight,
		"2036-11-30T24:00":                        midnight.AddDate(0, 0, 1),
		"2036":                                    time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC),
		"2036-11":                                 time.Date(2036, 11, 1, 0, 0, 0, 0, time.UTC),
		"+002036-11-30T10:00Z":                    ten,
		"-000001-01-01T00:00:00Z":                 time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC),
		"2036-02-30":                              time.Date(2036, 3, 1, 0, 0, 0, 0, time.UTC),
		"+275760-09-13T00:00:00.000Z":             time.UnixMilli(8_640_000_000_000_000),
	} {
		if got, ok := jsdate.Parse(text); !ok || !got.Equal(want) {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", " ", "soon", "10 minutes", "1h30m", "2036-13-01", "30.11.2036", "30/11/2036", "2036-11-30T25:00Z", "2036-11-30T10:00 CET",
		"+275760-09-13T00:00:00.001Z", "-000000-01-01T00:00Z",
	} {
		if got, ok := jsdate.Parse(text); ok {
			t.Errorf("Parse(%q) = %v, want none", text, got)
		}
	}
}

// FuzzParse looks for a text that breaks the reader, or that it makes a time of which
// JavaScript has not.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"2036-11-30T10:00:00.000Z", "Sun, 30 Nov 2036 10:00:00 GMT+0100 (x)", "1/2/3 4:5::6.7", "+99999999999:99", "Nov(("} {
		f.Add(text)
	}
	last := time.UnixMilli(8_640_000_000_000_000)
	f.Fuzz(func(t *testing.T, text string) {
		if at, ok := jsdate.Parse(text); ok && (at.After(last) || at.Before(time.UnixMilli(-8_640_000_000_000_000))) {
			t.Fatalf("%q is %v", text, at)
		}
	})
}
