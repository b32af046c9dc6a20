package run

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"

	"sear/internal/fault"
)

// Operation changes one key of a run's metadata document. The types are set,
// delete, append, remove, increment and update.
type Operation struct {
	Type  string          `json:"type"`
	Key   string          `json:"key,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// MetadataEdit changes the metadata of a run and of its family.
type MetadataEdit struct {
	Replace json.RawMessage // not nil: the whole document, before any operation
	Own     []Operation
	Parent  []Operation // applied to the run itself when it has no parent
	Root    []Operation // likewise
}

// Empty reports whether the edit changes nothing.
func (m MetadataEdit) Empty() bool {
	return m.Replace == nil && len(m.Own)+len(m.Parent)+len(m.Root) == 0
}

// MaxMetadata is how many bytes a metadata document may have.
const MaxMetadata = 262_144

// ApplyMetadata returns a metadata document after an edit: replaced, if replace is
// not nil, and then changed by the operations in their order. A doc that is no JSON
// object counts as an empty one. Keys keep their order, and whatever no operation
// touches keeps its text, so numbers lose no digits.
//
// The SDK applies the same operations to its own copy, so the rules are its rules:
// an operation that makes no sense (an unsafe key, a path that leads nowhere, a
// removal from something that is no array) is skipped and the others count. Errors
// are fault.Malformed for a replacement that is no object, or a document nested too
// deeply to be read again, and fault.TooLarge.
func ApplyMetadata(doc string, replace json.RawMessage, ops []Operation) (string, error) {
	root, ok := parseObject(json.RawMessage(doc))
	if replace != nil {
		if root, ok = parseObject(replace); !ok {
			return "", fault.New(fault.Malformed, "Metadata must be a JSON object")
		}
	}
	if !ok {
		root = newObject()
	}
	for _, op := range ops {
		root = op.apply(root)
	}
	text := appendValue(nil, root)
	switch {
	case len(text) > MaxMetadata:
		return "", fault.Newf(fault.TooLarge, "Metadata exceeds maximum size of %d bytes", MaxMetadata)
	case !json.Valid(text):
		return "", fault.New(fault.Malformed, "Metadata is nested too deeply")
	}
	return string(text), nil
}

// apply returns the document after the operation; it is another only after an update.
func (o Operation) apply(root *object) *object {
	switch {
	case o.Type == "update":
		if next, ok := parseObject(o.Value); ok {
			return next
		}
	case !safeKey(o.Key):
	case o.Type == "delete":
		root.remove(o.Key)
	default:
		change, ok := o.change()
		if !ok {
			return root
		}
		for _, p := range placesOf(root, o.Key) {
			if v, ok := change(p.get()); ok {
				p.set(v)
			}
		}
	}
	return root
}

// placesOf are the places that a key names: one for a literal key, and for a path
// as many as it matches.
func placesOf(root *object, key string) []place {
	if strings.HasPrefix(key, "$.") {
		return parsePath(key).places(root)
	}
	return []place{member{root, key}}
}

// change is what the operation makes of a value, which is nil when there is none;
// ok is false when the value is to stay. A second false means that the operation is
// not one that changes a value.
func (o Operation) change() (func(old any) (v any, ok bool), bool) {
	value, ok := compact(o.Value)
	if !ok {
		return nil, false
	}
	switch o.Type {
	case "set":
		return func(any) (any, bool) { return value, true }, true
	case "append":
		return func(old any) (any, bool) { return appended(old, value), true }, true
	case "remove":
		unwanted := decode(value)
		return func(old any) (any, bool) { return without(old, unwanted) }, true
	case "increment":
		by, ok := decode(value).(float64)
		return func(old any) (any, bool) { return incremented(old, by) }, ok
	}
	return nil, false
}

// appended is an array with one more value; what is no array becomes its first.
func appended(old any, value json.RawMessage) *array {
	if old == nil {
		return &array{[]any{value}}
	}
	if list, ok := old.(*array); ok {
		list.items = append(list.items, value)
		return list
	}
	return &array{[]any{old, value}}
}

// without is an array without the values that equal unwanted, as far as JavaScript can tell.
func without(old, unwanted any) (any, bool) {
	list, ok := old.(*array)
	if !ok {
		return nil, false
	}
	kept := list.items[:0]
	for _, item := range list.items {
		if !reflect.DeepEqual(decode(item), unwanted) {
			kept = append(kept, item)
		}
	}
	list.items = kept
	return list, true
}

// incremented is the sum; what is no number counts as 0. A sum that no JSON number
// can express is not one.
func incremented(old any, by float64) (any, bool) {
	n, _ := decode(old).(float64)
	if n += by; math.IsInf(n, 0) {
		return nil, false
	}
	text, err := json.Marshal(n)
	return json.RawMessage(text), err == nil
}
