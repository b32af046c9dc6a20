package run

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A value of a metadata document is a json.RawMessage, its compact text, until an
// operation reaches inside: then it is an *object or an *array.

// object is a JSON object whose members stay in the order in which they came, as
// JavaScript keeps them.
type object struct {
	members []entry
	at      map[string]int // the place of each key in members; nil while they are few
	deleted int            // members without a value
}

// fewMembers are found faster one by one than in a map.
const fewMembers = 8

// entry is a member of an object; one without a value was deleted.
type entry struct {
	key   string
	value any
}

// array is a JSON array.
type array struct{ items []any }

func newObject() *object { return &object{} }

// parseObject reads a JSON object; ok is false for anything else.
func parseObject(text json.RawMessage) (*object, bool) {
	text, ok := compact(text)
	if !ok || text[0] != '{' {
		return nil, false
	}
	return openObject(text), true
}

// compact checks a JSON text and takes out the space between its tokens.
func compact(text json.RawMessage) (json.RawMessage, bool) {
	var b bytes.Buffer
	err := json.Compact(&b, text)
	return b.Bytes(), err == nil
}

// open takes a value apart if it is an object or an array.
func open(v any) any {
	text, raw := v.(json.RawMessage)
	switch {
	case raw && text[0] == '{':
		return openObject(text)
	case raw && text[0] == '[':
		return openArray(text)
	}
	return v
}

// openObject takes the compact text of an object apart. Of members with the same key
// the last one counts, in the place of the first.
func openObject(text json.RawMessage) *object {
	o := newObject()
	for rest := text[1:]; rest[0] != '}'; {
		end := stringEnd(rest)
		key := unquote(rest[:end])
		rest = rest[end+1:] // and the colon
		end = valueEnd(rest)
		o.set(key, rest[:end:end])
		if rest = rest[end:]; rest[0] == ',' {
			rest = rest[1:]
		}
	}
	return o
}

// openArray takes the compact text of an array apart.
func openArray(text json.RawMessage) *array {
	a := &array{}
	for rest := text[1:]; rest[0] != ']'; {
		end := valueEnd(rest)
		a.items = append(a.items, rest[:end:end])
		if rest = rest[end:]; rest[0] == ',' {
			rest = rest[1:]
		}
	}
	return a
}

// valueEnd is where the first of the values ends that follow each other in compact text
// inside an object or an array.
func valueEnd(text json.RawMessage) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 { // the container's own
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}

// stringEnd is where the string ends that valid text begins with.
func stringEnd(text json.RawMessage) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// unquote is what the text of a JSON string says.
func unquote(text json.RawMessage) string {
	inner := text[1 : len(text)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(text, &s) // it is one
	return s
}

// find is the place of a key in the members.
func (o *object) find(key string) (int, bool) {
	if o.at != nil {
		i, ok := o.at[key]
		return i, ok
	}
	i := slices.IndexFunc(o.members, func(e entry) bool { return e.key == key && e.value != nil })
	return i, i >= 0
}

func (o *object) get(key string) any {
	if i, ok := o.find(key); ok {
		return o.members[i].value
	}
	return nil
}

func (o *object) set(key string, v any) {
	if i, ok := o.find(key); ok {
		o.members[i].value = v
		return
	}
	if o.members = append(o.members, entry{key, v}); o.at != nil {
		o.at[key] = len(o.members) - 1
	} else if len(o.members) > fewMembers {
		o.index()
	}
}

// index begins to find members by a map.
func (o *object) index() {
	o.at = make(map[string]int, 2*len(o.members))
	for i, e := range o.members {
		if e.value != nil {
			o.at[e.key] = i
		}
	}
}

// remove deletes a member. The room of those deleted is given back once they are many, so
// that each costs the same.
func (o *object) remove(key string) {
	i, ok := o.find(key)
	if !ok {
		return
	}
	delete(o.at, key)
	o.members[i].value = nil
	if o.deleted++; o.deleted > fewMembers && o.deleted > len(o.members)/2 {
		o.members = slices.DeleteFunc(o.members, func(e entry) bool { return e.value == nil })
		o.deleted = 0
		o.index()
	}
}

// appendValue appends the compact text of a value.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case *object:
		b = append(b, '{')
		for _, e := range v.members {
			if e.value == nil {
				continue
			}
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(appendKey(b, e.key), ':')
			b = appendValue(b, e.value)
		}
		return append(b, '}')
	case *array:
		b = append(b, '[')
		for i, item := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, item)
		}
		return append(b, ']')
	}
	return append(b, v.(json.RawMessage)...)
}

// appendKey writes a key as JavaScript would: no more is escaped than must be.
func appendKey(b []byte, key string) []byte {
	if !strings.ContainsFunc(key, special) {
		b = append(b, '"')
		b = append(b, key...)
		return append(b, '"')
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(key) // a string always encodes
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

// special reports whether a character may have to be escaped.
func special(r rune) bool {
	return r < ' ' || r == '"' || r == '\\' || r > unicode.MaxASCII
}

// sizeOf is the length of what appendValue appends, and how many values it is made of.
func sizeOf(v any) (size, values int) {
	var scratch [64]byte
	switch v := v.(type) {
	case *object:
		size = len("{}")
		for _, e := range v.members {
			if e.value != nil {
				s, n := sizeOf(e.value)
				size, values = size+len(appendKey(scratch[:0], e.key))+len(":,")+s, values+n
			}
		}
		return size, values + 1 + len(v.members)
	case *array:
		size = len("[]")
		for _, item := range v.items {
			s, n := sizeOf(item)
			size, values = size+len(",")+s, values+n
		}
		return size, values + 1
	}
	return len(v.(json.RawMessage)), 1
}

// decode is a value in Go's terms, nil for null. Numbers are float64, as they are for
// JavaScript; one beyond its range stays the text it is.
func decode(text json.RawMessage) any {
	var out any
	if json.Unmarshal(text, &out) != nil {
		return text
	}
	return out
}

// number is the number that a text is, if it is one that JavaScript can express.
func number(text json.RawMessage) (n float64, ok bool) {
	if kindOf(text) != '0' {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(text), 64)
	return n, err == nil
}

// kindOf tells the kinds of JSON values apart: {, [, ", 0 for numbers, and the first
// letter of what is left.
func kindOf(v any) byte {
	switch v := v.(type) {
	case *object:
		return '{'
	case *array:
		return '['
	case json.RawMessage:
		if c := v[0]; c != '-' && (c < '0' || c > '9') {
			return c
		}
	}
	return '0'
}
