package server

import (
	"context"
	"net"
	"net/http"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/rest"
)

// readyz answers 200 when requests can be served here, and 503 with what is not ready.
func (h *handler) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
	defer cancel()
	failing := []string{}
	switch {
	case !h.serving.Load():
		failing = append(failing, "serving: the server is stopping")
	case h.store.Ping(ctx) != nil:
		failing = append(failing, "database: it does not answer")
	case h.engine.Ping(ctx) != nil:
		failing = append(failing, "engine: it does not commit")
	}
	status := http.StatusOK
	if len(failing) > 0 {
		status = http.StatusServiceUnavailable
	}
	return rest.JSON(w, status, map[string]any{"ready": len(failing) == 0, "failing": failing})
}

// metricsOf serves what Prometheus asks for: to whoever knows the token or, where there is
// none, to this machine alone. A server with a public URL has a proxy before it, which may hide
// whose requests it passes on: without a token nobody is served.
func metricsOf(metrics http.Handler, token string, public bool) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		switch {
		case token != "" && !auth.SameText(auth.Bearer(r), token):
			return fault.New(fault.Unauthorized, "The token of --metrics-token is needed")
		case token == "" && public:
			return fault.New(fault.Forbidden, "Nobody may read metrics of a server with --public-url: set --metrics-token")
		case token == "" && (proxied(r) || !ofThisMachine(r) || !net.ParseIP(host).IsLoopback()):
			return fault.New(fault.Forbidden, "Only this machine may read metrics: set --metrics-token for others")
		}
		metrics.ServeHTTP(w, r)
		return nil
	}
}
