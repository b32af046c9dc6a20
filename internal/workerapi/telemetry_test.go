package workerapi_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

func TestTelemetryIsAcknowledged(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Key = "" // exporters send none
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{"resourceSpans":[]}`))
	_ = z.Close()
	for name, c := range map[string]struct {
		header map[string]string
		body   any
		status int
		want   string
	}{
		"JSON":             {map[string]string{"Content-Type": "application/json"}, `{"resourceSpans":[]}`, 200, `{}`},
		"JSON, gzip":       {map[string]string{"Content-Type": "application/json; charset=utf-8", "Content-Encoding": "gzip"}, zipped.Bytes(), 200, `{}`},
		"protobuf":         {map[string]string{"Content-Type": "application/x-protobuf"}, "\x0a\x00", 200, ``},
		"no type":          {nil, `{}`, 400, ""},
		"another type":     {map[string]string{"Content-Type": "text/html"}, `{}`, 400, ""},
		"another encoding": {map[string]string{"Content-Type": "application/json", "Content-Encoding": "br"}, `{}`, 415, ""},
		"too large":        {map[string]string{"Content-Type": "application/json"}, strings.Repeat(" ", 16<<20+1), 413, ""},
	} {
		client := r.Client
		client.Header = http.Header{}
		for k, v := range c.header {
			client.Header.Set(k, v)
		}
		for _, signal := range []string{"traces", "logs", "metrics"} {
			got := client.Call(t, http.MethodPost, "/otel/v1/"+signal, c.body)
			if got.Status != c.status || c.status == 200 && string(got.Body) != c.want {
				t.Errorf("%s, %s: %d %s", signal, name, got.Status, got.Body)
			}
		}
	}
}
