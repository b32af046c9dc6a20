package rest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"sear/internal/fault"
)

// Option changes what [Decode] accepts.
type Option int

// AllowEmpty makes [Decode] return the zero value for an empty body.
const AllowEmpty Option = iota + 1

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// ReadBody reads the whole body. One of more than limit bytes is a
// [fault.TooLarge], whether its length was announced or not.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	err := readBody(&buf, r, limit)
	return buf.Bytes(), err
}

func readBody(buf *bytes.Buffer, r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return tooLarge()
	}
	// One byte more than announced, so that reading to the end grows nothing. A big
	// announcement is not believed until the bytes arrive.
	buf.Grow(int(min(max(r.ContentLength, 0)+bytes.MinRead, keep)))
	n, err := buf.ReadFrom(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return fault.Wrap(fault.Malformed, err, "Request body could not be read")
	}
	if n > limit {
		return tooLarge()
	}
	return nil
}

func tooLarge() error { return fault.New(fault.TooLarge, "Request body too large") }

// Decode reads a JSON body of at most limit bytes into a T, whatever the content
// type says: the official CLI sends JSON as text/plain. Unknown keys are ignored;
// trailing data and invalid UTF-8 are not JSON. Raw messages in T are copies, byte
// for byte. Then, if T or *T has a method `Validate() error`, its error is returned.
// Errors are faults with the messages of upstream's route builder.
func Decode[T any](r *http.Request, limit int64, opts ...Option) (T, error) {
	var v T
	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= keep {
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	if err := readBody(buf, r, limit); err != nil {
		return v, err
	}
	if err := parse(buf.Bytes(), &v, opts); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// parse fills the T that v points at.
func parse(body []byte, v any, opts []Option) error {
	switch {
	case len(body) > 0:
		if err := unmarshal(body, v); err != nil {
			return err
		}
	case !slices.Contains(opts, AllowEmpty):
		return fault.New(fault.Malformed, "Request body is empty")
	}
	if checked, ok := v.(interface{ Validate() error }); ok {
		return checked.Validate() // a pointer has the methods of both T and *T
	}
	return nil
}

func unmarshal(body []byte, v any) error {
	if !utf8.Valid(body) || falsy(body) {
		return fault.New(fault.Malformed, "Invalid JSON")
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var own *fault.Error
	switch {
	case errors.As(err, &own):
		return err // an UnmarshalJSON of ours said it better
	case errors.As(err, &syntax):
		return fault.Wrap(fault.Malformed, err, "Invalid JSON")
	case errors.As(err, &mismatch):
		return Problems{{Code: "invalid_type", Message: expectation(mismatch), Path: mismatch.Field}}.Err()
	default:
		return fault.Wrap(fault.Malformed, err, "Validation error: Invalid input")
	}
}

// falsy reports whether the body is a JSON value that JavaScript takes for false.
// Upstream cannot tell these from a body that failed to parse.
func falsy(body []byte) bool {
	body = bytes.TrimSpace(body)
	if len(body) > 32 { // no reasonable spelling of nothing is that long
		return false
	}
	switch s := string(body); s {
	case "null", "false", `""`:
		return true
	default:
		f, err := strconv.ParseFloat(s, 64)
		return err == nil && f == 0
	}
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

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// jsonType names the JSON type that a Go type is read from.
func jsonType(t reflect.Type) string {
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
