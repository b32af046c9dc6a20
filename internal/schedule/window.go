package schedule

import (
	"strconv"
	"strings"
	"time"
)

// A Window is how long after its time a schedule may fire, so that schedules of the same
// time are spread: a duration, or a share of the time to the next occurrence. The zero
// Window is none.
type Window struct {
	text     string
	duration time.Duration
	percent  int
}

const maxWindow = 24 * time.Hour

// ParseWindow reads whole minutes ("30m") or hours ("2h") up to a day, or a share ("30%").
func ParseWindow(text string) (Window, error) {
	refused := refuse("must be whole minutes or hours up to 24h, or whole percents up to 100%%, such as 30m, 2h or 30%%")
	if text == "" {
		return Window{}, refused
	}
	number, unit := text[:len(text)-1], text[len(text)-1:]
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || strings.HasPrefix(number, "+") {
		return Window{}, refused
	}
	w := Window{text: text}
	switch unit {
	case "m":
		w.duration = time.Duration(n) * time.Minute
	case "h":
		w.duration = time.Duration(n) * time.Hour
	case "%":
		w.percent = int(n)
	default:
		return Window{}, refused
	}
	if w.duration > maxWindow || w.percent > 100 {
		return Window{}, refused
	}
	return w, nil
}

// String returns the window as it was given.
func (w Window) String() string { return w.text }

// Duration returns the fixed length of the window, or 0 if it is a share.
func (w Window) Duration() time.Duration { return w.duration }

// Percent returns the share, and whether the window is one.
func (w Window) Percent() (int, bool) { return w.percent, strings.HasSuffix(w.text, "%") }

// Of returns how long the window is if the next occurrence is an interval away.
func (w Window) Of(interval time.Duration) time.Duration {
	if percent, ok := w.Percent(); ok {
		return interval / 100 * time.Duration(percent)
	}
	return min(w.duration, interval)
}
