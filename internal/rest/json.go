package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// encoder is a JSON encoder with the buffer it writes to.
type encoder struct {
	buf bytes.Buffer
	enc *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.enc = json.NewEncoder(&e.buf)
	e.enc.SetEscapeHTML(false) // opaque JSON passes through as it came
	return e
}}

// keep is the size up to which a buffer is worth keeping for the next request.
const keep = 64 << 10

// JSON writes v as a compact JSON body with its length. When v cannot be encoded it
// writes nothing and returns the error. A client that has gone is not an error:
// there is nobody left to tell.
func JSON(w http.ResponseWriter, status int, v any) error {
	e := encoders.Get().(*encoder)
	defer e.release()
	if err := e.enc.Encode(v); err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	body := bytes.TrimSuffix(e.buf.Bytes(), []byte("\n"))
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

func (e *encoder) release() {
	if e.buf.Cap() <= keep {
		e.buf.Reset()
		encoders.Put(e)
	}
}

// NoContent answers 204.
func NoContent(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }
