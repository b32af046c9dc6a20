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

// What Options say by default.
const (
	//limit:inside the server asks, and nobody has to hurry
	pingInterval = 25 * time.Second
	//limit:workers Time for a socket to answer a ping, and to take what is written to it |  | it is closed
	pingTimeout = 20 * time.Second
	//limit:workers Time for a socket to join a namespace |  | it is closed: no namespace joined
	connectTimeout = 10 * time.Second
	//limit:workers Time for a message to arrive on a socket, once it has begun |  | it is closed
	messageTimeout = 10 * time.Second
	//limit:workers A message on a socket that has not joined a namespace | bytes | it is closed, 1009
	maxGreeting = 4 << 10
	//limit:workers A message on a socket | bytes | it is closed, 1009
	maxPayload = 1_000_000
	//limit:workers Sockets of a node; one environment, and one address without a key, may have as many as are free | sockets | 503 Too many connections
	maxConns = 1000
	//limit:workers What waits to be written to one socket | bytes | it is closed
	maxQueue = 1 << 20
	//limit:inside above what one socket may follow
	maxRooms = 10_000
)

func (o Options) withDefaults() Options {
	o.PingInterval = cmp.Or(o.PingInterval, pingInterval)
	o.PingTimeout = cmp.Or(o.PingTimeout, pingTimeout)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, connectTimeout)
	o.MessageTimeout = cmp.Or(o.MessageTimeout, messageTimeout)
	o.MaxPayload = cmp.Or(o.MaxPayload, maxPayload)
	o.MaxGreeting = min(cmp.Or(o.MaxGreeting, maxGreeting), o.MaxPayload)
	o.MaxConns = cmp.Or(o.MaxConns, maxConns)
	o.MaxQueue = cmp.Or(o.MaxQueue, maxQueue)
	o.MaxRooms = cmp.Or(o.MaxRooms, maxRooms)
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
