package sockio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Engine.IO packets: the first byte of a text frame.
const (
	engineOpen    = '0'
	engineClose   = '1'
	enginePing    = '2'
	enginePong    = '3'
	engineMessage = '4' // a Socket.IO packet follows
	engineNoop    = '6'
)

// kind is the type of a Socket.IO packet, as it is on the wire.
type kind byte

const (
	kindConnect      kind = '0'
	kindDisconnect   kind = '1'
	kindEvent        kind = '2'
	kindAck          kind = '3'
	kindConnectError kind = '4'
)

// noID marks an event that wants no acknowledgement.
const noID = -1

// packet is one Socket.IO packet.
type packet struct {
	kind      kind
	namespace string          // "/" unless the packet says otherwise
	id        int64           // pairs an event with its acknowledgement, or noID
	data      json.RawMessage // valid JSON of the type that kind demands, or nil
}

var errMalformed = errors.New("malformed packet")

// reserved are the events that clients raise themselves; none may come off the wire.
var reserved = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}

// decode reads what follows engineMessage: `<kind>[/namespace,][id][JSON]`. The
// packet's data is a part of b.
func decode(b []byte) (packet, error) {
	if len(b) == 0 {
		return packet{}, errMalformed
	}
	p := packet{kind: kind(b[0]), namespace: "/", id: noID}
	b = b[1:]
	if len(b) > 0 && b[0] == '/' {
		name, rest, _ := bytes.Cut(b, []byte(","))
		p.namespace, b = string(name), rest
	}
	b, err := p.takeID(b)
	if err != nil {
		return packet{}, err
	}
	if len(b) > 0 {
		p.data = b
	}
	if !p.shapely() {
		return packet{}, fmt.Errorf("%w: wrong data for type %q", errMalformed, p.kind)
	}
	return p, nil
}

// takeID reads the digits before the data.
func (p *packet) takeID(b []byte) (rest []byte, err error) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	if n == 0 {
		return b, nil
	}
	if p.kind != kindEvent && p.kind != kindAck {
		return nil, fmt.Errorf("%w: id on type %q", errMalformed, p.kind)
	}
	p.id, err = strconv.ParseInt(string(b[:n]), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return b[n:], nil
}

// shapely reports whether the data is what the kind demands.
func (p *packet) shapely() bool {
	var first byte
	if len(p.data) > 0 {
		first = p.data[0]
	}
	switch p.kind {
	case kindConnect:
		return first == 0 || first == '{' && json.Valid(p.data)
	case kindDisconnect:
		return first == 0
	case kindEvent:
		return first == '[' && json.Valid(p.data)
	case kindAck:
		return first == '[' && json.Valid(p.data) && p.id != noID
	case kindConnectError:
		return (first == '{' || first == '"') && json.Valid(p.data)
	default: // binary packets among them
		return false
	}
}

// event takes an event's data apart: its name and arguments.
func (p *packet) event() (name string, args []json.RawMessage, err error) {
	if err := json.Unmarshal(p.data, &args); err != nil || len(args) == 0 {
		return "", nil, fmt.Errorf("%w: event without a name", errMalformed)
	}
	if err := json.Unmarshal(args[0], &name); err != nil || args[0][0] != '"' || slices.Contains(reserved, name) {
		return "", nil, fmt.Errorf("%w: event name %.32s", errMalformed, args[0])
	}
	return name, args[1:], nil
}

// frame encodes the packet as the text frame that carries it.
func (p *packet) frame() []byte {
	b := make([]byte, 0, len("40,")+len(p.namespace)+len(p.data)+20)
	b = append(b, engineMessage, byte(p.kind))
	if p.namespace != "/" {
		b = append(b, p.namespace...)
		b = append(b, ',')
	}
	if p.id != noID {
		b = strconv.AppendInt(b, p.id, 10)
	}
	return append(b, p.data...)
}

// eventFrame encodes an event that wants no acknowledgement.
func eventFrame(namespace, name string, args []any) ([]byte, error) {
	data, err := json.Marshal(append([]any{name}, args...))
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", name, err)
	}
	p := packet{kind: kindEvent, namespace: namespace, id: noID, data: data}
	return p.frame(), nil
}
