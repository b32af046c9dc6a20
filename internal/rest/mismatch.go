package rest

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxTried is how many values of one body are decoded alone, to find those of a wrong
// type. What lies beyond is named by the record that it is in.
//
//limit:requests Values of a body that are looked at, when one has the wrong type, to name those that have | values | the record they are in is named
const maxTried = 200

// search looks for the values of a wrong type in a body. It reads each value a few times
// at most, whatever is wrong: members that the Go type does not have are not looked at,
// and only what cannot be decoded is taken apart.
type search struct{ left int } // values that may still be tried

// mismatches names each value of a body that a T does not take, given what the decoder
// said of the whole. The decoder names only the first, and by Go's names of embedded
// structs. What an UnmarshalJSON of ours says of a member is taken as it is.
func mismatches(t reflect.Type, body []byte, whole error) (out Problems) {
	s := search{left: maxTried}
	found := s.among(membersOf(t, body), "")
	if len(found) == 0 {
		found = problemsOf(whole, "")
	}
	for _, p := range found {
		out.Put(p)
	}
	return out
}

// among looks for wrong values among the members of the object at path.
func (s *search) among(members []member, path string) (out Problems) {
	for _, m := range members {
		if out.Full() || s.left <= 0 {
			break
		}
		out = append(out, s.in(m.t, m.raw, strings.TrimPrefix(path+"."+m.name, "."))...)
	}
	return out
}

// in looks for wrong values in the one at path, which a t is read from.
func (s *search) in(t reflect.Type, raw json.RawMessage, path string) Problems {
	if isPlainStruct(t) && raw[0] == '{' {
		return s.among(membersOf(t, raw), path)
	}
	s.left--
	err := json.Unmarshal(raw, reflect.New(t).Interface())
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		if out := s.among(membersOf(t, raw), path); len(out) > 0 {
			return out
		}
	}
	return problemsOf(err, path)
}

// problemsOf is what an error of the decoder says of the value at path: nothing, when it
// is not about a type.
func problemsOf(err error, path string) Problems {
	var named Problems
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &named):
		return named
	case errors.As(err, &mismatch):
		return Problems{{Code: "invalid_type", Message: expectation(mismatch), Path: path}}
	}
	return nil
}

// member is a member of an object: its name, its text, and what is read from it.
type member struct {
	name string
	raw  json.RawMessage
	t    reflect.Type
}

// membersOf are the members of a JSON value that a t takes, by name. What is no object has
// none.
func membersOf(t reflect.Type, raw []byte) (out []member) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		known := shapeOf(t)
		object := reflect.New(known.raw)
		_ = json.Unmarshal(raw, object.Interface())
		for i, m := range known.members {
			if m.raw = object.Elem().Field(i).Bytes(); m.raw != nil {
				out = append(out, m)
			}
		}
	case reflect.Map:
		var object map[string]json.RawMessage
		_ = json.Unmarshal(raw, &object)
		names := slices.Sorted(maps.Keys(object))
		for _, name := range names[:min(len(names), maxTried)] {
			out = append(out, member{name, object[name], t.Elem()})
		}
	}
	return out
}

// shape is the members that a struct is read from.
type shape struct {
	raw     reflect.Type // a struct of the same members as raw messages, in their order
	members []member     // by name
}

var shapes sync.Map // by type

// shapeOf is the shape of a struct. It is made once.
func shapeOf(t reflect.Type) shape {
	if known, ok := shapes.Load(t); ok {
		return known.(shape)
	}
	depths := map[string]int{}
	var s shape
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("json")
		name, _, _ := strings.Cut(tag, ",")
		if tag == "-" || f.Anonymous && name == "" || !f.IsExported() {
			continue // an embedded struct's own fields are visible too
		}
		if !tagged || name == "" {
			name = f.Name
		}
		if depth, twice := depths[name]; twice && depth <= len(f.Index) {
			continue
		}
		depths[name] = len(f.Index)
		s.members = append(slices.DeleteFunc(s.members, func(m member) bool { return m.name == name }), member{name: name, t: f.Type})
	}
	slices.SortFunc(s.members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	fields := make([]reflect.StructField, len(s.members))
	for i, m := range s.members {
		fields[i] = reflect.StructField{Name: "F" + strconv.Itoa(i), Type: reflect.TypeFor[json.RawMessage](),
			Tag: reflect.StructTag("json:" + strconv.Quote(m.name))}
	}
	s.raw = reflect.StructOf(fields)
	shapes.Store(t, s)
	return s
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isPlainStruct reports whether a type is a struct, or points at one, that is read member by
// member.
func isPlainStruct(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := reflect.PointerTo(t)
	return t.Kind() == reflect.Struct && !p.Implements(jsonUnmarshaler) && !p.Implements(textUnmarshaler)
}

// expectation says in zod's words which type was wanted and which one came.
func expectation(e *json.UnmarshalTypeError) string {
	want := jsonType(e.Type)
	got, number, _ := strings.Cut(e.Value, " ")
	if want == "number" && number != "" { // a number, but not one that fits an integer
		if strings.ContainsAny(number, ".eE") {
			return "Expected integer, received float"
		}
		return "Number out of range"
	}
	if got == "bool" {
		got = "boolean"
	}
	return "Expected " + want + ", received " + got
}

// jsonType names the JSON type that a Go type is read from.
func jsonType(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return "string"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	default:
		return "number"
	}
}
