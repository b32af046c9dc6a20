package wire

import (
	"bytes"
	"encoding/json"
	"iter"
)

// The functions of this file take JSON apart that is known to be valid. Requests and
// their options are read this way; anything deeper stays text. Through structs of raw
// messages the same item takes more than twice as long: see BenchmarkItem.

// members yields the members of an object in their order: the key, without its
// quotes, and the text of the value. Both are parts of the object's own text.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		i := space(object, 0) + 1 // after the brace
		for {
			i = space(object, i)
			if object[i] == '}' {
				return
			}
			keyEnd := endOf(object, i)
			valueStart := space(object, space(object, keyEnd)+1) // after the colon
			valueEnd := endOf(object, valueStart)
			if !yield(unquoteKey(object[i:keyEnd]), object[valueStart:valueEnd]) {
				return
			}
			if i = space(object, valueEnd); object[i] == ',' {
				i++
			}
		}
	}
}

// elements yields the text of each element of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		i := space(array, 0) + 1 // after the bracket
		for {
			i = space(array, i)
			if array[i] == ']' {
				return
			}
			end := endOf(array, i)
			if !yield(array[i:end]) {
				return
			}
			if i = space(array, end); array[i] == ',' {
				i++
			}
		}
	}
}

// space is the index of the first byte from i on that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// endOf is the index after the value that starts at b[i].
func endOf(b []byte, i int) int {
	switch b[i] {
	case '"':
		return endOfString(b, i)
	case '{', '[':
		return endOfNested(b, i)
	}
	for i < len(b) && bytes.IndexByte([]byte(",}] \n\t\r"), b[i]) < 0 {
		i++
	}
	return i
}

func endOfString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func endOfNested(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = endOfString(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// unquote is the text that a JSON string stands for.
func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // a valid string
	return s
}

// unquoteKey is unquote without a copy for keys without escapes.
func unquoteKey(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	return []byte(unquote(quoted))
}

// kindOf names the JSON type of a value in zod's words.
func kindOf(value []byte) string {
	switch value[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}
