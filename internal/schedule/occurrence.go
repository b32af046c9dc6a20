package schedule

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"sear/internal/fault"
)

// Timing is when a schedule fires, as its owner wrote it.
type Timing struct {
	Cron     string
	Timezone string // IANA name
	Window   string // "" for none
}

// Rule is a timing that has been read.
type Rule struct {
	Cron Cron
	Zone *time.Location
}

// Rule reads a timing.
func (t Timing) Rule() (Rule, error) {
	r, problems := t.read("")
	if problems != nil {
		return Rule{}, fault.New(fault.Invalid, strings.Join(problems, "; "))
	}
	return r, nil
}

// Problems says everything that is wrong with a timing. zones is the address of a list
// of the time zones, to be named when the timing's is none.
func (t Timing) Problems(zones string) []string {
	_, problems := t.read(zones)
	return problems
}

func (t Timing) read(zones string) (r Rule, problems []string) {
	var err error
	if r.Cron, err = Parse(t.Cron); err != nil {
		problems = append(problems, "Invalid cron expression: "+err.Error())
	}
	if r.Zone, err = LoadZone(t.Timezone); err != nil {
		problem := "Invalid IANA timezone: '" + t.Timezone + "'"
		if zones != "" {
			problem += ". View the list of valid timezones at " + zones
		}
		problems = append(problems, problem)
	}
	if t.Window != "" {
		if err := checkWindow(t.Window); err != nil {
			problems = append(problems, "Invalid window: "+err.Error())
		}
	}
	return r, problems
}

// Next is the first occurrence after an instant, zero when there is none.
func (r Rule) Next(after time.Time) time.Time {
	at, ok := r.Cron.Next(after, r.Zone)
	if !ok {
		return time.Time{}
	}
	return at.UTC()
}

// Upcoming are up to n occurrences after an instant.
func (r Rule) Upcoming(after time.Time, n int) []time.Time {
	out := make([]time.Time, 0, n)
	for range n {
		if after = r.Next(after); after.IsZero() {
			break
		}
		out = append(out, after)
	}
	return out
}

// maxSkipped bounds how far skipped occurrences are counted: a schedule of every
// minute that was down for a year has half a million.
//
//limit:schedules Missed occurrences of a row that are counted | occurrences | the count stays
const maxSkipped = 1000

// Gap is a row of occurrences that nothing came of. The zero Gap is none.
type Gap struct {
	From, To time.Time
	Count    int // of more than a thousand, a thousand
}

// Through is the gap from the beginning of g to the end of the one that follows, if there is one.
func (g Gap) Through(following Gap) Gap {
	if following.Count > 0 {
		g.To, g.Count = following.To, g.Count+following.Count
	}
	return g
}

// After is the catch-up rule: which occurrence follows the one that is handled now,
// zero when there is none. Whatever else has come due since then is left out, so
// that time without a server costs one late fire and leaves no backlog.
func (r Rule) After(handled, now time.Time) (next time.Time, left Gap) {
	next = r.Next(handled)
	if next.IsZero() || next.After(now) {
		return next, Gap{}
	}
	left.From = next
	for !next.IsZero() && !next.After(now) && left.Count < maxSkipped {
		left.To, left.Count = next, left.Count+1
		next = r.Next(next)
	}
	if next.IsZero() || next.After(now) {
		return next, left
	}
	if next = r.Next(now); next.IsZero() {
		return next, left
	}
	if last, ok := r.Cron.Previous(next, r.Zone); ok {
		left.To = last.UTC()
	}
	return next, left
}

// Fire is one occurrence, with what its run is told.
type Fire struct {
	Type       string
	ScheduleID string // as the API shows it
	ExternalID string
	Timezone   string
	At         time.Time   // nominal
	Last       time.Time   // nominal time of the fire before, zero at first
	Upcoming   []time.Time // nominal
}

// iso is how JavaScript writes an instant.
const iso = "2006-01-02T15:04:05.000Z"

// Payload is the payload of the run as SuperJSON, which the SDK reads dates from.
func (f Fire) Payload() string {
	type date []string
	upcoming := []string{}
	types := map[string]date{"timestamp": {"Date"}}
	for i, at := range f.Upcoming {
		upcoming = append(upcoming, at.UTC().Format(iso))
		types["upcoming."+strconv.Itoa(i)] = date{"Date"}
	}
	last := ""
	if !f.Last.IsZero() {
		last = f.Last.UTC().Format(iso)
		types["lastTimestamp"] = date{"Date"}
	}
	b, _ := json.Marshal(map[string]any{ // texts always marshal
		"json": struct {
			Type       string   `json:"type"`
			Timestamp  string   `json:"timestamp"`
			Last       string   `json:"lastTimestamp,omitempty"`
			Timezone   string   `json:"timezone"`
			ScheduleID string   `json:"scheduleId"`
			ExternalID string   `json:"externalId,omitempty"`
			Upcoming   []string `json:"upcoming"`
		}{f.Type, f.At.UTC().Format(iso), last, f.Timezone, f.ScheduleID, f.ExternalID, upcoming},
		"meta": map[string]any{"values": types},
	})
	return string(b)
}
