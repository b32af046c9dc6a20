package blob_test

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/blob"
	"sear/internal/blob/s3test"
	"sear/internal/fault"
	"sear/internal/run"
)

// openS3 makes a store of the test server's bucket, over an empty directory.
func openS3(t *testing.T) (*blob.Store, string) {
	t.Helper()
	server, err := s3test.Server()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "packets")
	s, err := blob.OpenS3(t.Context(), dir, server)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// send uses an address as the SDK does: without a credential, with headers of its own.
func send(t *testing.T, method, target, mediaType, content string) (int, string, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
		r.Header.Set("X-Trigger-Request-Idempotency-Key", rand.Text())
	}
	r.Close = true // the gateway does not read what it refuses
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Content-Type"), string(text)
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	s, _ := openS3(t)
	env := strings.ToLower(rand.Text())
	for _, path := range []string{"run_x-1/output.json", "ü/%41/a b:c+&#.txt"} {
		addresses := map[string]string{}
		for _, method := range []string{"PUT", "GET"} {
			to, err := s.URL(method, env, path, 5*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(to)
			if err != nil || u.Query().Get("X-Amz-Expires") != "300" || u.Query().Get("X-Amz-SignedHeaders") != "host" {
				t.Errorf("%s, %v", to, err)
			}
			addresses[method] = to
		}
		if status, _, text := send(t, "PUT", addresses["PUT"], "application/super+json", `{"json":1}`); status != 200 {
			t.Fatalf("upload: %d %s", status, text)
		}
		if typ, got := load(t, s, env, path); typ != "application/super+json" || got != `{"json":1}` {
			t.Errorf("uploaded %q of %q", got, typ)
		}
		if status, typ, got := send(t, "GET", addresses["GET"], "", ""); status != 200 || typ != "application/super+json" || got != `{"json":1}` {
			t.Errorf("download: %d, %q of %q", status, got, typ)
		}
		for what, c := range map[string][2]string{
			"a GET for a PUT": {"PUT", addresses["GET"]}, "another path": {"PUT", strings.Replace(addresses["PUT"], "?", "2?", 1)},
			"a longer life": {"PUT", strings.Replace(addresses["PUT"], "Expires=300", "Expires=3000", 1)},
		} {
			if status, _, _ := send(t, c[0], c[1], "text/plain", "forged"); status != 403 {
				t.Errorf("%s: %d", what, status)
			}
		}
	}
	if _, err := s.URL("GET", env, "../x", time.Minute); !fault.Is(err, fault.Malformed) {
		t.Errorf("a path that leads out: %v", err)
	}
	d, _ := open(t)
	if to, err := d.URL("GET", env, "x", time.Minute); to != "" || err != nil {
		t.Errorf("an address on disk: %q, %v", to, err)
	}
}

func TestPublicEndpoint(t *testing.T) {
	t.Parallel()
	server, err := s3test.Server()
	if err != nil {
		t.Fatal(err)
	}
	server.PublicEndpoint = "https://files.example.com"
	s, err := blob.OpenS3(t.Context(), t.TempDir(), server)
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.URL("GET", env, "a/b", time.Minute)
	if want := "https://files.example.com/" + server.Bucket + "/packets/" + env + "/a/b?"; err != nil || !strings.HasPrefix(to, want) {
		t.Errorf("%s, %v, want %s…", to, err, want)
	}
}

// TestWhatWasOnDisk: who moves to a bucket loses nothing.
func TestWhatWasOnDisk(t *testing.T) {
	t.Parallel()
	before, dir := open(t)
	if err := before.Put(t.Context(), env, "old", "text/plain", strings.NewReader("1")); err != nil {
		t.Fatal(err)
	}
	server, err := s3test.Server()
	if err != nil {
		t.Fatal(err)
	}
	s, err := blob.OpenS3(t.Context(), dir, server)
	if err != nil {
		t.Fatal(err)
	}
	if to, err := s.URL("GET", env, "old", time.Minute); to != "" || err != nil {
		t.Errorf("its address: %q, %v", to, err)
	}
	if err := s.Put(t.Context(), env, "old", "text/plain", strings.NewReader("2")); err != nil {
		t.Fatal(err)
	}
	if _, got := load(t, s, env, "old"); got != "2" {
		t.Errorf("replaced by %q", got)
	}
	if err := s.Put(t.Context(), env, "new", "text/plain", strings.NewReader("3")); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files: %v", got)
	}
	for _, path := range []string{"old", "new"} {
		if err := s.Delete(t.Context(), env, path); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), env, path); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s after it was deleted: %v", path, err)
		}
	}
}

func TestUnreachableBuckets(t *testing.T) {
	t.Parallel()
	server, err := s3test.Server()
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	for says, change := range map[string]func(c *blob.S3){
		"there is no such bucket":   func(c *blob.S3) { c.Bucket = "another-bucket" },
		"Access Denied":             func(c *blob.S3) { c.SecretKey = "wrong" },
		"connection refused":        func(c *blob.S3) { c.Endpoint = "http://" + nobody.Addr().String() },
		"not http:// or https://":   func(c *blob.S3) { c.Endpoint = "ftp://x" },
		`host alone: "https://x/y"`: func(c *blob.S3) { c.PublicEndpoint = "https://x/y" },
		"the access key is missing": func(c *blob.S3) { c.AccessKey = "" },
		"the bucket is missing":     func(c *blob.S3) { c.Bucket = "" },
	} {
		c := server
		change(&c)
		_, err := blob.OpenS3(t.Context(), t.TempDir(), c)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), server.SecretKey) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

// TestFailingBucket: a store that fails after the start is one to try again.
func TestFailingBucket(t *testing.T) {
	t.Parallel()
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer sick.Close()
	s, err := blob.OpenS3(t.Context(), t.TempDir(), blob.S3{Endpoint: sick.URL, Bucket: "packets", Region: "r", AccessKey: "a", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	_, open := s.Open(t.Context(), env, "x")
	_, offload := s.Offload(t.Context(), env, run.Packet{Data: strings.Repeat("x", blob.Inline+1), Type: run.TypeText}, expected)
	for what, err := range map[string]error{"open": open, "offload": offload, "delete": s.Delete(t.Context(), env, "x")} {
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
}
