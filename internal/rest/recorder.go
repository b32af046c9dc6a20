package rest

import (
	"io"
	"net/http"
)

// recorder notes what has been sent.
type recorder struct {
	http.ResponseWriter
	status int // 0 until something has been sent
	bytes  int64
	broken bool // a write failed: the connection is gone
}

// begun reports whether the final status has been sent. Informational responses
// (1xx) are followed by it, except for 101, which hands the connection over.
func (rec *recorder) begun() bool {
	return rec.status >= http.StatusOK || rec.status == http.StatusSwitchingProtocols
}

// WriteHeader notes the status that counts.
func (rec *recorder) WriteHeader(status int) {
	if !rec.begun() {
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

// Write counts, and notes whether the client is still there.
func (rec *recorder) Write(p []byte) (int, error) {
	rec.begin()
	n, err := rec.ResponseWriter.Write(p)
	rec.note(int64(n), err)
	return n, err
}

// ReadFrom keeps the server's zero-copy path for files open.
func (rec *recorder) ReadFrom(src io.Reader) (int64, error) {
	rec.begin()
	n, err := io.Copy(rec.ResponseWriter, src)
	rec.note(n, err)
	return n, err
}

// Unwrap lets [http.ResponseController] and WebSocket upgrades reach the connection.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// begin notes the status that a first write implies.
func (rec *recorder) begin() {
	if !rec.begun() {
		rec.status = http.StatusOK
	}
}

func (rec *recorder) note(n int64, err error) {
	rec.bytes += n
	rec.broken = rec.broken || err != nil
}
