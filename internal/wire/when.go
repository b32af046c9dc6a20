package wire

import (
	"strconv"
	"strings"
	"time"

	"sear/internal/deploy"
)

// isoLayout is how times are written everywhere but in the shapes of realtime.
const isoLayout = "2006-01-02T15:04:05.000Z"

// ISO is an instant as JSON has it, and "" for the zero time, so that a field
// tagged omitempty is absent.
func ISO(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(isoLayout)
}

// dateLayouts are the forms of a date that clients are known to send: what
// JavaScript writes, and what people write by hand. Without a zone they are UTC.
var dateLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02 15:04",
	time.DateOnly,
	"2006-01",
	time.RFC1123,                        // Date.prototype.toUTCString
	"Mon Jan 02 2006 15:04:05 GMT-0700", // Date.prototype.toString, without the zone's name
}

// ParseDate reads a date in any of the forms clients send.
func ParseDate(s string) (time.Time, bool) {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " (") // a zone's name
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// ParseWhen reads an instant given as a duration from now, such as 1h30m, or as a date.
func ParseWhen(s string, now time.Time) (time.Time, bool) {
	if d, ok := deploy.ParseDuration(s); ok {
		return now.Add(d), true
	}
	return ParseDate(s)
}

// maxSpan keeps durations far from overflow: a hundred years.
const maxSpan = 100 * 365 * 24 * time.Hour

// seconds is a number of seconds as a duration within reason.
func seconds(n float64) time.Duration {
	return time.Duration(min(max(n, 0), maxSpan.Seconds())) * time.Second
}

// ParseKeyTTL reads the time to live of an idempotency key: digits and one of s, m, h
// and d. Anything else is 0, which means the default.
func ParseKeyTTL(s string) time.Duration {
	if s == "" {
		return 0
	}
	unit := map[byte]float64{'s': 1, 'm': 60, 'h': 3600, 'd': 24 * 3600}[s[len(s)-1]]
	digits := s[:len(s)-1]
	if unit == 0 || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0
	}
	n, _ := strconv.ParseFloat(digits, 64) // only digits: at worst infinite
	return seconds(n * unit)
}
