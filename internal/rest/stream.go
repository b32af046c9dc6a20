package rest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Event is one server-sent event.
type Event struct {
	ID   string // what a reconnecting client sends as Last-Event-ID; "" to leave it out
	Name string // "" for the default, "message"
	Data string // may have several lines
}

// EventStream writes server-sent events. It belongs to one goroutine.
type EventStream struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	buf bytes.Buffer
}

// streamWrite is how long a client may take to accept what is written to it.
const streamWrite = 30 * time.Second

// Stream starts a response of server-sent events. The server's write timeout no
// longer applies to it: the stream lasts until the handler returns, and only a
// client that stops reading is given up. Further headers must be set before.
func Stream(w http.ResponseWriter) (*EventStream, error) {
	s := &EventStream{w: w, c: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // asks nginx not to buffer either
	w.WriteHeader(http.StatusOK)
	if err := s.flush(); err != nil {
		return nil, err
	}
	return s, nil
}

// Send writes the events and flushes once. An error means that the client has gone.
func (s *EventStream) Send(events ...Event) error {
	for _, e := range events {
		s.field("id", oneLine.Replace(e.ID))
		s.field("event", oneLine.Replace(e.Name))
		s.lines("data: ", e.Data)
		s.buf.WriteByte('\n')
	}
	return s.flush()
}

// Comment writes a comment, which clients ignore: it keeps proxies from closing an
// idle stream, and finds out whether the client is still there.
func (s *EventStream) Comment(text string) error {
	s.lines(": ", text)
	s.buf.WriteByte('\n')
	return s.flush()
}

// lineEnds makes one kind of the three that the format knows.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// oneLine keeps an id or a name from starting a field of its own.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ", "\x00", "")

func (s *EventStream) field(name, value string) {
	if value != "" {
		s.buf.WriteString(name + ": " + value + "\n")
	}
}

func (s *EventStream) lines(prefix, text string) {
	for line := range strings.SplitSeq(lineEnds.Replace(text), "\n") {
		s.buf.WriteString(prefix)
		s.buf.WriteString(line)
		s.buf.WriteByte('\n')
	}
}

func (s *EventStream) flush() error {
	if err := s.deadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	_, err := s.buf.WriteTo(s.w)
	if err == nil {
		err = s.c.Flush()
	}
	if err != nil {
		return fmt.Errorf("event stream: %w", err)
	}
	return s.deadline(time.Time{}) // the stream may be idle for long, and still end cleanly
}

// deadline bounds the next write. A writer without deadlines is fine.
func (s *EventStream) deadline(t time.Time) error {
	err := s.c.SetWriteDeadline(t)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("event stream: %w", err)
	}
	return nil
}
