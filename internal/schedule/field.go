package schedule

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// values are what a field lists.
type values struct {
	set   uint64
	count int      // entries, a repeated one as often as it is listed
	times [64]int  // how often each is listed
	last  []string // entries with an L
}

func (v *values) add(n int) {
	v.set |= 1 << n
	v.count++
	v.times[n]++
}

// parse reads a list of numbers, ranges and steps.
func (f *field) parse(text string) (values, error) {
	var v values
	text, err := f.replaceNames(text)
	if err != nil {
		return v, err
	}
	if text == "" || strings.ContainsFunc(text, f.foreign) {
		return v, refuse("Invalid characters, got value: %s", text)
	}
	all := fmt.Sprintf("%d-%d", f.min, f.max)
	if strings.Contains(text, "*") {
		text = strings.ReplaceAll(text, "*", all)
	} else {
		text = strings.ReplaceAll(text, "?", all)
	}
	entries := strings.Split(text, ",")
	for _, entry := range entries {
		if entry == "" {
			return v, refuse("Invalid list value format")
		}
	}
	for _, entry := range entries {
		if err := f.parseEntry(entry, &v); err != nil {
			return v, err
		}
	}
	return v, nil
}

// replaceNames puts numbers for the names of months and weekdays.
func (f *field) replaceNames(text string) (string, error) {
	if f.names == nil {
		return text, nil
	}
	var b strings.Builder
	for len(text) > 0 {
		if len(text) < 3 || !isLetter(text[0]) || !isLetter(text[1]) || !isLetter(text[2]) {
			b.WriteByte(text[0])
			text = text[1:]
			continue
		}
		name := strings.ToLower(text[:3])
		n := slices.Index(f.names, name)
		if n < 0 {
			return "", refuse("Validation error, cannot resolve alias %q", name)
		}
		b.WriteString(strconv.Itoa(f.first + n))
		text = text[3:]
	}
	return b.String(), nil
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// foreign says whether a character has no place in the field.
func (f *field) foreign(r rune) bool {
	return (r < '0' || r > '9') && !strings.ContainsRune(f.allowed, r)
}

// parseEntry reads one entry of a list: 5, 1-5, 1-5/2, 5/2, 5L. What it makes of odd ones
// ("0-", "1-5-9") is what cron-parser makes of them.
func (f *field) parseEntry(entry string, v *values) error {
	if strings.Count(entry, "/") > 1 {
		return refuse("Invalid repeat: %s", entry)
	}
	span, step, stepped := strings.Cut(entry, "/")
	if stepped && !math.IsNaN(number(span)) {
		span += "-" + strconv.Itoa(f.max) // 5/15 begins at 5 and goes on to the end
	}
	ends := strings.Split(span, "-")
	if len(ends) > 1 && ends[0] != "" {
		if !stepped {
			step = "1"
		}
		return f.parseRange(span, ends[0], ends[1], step, v)
	}
	if len(ends) > 1 && ends[1] == "" {
		return refuse("Invalid range: %s", span)
	}
	if len(ends) == 1 && strings.Contains(span, "L") {
		v.last = append(v.last, span)
		v.count++
		return nil
	}
	n := number(span)
	if !(n >= float64(f.min) && n <= float64(f.max)) {
		got := span
		if len(ends) > 1 || !math.IsNaN(n) {
			got = numberText(n)
		}
		return refuse("Constraint error, got value %s expected range %d-%d", got, f.min, f.max)
	}
	v.add(int(n))
	return nil
}

func (f *field) parseRange(span, from, to, step string, v *values) error {
	low, high, by := number(from), number(to), number(step)
	switch {
	case math.IsNaN(low), math.IsNaN(high), low < float64(f.min), high > float64(f.max):
		return refuse("Constraint error, got range %s-%s expected range %d-%d", numberText(low), numberText(high), f.min, f.max)
	case low > high:
		return refuse("Invalid range: %s", span)
	case !(by > 0):
		return refuse("Constraint error, cannot repeat at every %s time.", numberText(by))
	}
	first, last, stride := int(low), int(high), int(min(by, 100))
	if f == &weekdayField && last%7 == 0 { // it ends on a Sunday, which counts whatever the step
		v.add(0)
		if first == 0 {
			first = stride
		}
	}
	for n := first; n <= last; n += stride {
		v.add(n)
	}
	return nil
}

// number reads an integer as JavaScript does: "" is 0, and what is no number is NaN.
func number(text string) float64 {
	if strings.Trim(strings.TrimPrefix(text, "-"), "0123456789") != "" || text == "-" {
		return math.NaN()
	}
	n, _ := strconv.ParseFloat("0"+strings.TrimPrefix(text, "-"), 64) // out of range is infinite
	if strings.HasPrefix(text, "-") {
		return -n
	}
	return n
}

// numberText writes a number as JavaScript does.
func numberText(n float64) string {
	switch {
	case math.IsInf(n, 0):
		return strings.TrimPrefix(strconv.FormatFloat(n, 'g', -1, 64), "+") + "inity"
	case math.Abs(n) < 1e21:
		return strconv.FormatFloat(n, 'f', -1, 64)
	default:
		return strconv.FormatFloat(n, 'g', -1, 64)
	}
}
