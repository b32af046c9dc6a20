package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
)

// address is where a packet may be sent to or read from.
type address struct{ PresignedURL, StoragePath string }

// send uses an address the way the SDK does: without a credential.
func (s *site) send(method, target, contentType, content string) servertest.Response {
	s.t.Helper()
	path, ok := strings.CutPrefix(target, s.URL)
	if !ok {
		s.t.Fatalf("%s is not an address of %s", target, s.URL)
	}
	c := s.with("")
	if contentType != "" {
		c = headers(c, "Content-Type", contentType)
	}
	return c.Call(s.t, method, path, content)
}

// upload stores a packet the way the SDK does, and returns what to call it.
func (s *site) upload(path string, p run.Packet) string {
	s.t.Helper()
	to := body[address](s.t, s.Call(s.t, "PUT", "/api/v2/packets/"+url.PathEscape(path), nil))
	if got := s.send("PUT", to.PresignedURL, p.Type, p.Data); got.Status != 200 || len(got.Body) > 0 {
		s.t.Fatalf("upload: %d %s", got.Status, got.Body)
	}
	return to.StoragePath
}

// download reads a packet the way the SDK does.
func (s *site) download(c servertest.Client, path string) run.Packet {
	s.t.Helper()
	from := body[address](s.t, c.Call(s.t, "GET", "/api/v1/packets/"+url.PathEscape(path), nil))
	got := s.send("GET", from.PresignedURL, "", "")
	if got.Status != 200 {
		s.t.Fatalf("download: %d %s", got.Status, got.Body)
	}
	return run.Packet{Data: string(got.Body), Type: got.Header.Get("Content-Type")}
}

func TestPackets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	big := strings.Repeat("0123456789", 1<<20)
	for _, path := range []string{"trigger/packet_123456789abcdefghijkm/payload.json", "a", "my task/ü+&?#.txt", "a%20b", "a:b@c;d,e=f"} {
		for _, p := range []run.Packet{{Data: `{"json":1}`, Type: "application/super+json"}, {Data: big, Type: "text/plain; charset=utf-8"}, {Type: "text/plain"}} {
			if got := s.upload(path, p); got != path {
				t.Errorf("%q is to be called %q", path, got)
			}
			if got := s.download(s.Client, path); got != p {
				t.Errorf("%q: got %d bytes of %s, want %d of %s", path, len(got.Data), got.Type, len(p.Data), p.Type)
			}
		}
	}
	slashes := body[address](t, s.Call(t, "PUT", "/api/v1/packets/x/y/z.json", nil))
	if slashes.StoragePath != "" {
		t.Errorf("the first version of the route answers %+v", slashes)
	}
	if got := s.send("PUT", slashes.PresignedURL, "", "typeless"); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := s.download(s.Client, "x/y/z.json"); got != (run.Packet{Data: "typeless", Type: "application/octet-stream"}) {
		t.Errorf("a packet without a type: %+v", got)
	}
	if got := s.download(s.with(s.keys.SecretKeys.Dev), "a"); got.Type != "text/plain" {
		t.Errorf("got %+v", got)
	}
	from := body[address](t, s.with(s.keys.SecretKeys.Prod).Call(t, "GET", "/api/v1/packets/a", nil))
	expect(t, "the packet of another environment", s.send("GET", from.PresignedURL, "", ""), 404, `{"error":"Packet not found"}`)
}

// TestUnnamedPackets: what is stored and then named by no run is known, so that retention can delete it.
func TestUnnamedPackets(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.upload("left/behind", run.Packet{Data: "1"})
		s.trigger(`{"payload":"` + s.upload("named", run.Packet{Data: "1"}) + `","options":{"payloadType":"application/store"}}`)
		large := `"` + strings.Repeat("x", blob.Inline) + `"`
		s.trigger(`{"payload":` + large + `}`)
		s.Call(t, "POST", triggerPath, `{"payload":`+strings.Replace(large, "x", "y", 1)+`,"options":{"lockToVersion":"none"}}`)
		var left []store.Packet
		err := s.store.View(t.Context(), func(tx *store.Tx) (err error) {
			left, err = tx.DeadPackets(time.Now().AddDate(0, 0, 8), store.Packet{}, 10)
			return err
		})
		if err != nil || len(left) != 2 || !strings.HasPrefix(left[0].Path, "content/") || left[1].Path != "left/behind" {
			t.Errorf("%v, %v", left, err)
		}
	})
}

func TestPacketPaths(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"%2e%2e%2fa", "a%2F..%2Fb", "a//b", "a%5Cb", "%252e%252e/a", "a%2F", "a%00", strings.Repeat("a", 1025)} {
		for _, route := range []string{"PUT /api/v2/packets/", "PUT /api/v1/packets/", "GET /api/v1/packets/"} {
			method, prefix, _ := strings.Cut(route, " ")
			if got := s.Call(t, method, prefix+path, nil); got.Status != 400 {
				t.Errorf("%s%s: %d %s", route, path, got.Status, got.Body)
			}
		}
	}
	expect(t, "the message", s.Call(t, "PUT", "/api/v2/packets/a%2F..%2Fb", nil), 400, `{"error":"Invalid packet storage path"}`)
}

