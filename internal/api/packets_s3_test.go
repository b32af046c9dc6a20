package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"sear/internal/api"
	"sear/internal/blob"
	"sear/internal/blob/s3test"
)

// newSiteInS3 is a site that keeps its packets in a bucket.
func newSiteInS3(t testing.TB, bucket blob.S3) *site {
	t.Helper()
	blobs, err := blob.OpenS3(t.Context(), filepath.Join(t.TempDir(), "packets"), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return newSiteWith(t, "sqlite:"+filepath.Join(t.TempDir(), "core.db"), api.Limits{}, blobs)
}

func TestPacketsInS3(t *testing.T) {
	t.Parallel()
	bucket, err := s3test.Server()
	if err != nil {
		t.Fatal(err)
	}
	s := newSiteInS3(t, bucket)
	there := bucket.Endpoint + "/" + bucket.Bucket + "/packets/" + s.env.ID + "/"
	for _, route := range []string{"PUT /api/v2/packets/", "PUT /api/v1/packets/", "GET /api/v1/packets/"} {
		method, path, _ := strings.Cut(route, " ")
		if got := body[address](t, s.Call(t, method, path+"a%2Fb.json", nil)); !strings.HasPrefix(got.PresignedURL, there+"a/b.json?") {
			t.Errorf("%s: %+v", route, got)
		}
	}
	content := strings.Repeat("x", blob.Inline+1)
	d := s.detail(s.env, s.trigger(`{"payload":"`+content+`","options":{"payloadType":"text/plain"}}`))
	from := body[address](t, s.Call(t, "GET", "/api/v1/packets/"+d.Payload.Data, nil))
	answer, err := http.Get(from.PresignedURL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/plain" || string(text) != content {
		t.Errorf("download: %s, %d bytes of %s, %v", answer.Status, len(text), answer.Header.Get("Content-Type"), err)
	}
}

// TestFailingBucket: what cannot be stored now is refused to be sent again, and no run
// of it exists, failed or not.
func TestFailingBucket(t *testing.T) {
	t.Parallel()
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer sick.Close()
	s := newSiteInS3(t, blob.S3{Endpoint: sick.URL, Bucket: "packets", Region: "r", AccessKey: "a", SecretKey: "s"})
	const later = `{"error":"Large payloads cannot be stored or read at the moment"}`
	content := strings.Repeat("x", blob.Inline+1)
	expect(t, "a trigger", s.Call(t, "POST", "/api/v1/tasks/t/trigger", `{"payload":"`+content+`"}`), 503, later)
	batch := s.newBatch(1)
	expect(t, "an item", s.sendItems(s.Client, batch, `{"index":0,"task":"t","payload":"`+content+`"}`), 503, later)
	if n := len(s.batchRuns(batch)); n != 0 {
		t.Errorf("%d runs", n)
	}
}
