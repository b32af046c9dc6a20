package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
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

// parse fills the T that v points at. What is of a wrong type is named together with
// what T's own rules say of the rest.
func parse(body []byte, v any, opts []Option) error {
	var wrong Problems
	switch {
	case len(body) > 0:
		var err error
		if wrong, err = unmarshal(body, v); err != nil {
			return err
		}
	case !slices.Contains(opts, AllowEmpty):
		return fault.New(fault.Malformed, "Request body is empty")
	}
	checked, ok := v.(interface{ Validate() error }) // a pointer has the methods of both T and *T
	if !ok {
		return wrong.Err()
	}
	err := checked.Validate()
	if len(wrong) == 0 {
		return err
	}
	var broken Problems
	errors.As(err, &broken)
	return wrong.alsoElsewhere(broken).Err()
}

// unmarshal fills what v points at, as far as the types in the body allow, and names those
// that do not.
func unmarshal(body []byte, v any) (Problems, error) {
	if !utf8.Valid(body) || falsy(body) {
		return nil, fault.New(fault.Malformed, "Invalid JSON")
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil, nil
	}
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var own *fault.Error
	var named Problems
	_, whole := v.(json.Unmarshaler)
	switch {
	case errors.As(err, &own) && (whole || !errors.As(err, &named)):
		return nil, err // an UnmarshalJSON of ours said it better
	case errors.As(err, &syntax):
		return nil, fault.Wrap(fault.Malformed, err, "Invalid JSON")
	case errors.As(err, &mismatch), named != nil:
		return mismatches(reflect.TypeOf(v).Elem(), body, err), nil
	default:
		return nil, fault.Wrap(fault.Malformed, err, "Validation error: Invalid input")
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
