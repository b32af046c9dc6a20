package schedule

import (
	"math/bits"
	"time"
)

// A civil time is what a clock on the wall shows: the seconds since 1970 began there. It
// knows no zones, so that every day has 24 hours.
type civil int64

const (
	civilDay = civil(24 * 60 * 60)
	//limit:inside the last year that expressions are followed to
	maxYear   = 9999
	cycle     = 28 // years after which the weekdays of a calendar come again, within a century
	eraYears  = 400
	eraMonths = eraYears * 12 // after which the whole calendar comes again
)

func dateOf(at civil) (year, month, day int) {
	y, m, d := time.Unix(int64(at), 0).UTC().Date()
	return y, int(m), d
}

func civilDate(year, month, day int) civil {
	return civil(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix())
}

// longestMonth is how many days a month has in a leap year.
func longestMonth(month int) int { return monthLength(2000, month) }

func monthLength(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// everyWeek has a bit for each day of a month that falls on the weekday of its first.
const everyWeek = 1<<1 | 1<<8 | 1<<15 | 1<<22 | 1<<29

// daysOf returns the days of a month on which c fires, bits 1 to 31. If both the days of
// the month and the weekdays are limited, either is enough. A field is unlimited if it has
// as many entries as * has, whatever they are: that is cron-parser's notion.
func (c *Cron) daysOf(year, month int) uint32 {
	if c.months>>month&1 == 0 {
		return 0
	}
	length := monthLength(year, month)
	whole := uint32(1)<<(length+1) - 2

	days := c.days
	if c.lastDay {
		days |= 1 << length
	}
	const unlimitedWeek = 8 // Sunday counts as 0 and as 7
	if c.weekdayCount != unlimitedWeek {
		onWeekday := c.onWeekdays(year, month, length)
		if c.dayCount >= longestMonth(month) {
			days = onWeekday
		} else {
			days |= onWeekday
		}
	}
	if c.nth > 0 {
		days &= 0x7f << (7*c.nth - 6)
	}
	return days & whole
}

// onWeekdays returns the days of a month that the weekday field names.
func (c *Cron) onWeekdays(year, month, length int) uint32 {
	first := int((civilDate(year, month, 1)/civilDay%7 + 11) % 7) // 1970 began on a Thursday
	var days uint32
	for weekday := range 7 {
		on := uint32(everyWeek) << ((weekday - first + 7) % 7)
		if c.weekdays>>weekday&1 != 0 {
			days |= on
		}
		if c.lastWeekdays>>weekday&1 != 0 {
			days |= on & (0x7f << (length - 6))
		}
	}
	return days
}

// possible says whether there is any day on which c fires.
func (c *Cron) possible() bool {
	for year := 2000; year < 2000+cycle; year++ {
		for month := 1; month <= 12; month++ {
			if c.daysOf(year, month) != 0 {
				return true
			}
		}
	}
	return false
}

// first returns the first civil time from a given one on at which c fires.
func (c *Cron) first(from civil) (civil, bool) {
	from += (60 - from%60) % 60
	year, month, day := dateOf(from)
	if minute, ok := c.firstMinute(int(from-civilDate(year, month, day)) / 60); ok && c.daysOf(year, month)>>day&1 != 0 {
		return civilDate(year, month, day) + civil(minute*60), true
	}
	day++
	for range eraMonths {
		if days := c.daysOf(year, month) >> day << day; days != 0 {
			minute, ok := c.firstMinute(0)
			return civilDate(year, month, bits.TrailingZeros32(days)) + civil(minute*60), ok
		}
		day = 1
		if month++; month > 12 {
			year, month = year+1, 1
		}
	}
	return 0, false
}

// last returns the last civil time up to a given one at which c fires.
func (c *Cron) last(to civil) (civil, bool) {
	year, month, day := dateOf(to)
	if minute, ok := c.lastMinute(int(to-civilDate(year, month, day)) / 60); ok && c.daysOf(year, month)>>day&1 != 0 {
		return civilDate(year, month, day) + civil(minute*60), true
	}
	for range eraMonths {
		if days := c.daysOf(year, month) & (1<<day - 1); days != 0 {
			minute, ok := c.lastMinute(24*60 - 1)
			return civilDate(year, month, 31-bits.LeadingZeros32(days)) + civil(minute*60), ok
		}
		day = 32
		if month--; month < 1 {
			year, month = year-1, 12
		}
	}
	return 0, false
}

// firstMinute returns the first minute of a day, not before the given one.
func (c *Cron) firstMinute(from int) (int, bool) {
	hour, minute := from/60, from%60
	if c.hours>>hour&1 != 0 {
		if minutes := c.minutes >> minute; minutes != 0 {
			return from + bits.TrailingZeros64(minutes), true
		}
	}
	hours := c.hours >> (hour + 1) << (hour + 1)
	return bits.TrailingZeros32(hours)*60 + bits.TrailingZeros64(c.minutes), hours != 0 && c.minutes != 0
}

// lastMinute returns the last minute of a day, not after the given one.
func (c *Cron) lastMinute(to int) (int, bool) {
	hour, minute := to/60, to%60
	if c.hours>>hour&1 != 0 {
		if minutes := c.minutes & (1<<(minute+1) - 1); minutes != 0 {
			return hour*60 + 63 - bits.LeadingZeros64(minutes), true
		}
	}
	hours := c.hours & (1<<hour - 1)
	return (31-bits.LeadingZeros32(hours))*60 + 63 - bits.LeadingZeros64(c.minutes), hours != 0 && c.minutes != 0
}
