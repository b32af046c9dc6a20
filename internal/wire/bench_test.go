package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"sear/internal/wire"
)

// sdkItem is an item as the official SDK sends it.
func sdkItem(index int) string {
	return fmt.Sprintf(`{"index":%d,"task":"send-email","payload":"{\"json\":{\"to\":\"someone@example.com\",\"subject\":\"Hello\",\"n\":%d}}",`+
		`"options":{"queue":{"name":"emails"},"tags":["user_%d","batch"],"payloadType":"application/super+json","payloadSize":68,`+
		`"idempotencyKey":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","idempotencyKeyOptions":{"key":"k-%d","scope":"run"}}}`+"\n",
		index, index, index, index)
}

// BenchmarkItem measures the decoding of one item, and beside it what the same costs
// through reflection.
func BenchmarkItem(b *testing.B) {
	const items = 500
	var stream bytes.Buffer
	for i := range items {
		stream.WriteString(sdkItem(i))
	}
	now := time.Now()
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(stream.Len() / items))
		b.ReportAllocs()
		for n := 0; n < b.N; {
			s := wire.NewItems(bytes.NewReader(stream.Bytes()))
			for ; n < b.N; n++ {
				item, err := s.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				if _, err := item.Trigger(now); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("reflection", func(b *testing.B) {
		lines := bytes.SplitAfter(stream.Bytes(), []byte("\n"))[:items]
		b.SetBytes(int64(stream.Len() / items))
		b.ReportAllocs()
		for n := range b.N {
			if err := reflected(lines[n%items]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// reflected decodes what sdkItem uses of an item, with the checks left out.
func reflected(line []byte) error {
	var item struct {
		Index   json.RawMessage `json:"index"`
		Task    json.RawMessage `json:"task"`
		Payload json.RawMessage `json:"payload"`
		Options json.RawMessage `json:"options"`
	}
	var options struct {
		Queue       json.RawMessage `json:"queue"`
		Tags        json.RawMessage `json:"tags"`
		PayloadType json.RawMessage `json:"payloadType"`
		PayloadSize json.RawMessage `json:"payloadSize"`
		Key         json.RawMessage `json:"idempotencyKey"`
		KeyOptions  json.RawMessage `json:"idempotencyKeyOptions"`
	}
	var payload, task, key, payloadType string
	var index, size int
	var tags []string
	var queue struct{ Name string }
	var keyOptions struct{ Key, Scope string }
	for _, part := range []struct {
		from *json.RawMessage
		to   any
	}{
		{(*json.RawMessage)(&line), &item}, {&item.Options, &options}, {&item.Index, &index}, {&item.Task, &task}, {&item.Payload, &payload},
		{&options.Queue, &queue}, {&options.Tags, &tags}, {&options.PayloadType, &payloadType}, {&options.PayloadSize, &size},
		{&options.Key, &key}, {&options.KeyOptions, &keyOptions},
	} {
		if err := json.Unmarshal(*part.from, part.to); err != nil {
			return err
		}
	}
	return nil
}
