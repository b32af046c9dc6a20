package deploy

import (
	"encoding/json"
	"fmt"
	"time"
)

// TimeToLive is the time to live a task declares, as text or as seconds; ok is
// false when it declares none.
func (t *Task) TimeToLive() (d time.Duration, ok bool) {
	d, said, err := t.timeToLive()
	return d, said && err == nil
}

// timeToLive reads the declaration; the error says why it means nothing.
func (t *Task) timeToLive() (d time.Duration, said bool, err error) {
	var seconds float64
	var text string
	switch {
	case len(t.TTL) == 0 || string(t.TTL) == "null" || string(t.TTL) == `""`:
		return 0, false, nil
	case json.Unmarshal(t.TTL, &seconds) == nil && seconds >= 0:
		return time.Duration(min(seconds, maxSpan.Seconds()) * float64(time.Second)), true, nil
	case json.Unmarshal(t.TTL, &text) == nil:
		if d, ok := ParseDuration(text); ok {
			return d, true, nil
		}
	}
	return 0, true, fmt.Errorf("task %s: ttl is neither a duration, such as 1h30m, nor a number of seconds: %.64s", t.ID, t.TTL)
}

// maxDurationText bounds what is read as a duration.
//
//limit:runs A duration as text, such as 1h30m | characters | it is no duration
const maxDurationText = 100

// maxSpan is what longer durations are taken for: a hundred years. It keeps sums of durations
// and instants far from overflow.
//
//limit:runs A duration, as text or as a number |  | it is taken for the limit
const maxSpan = 100 * 365 * 24 * time.Hour

// ParseDuration reads upstream's durations: parts such as 1w2d3h30m10s, in that
// order or any other, each unit at most once ("hr" is "h"). None is longer than a hundred years.
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
			n = min(n*10+time.Duration(s[digits]-'0'), maxSpan/time.Second)
			digits++
		}
		if digits == 0 {
			return 0, false
		}
		s = s[digits:]
		unit, width := unitOf(s)
		if width == 0 || seen[s[:1]] {
			return 0, false
		}
		seen[s[:1]] = true
		s = s[width:]
		if n > maxSpan/unit {
			sum = maxSpan
			continue
		}
		sum = min(sum+n*unit, maxSpan)
	}
	return sum, true
}

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
