package sockio

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// Socket is one client in one namespace. Its methods may be called from anywhere.
type Socket struct {
	// Data belongs to the namespace's handlers. Connect sets it, before anyone else
	// can see the socket; afterwards it is only read.
	Data any

	id        string
	namespace *Namespace
	conn      *conn

	// Guarded by the namespace's lock.
	rooms map[string]struct{}
	left  bool // the socket has gone and joins no more rooms
}

// ID is the random id of the socket, which the client knows too.
func (k *Socket) ID() string { return k.id }

// Request is the request that opened the connection, for its headers and context values.
func (k *Socket) Request() *http.Request { return k.conn.request }

// Context ends with the connection. It carries the values of the request's context.
func (k *Socket) Context() context.Context { return k.conn.ctx }

// Emit queues an event for this client alone. The error is [ErrClosed], [ErrSlow],
// or says that the arguments have no JSON.
func (k *Socket) Emit(event string, args ...any) error {
	frame, err := eventFrame(k.namespace.name, event, args)
	if err != nil {
		return err
	}
	return k.conn.push(frame)
}

// Join puts the socket into a room; being there already is fine. More rooms than
// [Options].MaxRooms are a [fault.Limit]; a socket that has gone gets [ErrClosed].
func (k *Socket) Join(room string) error { return k.namespace.join(k, room) }

// Leave takes the socket out of a room, if it is there.
func (k *Socket) Leave(room string) { k.namespace.leave(k, room) }

// Close ends the client's connection with all its namespaces, and does not wait for
// it. The official client connects again.
func (k *Socket) Close() { k.conn.end(websocket.StatusNormalClosure, "closed by the server") }
