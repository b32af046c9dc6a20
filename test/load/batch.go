package main

import (
	"bytes"
	"fmt"

	"sear/test/load/rawhttp"
)

// sealed is in the answer to the last items of a batch.
var sealed = []byte(`"sealed":true`)

// createBatch is the first phase of a batch trigger.
func (s *site) createBatch(c *rawhttp.Conn, body string) (batchID string, err error) {
	answer, err := c.Post("/api/v3/batches", []byte(body), s.requestID())
	if err != nil {
		return "", err
	}
	return idAfter(answer, idField, "batch_")
}

// sendItems is the second, which carries no request id, as the SDK's does not.
func (s *site) sendItems(c *rawhttp.Conn, batchID string, lines []byte, count int) error {
	answer, err := c.Call(rawhttp.Request{
		Path:    "/api/v3/batches/" + batchID + "/items",
		Type:    "application/x-ndjson",
		Body:    lines,
		Chunked: true,
	})
	if err != nil {
		return err
	}
	if want := fmt.Appendf(nil, `"itemsAccepted":%d,`, count); !bytes.Contains(answer, want) || !bytes.Contains(answer, sealed) {
		return fmt.Errorf("%w: all items of a batch: %.300s", errAnswer, answer)
	}
	return nil
}
