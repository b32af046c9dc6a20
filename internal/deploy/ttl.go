package deploy

import (
	"encoding/json"
	"time"
)

// TimeToLive is the time to live a task declares, as text or as seconds; ok is
// false when it declares none that can be read.
func (t *Task) TimeToLive() (d time.Duration, ok bool) {
	if len(t.TTL) == 0 {
		return 0, false
	}
	var seconds float64
	if json.Unmarshal(t.TTL, &seconds) == nil && seconds >= 0 {
		return time.Duration(seconds * float64(time.Second)), true
	}
	var s string
	if json.Unmarshal(t.TTL, &s) != nil {
		return 0, false
	}
	return ParseDuration(s)
}

// maxDurationText bounds what is read as a duration.
const maxDurationText = 100

// ParseDuration reads upstream's durations: parts such as 1w2d3h30m10s, in that
// order or any other, each unit at most once ("hr" is "h").
func ParseDuration(s string) (time.Duration, bool) {
	if s == "" || len(s) > maxDurationText {
		return 0, false
	}
	var sum time.Duration
	seen := map[string]bool{}
	for s != "" {
		digits := 0
		n := time.Duration(0)
		for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
			n = n*10 + time.Duration(s[digits]-'0')
			digits++
		}
		if digits == 0 || digits > 9 {
			return 0, false
		}
		s = s[digits:]
		unit, width := unitOf(s)
		if width == 0 || seen[s[:1]] {
			return 0, false
		}
		seen[s[:1]] = true
		s = s[width:]
		if n > 0 && unit > maxSpan/n {
			return 0, false
		}
		sum += n * unit
	}
	return sum, sum <= maxSpan
}

// maxSpan keeps sums of durations and instants far from overflow: a hundred years.
const maxSpan = 100 * 365 * 24 * time.Hour

func unitOf(s string) (unit time.Duration, width int) {
	if len(s) >= 2 && s[:2] == "hr" {
		return time.Hour, 2
	}
	if s == "" {
		return 0, 0
	}
	switch s[0] {
	case 'w':
		return 7 * 24 * time.Hour, 1
	case 'd':
		return 24 * time.Hour, 1
	case 'h':
		return time.Hour, 1
	case 'm':
		return time.Minute, 1
	case 's':
		return time.Second, 1
	}
	return 0, 0
}
