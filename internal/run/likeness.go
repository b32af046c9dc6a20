package run

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// likeness finds the values that JavaScript holds to be deeply equal to one.
type likeness struct {
	text  json.RawMessage // compact
	kind  byte
	value any
}

func newLikeness(text json.RawMessage) likeness { return likeness{text, kindOf(text), decode(text)} }

// decodeSteps are the steps of decoding a container, beside those of its text.
const decodeSteps = 4

// is reports whether a value equals the one. Only what may still be equal when its text
// has been looked at is decoded.
func (l likeness) is(e *Editor, item any) bool {
	e.spend(1)
	if kindOf(item) != l.kind || e.exhausted() {
		return false
	}
	text, raw := item.(json.RawMessage)
	if raw && bytes.Equal(text, l.text) {
		return true
	}
	switch l.kind {
	case '{', '[':
		text = appendValue(nil, item)
		e.spend(decodeSteps)
	case '"':
		if plain(text) && plain(l.text) {
			return false
		}
	case '0':
		n, ok := number(text)
		return ok && any(n) == l.value
	default: // true, false or null: a value is its text
		return false
	}
	e.spend(len(text)) // to decode a byte costs as much as to visit a value
	return reflect.DeepEqual(decode(text), l.value)
}

// plain reports whether a string in JSON has no other spelling for what it says.
func plain(text json.RawMessage) bool { return bytes.IndexByte(text, '\\') < 0 }
