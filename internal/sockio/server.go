package sockio

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"sear/internal/limit"
)

// Options are the limits of a [Server]. Zero values stand for the defaults.
type Options struct {
	PingInterval   time.Duration // from a pong to the next ping; 25 s
	PingTimeout    time.Duration // for a pong to arrive, and for a client to accept what is written; 20 s
	ConnectTimeout time.Duration // for a new client to join a namespace; 10 s
	MessageTimeout time.Duration // for a message that has begun to arrive; 10 s
	MaxGreeting    int64         // bytes of a message received before a namespace is joined; 4,096
	MaxPayload     int64         // bytes of a message received later; 1,000,000
	MaxConns       int           // connections at once, of which each owner has a share; 1,000
	MaxQueue       int           // bytes that wait for a client before it is dropped; 1 MiB
	MaxRooms       int           // rooms a socket can be in; 10,000
	Log            *slog.Logger  // nowhere

	// Owner tells whose connection a request asks for; nil: all are one owner's. See
	// [limit.Shares] for how many an owner may have.
	Owner func(*http.Request) string
	// Watch derives the context with which a connection ends from one that carries the values
	// of its request. stop is called when the connection has ended otherwise. May be nil.
	Watch func(context.Context) (watched context.Context, stop func())
}

func (o Options) withDefaults() Options {
	o.PingInterval = cmp.Or(o.PingInterval, 25*time.Second)
	o.PingTimeout = cmp.Or(o.PingTimeout, 20*time.Second)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 10*time.Second)
	o.MessageTimeout = cmp.Or(o.MessageTimeout, 10*time.Second)
	o.MaxPayload = cmp.Or(o.MaxPayload, 1_000_000)
	o.MaxGreeting = min(cmp.Or(o.MaxGreeting, 4096), o.MaxPayload)
	o.MaxConns = cmp.Or(o.MaxConns, 1000)
	o.MaxQueue = cmp.Or(o.MaxQueue, 1<<20)
	o.MaxRooms = cmp.Or(o.MaxRooms, 10_000)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Owner == nil {
		o.Owner = func(*http.Request) string { return "" }
	}
	if o.Watch == nil {
		o.Watch = func(ctx context.Context) (context.Context, func()) { return ctx, func() {} }
	}
	return o
}

// Server accepts Socket.IO clients. It is an [http.Handler] for the path
// `/socket.io/`.
type Server struct {
	options    Options
	namespaces map[string]*Namespace
	places     *limit.Shares // of the connections

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
	wg     sync.WaitGroup // the connections
}

// New returns a server without namespaces: see [Server.Of].
func New(o Options) *Server {
	o = o.withDefaults()
	return &Server{
		options:    o,
		places:     limit.NewShares(o.MaxConns),
		namespaces: make(map[string]*Namespace),
		conns:      make(map[*conn]struct{}),
	}
}

// Of adds a namespace, such as "/dev-worker". All must be there before the first request.
func (s *Server) Of(name string, h Handlers) *Namespace {
	n := &Namespace{name: name, handlers: h, maxRooms: s.options.MaxRooms, rooms: make(map[string]map[*Socket]struct{})}
	s.namespaces[name] = n
	return n
}

// ServeHTTP upgrades the request and returns when the connection has ended, which
// the cancellation of the request's context does not do: that is for [Server.Close].
// Whoever has as many connections as may be had is answered 503 and not upgraded.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if no := refuse(r); no != nil {
		no.write(w, http.StatusBadRequest)
		return
	}
	release, ok := s.places.Take(s.options.Owner(r))
	if !ok {
		w.Header().Set("Retry-After", "5")
		(&refusal{3, "Too many connections"}).write(w, http.StatusServiceUnavailable)
		return
	}
	defer release()
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		s.options.Log.Debug("socket upgrade failed", "err", err) // Accept has answered
		return
	}
	c := newConn(s, ws, r)
	if !s.admit(c) {
		c.unwatch()
		_ = ws.Close(websocket.StatusTryAgainLater, stopping)
		return
	}
	defer s.forget(c)
	defer c.unwatch() // before Close may return
	c.serve()
}

// stopping tells a client why it is turned away.
const stopping = "server is stopping"

// Close tells every client to reconnect, which a load balancer then leads
// elsewhere, and waits until all connections have ended. A client that does not
// answer is cut off after a second; a handler at work is waited for. New clients
// are turned away.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.end(websocket.StatusServiceRestart, stopping)
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) admit(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

// refusal is Engine.IO's answer to a handshake it does not take.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// refuse says what is wrong with a handshake, or nil.
func refuse(r *http.Request) *refusal {
	q := r.URL.Query()
	switch {
	case q.Get("transport") != "websocket":
		return &refusal{0, "Transport unknown"}
	case q.Has("sid"):
		return &refusal{1, "Session ID unknown"}
	case r.Method != http.MethodGet:
		return &refusal{2, "Bad handshake method"}
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return &refusal{3, "Bad request"}
	case q.Get("EIO") != "4":
		return &refusal{5, "Unsupported protocol version"}
	}
	return nil
}

func (f *refusal) write(w http.ResponseWriter, status int) {
	body, _ := json.Marshal(f) // a number and a string always have JSON
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
