package run

import (
	"encoding/json"
	"math"
	"slices"
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

// Limits of metadata. What exceeds one is refused before anything is applied, but for the
// steps, which show while it is: then nothing of the edit is kept.
const (
	// MaxMetadata is how many bytes a metadata document may have: fault.TooLarge.
	//
	//limit:metadata A metadata document, when it is sent and after each change | bytes | 413 Metadata exceeds maximum size of {} bytes
	MaxMetadata = 262_144
	// MaxMetadataOperations is how many operations one edit may have, those for the parent
	// and the root counted: fault.Malformed. The SDK sends those of one second, of which it
	// folds what it can.
	//
	//limit:metadata Operations of one change | operations | 400 … operations, parentOperations and rootOperations can have {} together
	MaxMetadataOperations = 10_000
	// MaxMetadataSteps is how much work one edit may be: fault.Malformed. A step is a value
	// that an operation visits, or some of the text that has to be read for it.
	//
	//limit:metadata Values that the operations of one change visit | values | 400 … the metadata operations are too much work: they can visit {} values together
	MaxMetadataSteps = 1_000_000
)

// Check refuses an edit that has too many operations or too large a replacement: what can
// be told without the document.
func (m MetadataEdit) Check() error {
	if n := len(m.Own) + len(m.Parent) + len(m.Root); n > MaxMetadataOperations {
		return fault.Newf(fault.Malformed, "%d metadata operations: operations, parentOperations and rootOperations can have %d together", n, MaxMetadataOperations)
	}
	if len(m.Replace) > MaxMetadata {
		if text, ok := compact(m.Replace); ok && len(text) > MaxMetadata {
			return errMetadataSize
		}
	}
	return nil
}

var errMetadataSize = fault.Newf(fault.TooLarge, "Metadata exceeds maximum size of %d bytes", MaxMetadata)

// Editor applies the parts of one edit, each to a document of its own or to the same one
// after another, and sees that they are not more work than MaxMetadataSteps together.
type Editor struct{ steps int }

// What costs about as much as to visit a value, some 100 ns.
const (
	scanned = 4 // bytes of a text that are checked, or taken apart
	changed = 2 // steps: a value that is replaced
)

func (e *Editor) spend(steps int) { e.steps += steps }

func (e *Editor) exhausted() bool { return e.steps > MaxMetadataSteps }

// open takes a value apart, if it is still a text.
func (e *Editor) open(v any) any {
	if text, raw := v.(json.RawMessage); raw {
		e.spend(len(text) / scanned)
	}
	return open(v)
}

// ApplyMetadata is Editor.Apply for operations that are an edit by themselves.
func ApplyMetadata(doc string, replace json.RawMessage, ops []Operation) (string, error) {
	return new(Editor).Apply(doc, replace, "operations", ops)
}

// Apply returns a metadata document after an edit: replaced, if replace is not nil, and
// then changed by the operations in their order. A doc that is no JSON object counts as an
// empty one. Keys keep their order, and whatever no operation touches keeps its text, so
// numbers lose no digits. field is what the caller calls the operations.
//
// The SDK applies the same operations to its own copy, so the rules are its rules:
// an operation that makes no sense (an unsafe key, a path that leads nowhere, a
// removal from something that is no array) is skipped and the others count. Errors
// are fault.Malformed for a replacement that is no object, a document nested too
// deeply to be read again, or too much work, and fault.TooLarge: for a document that is
// too large in the end, or twice as large in between.
func (e *Editor) Apply(doc string, replace json.RawMessage, field string, ops []Operation) (string, error) {
	from := json.RawMessage(doc)
	if replace != nil {
		from = replace
	}
	root, ok := parseObject(from)
	switch {
	case !ok && replace != nil:
		return "", fault.New(fault.Malformed, "Metadata must be a JSON object")
	case !ok:
		root = newObject()
	}
	root, err := e.applyAll(root, len(from), field, ops)
	if err != nil {
		return "", err
	}
	text := appendValue(nil, root)
	switch {
	case len(text) > MaxMetadata:
		return "", errMetadataSize
	case !json.Valid(text):
		return "", fault.New(fault.Malformed, "Metadata is nested too deeply")
	}
	return string(text), nil
}

// applyAll applies operations to a document of at most size bytes, for as long as it does
// not grow to twice what a document may have.
func (e *Editor) applyAll(root *object, size int, field string, ops []Operation) (*object, error) {
	for i, o := range ops {
		e.spend(1 + len(o.Key)/scanned + len(o.Value)/scanned)
		next, growth := o.apply(e, root)
		if size += growth; next != root {
			root, size = next, growth
		}
		if size > 2*MaxMetadata { // at most: what was replaced is still counted
			var values int
			size, values = sizeOf(root)
			e.spend(values)
		}
		switch {
		case size > 2*MaxMetadata:
			return nil, errMetadataSize
		case e.exhausted():
			return nil, fault.Newf(fault.Malformed, "%s.%d: the metadata operations are too much work: they can visit %d values together", field, i, MaxMetadataSteps)
		}
	}
	return root, nil
}

// apply returns the document after the operation, and by how many bytes it has grown at
// most; it is another document, of at most so many bytes, only after an update.
func (o Operation) apply(e *Editor, root *object) (*object, int) {
	switch {
	case e.exhausted():
	case o.Type == "update":
		if next, ok := parseObject(o.Value); ok {
			return next, len(o.Value)
		}
	case !safeKey(o.Key):
	case o.Type == "delete":
		root.remove(o.Key)
	default:
		return root, o.changeAll(e, root)
	}
	return root, 0
}

// keyGrowth is how many bytes a byte of a key can become in a document, and room how many
// there are beside a key and a value, or in a number.
const (
	keyGrowth = 6
	room      = 32
)

// changeAll changes the value of each place that the operation names, and returns by how
// many bytes that lets the document grow at most.
func (o Operation) changeAll(e *Editor, root *object) (growth int) {
	change, ok := o.change(e)
	if !ok {
		return 0
	}
	for _, p := range placesOf(e, root, o.Key) {
		if e.spend(changed); e.exhausted() {
			break
		}
		if v, ok := change(p.get(e)); ok {
			p.set(v)
			growth += len(o.Value) + keyGrowth*len(o.Key) + room
		}
	}
	return growth
}

// placesOf are the places that a key names: one for a literal key, and for a path
// as many as it matches.
func placesOf(e *Editor, root *object, key string) []place {
	if strings.HasPrefix(key, "$.") {
		return parsePath(key).places(e, root)
	}
	return []place{member{root, key}}
}

// change is what the operation makes of a value, which is nil when there is none;
// ok is false when the value is to stay. A second false means that the operation is
// not one that changes a value.
func (o Operation) change(e *Editor) (func(old any) (v any, ok bool), bool) {
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
		unwanted := newLikeness(value)
		return func(old any) (any, bool) { return without(e, old, unwanted) }, true
	case "increment":
		by, ok := number(value)
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
func without(e *Editor, old any, unwanted likeness) (any, bool) {
	list, ok := old.(*array)
	if !ok {
		return nil, false
	}
	list.items = slices.DeleteFunc(list.items, func(item any) bool { return unwanted.is(e, item) })
	return list, true
}

// incremented is the sum; what is no number counts as 0. A sum that no JSON number
// can express is not one.
func incremented(old any, by float64) (any, bool) {
	var n float64
	if text, raw := old.(json.RawMessage); raw {
		n, _ = number(text)
	}
	if n += by; math.IsInf(n, 0) {
		return nil, false
	}
	text, err := json.Marshal(n)
	return json.RawMessage(text), err == nil
}
