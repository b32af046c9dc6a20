package wire

import (
	"encoding/json"

	"sear/internal/run"
)

// Plain is a packet as the API shows it: the JSON value a caller sent or a task
// returned, SuperJSON without its annotations, any other text as a string. It is nil
// when there is no value, or the value is in the object store.
func Plain(p run.Packet) json.RawMessage {
	switch p.Type {
	case "", run.TypeStore:
		return nil
	case run.TypeJSON, run.TypeSuper:
		if p.Data == "" {
			return nil
		}
		if text := []byte(p.Data); json.Valid(text) {
			return unwrapped(text, p.Type)
		}
	}
	b, _ := json.Marshal(p.Data) // a string
	return b
}

// unwrapped is the member "json" of SuperJSON, and other JSON as it is.
func unwrapped(text []byte, mediaType string) json.RawMessage {
	text = text[space(text, 0):]
	if mediaType != run.TypeSuper || text[0] != '{' {
		return text
	}
	for k, v := range members(text) {
		if string(k) == "json" {
			return v
		}
	}
	return nil
}
