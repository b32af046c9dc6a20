package jsdate

import (
	"math"
	"strings"
	"time"
)

// Limits of JavaScript's time, in milliseconds since 1970.
const (
	//limit:inside the last instant that JavaScript knows
	maxMilli = 8_640_000_000_000_000
	minMilli = -maxMilli
)

// Parse is the instant that Node's Date makes of a text, in UTC, which is also the zone of a
// text that names none. ok is false where Date would be invalid. Dates end in the year 275760,
// and begin as long before 1970.
func Parse(text string) (at time.Time, ok bool) {
	text, _, _ = strings.Cut(text, "\x00") // where V8 takes a text to end
	r := reading{in: scan(text)}
	if standard, ok := r.standard(); standard || !ok {
		return r.instant(ok)
	}
	return r.instant(r.free())
}

// reading is a date that is being read.
type reading struct {
	in    scanner
	date  []int // the numbers of the date in the order they stand in, three at most
	iso   bool  // they are year, month and day, and the year has all its digits
	month int   // 0 unless it was named
	clock []int // hours, minutes, seconds and milliseconds, as far as they are said
	half  int   // what AM and PM are: hours to add to a time of twelve, or none
	zone  zone
}

// The halves of a day.
const (
	wholeDay = iota
	morning
	afternoon
)

// zone is an offset from UTC that is being read.
type zone struct {
	sign    int // 0: no zone was said
	hour    int
	minute  int
	waiting bool // for the minutes after a colon
}

// seconds is the offset. V8 counts it in 32 bits, and refuses what it cannot give a sign.
func (z zone) seconds() (offset int, ok bool) {
	n := uint32(z.hour)*3600 + uint32(z.minute)*60
	return z.sign * int(n), n <= math.MaxInt32
}

// instant puts together what was read.
func (r *reading) instant(ok bool) (time.Time, bool) {
	if !ok {
		return time.Time{}, false
	}
	year, month, day, ok := r.day()
	if !ok {
		return time.Time{}, false
	}
	hour, minute, second, milli, ok := r.time()
	offset, held := r.zone.seconds()
	if !ok || !held {
		return time.Time{}, false
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, milli*int(time.Millisecond), time.UTC)
	ms := at.UnixMilli() - int64(offset)*1000
	return time.UnixMilli(ms).UTC(), minMilli <= ms && ms <= maxMilli
}

// day says which of the numbers is what. Those that are missing are 1.
func (r *reading) day() (year, month, day int, ok bool) {
	n := len(r.date)
	if n == 0 {
		return 0, 0, 0, false
	}
	d := [3]int{1, 1, 1}
	copy(d[:], r.date)
	switch {
	case r.iso || r.month == 0 && !isDay(d[0]):
		year, month, day = d[0], d[1], d[2]
	case r.month == 0:
		month, day, year = d[0], d[1], d[2]
	case isDay(d[0]):
		month, day, year = r.month, d[0], d[1]
	default:
		month, year, day = r.month, d[0], d[1]
	}
	if !r.iso {
		year = century(year)
	}
	return year, month, day, within(year, -maxYear, maxYear) && isMonth(month) && isDay(day)
}

// maxYear is far outside of JavaScript's time, and far from overflow.
//
//limit:inside a later year is no date in JavaScript
const maxYear = 999_999

// century completes a year of two digits.
func century(year int) int {
	switch {
	case within(year, 0, 49):
		return year + 2000
	case within(year, 50, 99):
		return year + 1900
	}
	return year
}

func (r *reading) time() (hour, minute, second, milli int, ok bool) {
	var c [4]int
	copy(c[:], r.clock)
	if r.half != wholeDay {
		if !within(c[0], 0, 12) {
			return 0, 0, 0, 0, false
		}
		c[0] %= 12
		if r.half == afternoon {
			c[0] += 12
		}
	}
	midnight := c == [4]int{24}
	ok = midnight || within(c[0], 0, 23) && isSixtieth(c[1]) && isSixtieth(c[2]) && within(c[3], 0, 999)
	return c[0], c[1], c[2], c[3], ok
}

func within(n, low, high int) bool { return low <= n && n <= high }
func isMonth(n int) bool           { return within(n, 1, 12) }
func isDay(n int) bool             { return within(n, 1, 31) }
func isSixtieth(n int) bool        { return within(n, 0, 59) }
