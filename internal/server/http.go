package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/doctor"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/metrics"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/web"
	"sear/internal/workerapi"
)

// Limits of a request. Handlers that wait or stream move the deadlines themselves.
const (
	//limit:requests Time for the headers of a request to arrive |  | the connection is closed
	headerTimeout = 10 * time.Second
	//limit:requests Time for a request to arrive |  | the connection is closed
	readTimeout = 5 * time.Minute // a large upload over a slow line
	//limit:requests Time for a request to be answered, from the end of its headers on, unless it waits or streams |  | the connection is closed
	writeTimeout = 6 * time.Minute // counts from the end of the header, so it includes the upload
	//limit:requests Time that a connection may be idle between two requests |  | the connection is closed
	idleTimeout = 2 * time.Minute
	//limit:requests The headers of a request, with its path and query | bytes | 431
	maxHeaderBytes = 64 << 10
)

// drainTime is how long requests under way may take once the server is stopping.
//
//limit:server Time for requests to end once the server is stopping |  | they are broken off
const drainTime = 7 * time.Second

// handler is all that is served, and what must be told when serving ends.
type handler struct {
	http.Handler
	store   *store.Store
	engine  *engine.Engine
	auth    *auth.Auth
	workers *workerapi.API
	log     *slog.Logger
	serving atomic.Bool
}

// parts are what a handler is put together from.
type parts struct {
	store        *store.Store
	engine       *engine.Engine
	auth         *auth.Auth
	blobs        *blob.Store
	public       string // URL; "": as each client has found it
	limits       api.Limits
	metrics      *metrics.Metrics
	metricsToken string
	proxies      rest.Proxies
	loopback     bool // only this machine can connect
	log          *slog.Logger
}

func newHandler(p parts) (*handler, error) {
	origin, log := originOf(p.public), p.log
	h := &handler{
		store:   p.store,
		engine:  p.engine,
		auth:    p.auth,
		workers: workerapi.New(p.store, p.engine, p.auth, p.blobs, origin, log),
		log:     log,
	}
	pages, err := web.New(p.auth, origin, log)
	if err != nil {
		return nil, err
	}

	r := chi.NewRouter()
	r.Use(p.proxies.Handler, p.metrics.Requests)
	r.NotFound(rest.NotFound(log))
	r.MethodNotAllowed(rest.MethodNotAllowed(log, allowed(r)))
	pages.Routes(r) // whose forms know their origin by themselves
	r.Group(func(r chi.Router) {
		if p.loopback {
			r.Use(h.knownHost(p.public))
		}
		r.Get("/healthcheck", rest.Wrap(log, h.healthcheck))
		r.Get("/readyz", rest.Wrap(log, h.readyz))
		r.Get("/metrics", rest.Wrap(log, metricsOf(p.metrics.Handler(), p.metricsToken, p.public != "")))
		h.workers.Routes(r)
		api.New(p.store, p.engine, p.auth, p.blobs, origin, p.limits, log).Routes(r)
	})
	h.Handler = r
	return h, nil
}

// allowed lists the methods that a router has for the path of a request.
func allowed(routes chi.Routes) func(*http.Request) string {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	return func(r *http.Request) string {
		var has []string
		for _, m := range methods {
			if routes.Match(chi.NewRouteContext(), m, r.URL.Path) {
				has = append(has, m)
			}
		}
		return strings.Join(has, ", ")
	}
}

// pingTimeout is how long the database may take to show that it is there.
const pingTimeout = 2 * time.Second

// healthcheck answers 200 while the server takes requests and its database answers, and says
// which store that is.
func (h *handler) healthcheck(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
	defer cancel()
	if !h.serving.Load() {
		return fault.New(fault.Unavailable, "The server is stopping")
	}
	var identity string
	err := h.store.View(ctx, func(tx *store.Tx) (err error) {
		identity, err = tx.Setting(store.SettingIdentity)
		return err
	})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The database does not answer")
	}
	w.Header().Set(doctor.StoreHeader, identity)
	w.Header().Set("Content-Type", "text/plain")
	_, err = w.Write([]byte("OK"))
	return err
}

// serve answers requests until ctx ends, and then until those under way are done.
func (h *handler) serve(ctx context.Context, l net.Listener, ready func()) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	h.serving.Store(true)
	ready()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		h.log.Info("stopping")
		return h.drain(s)
	}
}

// drain fails the health check, so that no more is sent here, ends what waits, tells
// workers to connect elsewhere, and lets the other requests finish.
func (h *handler) drain(s *http.Server) error {
	h.serving.Store(false)
	h.workers.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		h.log.Warn("requests were cut off")
		return s.Close()
	}
	return err
}
