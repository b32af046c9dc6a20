package schedule

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Cron is a parsed cron expression. The zero Cron never fires.
type Cron struct {
	text   string
	fields [5]string // as written; of an alias, what it stands for

	minutes   uint64 // bit n: minute n
	hours     uint32
	hourCount int    // how many hours are listed: 24 is every one of them
	months    uint32 // bits 1 to 12

	days     uint32 // days of the month, bits 1 to 31
	lastDay  bool   // L among the days of the month
	dayCount int    // how many days of the month are listed, see daysOf

	weekdays     uint32 // bit 0 is Sunday
	lastWeekdays uint32 // 5L: the last Friday of the month
	weekdayCount int    // how many weekdays are listed
	nth          int    // 1#2: only the second week of the month, or 0
}

// aliases are the words that stand for an expression.
var aliases = map[string]string{
	"@yearly":  "0 0 1 1 *",
	"@monthly": "0 0 1 * *",
	"@weekly":  "0 0 * * 0",
	"@daily":   "0 0 * * *",
	"@hourly":  "0 * * * *",
}

// A field is one of the five of an expression.
type field struct {
	min, max int
	allowed  string // characters besides digits
	names    []string
	first    int // what names[0] stands for
}

var (
	minuteField  = field{min: 0, max: 59, allowed: ",*/-"}
	hourField    = field{min: 0, max: 23, allowed: ",*/-"}
	dayField     = field{min: 1, max: 31, allowed: "?,*L/-"}
	monthField   = field{min: 1, max: 12, allowed: ",*/-", names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec"), first: 1}
	weekdayField = field{min: 0, max: 7, allowed: "?,*L#/-", names: strings.Fields("sun mon tue wed thu fri sat")}
)

// A refusal is why an expression is not taken, in the official server's words.
type refusal string

// Error is the reason.
func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

//limit:schedules A cron expression | characters | 422 (400 in a build) CRON expressions have at most {} characters
const maxText = 1000 // no expression that means something is longer

// Parse reads a cron expression of five fields or an alias. It refuses what can never
// fire. The error is what the official server says after "Invalid cron expression: ".
func Parse(text string) (Cron, error) {
	text = strings.TrimSpace(text)
	c := Cron{text: text}
	expression, ok := aliases[text]
	if !ok {
		expression = text
	}
	parts := strings.Fields(expression)
	switch {
	case text == "":
		return Cron{}, refuse("CRON expression is required")
	case len(parts) > 5:
		return Cron{}, refuse("CRON expressions with seconds are not allowed")
	case len(parts) < 5:
		return Cron{}, refuse("CRON expressions need five fields (minute, hour, day of month, month, day of week), or must be one of @yearly, @monthly, @weekly, @daily, @hourly")
	case len(text) > maxText:
		return Cron{}, refuse("CRON expressions have at most %d characters", maxText)
	}
	copy(c.fields[:], parts)
	if err := c.parse(); err != nil {
		return Cron{}, err
	}
	return c, nil
}

// String returns the expression as it was given, without the white space around it.
func (c Cron) String() string { return c.text }

func (c *Cron) parse() error {
	minutes, err := minuteField.parse(c.fields[0])
	if err != nil {
		return err
	}
	hours, err := hourField.parse(c.fields[1])
	if err != nil {
		return err
	}
	days, err := dayField.parse(c.fields[2])
	if err != nil {
		return err
	}
	months, err := monthField.parse(c.fields[3])
	if err != nil {
		return err
	}
	if err := c.parseWeekdays(c.fields[4]); err != nil {
		return err
	}
	c.hourCount = hours.count
	c.minutes, c.hours, c.months = minutes.set, uint32(hours.set), uint32(months.set)
	if err := c.setDays(days, months); err != nil {
		return err
	}
	if !c.possible() {
		return refuse("Invalid expression, loop limit exceeded")
	}
	return nil
}

// setDays keeps the days of the month. With a single month, days that it does not have are
// refused if there are no others, else ignored.
func (c *Cron) setDays(days, months values) error {
	c.dayCount = days.count
	c.lastDay = len(days.last) > 0
	if months.count == 1 {
		c.lastDay = slices.Contains(days.last, "L")
		n := longestMonth(bits.TrailingZeros32(c.months))
		if bits.TrailingZeros64(days.set) > n && days.set != 0 {
			return refuse("Invalid explicit day of month definition")
		}
		for day, listed := range days.times {
			if day > n {
				c.dayCount -= listed
			}
		}
		days.set &= 1<<(n+1) - 1
	}
	c.days = uint32(days.set)
	return nil
}

func (c *Cron) parseWeekdays(text string) error {
	text, nth, err := cutNth(text)
	if err != nil {
		return err
	}
	weekdays, err := weekdayField.parse(text)
	if err != nil {
		return err
	}
	c.nth = nth
	c.weekdayCount = weekdays.count
	c.weekdays = uint32(weekdays.set | weekdays.set>>7&1)
	for _, last := range weekdays.last {
		if last[0] < '0' || last[0] > '9' {
			return refuse("Invalid last weekday of the month expression: %s", last)
		}
		c.lastWeekdays |= 1 << ((last[0] - '0') % 7)
	}
	return nil
}

// cutNth splits 1#2 into the weekday and its number in the month, 0 if there is none.
func cutNth(text string) (string, int, error) {
	weekday, number, found := strings.Cut(text, "#")
	if !found {
		return text, 0, nil
	}
	for _, other := range []string{",", "/", "-"} {
		if strings.Contains(text, other) {
			return "", 0, refuse("Constraint error, invalid dayOfWeek `#` and `%s` special characters are incompatible", other)
		}
	}
	nth, err := strconv.ParseUint(number, 10, 8)
	if err != nil || nth < 1 || nth > 5 {
		return "", 0, refuse("Constraint error, invalid dayOfWeek occurrence number (#)")
	}
	return weekday, int(nth), nil
}
