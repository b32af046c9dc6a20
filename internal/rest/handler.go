package rest

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"
)

// Handler serves a request or says why it could not. A handler that returns an
// error has either written nothing, and [WriteError] answers for it, or has begun a
// response, and the connection is cut so that the client cannot take the part for the whole.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Wrap makes an [http.HandlerFunc] of h. It gives the request an id, turns a panic
// into an internal error, answers the errors h returns, and writes one debug line
// per request. The response writer h sees supports [http.ResponseController].
func Wrap(log *slog.Logger, h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ensureID(w, r)
		rec := &recorder{ResponseWriter: w}
		if log.Enabled(r.Context(), slog.LevelDebug) {
			// Deferred, because settle may leave by a panic.
			defer logRequest(log, rec, r, time.Now())
		}
		settle(log, rec, r, call(h, rec, r))
	}
}

// call runs h and returns its panic, if any, as an error that is always internal.
// [http.ErrAbortHandler] goes through: it is how a handler cuts its own connection.
func call(h Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h(w, r)
}

// settle deals with what a handler returned.
func settle(log *slog.Logger, rec *recorder, r *http.Request, err error) {
	if err == nil {
		return
	}
	if !rec.begun() {
		WriteError(rec, r, log, err)
		return
	}
	level := slog.LevelError
	if rec.broken || r.Context().Err() != nil {
		level = slog.LevelDebug // the client went away: nobody is waiting for the rest
	}
	log.LogAttrs(r.Context(), level, "response broken off", requestAttrs(r, slog.Any("err", err))...)
	panic(http.ErrAbortHandler)
}

func logRequest(log *slog.Logger, rec *recorder, r *http.Request, start time.Time) {
	log.LogAttrs(r.Context(), slog.LevelDebug, "request", requestAttrs(r,
		slog.Int("status", rec.status),
		slog.Int64("bytes", rec.bytes),
		slog.Duration("took", time.Since(start)))...)
}

// requestAttrs names a request in the log: by its route, and by the run it is about.
func requestAttrs(r *http.Request, more ...slog.Attr) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("request", RequestID(r)),
		slog.String("method", r.Method),
		slog.String("route", Route(r)),
	}
	if run := chi.URLParam(r, "run"); run != "" {
		attrs = append(attrs, slog.String("run", run))
	}
	return append(attrs, more...)
}

// Route is the pattern of the route that serves a request, such as /api/v1/runs/{run}; "none"
// when none does. Logs and metrics name it instead of the path and the query, which may hold
// what is as good as a credential: the code of a login, the hash of a callback, the name of
// a packet.
func Route(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil {
		if pattern := c.RoutePattern(); pattern != "" {
			return pattern
		}
	}
	return "none"
}

// Hold lets the response take until d from now, whatever the server's write
// timeout: a long poll calls it before it waits. The read deadline needs no such
// care, as the server lifts it once the request is read. A writer without
// deadlines, such as a test recorder, is left alone.
func Hold(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}
