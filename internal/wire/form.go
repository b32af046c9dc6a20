package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"sear/internal/rest"
)

// form reads the members of one object of a request and notes what is wrong with
// each, so that one answer names it all. A value that is wrong reads as zero.
type form struct {
	path     string // where the object is, with a dot at its end; "" for the whole
	element  int    // of the array that the member is, counted from 1; 0 outside arrays
	problems *rest.Problems
}

// at is the path of a member, as zod writes it.
func (f form) at(key string) string {
	if f.element > 0 {
		key += "[" + strconv.Itoa(f.element-1) + "]"
	}
	return f.path + key
}

func (f form) add(key, message string) { f.problems.Add(f.at(key), message) }

// expected notes that a value has the wrong type.
func (f form) expected(want, key string, v []byte) {
	f.problems.Put(rest.Problem{
		Code: "invalid_type", Path: f.at(key), Message: "Expected " + want + ", received " + kindOf(v),
	})
}

// required notes that a member is missing.
func (f form) required(key string) {
	f.problems.Put(rest.Problem{Code: "invalid_type", Path: f.at(key), Message: "Required"})
}

// text reads a string. NUL is refused everywhere but in payloads: Postgres has no
// place for it in a text.
func (f form) text(key string, v []byte) string {
	if v[0] != '"' {
		f.expected("string", key, v)
		return ""
	}
	s := unquote(v)
	if strings.IndexByte(s, 0) >= 0 {
		f.add(key, "Null characters are not allowed")
		return ""
	}
	return s
}

// short reads a string of at most limit characters, as JavaScript counts them.
func (f form) short(key string, v []byte, limit int, message string) string {
	s := f.text(key, v)
	if length(s) > limit {
		f.add(key, message)
		return ""
	}
	return s
}

// length is what JavaScript calls the length of a string.
func length(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// oneOf reads a string that must be one of a few.
func (f form) oneOf(key string, v []byte, allowed ...string) string {
	s := f.text(key, v)
	if v[0] == '"' && !slices.Contains(allowed, s) {
		f.add(key, "Invalid enum value. Expected '"+strings.Join(allowed, "' | '")+"', received '"+s+"'")
		return ""
	}
	return s
}

func (f form) boolean(key string, v []byte) bool {
	if kindOf(v) != "boolean" {
		f.expected("boolean", key, v)
		return false
	}
	return v[0] == 't'
}

// number reads a number. One too large for JavaScript is infinite there too.
func (f form) number(key string, v []byte) float64 {
	if kindOf(v) != "number" {
		f.expected("number", key, v)
		return 0
	}
	n, _ := strconv.ParseFloat(string(v), 64) // valid JSON: at worst out of range, which gives ±Inf
	return n
}

// whole reads a number without a fraction.
func (f form) whole(key string, v []byte) (n float64, ok bool) {
	before := len(*f.problems)
	n = f.number(key, v)
	if n != math.Trunc(n) || math.IsInf(n, 0) {
		f.add(key, "Expected integer, received float")
	}
	return n, len(*f.problems) == before
}

// count reads a whole number that is not less than least.
func (f form) count(key string, v []byte, least int) int {
	n, ok := f.whole(key, v)
	if ok && n < float64(least) {
		f.add(key, fmt.Sprintf("Number must be greater than or equal to %d", least))
	}
	return clamp(n, least, math.MaxInt32)
}

// clamp cuts a number to a range.
func clamp(n float64, low, high int) int {
	return int(min(max(n, float64(low)), float64(high)))
}

// object is the form of a member that must be an object.
func (f form) object(key string, v []byte) (form, bool) {
	if v[0] != '{' {
		f.expected("object", key, v)
		return form{}, false
	}
	return form{path: f.at(key) + ".", problems: f.problems}, true
}

// formOf is the form of a whole request, which must be an object.
func formOf(body []byte, problems *rest.Problems) (form, bool) {
	f := form{problems: problems}
	if body[0] != '{' {
		f.expected("object", "", body)
		return f, false
	}
	return f, true
}

// numeral writes a JSON number as JavaScript's String() does.
func numeral(n float64) string {
	b, err := json.Marshal(n) // follows the same rules, and refuses the infinite
	if err != nil {
		return "Infinity"
	}
	return string(b)
}
