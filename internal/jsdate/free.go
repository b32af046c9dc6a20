package jsdate

import "strings"

// maxDate is how many numbers a date can have.
//
//limit:inside numbers of a date: more are no date
const maxDate = 3

// names are the words of one meaning that may be followed by others, by their first three letters.
var names = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}

// zones are the offsets, in hours, of the zones that have names.
var zones = map[string]int{
	"z": 0, "ut": 0, "utc": 0, "gmt": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}

var halves = map[string]int{"am": morning, "pm": afternoon}

func isKeyword(t token, name string) bool { return t.kind == word && lower(t.text) == name }

// lower is a text with its ASCII letters small: others have no meaning, and might become some.
func lower(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}, s)
}

// free reads a date in the order and with the separators that its writer liked. It reports
// whether it means anything to V8.
func (r *reading) free() bool {
	numbered := len(r.date) > 0 // a number was read: from here on words have to mean something
	for {
		t := r.in.take()
		ok := true
		switch {
		case t.kind == end:
			return true
		case t.kind == number:
			numbered = true
			ok = r.number(t)
		case t.kind == word:
			ok = r.word(t, numbered)
		case t.sign() && (r.zone == zone{sign: 1} || r.zone == zone{sign: -1} || len(r.clock) > 0):
			numbered = true
			ok = r.offset(t)
		case t.sign() || t.is(")"):
			ok = !numbered
		}
		if !ok {
			return false
		}
	}
}

// number reads a number, which belongs to the time if a colon follows or went before.
func (r *reading) number(t token) bool {
	n := t.value
	if r.in.skip(":") {
		return r.beforeColon(n)
	}
	if r.in.skip(".") && r.expected(n) {
		r.clock = append(r.clock, n)
		if r.in.next.kind != number {
			return false
		}
		r.finish(millis(r.in.take()))
		return true
	}
	if r.zone.waiting && isSixtieth(n) {
		r.zone.minute, r.zone.waiting = n, false
		return true
	}
	if r.expected(n) {
		r.finish(n)
		next := r.in.next
		return next.kind == end || next.kind == space || next.sign() || isKeyword(next, "z")
	}
	if len(r.date) == maxDate {
		return false
	}
	r.date = append(r.date, n)
	r.in.skip("-")
	return true
}

// beforeColon reads a number of a time that does not end with it. Of two colons the second
// stands for minutes that are left out.
func (r *reading) beforeColon(n int) bool {
	if r.in.skip(":") {
		if len(r.clock) > 0 {
			return false
		}
		r.clock = append(r.clock, n, 0)
		return true
	}
	if len(r.clock) == 4 {
		return false
	}
	r.clock = append(r.clock, n)
	r.in.skip(".")
	return true
}

// expected reports whether a number goes on with the time that was begun.
func (r *reading) expected(n int) bool {
	switch len(r.clock) {
	case 1, 2:
		return isSixtieth(n)
	case 3:
		return within(n, 0, 999)
	}
	return false
}

// finish ends the time with its last number: what comes later is none of it.
func (r *reading) finish(n int) {
	r.clock = append(r.clock, n)
	for len(r.clock) < 4 {
		r.clock = append(r.clock, 0)
	}
}

// word reads a name. One that means nothing may only stand before all numbers, and not
// directly before one.
func (r *reading) word(t token, numbered bool) bool {
	name := lower(t.text)
	if half, ok := halves[name]; ok && len(r.clock) > 0 {
		r.half = half
		return true
	}
	if len(name) >= 3 && names[name[:3]] > 0 {
		r.month = names[name[:3]]
		r.in.skip("-")
		return true
	}
	if hours, ok := zones[name]; ok && numbered {
		r.zone = zone{sign: 1, hour: hours}
		if hours < 0 {
			r.zone = zone{sign: -1, hour: -hours}
		}
		return true
	}
	return !numbered && r.in.next.kind != number
}

// offset reads the offset after a sign: hours of one or two digits, which minutes may follow
// after a colon, both in three or four, or nothing, which is none.
func (r *reading) offset(t token) bool {
	r.zone.sign = signOf(t)
	n, digits := 0, 0
	if r.in.next.kind == number {
		t := r.in.take()
		n, digits = t.value, len(t.text)
	}
	switch {
	case r.in.next.is(":"):
		r.zone.hour, r.zone.minute, r.zone.waiting = n, 0, true
	case digits == 1 || digits == 2:
		r.zone.hour, r.zone.minute, r.zone.waiting = n, 0, false
	case digits == 3 || digits == 4:
		r.zone.hour, r.zone.minute, r.zone.waiting = n/100, n%100, false
	default:
		return false
	}
	return true
}
