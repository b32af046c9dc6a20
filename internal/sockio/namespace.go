package sockio

import (
	"encoding/json"
	"sync"

	"sear/internal/fault"
)

// Handlers is what a namespace does. The handlers of one client run one at a time,
// in the order of its frames, and delay nobody else; but its heartbeat waits for
// them, so each must return well within [Options].PingTimeout.
type Handlers struct {
	// Connect admits a socket. auth is the object that the client sent along, or nil.
	// An error refuses it; the client reads the public message. May be nil.
	Connect func(k *Socket, auth json.RawMessage) error

	// On handles events by name; others are ignored.
	On map[string]EventHandler

	// Disconnect is called once for every socket that Connect has admitted, after it
	// has left its rooms. May be nil.
	Disconnect func(k *Socket)
}

// EventHandler handles one event. What it returns is the acknowledgement, if the
// client asked for one. An error closes the connection: the client comes back and
// starts afresh, which is better than going on without what it asked for.
type EventHandler func(k *Socket, args []json.RawMessage) (ack []any, err error)

// Namespace is a channel of a [Server] with its own sockets and rooms.
type Namespace struct {
	name     string
	handlers Handlers
	maxRooms int

	mu    sync.RWMutex
	rooms map[string]map[*Socket]struct{}
}

// Room is a set of sockets of one namespace, which need not have any members.
type Room struct {
	namespace *Namespace
	name      string
}

// To names a room.
func (n *Namespace) To(room string) Room { return Room{n, room} }

// Emit queues an event for every member of the room and never waits for any. Its
// only error is arguments that have no JSON. Members that fell behind are dropped.
func (r Room) Emit(event string, args ...any) error {
	r.namespace.mu.RLock()
	defer r.namespace.mu.RUnlock()
	members := r.namespace.rooms[r.name]
	if len(members) == 0 {
		return nil
	}
	frame, err := eventFrame(r.namespace.name, event, args)
	if err != nil {
		return err
	}
	for k := range members {
		_ = k.conn.push(frame) // a member that is leaving misses nothing
	}
	return nil
}

func (n *Namespace) join(k *Socket, room string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k.left {
		return ErrClosed
	}
	if _, in := k.rooms[room]; in {
		return nil
	}
	if len(k.rooms) >= n.maxRooms {
		return fault.New(fault.Limit, "Too many rooms")
	}
	if k.rooms == nil {
		k.rooms = make(map[string]struct{})
	}
	k.rooms[room] = struct{}{}
	if n.rooms[room] == nil {
		n.rooms[room] = make(map[*Socket]struct{})
	}
	n.rooms[room][k] = struct{}{}
	return nil
}

func (n *Namespace) leave(k *Socket, room string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(k.rooms, room)
	n.remove(k, room)
}

// leaveAll takes k out of its rooms for good.
func (n *Namespace) leaveAll(k *Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for room := range k.rooms {
		n.remove(k, room)
	}
	k.rooms, k.left = nil, true
}

// remove forgets an empty room.
func (n *Namespace) remove(k *Socket, room string) {
	delete(n.rooms[room], k)
	if len(n.rooms[room]) == 0 {
		delete(n.rooms, room)
	}
}
