package run

import (
	"bytes"
	"encoding/json"
	"slices"
)

// A value of a metadata document is a json.RawMessage, its compact text, until an
// operation reaches inside: then it is an *object or an *array.

// object is a JSON object whose keys stay in the order in which they came, as
// JavaScript keeps them.
type object struct {
	keys   []string
	values map[string]any
}

// array is a JSON array.
type array struct{ items []any }

func newObject() *object { return &object{values: map[string]any{}} }

// parseObject reads a JSON object; ok is false for anything else.
func parseObject(text json.RawMessage) (*object, bool) {
	text, ok := compact(text)
	if !ok {
		return nil, false
	}
	o, ok := open(text).(*object)
	return o, ok
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

// openObject takes the valid text of an object apart. Of members with the same key
// the last one counts, in the place of the first.
func openObject(text json.RawMessage) *object {
	o := newObject()
	dec := json.NewDecoder(bytes.NewReader(text))
	_, _ = dec.Token() // the opening brace
	for dec.More() {
		key, _ := dec.Token()
		var value json.RawMessage
		_ = dec.Decode(&value)
		o.set(key.(string), value)
	}
	return o
}

// openArray takes the valid text of an array apart.
func openArray(text json.RawMessage) *array {
	var items []json.RawMessage
	_ = json.Unmarshal(text, &items)
	a := &array{make([]any, len(items))}
	for i, item := range items {
		a.items[i] = item
	}
	return a
}

func (o *object) set(key string, v any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *object) remove(key string) {
	if _, ok := o.values[key]; ok {
		delete(o.values, key)
		o.keys = slices.DeleteFunc(o.keys, func(k string) bool { return k == key })
	}
}

// appendValue appends the compact text of a value.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case *object:
		b = append(b, '{')
		for i, key := range v.keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendKey(b, key), ':')
			b = appendValue(b, v.values[key])
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
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(key) // a string always encodes
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

// decode is a value in Go's terms, nil for null and for no value. Numbers are
// float64, as they are for JavaScript; one beyond its range stays the text it is.
func decode(v any) any {
	if v == nil {
		return nil
	}
	text := appendValue(nil, v)
	var out any
	if json.Unmarshal(text, &out) != nil {
		return json.RawMessage(text)
	}
	return out
}
