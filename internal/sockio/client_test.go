package sockio_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"sear/internal/sockio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server and its clients inside a synctest bubble: the connections are
// in memory, and time passes only when everybody waits.
type world struct {
	t      *testing.T
	server *sockio.Server
	client *http.Client
	stop   context.CancelFunc // cancels the context of every request
}

// bubble runs test in a world of its own. At its end no goroutine may be left.
func bubble(t *testing.T, o sockio.Options, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		transport := &http.Transport{DialContext: l.dial}
		ctx, stop := context.WithCancel(t.Context())
		w := &world{t: t, server: sockio.New(o), client: &http.Client{Transport: transport}, stop: stop}
		srv := &http.Server{
			Handler:     w.server,
			BaseContext: func(net.Listener) context.Context { return ctx },
			ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		}
		go func() { _ = srv.Serve(l) }()
		defer func() {
			stop()
			w.server.Close()
			transport.CloseIdleConnections()
			_ = srv.Close()
		}()
		test(w)
	})
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

const endpoint = "http://sear.test/socket.io/?EIO=4&transport=websocket"

// peer is a client that speaks frames.
type peer struct {
	w  *world
	ws *websocket.Conn
}

// dial opens a connection and takes the server's greeting.
func (w *world) dial() *peer {
	w.t.Helper()
	ws, _, err := websocket.Dial(w.t.Context(), endpoint, &websocket.DialOptions{
		HTTPClient: w.client, HTTPHeader: http.Header{"Authorization": {"Bearer tr_dev_1"}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	p := &peer{w, ws}
	if hello := p.read(); !strings.HasPrefix(hello, `0{`) {
		w.t.Fatalf("greeted with %s", hello)
	}
	return p
}

// join opens a connection and joins a namespace.
func (w *world) join(namespace string) *peer {
	w.t.Helper()
	p := w.dial()
	p.send("40" + namespace + ",")
	if got := p.read(); !strings.HasPrefix(got, `40`+namespace+`,{"sid":"`) {
		w.t.Fatalf("joining %s: %s", namespace, got)
	}
	return p
}

func (p *peer) send(frame string) {
	p.w.t.Helper()
	p.sendAs(websocket.MessageText, frame)
}

func (p *peer) sendAs(typ websocket.MessageType, frame string) {
	p.w.t.Helper()
	if err := p.ws.Write(p.w.t.Context(), typ, []byte(frame)); err != nil {
		p.w.t.Fatalf("send %.40s: %v", frame, err)
	}
}

// read returns the next frame. Nobody waits longer than a minute for one.
func (p *peer) read() string {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(p.w.t.Context(), time.Minute)
	defer cancel()
	_, frame, err := p.ws.Read(ctx)
	if err != nil {
		p.w.t.Fatalf("read: %v", err)
	}
	return string(frame)
}

// want reads one frame after the other.
func (p *peer) want(frames ...string) {
	p.w.t.Helper()
	for _, want := range frames {
		if got := p.read(); got != want {
			p.w.t.Errorf("got frame %s, want %s", got, want)
		}
	}
}

// wantClose reads until the connection ends and checks how: -1 is without a word.
func (p *peer) wantClose(code websocket.StatusCode) {
	p.w.t.Helper()
	for {
		if _, _, err := p.ws.Read(p.w.t.Context()); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				p.w.t.Errorf("closed with %v (%v), want %v", got, err, code)
			}
			return
		}
	}
}
