package schedule

import "time"

// Next returns the first time after the given one at which c fires in a zone, a nil one
// being UTC; false if there is none before the year 10000.
//
// Where clocks are changed it agrees with cron-parser 4.9, which the official server uses,
// and what that does follows from how it walks: from a time on, by days, then hours, then
// minutes. So does Next. An expression that names hours means each civil time once: of an hour
// that comes twice the walk passes over the second, and of one that is left out within a day it
// makes up for the minutes in the hour after. An expression of every hour follows real time.
func (c Cron) Next(after time.Time, zone *time.Location) (time.Time, bool) {
	if !inRange(after) {
		return time.Time{}, false
	}
	w := newWalk(&c, after.Unix(), zone, 1)
	for range maxSteps {
		switch {
		case !c.onDay(w.civil()):
			if !w.nextDay() {
				return time.Time{}, false
			}
		case w.passHour():
		case c.minutes>>w.minute()&1 == 0 || w.second() != 0 || w.at == w.from:
			w.step(60)
		default:
			t := time.Unix(w.at, 0).In(w.zone)
			return t, inRange(t)
		}
	}
	return time.Time{}, false
}

// Previous returns the last time before the given one at which c fires in a zone, as Next
// does. Walking back, nothing is made up for and nothing passed over.
func (c Cron) Previous(before time.Time, zone *time.Location) (time.Time, bool) {
	if !inRange(before) {
		return time.Time{}, false
	}
	w := newWalk(&c, before.Unix(), zone, -1)
	if before.Nanosecond() != 0 {
		w.from++ // the second that has begun counts
	}
	for range maxSteps {
		switch {
		case !c.onDay(w.civil()):
			if !w.previousDay() {
				return time.Time{}, false
			}
		case c.hours>>w.hour()&1 == 0:
			w.step(-3600)
		case c.minutes>>w.minute()&1 == 0:
			w.step(-60)
		case w.second() != 0:
			w.move(w.at - int64(w.second()))
		case w.at == w.from:
			w.move(w.at - 1)
		default:
			t := time.Unix(w.at, 0).In(w.zone)
			return t, inRange(t)
		}
	}
	return time.Time{}, false
}

const (
	//limit:inside no walk between two days that match takes more than a few hundred
	maxSteps = 10_000 // no walk between two matching days takes more than a few hundred
	minYear  = 1
	allHours = 24
	noHour   = -1
)

func inRange(t time.Time) bool {
	year := t.Year()
	return minYear <= year && year <= maxYear
}

// onDay reports whether c fires on the day of a civil time.
func (c *Cron) onDay(at civil) bool {
	year, month, day := dateOf(at)
	return c.daysOf(year, month)>>day&1 != 0
}

// walk is a search on its way.
type walk struct {
	c      *Cron
	zone   *time.Location
	from   int64 // where it began; times are seconds since 1970
	at     int64
	offset int64 // how far the clocks are ahead of UTC now
	late   int   // the hour that makes up for the one that was left out before it
	twice  int   // the hour that has just come for the second time
	ahead  bool
}

func newWalk(c *Cron, from int64, zone *time.Location, way int) *walk {
	if zone == nil {
		zone = time.UTC
	}
	w := &walk{c: c, zone: zone, from: from, late: noHour, twice: noHour, ahead: way > 0}
	w.move(from)
	return w
}

func (w *walk) move(at int64) { w.at, w.offset = at, offsetAt(at, w.zone) }

func offsetAt(at int64, zone *time.Location) int64 {
	_, offset := time.Unix(at, 0).In(zone).Zone()
	return int64(offset)
}

func (w *walk) civil() civil { return civil(w.at + w.offset) }

// inDay is how many seconds of its day the clock shows.
func (w *walk) inDay() int64 {
	s := (w.at + w.offset) % int64(civilDay)
	if s < 0 {
		s += int64(civilDay)
	}
	return s
}

func (w *walk) hour() int   { return int(w.inDay() / 3600) }
func (w *walk) minute() int { return int(w.inDay() / 60 % 60) }
func (w *walk) second() int { return int(w.inDay() % 60) }

// real is the time at which the clocks show a civil time, given how far ahead they were just
// now. One that they leave out is as much later; of one that they show twice it is the one
// with the offset of just now, else the second.
func (w *walk) real(at civil, offset int64) int64 {
	guess := int64(at) - offset
	second := offsetAt(guess, w.zone)
	if second == offset {
		return guess
	}
	guess = int64(at) - second
	third := offsetAt(guess, w.zone)
	if third == second {
		return guess
	}
	return int64(at) - min(second, third)
}

// startOf is the time at which the unit of so many seconds begins that w is in.
func (w *walk) startOf(unit int64) int64 { return w.real(w.civil()-civil(w.inDay()%unit), w.offset) }

// endOf is the last second of the unit: the one before the next begins.
func (w *walk) endOf(unit int64) int64 {
	v := *w
	if unit == int64(civilDay) {
		v.move(v.real(v.civil()+civilDay, v.offset))
	} else {
		v.move(v.at + unit)
	}
	return v.startOf(unit) - 1
}

// passHour goes on from an hour in which c does not fire, and reports whether it did.
func (w *walk) passHour() bool {
	hour := w.hour()
	switch named := w.c.hours>>hour&1 != 0; {
	case !named && w.late != hour:
		w.late = noHour
		w.step(3600)
	case !named && w.c.hours>>(hour-1)&1 == 0:
		w.unit(3600)
	case named && w.twice == hour:
		w.twice = noHour
		w.step(3600)
	default:
		return false
	}
	return true
}

// step goes to the next hour or minute, or back to the last second of the one before, and
// notices when an hour is left out or comes twice.
func (w *walk) step(seconds int64) {
	before := w.hour()
	w.unit(seconds)
	if !w.ahead || w.c.hourCount == allHours {
		return
	}
	switch w.hour() - before {
	case 2:
		w.late = w.hour()
	case 0:
		if w.inDay()%3600 == 0 {
			w.twice = w.hour()
		}
	}
}

func (w *walk) unit(seconds int64) {
	was, hourly := w.at, seconds == 3600 || seconds == -3600
	w.move(w.at + seconds)
	if seconds > 0 {
		w.move(w.startOf(seconds))
		if w.at < was || hourly && w.at == was {
			w.move(w.at + 3600)
		}
		return
	}
	w.move(w.endOf(-seconds))
	if w.at > was || hourly && w.at == was {
		w.move(w.at - 3600)
	}
}

// nextDay goes to the start of the next day on which c fires; false when there is none.
func (w *walk) nextDay() bool {
	day, ok := w.c.first(w.civil() - civil(w.inDay()) + civilDay)
	if !ok {
		return false
	}
	if eve := day - day%civilDay - civilDay; eve > w.civil() {
		w.move(w.real(eve, w.offset))
	}
	was := w.at
	w.move(w.real(w.civil()+civilDay, w.offset))
	w.move(w.startOf(int64(civilDay)))
	if w.at == was { // there is no such day
		w.move(w.at + 3600)
	}
	return true
}

// previousDay goes to the last second of the day before on which c fires.
func (w *walk) previousDay() bool {
	day, ok := w.c.last(w.civil() - civil(w.inDay()) - 1)
	if !ok {
		return false
	}
	if next := day - day%civilDay + 2*civilDay - 1; next < w.civil() {
		w.move(w.real(next, w.offset))
	}
	was := w.at
	w.move(w.real(w.civil()-civilDay, w.offset))
	w.move(w.endOf(int64(civilDay)))
	if w.at == was {
		w.move(w.at - 3600)
	}
	return true
}
