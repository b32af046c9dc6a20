// Package fault is the error vocabulary of Sear: a kind that decides the HTTP
// status, a message that may leave the process, and a private cause that may not.
// It does not write responses; package rest does.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of thing went wrong, and with that who has to act.
type Kind int

// The kinds. Internal is the zero value on purpose: an error nobody classified is ours.
const (
	Internal     Kind = iota // our mistake or our disk's: 500
	Malformed                // the request cannot be parsed or breaks its schema: 400
	Invalid                  // well-formed but refused by a rule: 422
	Unauthorized             // no credential, or an unknown one: 401
	Forbidden                // a known credential without the right: 403
	NotFound                 // 404
	Method                   // 405
	Conflict                 // the thing moved on; repeating the call will not help: 409
	Stale                    // a worker's call names a snapshot that is no longer the newest
	NoLength                 // a Content-Length header is demanded: 411
	TooLarge                 // 413
	MediaType                // 415
	Limit                    // too many requests: 429
	Unavailable              // shutting down, or the store refuses for now: 503
)

var kindNames = [...]string{
	"internal", "malformed", "invalid", "unauthorized", "forbidden", "not found", "method",
	"conflict", "stale", "no length", "too large", "media type", "limit", "unavailable",
}

// String names the kind for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// Error is an error with a kind and a message for the caller.
type Error struct {
	Kind  Kind
	Msg   string // what the client reads
	Code  string // machine-readable code the client knows, or ""
	cause error  // what the log reads; never sent
}

// New returns an error whose message is safe to show to the client.
func New(k Kind, msg string) *Error { return &Error{Kind: k, Msg: msg} }

// Newf is New with formatting.
func Newf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...)}
}

// Wrap gives a private cause a public face.
func Wrap(k Kind, cause error, msg string) *Error {
	return &Error{Kind: k, Msg: msg, cause: cause}
}

// WithCode returns a copy of e that carries a machine-readable code.
func (e *Error) WithCode(code string) *Error {
	c := *e
	c.Code = code
	return &c
}

// Error joins the public message and the private cause; it is for logs.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Msg
	}
	return e.Msg + ": " + e.cause.Error()
}

// Unwrap exposes the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the outermost fault in err's chain, Internal when
// there is none. It is only meaningful for a non-nil err.
func KindOf(err error) Kind {
	var f *Error
	if errors.As(err, &f) {
		return f.Kind
	}
	return Internal
}

// Is reports whether err is a fault of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
