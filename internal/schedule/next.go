package schedule

import "time"

const (
	everyHour = 1<<24 - 1           // the hours of an expression that fires in each of them
	widest    = int64(26 * 60 * 60) // more than any clock has been ahead of or behind UTC
	always    = int64(1) << 40      // further away than any year we know
	minYear   = 1
)

// Next returns the first time after the given one at which c fires in a zone, a nil one
// being UTC. It returns false if there is none before the year 10000.
//
// Where clocks are changed, an expression that names hours means civil times, each of which
// comes once a day: one that the clocks skip is late by what they skip, one that they repeat
// is meant the first time. An expression of every hour follows real time: it fires in a
// repeated hour again, and makes up for nothing.
func (c Cron) Next(after time.Time, zone *time.Location) (time.Time, bool) {
	if !inRange(after) {
		return time.Time{}, false
	}
	zone = orUTC(zone)
	for from := after.Unix() + 1; ; {
		p := periodAt(from, zone)
		at, found := p.first(&c, from)
		if found {
			t := time.Unix(at, 0).In(zone)
			return t, inRange(t)
		}
		ahead, ok := c.first(civil(p.end + min(p.offset, p.before)))
		if !ok || p.end == always {
			return time.Time{}, false
		}
		from = max(p.end, int64(ahead)-widest)
	}
}

// Previous returns the last time before the given one at which c fires in a zone: the
// times are those of Next.
func (c Cron) Previous(before time.Time, zone *time.Location) (time.Time, bool) {
	if !inRange(before) {
		return time.Time{}, false
	}
	zone = orUTC(zone)
	to := before.Unix()
	if before.Nanosecond() == 0 {
		to--
	}
	for {
		p := periodAt(to, zone)
		at, found := p.last(&c, to)
		if found {
			t := time.Unix(at, 0).In(zone)
			return t, inRange(t)
		}
		behind, ok := c.last(civil(p.start + max(p.offset, p.before)))
		if !ok || p.start == -always {
			return time.Time{}, false
		}
		to = min(p.start-1, int64(behind)+widest)
	}
}

func inRange(t time.Time) bool {
	year := t.Year()
	return minYear <= year && year <= maxYear
}

func orUTC(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}

// A period is a span of real time in which the clocks of a zone are not changed: in seconds
// since 1970, its end not included.
type period struct {
	start, end     int64
	offset, before int64 // how far the clocks are ahead of UTC, in it and before it
}

func periodAt(at int64, zone *time.Location) period {
	t := time.Unix(at, 0).In(zone)
	_, offset := t.Zone()
	p := period{start: -always, end: always, offset: int64(offset), before: int64(offset)}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		p.start = start.Unix()
		_, before := start.Add(-time.Second).Zone()
		p.before = int64(before)
	}
	if !end.IsZero() {
		p.end = end.Unix()
	}
	return p
}

// begin is the first civil time of the period that counts: it leaves out what was there in
// the period before, unless c fires every hour.
func (p period) begin(c *Cron) civil {
	if c.hours != everyHour && p.start != -always {
		return civil(p.start + max(p.offset, p.before))
	}
	return civil(p.start + p.offset)
}

// skipped returns the civil times that are missing before the period and that c makes up
// for in it, the last not included.
func (p period) skipped(c *Cron) (from, to civil) {
	if c.hours == everyHour || p.offset <= p.before {
		return 0, 0
	}
	return civil(p.start + p.before), civil(p.start + p.offset)
}

// first returns the first time within the period and from a given one on at which c fires.
func (p period) first(c *Cron, from int64) (int64, bool) {
	best := always
	if at, ok := c.first(max(p.begin(c), civil(from+p.offset))); ok {
		best = int64(at) - p.offset
	}
	if low, high := p.skipped(c); low < high {
		if at, ok := c.first(max(low, civil(from+p.before))); ok && at < high {
			best = min(best, int64(at)-p.before)
		}
	}
	return best, best < p.end
}

// last returns the last time within the period and up to a given one at which c fires.
func (p period) last(c *Cron, to int64) (int64, bool) {
	best := -always
	if at, ok := c.last(civil(to + p.offset)); ok && at >= p.begin(c) {
		best = int64(at) - p.offset
	}
	if low, high := p.skipped(c); low < high {
		if at, ok := c.last(min(high-1, civil(to+p.before))); ok && at >= low {
			best = max(best, int64(at)-p.before)
		}
	}
	return best, best >= p.start && best != -always
}
