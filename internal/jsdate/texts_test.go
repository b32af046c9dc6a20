package jsdate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// texts makes n texts: dates in the forms that people and programs write, the same with parts
// left out, doubled or exchanged, and some that only look like dates.
func texts(r *rand.Rand, n int) []string {
	seen := map[string]bool{}
	for len(seen) < n {
		text := written(r)
		for r.IntN(3) == 0 {
			text = mutated(r, text)
		}
		seen[text] = true
	}
	out := make([]string, 0, n)
	for text := range seen {
		out = append(out, text)
	}
	return out
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// number is a number that is mostly in a range, and now and then beside it.
func number(r *rand.Rand, low, high int) int {
	if r.IntN(12) == 0 {
		return low + r.IntN(3*(high-low+1)) - 1
	}
	return low + r.IntN(high-low+1)
}

var (
	months = []string{"Jan", "feb", "MARCH", "april", "May", "June", "Jul", "Aug", "Sept", "Oct", "November", "Dec"}
	days   = []string{"Mon", "Tuesday", "Wed", "Thu", "FRI", "Sat", "sunday", "Mi", "le", "on the"}
	seps   = []string{" ", "/", "-", ".", ",", ", ", "  ", "", "\u00a0"}
	zones  = []string{"", "", "Z", "z", "+01:00", "-0530", "+0100", " +01:00", " +0100", " GMT", " UTC", " gmt+2", " GMT-0730", " UTC+5:30", " EST", " PDT",
		" EST+1", "+1", " -8", " UT", "+24:00", "+99", " -:30", "+", "GMT", " CET", " GMT+0100 (Central European Standard Time)", " (a (b) c)", " (open", " )"}
	clocks  = []string{"%02d:%02d", "%02d:%02d:%02d", "%d:%d", "%d:%02d:%02d.%d", "%02d:%02d:%02d.%03d", "%d", "%02d:%02d.%d", "%d:", "%d::%d", "%02d:%02d:%02d:%d", "%02d:%02d:%02d,%d"}
	pieces  = []string{"T", "t", " ", ":", "-", "+", "/", ".", ",", "Z", "GMT", "am", "PM", "(", ")", "(x)", "0", "1", "12", "31", "99", "2026", "Nov", "é", "１", "foo", "T10:00", "\u2003", "00", "000000", ";", "\"", "12:30", "+0100"}
	unknown = []string{"", "soon", "tomorrow", "10 minutes", "1h30m", "300ms", "5d", "next monday 5", "2026-W10-1", "20261130", "1e3", "12345678901234567890", "0x10", "-1", "now", "noon"}
	fullISO = "2006-01-02T15:04:05.000Z"
)

func year(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0:
		return fmt.Sprintf("%02d", r.IntN(110))
	case 1:
		return fmt.Sprint(r.IntN(300_000))
	case 2:
		return fmt.Sprintf("%s%06d", pick(r, "+", "-"), r.IntN(280_000))
	}
	return fmt.Sprintf("%04d", 1900+r.IntN(200))
}

// written is a date as somebody might write it.
func written(r *rand.Rand) string {
	at := time.UnixMilli(r.Int64N(4e12)).UTC()
	switch r.IntN(12) {
	case 0:
		return pick(r, unknown...)
	case 1:
		return at.Format(pick(r, time.RFC3339, time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.UnixDate, time.RubyDate, time.RFC822, time.RFC822Z,
			time.Kitchen, time.DateTime, time.DateOnly, fullISO, "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05 -0700", "Mon Jan 02 2006 15:04:05 GMT-0700",
			"1/2/2006, 3:04:05 PM", "02.01.2006", "2 January 2006", "January 2006", "20060102T150405Z", "2006-002", "2006/1/2 3:04 pm"))
	case 2, 3, 4: // the standard's own, or nearly
		parts := []string{year(r)}
		for range r.IntN(3) {
			parts = append(parts, fmt.Sprintf("%02d", number(r, 1, 12)))
		}
		date := strings.Join(parts, "-")
		if r.IntN(4) == 0 {
			return date
		}
		return date + pick(r, "T", "T", "T", "t", " ", "") + clock(r) + pick(r, zones...)
	}
	parts := []string{fmt.Sprintf(pick(r, "%d", "%02d"), number(r, 1, 31)), year(r)}
	if r.IntN(4) > 0 {
		parts = append(parts, pick(r, pick(r, months...), fmt.Sprintf(pick(r, "%d", "%02d"), number(r, 1, 12))))
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	text := strings.Join(parts, pick(r, seps...))
	if r.IntN(3) > 0 {
		text += pick(r, " ", " ", ", ", "T", "") + clock(r) + pick(r, "", "", " AM", "pm", " p.m.", " PM") + pick(r, zones...)
	}
	if r.IntN(4) == 0 {
		text = pick(r, days...) + pick(r, " ", ", ", "") + text
	}
	return text
}

func clock(r *rand.Rand) string {
	form := pick(r, clocks...)
	values := []any{number(r, 0, 24), number(r, 0, 59), number(r, 0, 59), r.IntN(1_000_000_000) / []int{1, 1e3, 1e6, 1e8}[r.IntN(4)]}
	return fmt.Sprintf(form, values[:strings.Count(form, "%")]...)
}

// mutated is a text with one thing changed.
func mutated(r *rand.Rand, text string) string {
	letters := []rune(text)
	i := r.IntN(len(letters) + 1)
	j := min(len(letters), i+1+r.IntN(3))
	switch r.IntN(4) {
	case 0:
		return string(letters[:i]) + string(letters[j:])
	case 1:
		return string(letters[:j]) + string(letters[i:])
	case 2:
		return string(letters[:i]) + pick(r, pieces...) + string(letters[j:])
	}
	return string(letters[:i]) + pick(r, pieces...) + string(letters[i:])
}
