package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"sear/internal/fault"
)

// statuses is the status of each kind of fault, unless [WithStatus] says otherwise.
var statuses = [...]int{
	fault.Internal:     http.StatusInternalServerError,
	fault.Malformed:    http.StatusBadRequest,
	fault.Invalid:      http.StatusUnprocessableEntity,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Method:       http.StatusMethodNotAllowed,
	fault.Conflict:     http.StatusConflict,
	fault.Stale:        http.StatusBadRequest,
	fault.NoLength:     http.StatusLengthRequired,
	fault.TooLarge:     http.StatusRequestEntityTooLarge,
	fault.MediaType:    http.StatusUnsupportedMediaType,
	fault.Limit:        http.StatusTooManyRequests,
	fault.Unavailable:  http.StatusServiceUnavailable,
}

// levels is how loudly a kind is logged. The rest are the client's affair: debug.
var levels = map[fault.Kind]slog.Level{
	fault.Internal:    slog.LevelError,
	fault.Unavailable: slog.LevelWarn,
}

// reply is the response to an error while it is put together.
type reply struct {
	status int
	header http.Header
	body   map[string]any
}

// edited is an error that also says how its reply differs from the usual one.
type edited struct {
	error
	edit func(*reply)
}

// Unwrap keeps the kind and the cause visible.
func (e edited) Unwrap() error { return e.error }

// WithStatus gives err's reply another status than its kind has.
func WithStatus(err error, status int) error {
	return edited{err, func(p *reply) { p.status = status }}
}

// WithField adds a key to the JSON body of err's reply, next to "error".
func WithField(err error, key string, value any) error {
	return edited{err, func(p *reply) { p.body[key] = value }}
}

// WithHeader sets a header of err's reply.
func WithHeader(err error, key, value string) error {
	return edited{err, func(p *reply) { p.header.Set(key, value) }}
}

// Headers sets the headers that err was given by [WithHeader], for who answers it in another
// form than [WriteError].
func Headers(h http.Header, err error) { (&reply{header: h, body: map[string]any{}}).apply(err) }

// WriteError answers the request with err: the one place where a fault becomes a
// status, headers and a body {"error": message}. The cause of an internal error is
// logged and never sent. A request canceled by its client, or by a server that is
// stopping, is answered 503, so that whoever still listens tries again; that is no error in the log.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	ensureID(w, r)
	level := slog.LevelDebug
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		err = fault.Wrap(fault.Unavailable, err, "The request was canceled")
	} else if l, loud := levels[fault.KindOf(err)]; loud {
		level = l
	}
	p := newReply(w.Header(), err)
	if log.Enabled(r.Context(), level) {
		log.LogAttrs(r.Context(), level, "request failed",
			requestAttrs(r, slog.Int("status", p.status), slog.Any("err", err))...)
	}
	if err := JSON(w, p.status, p.body); err != nil {
		log.LogAttrs(r.Context(), slog.LevelError, "error reply lost", requestAttrs(r, slog.Any("err", err))...)
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// newReply is the reply to err. header is that of the response: what a handler
// prepared for its success is taken out, the rest (CORS, rate limits) stays.
func newReply(header http.Header, err error) *reply {
	for _, h := range []string{"Content-Type", "Content-Encoding", "Cache-Control", "Etag", "Last-Modified"} {
		header.Del(h)
	}
	p := &reply{status: statuses[fault.Internal], header: header, body: map[string]any{"error": "Something went wrong"}}
	var f *fault.Error
	if errors.As(err, &f) && f.Kind != fault.Internal {
		p.describe(f)
	}
	p.apply(err)
	if permanent := p.status == http.StatusNotFound || p.status == http.StatusConflict; permanent && header.Get(retryHeader) == "" {
		header.Set(retryHeader, "false")
	}
	return p
}

// retryHeader overrules the official clients' retry rule, which repeats 409s.
const retryHeader = "X-Should-Retry"

// maxErrorText bounds the message of an answer, in bytes: it may quote the request. There
// is room for as many problems as are noted.
//
//limit:requests The text of an error in an answer | bytes | it is cut
const maxErrorText = 16 << 10

func (p *reply) describe(f *fault.Error) {
	p.status = statuses[f.Kind]
	p.body["error"] = clip(f.Msg, maxErrorText)
	if f.Kind == fault.Forbidden {
		p.body["code"] = "unauthorized"
		p.body["param"] = "access_token"
		p.body["type"] = "authorization"
	}
	if f.Code != "" {
		p.body["code"] = f.Code
	}
}

// apply makes the edits along err's chain, the innermost first, so that whoever
// wraps has the last word.
func (p *reply) apply(err error) {
	if err == nil {
		return
	}
	p.apply(errors.Unwrap(err))
	if e, ok := err.(edited); ok {
		e.edit(p)
	}
}

// NotFound answers a path that no route matches.
func NotFound(log *slog.Logger) http.HandlerFunc {
	return Wrap(log, func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "Not found")
	})
}

// MethodNotAllowed answers a path that exists for other methods only. allow names
// them, comma-separated, for the Allow header; the router knows.
func MethodNotAllowed(log *slog.Logger, allow func(*http.Request) string) http.HandlerFunc {
	return Wrap(log, func(_ http.ResponseWriter, r *http.Request) error {
		return WithHeader(fault.New(fault.Method, "Method not allowed"), "Allow", allow(r))
	})
}
