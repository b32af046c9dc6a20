package sockio

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"sear/internal/fault"
)

// closeGrace is how long a client has for its part of the closing handshake.
const closeGrace = time.Second

// conn is one WebSocket connection with its heartbeat and the sockets that share it.
type conn struct {
	server  *Server
	ws      *websocket.Conn
	request *http.Request
	ctx     context.Context // ends with the connection, and ends it
	cancel  context.CancelCauseFunc
	unwatch func()
	out     *queue
	pong    chan struct{}

	sockets map[string]*Socket // by namespace; only the reading goroutine looks

	leaving sync.Once
	bye     chan struct{} // closed when the connection is to end in an orderly way
	code    websocket.StatusCode
	reason  string
}

func newConn(s *Server, ws *websocket.Conn, r *http.Request) *conn {
	watched, stop := s.options.Watch(context.WithoutCancel(r.Context()))
	ctx, cancel := context.WithCancelCause(watched)
	return &conn{
		server: s, ws: ws, request: r, ctx: ctx, cancel: cancel, unwatch: stop,
		out:     newQueue(s.options.MaxQueue),
		pong:    make(chan struct{}, 1),
		sockets: make(map[string]*Socket),
		bye:     make(chan struct{}),
	}
}

// serve runs the connection to its end. The calling goroutine reads.
func (c *conn) serve() {
	o := &c.server.options
	c.ws.SetReadLimit(o.MaxGreeting)
	_ = c.push(c.openFrame())
	joinless := time.AfterFunc(o.ConnectTimeout, func() { c.end(websocket.StatusPolicyViolation, "no namespace joined") })
	var writer sync.WaitGroup
	writer.Go(c.write)
	defer func() {
		joinless.Stop()
		c.cancel(ErrClosed)
		c.out.close()
		for _, k := range c.sockets {
			c.part(k)
		}
		_ = c.ws.CloseNow()
		writer.Wait()
		o.Log.Debug("socket closed", "cause", context.Cause(c.ctx))
	}()
	for c.read() {
		if len(c.sockets) > 0 {
			joinless.Stop()
			c.ws.SetReadLimit(o.MaxPayload)
		}
	}
}

// read takes one frame and acts on it. It reports whether to go on reading, which
// the closing handshake needs as well.
func (c *conn) read() bool {
	typ, frame, err := c.message()
	if err != nil {
		c.cancel(err)
		return false
	}
	select {
	case <-c.bye:
		return true
	default:
	}
	if typ != websocket.MessageText {
		c.end(websocket.StatusUnsupportedData, "binary frames are not supported")
		return true
	}
	switch err := c.receive(frame); {
	case errors.Is(err, errMalformed):
		c.server.options.Log.Debug("socket refused a frame", "err", err)
		c.end(websocket.StatusPolicyViolation, errMalformed.Error())
	case err != nil:
		c.server.options.Log.LogAttrs(c.ctx, severity(err), "socket event failed", slog.Any("err", err))
		c.end(websocket.StatusInternalError, "event failed")
	}
	return true
}

// message reads one message. Once it has begun, which is when it needs memory, the rest
// has to follow in time: what a client holds back also keeps its pongs from arriving.
func (c *conn) message() (websocket.MessageType, []byte, error) {
	typ, r, err := c.ws.Reader(c.ctx)
	if err != nil {
		return 0, nil, err
	}
	late := time.AfterFunc(c.server.options.MessageTimeout, func() { c.cancel(errors.New("a message took too long to arrive")) })
	defer late.Stop()
	frame, err := io.ReadAll(r)
	return typ, frame, err
}

