package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// taskID is the one task there is.
const taskID = "load"

// headers are those of the SDK, so that the server reads as much as in earnest.
func headers(key string) []string {
	return []string{
		"Authorization: Bearer " + key,
		"Accept: */*",
		"User-Agent: node",
		"trigger-version: 4.8.3",
		"x-trigger-api-version: 2025-07-16",
		"x-trigger-source: sdk",
	}
}

// appendPayload appends the payload with number n, which is how a run is recognised
// wherever it turns up, as the JSON string that the SDK sends.
func appendPayload(b []byte, n int) []byte {
	b = append(b, `"{\"json\":{\"n\":`...)
	at := len(b)
	b = strconv.AppendInt(b, int64(n), 10)
	digits := len(b) - at
	b = append(b, `,\"text\":\"`...)
	for range payloadSize - len(`{"json":{"n":,"text":""}}`) - digits {
		b = append(b, 'x')
	}
	return append(b, `\"}}"`...)
}

// triggerBody is the body of a single trigger.
func triggerBody(b []byte, n int) []byte {
	b = append(b, `{"payload":`...)
	b = appendPayload(b, n)
	return append(b, `,"options":{"payloadType":"application/super+json"}}`...)
}

// itemLines are the lines of a batch's items, which are numbered from first on.
func itemLines(b []byte, first, count int, options string) []byte {
	for i := range count {
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"task":"`+taskID+`","payload":`...)
		b = appendPayload(b, first+i)
		b = append(b, `,"options":{"payloadType":"application/super+json"`...)
		b = append(b, options...)
		b = append(b, "}}\n"...)
	}
	return b
}

// What is looked for in answers. They are searched rather than decoded, because
// decoding would cost the client more than the server.
var (
	friendlyField = []byte(`"friendlyId":"`)
	idField       = []byte(`"id":"`)
	payloadField  = []byte(`"payload":"{\"json\":{\"n\":`)
	finished      = []byte(`"attemptStatus":"RUN_FINISHED"`)
)

var errAnswer = errors.New("answer without what was asked for")

// numberOf finds the number in the payload of a started attempt.
func numberOf(body []byte) (int, error) {
	at := bytes.Index(body, payloadField)
	if at < 0 {
		return 0, fmt.Errorf("%w: payload: %.300s", errAnswer, body)
	}
	digits := body[at+len(payloadField):]
	end := bytes.IndexByte(digits, ',')
	if end < 0 {
		return 0, fmt.Errorf("%w: number: %.300s", errAnswer, body)
	}
	return strconv.Atoi(string(digits[:end]))
}

// idsAfter finds the ids with a prefix that follow a field's name.
func idsAfter(body, field []byte, prefix string) []string {
	var ids []string
	for {
		at := bytes.Index(body, field)
		if at < 0 {
			return ids
		}
		body = body[at+len(field):]
		end := bytes.IndexByte(body, '"')
		if end > 0 && bytes.HasPrefix(body, []byte(prefix)) {
			ids = append(ids, string(body[:end]))
		}
	}
}

// idAfter finds the first of them.
func idAfter(body, field []byte, prefix string) (string, error) {
	for rest := body; ; {
		at := bytes.Index(rest, field)
		if at < 0 {
			return "", fmt.Errorf("%w: %s…: %.300s", errAnswer, prefix, body)
		}
		rest = rest[at+len(field):]
		if end := bytes.IndexByte(rest, '"'); end > 0 && bytes.HasPrefix(rest, []byte(prefix)) {
			return string(rest[:end]), nil
		}
	}
}
