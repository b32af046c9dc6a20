package wire

import (
	"fmt"
	"strings"
	"time"

	"sear/internal/deploy"
	"sear/internal/jsdate"
)

// isoLayout is how times are written everywhere but in the shapes of realtime; isoYearless is
// what stands after the year.
const (
	isoLayout   = "2006" + isoYearless
	isoYearless = "-01-02T15:04:05.000Z"
)

// ISO is an instant as JSON has it, and "" for the zero time, so that a field
// tagged omitempty is absent. Years of more than four digits have a sign and six.
func ISO(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return fmt.Sprintf("%+07d", year) + t.Format(isoYearless)
	}
	return t.Format(isoLayout)
}

// ParseDate reads a date as Node's Date does, in UTC where the text names no zone. Space
// around it, which Date refuses around some forms, does not matter.
func ParseDate(s string) (time.Time, bool) {
	if at, ok := jsdate.Parse(s); ok {
		return at, true
	}
	return jsdate.Parse(strings.TrimSpace(s))
}

// ParseWhen reads an instant given as a duration from now, such as 1h30m, or as a date.
func ParseWhen(s string, now time.Time) (time.Time, bool) {
	if d, ok := deploy.ParseDuration(s); ok {
		return now.Add(d), true
	}
	return ParseDate(s)
}

// ParseKeyTTL reads the time to live of an idempotency key. No text is 0, which means the
// default; one that says no time at all is the shortest there is.
func ParseKeyTTL(s string) (time.Duration, bool) {
	if s == "" {
		return 0, true
	}
	d, ok := deploy.ParseDuration(s)
	return max(d, time.Microsecond), ok
}

// What a text that says when, or for how long, can be.
const (
	aDuration       = "a duration such as 30s, 1h30m or 2w"
	aDurationOrDate = aDuration + ", or a date such as 2036-12-24T18:00:00Z"
)

// NotADuration is what is said of the text of a field that was to be a duration.
func NotADuration(field, text string) string { return misread(field, text, aDuration) }

// NotAnInstant is what is said of the text of a field that was to be a duration or a date.
func NotAnInstant(field, text string) string { return misread(field, text, aDurationOrDate) }

func misread(field, text, want string) string {
	return "Invalid " + field + ": " + Clip(text) + ". Give " + want
}
