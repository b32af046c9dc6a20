package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"sear/internal/rest"
	"sear/internal/wire"
)

// TestBatchBodyIsBounded: what is beyond the largest batch is counted and not kept.
func TestBatchBodyIsBounded(t *testing.T) {
	t.Parallel()
	var b wire.TaskBatchBody
	if err := json.Unmarshal([]byte(`{"items":[`+strings.Repeat("{},", 5000)+`{}]}`), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Items) != wire.MaxBatch || b.Size != 5001 || b.Items[999].Index != 999 {
		t.Errorf("%d items of %d", len(b.Items), b.Size)
	}
}

// FuzzBatchBody: a body is read, or refused with problems that can be told.
func FuzzBatchBody(f *testing.F) {
	for _, seed := range []string{`{"items":[{"task":"a","payload":1},{"task":"b"}]}`, `{"items":[5,{},null]}`, `{"items":{}}`, `null`,
		`{"items":[],"parentRunId":5}`, `[]`, `{"items":[{"task":"a","index":"x","options":{"ttl":1,"tags":["a"]}}],"dependentAttempt":"attempt_1"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b wire.BatchBody
		if !json.Valid([]byte(text)) {
			return
		}
		err := b.UnmarshalJSON([]byte(strings.TrimSpace(text)))
		var problems rest.Problems
		switch {
		case errors.As(err, &problems) && len(problems) > 0:
		case err != nil:
			t.Errorf("%v is no list of problems", err)
		case b.Size < len(b.Items) || b.Size > wire.MaxBatch && len(b.Items) != wire.MaxBatch:
			t.Errorf("%d of %d items", len(b.Items), b.Size)
		}
	})
}