// severity tells our own failures from the client's.
func severity(err error) slog.Level {
	if fault.Is(err, fault.Internal) {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// receive acts on a text frame.
func (c *conn) receive(frame []byte) error {
	if len(frame) == 0 || !utf8.Valid(frame) {
		return fmt.Errorf("%w: not text", errMalformed)
	}
	switch frame[0] {
	case engineMessage:
		p, err := decode(frame[1:])
		if err != nil {
			return err
		}
		return c.dispatch(p)
	case enginePong:
		select {
		case c.pong <- struct{}{}:
		default:
		}
	case engineClose:
		c.end(websocket.StatusNormalClosure, "")
	case engineNoop:
	default:
		return fmt.Errorf("%w: engine type %q", errMalformed, frame[0])
	}
	return nil
}

func (c *conn) dispatch(p packet) error {
	k := c.sockets[p.namespace]
	switch {
	case k == nil && p.kind == kindConnect:
		return c.connect(p)
	case k == nil:
		return fmt.Errorf("%w: not connected to %.64q", errMalformed, p.namespace)
	case p.kind == kindEvent:
		return c.event(k, p)
	case p.kind == kindAck: // nothing emitted here asks for one
		return nil
	case p.kind == kindDisconnect:
		delete(c.sockets, p.namespace)
		c.part(k)
		return nil
	default:
		return fmt.Errorf("%w: type %q on a connected namespace", errMalformed, p.kind)
	}
}

// connect admits the client to a namespace or tells it why not.
func (c *conn) connect(p packet) error {
	n := c.server.namespaces[p.namespace]
	if n == nil {
		return c.reply(kindConnectError, p, map[string]string{"message": "Invalid namespace"})
	}
	k := &Socket{id: rand.Text(), namespace: n, conn: c}
	if n.handlers.Connect != nil {
		if err := n.handlers.Connect(k, p.data); err != nil {
			n.leaveAll(k)
			c.server.options.Log.LogAttrs(c.ctx, severity(err), "socket refused", slog.String("namespace", n.name), slog.Any("err", err))
			return c.reply(kindConnectError, p, map[string]string{"message": publicMessage(err)})
		}
	}
	c.sockets[n.name] = k
	return c.reply(kindConnect, p, map[string]string{"sid": k.id})
}

func publicMessage(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind != fault.Internal {
		return f.Msg
	}
	return "Something went wrong"
}

func (c *conn) event(k *Socket, p packet) error {
	name, args, err := p.event()
	if err != nil {
		return err
	}
	handle := k.namespace.handlers.On[name]
	if handle == nil {
		return nil
	}
	ack, err := handle(k, args)
	if err != nil {
		return fmt.Errorf("%s %s: %w", p.namespace, name, err)
	}
	if p.id == noID {
		return nil
	}
	if ack == nil {
		ack = []any{}
	}
	return c.reply(kindAck, p, ack)
}

// reply answers packet p.
func (c *conn) reply(as kind, p packet, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode reply: %w", err)
	}
	answer := packet{kind: as, namespace: p.namespace, id: p.id, data: data}
	_ = c.push(answer.frame()) // a connection that is closing needs no answer
	return nil
}

// part ends a socket's life in its namespace.
func (c *conn) part(k *Socket) {
	k.namespace.leaveAll(k)
	if k.namespace.handlers.Disconnect != nil {
		k.namespace.handlers.Disconnect(k)
	}
}

// push queues a frame. A client that has too many waiting is dropped at once:
// waiting for it would make it everybody's problem.
func (c *conn) push(frame []byte) error {
	err := c.out.push(frame)
	if errors.Is(err, ErrSlow) {
		c.cancel(err)
	}
	return err
}

// end starts the closing handshake and returns at once. A client that does not play its part is cut off.
func (c *conn) end(code websocket.StatusCode, reason string) {
	c.leaving.Do(func() {
		c.code, c.reason = code, reason
		time.AfterFunc(closeGrace, func() { c.cancel(errors.New(reason)) })
		close(c.bye)
	})
}

func (c *conn) openFrame() []byte {
	o := &c.server.options
	hello, _ := json.Marshal(map[string]any{ // such values always have JSON
		"sid":          rand.Text(),
		"upgrades":     []string{},
		"pingInterval": o.PingInterval.Milliseconds(),
		"pingTimeout":  o.PingTimeout.Milliseconds(),
		"maxPayload":   o.MaxPayload,
	})
	return append([]byte{engineOpen}, hello...)
}

// write sends what is queued, keeps the heartbeat and, in the end, says goodbye.
func (c *conn) write() {
	o := &c.server.options
	beat := time.NewTimer(o.PingInterval)
	defer beat.Stop()
	for waiting := false; ; {
		var err error
		select {
		case <-c.ctx.Done():
			return
		case <-c.out.ready:
			err = c.flush()
		case <-c.pong:
			waiting = false
			beat.Reset(o.PingInterval)
		case <-beat.C:
			if waiting {
				c.cancel(errors.New("ping timeout"))
				return
			}
			waiting = true
			beat.Reset(o.PingTimeout)
			err = c.push([]byte{enginePing})
		case <-c.bye:
			_ = c.flush() // whoever is left reads it; nobody is told
			_ = c.ws.Close(c.code, c.reason)
			c.cancel(errors.New(c.reason))
			return
		}
		if err != nil {
			c.cancel(err)
			return
		}
	}
}

// flush writes the queue. A write that takes too long breaks the connection.
func (c *conn) flush() error {
	ctx, stop := context.WithTimeout(c.ctx, c.server.options.PingTimeout)
	defer stop()
	for _, frame := range c.out.take() {
		if err := c.ws.Write(ctx, websocket.MessageText, frame); err != nil {
			return err
		}
	}
	return nil
}
