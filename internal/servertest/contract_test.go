package servertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestContract: what breaks the document is noticed, what does not is let through.
func TestContract(t *testing.T) {
	t.Parallel()
	const trigger = "/api/v1/tasks/my%2Ftask/trigger"
	for name, tc := range map[string]struct {
		path, sent string
		status     int
		answer     string
		want       string // part of what is wrong; "" for nothing
	}{
		"good":                     {trigger, `{"payload":{}}`, 200, `{"id":"run_1"}`, ""},
		"accepted, though wrong":   {trigger, `{"options":{"queue":7}}`, 200, `{"id":"run_1"}`, "request: $.options.queue"},
		"refused, rightly":         {trigger, `{"options":{"queue":7}}`, 400, `{"error":"no"}`, ""},
		"wrong answer":             {trigger, `{}`, 200, `{"id":1}`, "response: $.id"},
		"error without text":       {trigger, `{}`, 404, `{"error":1}`, "response: $.error"},
		"status of no operation":   {trigger, `{}`, 418, `{}`, "does not have status 418"},
		"excepted status":          {trigger, `{}`, 422, `{"error":"no"}`, ""},
		"not in the document":      {"/engine/v1/dev/dequeue", `7`, 418, `7`, ""},
		"large bodies are skipped": {trigger, `{"x":"` + strings.Repeat("x", maxChecked) + `"}`, 413, `{"error":"no"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.answer)
			}))
			defer web.Close()
			got, err := Client{URL: web.URL}.Send(context.Background(), http.MethodPost, tc.path, tc.sent)
			var broken *ContractError
			switch {
			case got.Status != tc.status:
				t.Errorf("status %d: %v", got.Status, err)
			case tc.want == "" && err != nil, tc.want != "" && (!errors.As(err, &broken) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestExceptionsAreOfTheDocument: an exception for an operation that is not there is a slip.
func TestExceptionsAreOfTheDocument(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"": true}
	for _, p := range theContract().paths {
		for _, op := range p.item.GetOperations().FromOldest() {
			known[op.OperationId] = true
		}
	}
	if len(known) != 45 {
		t.Errorf("the document has %d operations, want 44", len(known)-1)
	}
	for _, e := range exceptions {
		if !known[e.operation] || e.why == "" {
			t.Errorf("%+v", e)
		}
	}
}
