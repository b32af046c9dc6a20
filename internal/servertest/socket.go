package servertest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Socket is a client in one namespace of the server's sockets.
type Socket struct {
	t         testing.TB
	ws        *websocket.Conn
	namespace string
}

// Event is what the server emits.
type Event struct {
	Name string
	Arg  json.RawMessage
}

// Dial connects to a namespace. It returns once the server has admitted the client,
// and ends the test if it does not.
func Dial(t testing.TB, c Client, namespace string) *Socket {
	t.Helper()
	s := DialRaw(t, c)
	s.namespace = namespace
	s.Send("40" + namespace + ",")
	if got, ok := s.frame(); !ok || !strings.HasPrefix(got, "40"+namespace+",") {
		t.Fatalf("the server did not admit the socket: %q", got)
	}
	return s
}

// DialRaw opens a connection without joining a namespace.
func DialRaw(t testing.TB, c Client) *Socket {
	t.Helper()
	h := http.Header{}
	if c.Key != "" {
		h.Set("Authorization", "Bearer "+c.Key)
	}
	address := "ws" + strings.TrimPrefix(c.URL, "http") + "/socket.io/?EIO=4&transport=websocket"
	ws, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	s := &Socket{t: t, ws: ws}
	if hello, ok := s.frame(); !ok || !strings.HasPrefix(hello, "0{") {
		t.Fatalf("the server did not greet the socket: %q", hello)
	}
	return s
}

// Send writes one text frame as it is.
func (s *Socket) Send(frame string) {
	s.t.Helper()
	if err := s.ws.Write(s.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		s.t.Fatal(err)
	}
}

// Emit sends an event with one argument.
func (s *Socket) Emit(event string, arg any) {
	s.t.Helper()
	b, err := json.Marshal([]any{event, arg})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Send("42" + s.namespace + "," + string(b))
}

// socketPatience is how long the server may take to send what is expected of it.
const socketPatience = 10 * time.Second

// Next returns the next event; ok is false when the server closed the connection.
func (s *Socket) Next() (e Event, ok bool) {
	s.t.Helper()
	got, ok := s.frame()
	if !ok {
		return e, false
	}
	list, isEvent := strings.CutPrefix(got, "42"+s.namespace+",")
	var args []json.RawMessage
	if !isEvent || json.Unmarshal([]byte(list), &args) != nil || len(args) != 2 || json.Unmarshal(args[0], &e.Name) != nil {
		s.t.Fatalf("not an event: %s", got)
	}
	e.Arg = args[1]
	return e, true
}

// Frame returns the next frame as it is, "" when the server closed the connection.
func (s *Socket) Frame() string {
	s.t.Helper()
	got, _ := s.frame()
	return got
}

// frame returns the next frame that is not a ping, and answers those.
func (s *Socket) frame() (string, bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), socketPatience)
	defer cancel()
	for {
		_, b, err := s.ws.Read(ctx)
		switch {
		case ctx.Err() != nil:
			s.t.Fatal("the server sent nothing")
		case err != nil:
			return "", false
		case string(b) != "2":
			return string(b), true
		}
		s.Send("3")
	}
}

// Close ends the connection without a farewell.
func (s *Socket) Close() { _ = s.ws.CloseNow() }
