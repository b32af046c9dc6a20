package server

import (
	"log/slog"
	"net/http"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/metrics"
	"sear/internal/store"
)

// Handler is all that a server serves, for tests that measure what is below it.
func Handler(st *store.Store, e *engine.Engine, a *auth.Auth, blobs *blob.Store, log *slog.Logger) (http.Handler, error) {
	h, err := newHandler(parts{store: st, engine: e, auth: a, blobs: blobs, metrics: metrics.New(st), log: log})
	if err != nil {
		return nil, err
	}
	return h.Handler, nil
}