func TestPacketSignatures(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.upload("a/b", run.Packet{Data: "x", Type: "text/plain"})
	put := body[address](t, s.Call(t, "PUT", "/api/v2/packets/a%2Fb", nil)).PresignedURL
	get := body[address](t, s.Call(t, "GET", "/api/v1/packets/a%2Fb", nil)).PresignedURL
	expired := s.URL + s.auth.SignPath("GET", "/packets/"+s.env.ID+"/a/b", time.Now().Add(-time.Second))
	const invalid, over = `{"error":"The signature of this URL is not valid","code":"unauthorized","param":"access_token","type":"authorization"}`,
		`{"error":"This URL has expired","code":"unauthorized","param":"access_token","type":"authorization"}`
	for _, c := range []struct{ name, method, target, want string }{
		{"the method of another", "PUT", get, invalid},
		{"the method of another", "GET", put, invalid},
		{"another path", "GET", strings.Replace(get, "/a/b", "/a/c", 1), invalid},
		{"another environment", "GET", strings.Replace(get, s.env.ID, s.prod.ID, 1), invalid},
		{"a longer life", "GET", strings.Replace(get, "expires=", "expires=9", 1), invalid},
		{"no signature", "GET", s.URL + "/packets/" + s.env.ID + "/a/b", invalid},
		{"too late", "GET", expired, over},
	} {
		expect(t, c.name, s.send(c.method, c.target, "text/plain", "y"), 403, c.want)
	}
	if got := s.send("GET", strings.Replace(get, "/a/b", "/a%2Fb", 1), "", ""); got.Status != 200 {
		t.Errorf("the same address in another spelling: %d %s", got.Status, got.Body)
	}
	u, err := url.Parse(get)
	if err != nil {
		t.Fatal(err)
	}
	until, err := strconv.ParseInt(u.Query().Get("expires"), 10, 64)
	if left := time.Until(time.Unix(until, 0)); err != nil || left > 5*time.Minute || left < 4*time.Minute {
		t.Errorf("the address lasts %v, %v", left, err)
	}
}

// TestDownloadIsNoPage: whatever somebody uploads, a browser does not run it as a page
// of this server.
func TestDownloadIsNoPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.upload("page.html", run.Packet{Data: "<script>alert(1)</script>", Type: "text/html"})
	from := body[address](t, s.Call(t, "GET", "/api/v1/packets/page.html", nil))
	got := s.send("GET", from.PresignedURL, "", "")
	for name, want := range map[string]string{
		"Content-Type": "text/html", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Content-Disposition": "attachment",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	to := body[address](t, s.Call(t, "PUT", "/api/v2/packets/big", nil)).PresignedURL
	path := strings.TrimPrefix(to, s.URL)
	tooBig := func() io.Reader {
		return io.LimitReader(strings.NewReader(strings.Repeat("x", blob.MaxSize+1)), blob.MaxSize+1)
	}
	if got := stream(t, s.with(""), "PUT", path, "text/plain", tooBig()); got.Status != 413 {
		t.Errorf("an endless packet: %d %s", got.Status, got.Body)
	}
	r, err := http.NewRequestWithContext(t.Context(), "PUT", to, tooBig())
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = blob.MaxSize + 1
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 413 {
		t.Errorf("a packet announced as too large: %s", answer.Status)
	}
	s.breakOff("PUT", path, "text/plain", strings.NewReader("half"))
	from := body[address](t, s.Call(t, "GET", "/api/v1/packets/big", nil))
	expect(t, "what failed to arrive", s.send("GET", from.PresignedURL, "", ""), 404, `{"error":"Packet not found"}`)
}

// breakOff begins to send a body and then closes the connection.
func (s *site) breakOff(method, path, contentType string, start io.Reader) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	broken := errors.New("the client has gone")
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, io.MultiReader(start, iotest.ErrReader(broken)))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Key)
	r.Header.Set("Content-Type", contentType)
	if answer, err := http.DefaultClient.Do(r); !errors.Is(err, broken) {
		if err == nil {
			answer.Body.Close()
		}
		s.t.Fatalf("the request was not broken off: %v", err)
	}
}

func TestRunPackets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	payload := run.Packet{Data: `{"json":1}`, Type: "application/super+json"}
	friendly := s.trigger(`{"payload":"` + s.upload("trigger/packet_1/payload.json", payload) + `","options":{"payloadType":"application/store"}}`)
	r := s.begin()
	output := run.Packet{Data: `{"json":2}`, Type: "application/super+json"}
	path := s.upload(friendly+"-1/output.json", output)
	s.complete(r, engine.Completion{Output: run.Packet{Data: path, Type: run.TypeStore}})

	reader := s.token("read:runs:" + friendly)
	for kind, want := range map[string]run.Packet{"payload": payload, "output": output} {
		from := body[address](t, reader.Call(t, "GET", "/api/v1/runs/"+friendly+"/packets/"+kind, nil))
		got := s.send("GET", from.PresignedURL, "", "")
		if string(got.Body) != want.Data || got.Header.Get("Content-Type") != want.Type {
			t.Errorf("%s: %s %s", kind, got.Body, got.Header.Get("Content-Type"))
		}
	}
	if got := s.download(reader, path); got != output {
		t.Errorf("output by its path: %+v", got)
	}
	if got := s.download(s.token("read:tasks:my-task"), path); got != output {
		t.Errorf("output with a token for the task: %+v", got)
	}

	other := s.token("read:runs:run_other", "read:tags:x")
	for _, path := range []string{"/api/v1/packets/" + url.PathEscape(path), "/api/v1/runs/" + friendly + "/packets/output"} {
		if got := other.Call(t, "GET", path, nil); got.Status != 403 {
			t.Errorf("%s with a token for another run: %d %s", path, got.Status, got.Body)
		}
	}
	for _, path := range []string{
		"/api/v1/runs/" + friendly + "/packets/metadata",
		"/api/v1/runs/" + s.trigger(`{}`) + "/packets/payload",
		"/api/v1/runs/" + id.Friendly(id.Run, id.New(time.Now())) + "/packets/payload",
	} {
		if got := s.Call(t, "GET", path, nil); got.Status != 404 {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}
