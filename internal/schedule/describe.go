package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// Describe says in English when c fires, in the words of cronstrue 2.50, which clients
// know from the official server.
func (c Cron) Describe() string {
	f := c.fields
	minute, hour, day, month, weekday := plain(f[0]), plain(f[1]), plain(f[2]), plain(f[3]), plain(f[4])
	if isNumber(hour) && strings.ContainsAny(minute, "*/") { // a minute that varies is within the hour
		hour += "-" + hour
	}
	text := describeTime(minute, hour) + describeDays(day, weekday) + describeWeekdays(weekday, day) + describeMonths(month)
	text = strings.ReplaceAll(text, ", every day", "")
	return strings.ToUpper(text[:1]) + text[1:]
}

// plain writes a field in its simplest form: a question mark is an asterisk, and a step of
// one is none.
func plain(field string) string {
	if field == "?" {
		return "*"
	}
	if strings.Contains(field, ",") {
		return field
	}
	return strings.TrimSuffix(field, "/1")
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// words are how the values of a field are put.
type words struct {
	all  string
	one  func(value string) string // a value
	last func(value string) string // the end of a range; nil: as one
	step string                    // of which %s is how many
	span string                    // a range, of two %s
	list string                    // what is said of one value or several
	top  string                    // where a step without a range ends, "" if it only says where it starts
}

// describe puts a field into words.
func (w words) describe(field string) string {
	switch {
	case field == "*":
		return w.all
	case strings.Contains(field, ",") && strings.Contains(field, "/"):
		return enumerate(strings.Split(field, ","), w.describe)
	case strings.Contains(field, ","):
		return fmt.Sprintf(w.list, enumerate(strings.Split(field, ","), w.item))
	case strings.Contains(field, "/"):
		return w.describeStep(field)
	case strings.Contains(field, "-"):
		return w.describeSpan(field)
	}
	return fmt.Sprintf(w.list, w.one(field))
}

// item is a value or a range in a list.
func (w words) item(item string) string {
	from, to, isRange := strings.Cut(item, "-")
	if !isRange {
		return w.one(item)
	}
	return w.one(from) + " through " + w.one(to)
}

// enumerate joins what is said of each item.
func enumerate(items []string, say func(string) string) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 && len(items) > 2 {
			b.WriteString(",")
		}
		if i > 0 {
			b.WriteString(" ")
		}
		if i > 0 && i == len(items)-1 {
			b.WriteString("and ")
		}
		b.WriteString(say(item))
	}
	return b.String()
}

func (w words) describeStep(field string) string {
	from, step, _ := strings.Cut(field, "/")
	text := fmt.Sprintf(w.step, step)
	if from != "*" && !strings.Contains(from, "-") && w.top != "" {
		from += "-" + w.top
	}
	switch {
	case from == "*":
	case strings.Contains(from, "-"):
		text += ", " + strings.TrimPrefix(w.describeSpan(from), ", ")
	default:
		text += ", starting " + strings.TrimPrefix(fmt.Sprintf(w.list, w.one(from)), ", ")
	}
	return text
}

func (w words) describeSpan(field string) string {
	from, to, _ := strings.Cut(field, "-")
	last := w.last
	if last == nil {
		last = w.one
	}
	return fmt.Sprintf(w.span, w.one(from), last(to))
}

func asItIs(value string) string { return value }

// clock is a time of day as Americans write it.
func clock(hour, minute string) string {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	half := "AM"
	if h >= 12 {
		half = "PM"
	}
	if h %= 12; h == 0 {
		h = 12
	}
	return fmt.Sprintf("%02d:%02d %s", h, m, half)
}

var (
	minuteWords = words{
		all: "every minute", one: asItIs, step: "every %s minutes", span: "minutes %s through %s past the hour", list: "at %s minutes past the hour",
	}
	hourWords = words{
		all: "every hour", one: func(h string) string { return clock(h, "0") }, last: func(h string) string { return clock(h, "59") },
		step: "every %s hours", span: "between %s and %s", list: "at %s",
	}
	dayWords = words{
		all: ", every day", one: asItIs, step: ", every %s days", span: ", between day %s and %s of the month", list: ", on day %s of the month",
	}
	monthWords = words{one: monthName, step: ", every %s months", span: ", %s through %s", list: ", only in %s", top: "12"}
)

// describeTime puts minutes and hours into words.
func describeTime(minute, hour string) string {
	switch {
	case isNumber(minute) && isNumber(hour):
		return "at " + clock(hour, minute)
	case isNumber(hour) && strings.Contains(minute, "-") && !strings.ContainsAny(minute, ",/"):
		from, to, _ := strings.Cut(minute, "-")
		return fmt.Sprintf("every minute between %s and %s", clock(hour, from), clock(hour, to))
	case isNumber(minute) && strings.Contains(hour, ",") && !strings.ContainsAny(hour, "-/"):
		var times []string
		for h := range strings.SplitSeq(hour, ",") {
			times = append(times, clock(h, minute))
		}
		return "at " + strings.Join(times[:len(times)-1], ", ") + " and " + times[len(times)-1]
	}
	hourly := hourWords
	if minute == "0" { // the last hour of a range is only touched
		hourly.last = hourly.one
	}
	minutes, hours := minuteWords.describe(minute), hourly.describe(hour)
	switch {
	case minute == "0" && hour == "*":
		return hours
	case minute == "0" && strings.Contains(hour, "-") && !strings.Contains(hour, "/"):
		return "every hour, " + hours
	case hour == "*":
		return minutes
	}
	return minutes + ", " + hours
}

// describeDays puts the days of the month into words.
func describeDays(day, weekday string) string {
	switch {
	case day == "L":
		return ", on the last day of the month"
	case day == "*" && weekday != "*":
		return ""
	}
	return dayWords.describe(day)
}

// describeWeekdays puts the weekdays into words.
func describeWeekdays(weekday, day string) string {
	w := words{one: weekdayName, step: ", every %s days of the week", span: ", %s through %s", list: ", only on %s", top: "6"}
	if day != "*" {
		w.list = ", and on %s"
	}
	if name, nth, ok := strings.Cut(weekday, "#"); ok {
		ordinals := []string{"first", "second", "third", "fourth", "fifth"}
		n, _ := strconv.Atoi(nth)
		return fmt.Sprintf(", on the %s %s of the month", ordinals[n-1], weekdayName(name))
	}
	if name, ok := strings.CutSuffix(weekday, "L"); ok && !strings.Contains(weekday, ",") {
		return fmt.Sprintf(", on the last %s of the month", weekdayName(name))
	}
	return w.describe(weekday)
}

func describeMonths(month string) string { return monthWords.describe(month) }

func monthName(value string) string {
	return nameOf(&monthField, value, []string{
		"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
	})
}

func weekdayName(value string) string {
	return nameOf(&weekdayField, value, []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"})
}

// nameOf is the name of a value that is a number or an abbreviation.
func nameOf(f *field, value string, names []string) string {
	n, err := strconv.Atoi(value)
	if err == nil {
		return names[n-f.first]
	}
	for i, short := range f.names {
		if strings.EqualFold(short, value) {
			return names[i]
		}
	}
	return value
}
