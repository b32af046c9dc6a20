package wire

import (
	"encoding/hex"
	"strings"
)

// traceparentLen is the length of version 00 of the header traceparent.
const traceparentLen = 55

// ParseTraceparent reads a W3C traceparent: the trace, and the span that is the parent
// of whatever the request begins.
func ParseTraceparent(s string) (traceID, spanID string, ok bool) {
	if len(s) < traceparentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return "", "", false
	}
	version, traceID, spanID, flags := s[:2], s[3:35], s[36:52], s[53:55]
	switch {
	case !isHex(version), !isHex(traceID), !isHex(spanID), !isHex(flags),
		version == "ff",
		len(s) > traceparentLen && (version == "00" || s[traceparentLen] != '-'),
		isZero(traceID), isZero(spanID):
		return "", "", false
	}
	return traceID, spanID, true
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func isZero(s string) bool { return strings.Trim(s, "0") == "" }

// Trace is the trace context of a run: its root span, and the span that is its parent.
type Trace struct {
	Context map[string]string // to be handed to the worker
	Parent  string            // span id, "" when the run begins a trace
}

// NewTrace gives a run its root span, of random bytes. It belongs to the trace of the
// traceparent unless that cannot be read; "" begins a trace of its own.
func NewTrace(traceparent string, random [24]byte) Trace {
	traceID, parent, ok := ParseTraceparent(traceparent)
	if !ok {
		traceID, parent = hex.EncodeToString(random[:16]), ""
	}
	return Trace{
		Context: map[string]string{"traceparent": "00-" + traceID + "-" + hex.EncodeToString(random[16:]) + "-01"},
		Parent:  parent,
	}
}
