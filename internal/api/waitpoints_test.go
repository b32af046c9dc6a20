package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
)

const tokensPath = "/api/v1/waitpoints/tokens"

// token is what the tests look at of a waitpoint token.
type waitToken struct {
	ID, URL, Status, CompletedAt, TimeoutAt, IdempotencyKey, Output, OutputType string
	IsCached                                                                    bool
	OutputIsError                                                               *bool
	Tags                                                                        []string
}

func (s *site) newToken(options any) waitToken {
	s.t.Helper()
	return body[waitToken](s.t, s.Call(s.t, "POST", tokensPath, options))
}

func (s *site) readToken(friendly string) waitToken {
	s.t.Helper()
	return body[waitToken](s.t, s.Call(s.t, "GET", tokensPath+"/"+friendly, nil))
}

func TestCreateToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.Call(t, "POST", tokensPath, `{"idempotencyKey":"k","idempotencyKeyTTL":"1h","timeout":"2h","tags":["a"," ","b"]}`)
	expect(t, "create", got, 200, `{"id":"*","isCached":false,"url":"*"}`)
	made := body[waitToken](t, got)
	if !strings.HasPrefix(made.URL, s.URL+tokensPath+"/"+made.ID+"/callback/") || !strings.HasPrefix(made.ID, "waitpoint_") {
		t.Errorf("made %+v", made)
	}
	expect(t, "read", s.Call(t, "GET", tokensPath+"/"+made.ID, nil), 200, `{"id":"`+made.ID+`","url":"`+made.URL+`","status":"WAITING","timeoutAt":"*","completedAfter":"*",
		"idempotencyKey":"k","idempotencyKeyExpiresAt":"*","tags":["a","b"],"createdAt":"*"}`)
	if again := s.newToken(`{"idempotencyKey":"k","timeout":"5s"}`); !again.IsCached || again.ID != made.ID || again.URL != made.URL {
		t.Errorf("the key led to %+v", again)
	}
	for _, options := range []any{`{}`, nil, `{"tags":[],"idempotencyKeyTTL":""}`} {
		plain := s.newToken(options)
		expect(t, fmt.Sprint(options), s.Call(t, "GET", tokensPath+"/"+plain.ID, nil), 200, `{"id":"*","url":"*","status":"WAITING","tags":[],"createdAt":"*"}`)
	}

	// The token that comes along completes this waitpoint and no other.
	holder := s.with(got.Header.Get("X-Trigger-Jwt"))
	if claims := got.Header.Get("X-Trigger-Jwt-Claims"); claims != `{"sub":"`+s.env.ID+`","pub":true,"scopes":["write:waitpoints:`+made.ID+`"]}` {
		t.Errorf("claims %s", claims)
	}
	other := s.newToken("{}")
	if got := holder.Call(t, "POST", tokensPath+"/"+other.ID+"/complete", `{}`); got.Status != 403 {
		t.Errorf("another's waitpoint: %d %s", got.Status, got.Body)
	}
	if got := holder.Call(t, "POST", tokensPath+"/"+made.ID+"/complete", `{}`); got.Status != 200 {
		t.Errorf("its own waitpoint: %d %s", got.Status, got.Body)
	}
	s.guardSecret("POST", tokensPath, `{}`)
	s.guardSecret("GET", tokensPath+"/"+made.ID, nil)
}

func TestCreateTokenRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	eleven := `["1","2","3","4","5","6","7","8","9","10","11"]`
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"tags":` + eleven + `}`, 422, "Waitpoints can only have 10 tags, you're trying to set 11."},
		{`{"timeout":"soon"}`, 422, "Invalid timeout: soon"},
		{`{"tags":["` + strings.Repeat("x", 129) + `"],"idempotencyKey":"` + strings.Repeat("k", 2049) + `"}`, 400,
			`Validation error: idempotencyKey must be 2048 characters or less at \"idempotencyKey\"; Tags must be less than 128 characters at \"tags.0\"`},
		{`{"idempotencyKey":"a\u0000"}`, 400, `Validation error: Null characters are not allowed at \"idempotencyKey\"`},
		{`{"tags":"\u0000"}`, 400, `Validation error: Null characters are not allowed at \"tags.0\"`},
		{`{"timeout":5}`, 400, `Validation error: Expected string, received number at \"timeout\"`},
		{`[]`, 400, "*"}, {`{`, 400, "Invalid JSON"},
		{`{"idempotencyKey":"` + strings.Repeat("k", 10<<10) + `"}`, 413, "Request body too large"},
	} {
		expect(t, tt.body, s.Call(t, "POST", tokensPath, tt.body), tt.status, `{"error":"`+tt.want+`"}`)
	}
	if got := s.newToken(`{"tags":` + strings.Replace(eleven, `"11"`, `" "`, 1) + `,"idempotencyKey":"` + strings.Repeat("k", 2048) + `"}`); got.ID == "" {
		t.Error("ten tags and a blank one were refused")
	}
	expect(t, "empty list", newSite(t).Call(t, "GET", tokensPath, nil), 200, `{"data":[],"pagination":{}}`)
}

// TestTokenIsNotCompletedWithoutItsData: a completion cannot be repeated, so one whose output
// has another name is refused and the token waits on.
func TestTokenIsNotCompletedWithoutItsData(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	made := s.newToken(`{}`)
	complete := tokensPath + "/" + made.ID + "/complete"
	for body, name := range map[string]string{`{"output":{"ok":true}}`: "output", `{"result":1,"payload":2}`: "payload"} {
		expect(t, body, s.Call(t, "POST", complete, body), 400,
			`{"error":"Validation error: The output of a token is its data; there is none beside \"`+name+`\" at \"data\""}`)
	}
	if got := s.readToken(made.ID); got.Status != "WAITING" {
		t.Errorf("it is %s", got.Status)
	}
	expect(t, "beside data", s.Call(t, "POST", complete, `{"data":1,"note":"x"}`), 200, `{"success":true}`)
	if got := s.readToken(made.ID); got.Output != `{"json":1}` {
		t.Errorf("its output is %s", got.Output)
	}
}

func TestCompleteToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct {
		body any
		want run.Packet
	}{
		{`{"data":{"status":"approved","n":1.50}}`, run.Packet{Data: `{"json":{"status":"approved","n":1.50}}`, Type: run.TypeSuper}},
		{`{"data":"say \"hi\""}`, run.Packet{Data: `say "hi"`, Type: run.TypeText}},
		{`{"data":""}`, run.Packet{Type: run.TypeText}},
		{`{"data":null}`, run.Packet{Data: `{"json":null}`, Type: run.TypeSuper}},
		{`{"data":false}`, run.Packet{Data: `{"json":false}`, Type: run.TypeSuper}},
		{`{"data":[1]}`, run.Packet{Data: `{"json":[1]}`, Type: run.TypeSuper}},
		{`{}`, run.Packet{}},
		{nil, run.Packet{}},
	} {
		made := s.newToken(`{}`)
		for range 2 { // the second changes nothing
			expect(t, "complete", s.Call(t, "POST", tokensPath+"/"+made.ID+"/complete", tt.body), 200, `{"success":true}`)
		}
		expect(t, "again with other data", s.Call(t, "POST", tokensPath+"/"+made.ID+"/complete", `{"data":"late"}`), 200, `{"success":true}`)
		got := s.readToken(made.ID)
		if have := (run.Packet{Data: got.Output, Type: got.OutputType}); have != tt.want || got.Status != "COMPLETED" || got.OutputIsError == nil || *got.OutputIsError || got.CompletedAt == "" {
			t.Errorf("%v made %+v", tt.body, got)
		}
	}
	made := s.newToken(`{}`)
	complete := tokensPath + "/" + made.ID + "/complete"
	s.guard("POST", complete, `{}`, 200, []string{"write:waitpoints", "write:waitpoints:" + made.ID}, []string{"read:waitpoints", "write:waitpoints:waitpoint_other", "write:runs"})
	for name, got := range map[string]servertest.Response{
		"of another environment": s.with(s.keys.SecretKeys.Prod).Call(t, "POST", complete, `{}`),
		"unknown":                s.Call(t, "POST", tokensPath+"/waitpoint_unknown/complete", `{}`),
		"a run":                  s.Call(t, "POST", tokensPath+"/run_1/complete", `{}`),
		"read elsewhere":         s.with(s.keys.SecretKeys.Prod).Call(t, "GET", tokensPath+"/"+made.ID, nil),
		"read unknown":           s.Call(t, "GET", tokensPath+"/waitpoint_unknown", nil),
	} {
		expect(t, name, got, 404, `{"error":"Waitpoint not found"}`)
	}
	expect(t, "not JSON", s.Call(t, "POST", complete, `{`), 400, `{"error":"Invalid JSON"}`)
	expect(t, "too large", s.Call(t, "POST", complete, `{"data":"`+strings.Repeat("x", 3<<20)+`"}`), 413, `{"error":"Request body too large"}`)
}

// TestLargeTokenOutput: what is too large for a row, or no text for one, is kept as a packet.
func TestLargeTokenOutput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for data, want := range map[string]run.Packet{
		`"` + strings.Repeat("x", 600_000) + `"`: {Data: strings.Repeat("x", 600_000), Type: run.TypeText},
		`"a\u0000b"`:                             {Data: "a\x00b", Type: run.TypeText},
	} {
		made := s.newToken(`{}`)
		s.Call(t, "POST", tokensPath+"/"+made.ID+"/complete", `{"data":`+data+`}`)
		got := s.readToken(made.ID)
		if got.OutputType != run.TypeStore {
			t.Fatalf("kept as %s", got.OutputType)
		}
		if have := s.download(s.Client, got.Output); have != want {
			t.Errorf("%d bytes of %s came back", len(have.Data), have.Type)
		}
	}
}

// TestTokenLetsARunGo: completing a token resumes the run that waits for it.
func TestTokenLetsARunGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	friendly, made := s.trigger(`{}`), s.newToken(`{}`)
	attempt := s.begin()
	internal, _ := id.Internal(id.Waitpoint, made.ID)
	if err := s.engine.WaitForToken(t.Context(), s.env, attempt.ID, internal); err != nil {
		t.Fatal(err)
	}
	watch := s.store.Watch(engine.TopicRun, attempt.ID)
	defer watch.Close()
	s.Call(t, "POST", tokensPath+"/"+made.ID+"/complete", `{"data":{"ok":true}}`)
	deadline := time.After(20 * time.Second)
	for s.detail(s.env, friendly).Exec != run.Executing {
		select {
		case <-watch.C():
		case <-deadline:
			t.Fatalf("the run is %s", s.detail(s.env, friendly).Exec)
		}
	}
}

func TestTokenTimeout(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	made := s.newToken(`{"timeout":"2001-01-01T00:00:00Z"}`) // over already
	deadline := time.Now().Add(20 * time.Second)
	got := s.readToken(made.ID)
	for got.Status == "WAITING" && time.Now().Before(deadline) {
		got = s.readToken(made.ID)
	}
	var reason struct{ Code, Message string }
	if err := json.Unmarshal([]byte(got.Output), &reason); err != nil || reason.Code != "TRIGGER_WAITPOINT_TIMEOUT" || !strings.HasPrefix(reason.Message, "Waitpoint timed out at ") {
		t.Errorf("output %q: %v", got.Output, err)
	}
	if got.Status != "TIMED_OUT" || got.OutputIsError == nil || !*got.OutputIsError || got.OutputType != run.TypeJSON || got.TimeoutAt != "2001-01-01T00:00:00.000Z" {
		t.Errorf("timed out as %+v", got)
	}
}

// raw sends a request as it is written.
func (s *site) raw(request string) int {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.Write([]byte(request)); err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func TestCallback(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	nobody := s.with("")
	at := func(w waitToken) string { return strings.TrimPrefix(w.URL, s.URL) }
	for _, tt := range []struct {
		body string
		want run.Packet
	}{
		{`{"status":"approved"}`, run.Packet{Data: `{"json":{"status":"approved"}}`, Type: run.TypeSuper}},
		{` {"n":1.50} `, run.Packet{Data: `{"json":{"n":1.50}}`, Type: run.TypeSuper}},
		{` "text"`, run.Packet{Data: "text", Type: run.TypeText}},
		{`null`, run.Packet{Data: `{"json":null}`, Type: run.TypeSuper}},
		{`not json`, run.Packet{Data: `{"json":{}}`, Type: run.TypeSuper}},
		{``, run.Packet{Data: `{"json":{}}`, Type: run.TypeSuper}},
		{"{\"a\":\"\xff\"}", run.Packet{Data: `{"json":{}}`, Type: run.TypeSuper}},
	} {
		made := s.newToken(`{}`)
		for range 2 {
			expect(t, tt.body, nobody.Call(t, "POST", at(made), tt.body), 200, `{"success":true}`)
		}
		if got := s.readToken(made.ID); (run.Packet{Data: got.Output, Type: got.OutputType}) != tt.want || got.Status != "COMPLETED" {
			t.Errorf("%s made %+v", tt.body, got)
		}
	}

	made, other := s.newToken(`{}`), s.newToken(`{}`)
	hash := made.URL[strings.LastIndex(made.URL, "/")+1:]
	for path, want := range map[string]string{
		tokensPath + "/" + other.ID + "/callback/" + hash:                          `{"error":"Invalid URL, hash doesn't match"}`,
		tokensPath + "/" + made.ID + "/callback/" + strings.Repeat("0", len(hash)): `{"error":"Invalid URL, hash doesn't match"}`,
		tokensPath + "/" + made.ID + "/callback/zz":                                `{"error":"Invalid URL, hash doesn't match"}`,
	} {
		expect(t, path, nobody.Call(t, "POST", path, `{}`), 401, want)
	}
	for _, unknown := range []string{"waitpoint_unknown", "run_1"} {
		expect(t, unknown, nobody.Call(t, "POST", tokensPath+"/"+unknown+"/callback/"+hash, `{}`), 404, `{"error":"Waitpoint not found"}`)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		got := nobody.Call(t, method, at(made), nil)
		expect(t, method, got, 405, `{"error":"Method not allowed"}`)
		if got.Header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow is %q", method, got.Header.Get("Allow"))
		}
	}
	large := strings.Repeat("x", 3<<20)
	expect(t, "too large", nobody.Call(t, "POST", at(made), `"`+large+`"`), 413, `{"error":"Request body too large"}`)
	start := "POST " + at(made) + " HTTP/1.1\r\nHost: x\r\n"
	if got := s.raw(start + "\r\n"); got != 411 {
		t.Errorf("no length: %d", got)
	}
	expect(t, "chunked", stream(t, nobody, "POST", at(made), "application/json", strings.NewReader(`{}`)), 411, `{"error":"Content-Length header is required"}`)
	if got := s.readToken(made.ID); got.Status != "WAITING" {
		t.Errorf("refused calls left %+v", got)
	}
	if got := s.raw(start + "Content-Length: 0\r\n\r\n"); got != 200 {
		t.Errorf("an empty body: %d", got)
	}
}

func TestListTokens(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var all, tagged, completed, waiting []string
	for i := range 9 {
		made := s.newToken([]string{`{}`, `{"tags":["a","b"]}`, `{"tags":"b","idempotencyKey":"key-` + fmt.Sprint(i) + `"}`}[i%3])
		all = append(all, made.ID)
		if i%3 == 1 {
			tagged = append(tagged, made.ID)
		}
		if i%2 == 0 {
			s.Call(t, "POST", tokensPath+"/"+made.ID+"/complete", `{"data":1}`)
			completed = append(completed, made.ID)
		} else {
			waiting = append(waiting, made.ID)
		}
	}
	s.with(s.keys.SecretKeys.Prod).Call(t, "POST", tokensPath, `{"tags":["a"]}`)
	if _, err := s.engine.WaitFor(t.Context(), s.env, s.started(), engine.NewWaitpoint{At: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err) // a wait until an instant is no token
	}
	for _, ids := range [][]string{all, tagged, completed, waiting} {
		newestFirst(ids)
	}
	for _, size := range []int{1, 4, 9, 100} {
		forwards, backwards := s.walk(s.Client, tokensPath, size)
		if d := cmp.Diff([][]string{all, all}, [][]string{forwards, backwards}); d != "" {
			t.Errorf("pages of %d\n%s", size, d)
		}
	}
	keyed := slices.DeleteFunc(slices.Clone(all), func(w string) bool { return s.readToken(w).IdempotencyKey != "key-5" })
	for _, tt := range []struct {
		query []string
		want  []string
	}{
		{[]string{"filter[tags]", "a"}, tagged},
		{[]string{"filter[tags]", "none,a"}, tagged},
		{[]string{"filter[status]", "COMPLETED"}, completed},
		{[]string{"filter[status]", "WAITING"}, waiting},
		{[]string{"filter[status]", "WAITING,COMPLETED,TIMED_OUT"}, all},
		{[]string{"filter[status]", "TIMED_OUT"}, []string{}},
		{[]string{"filter[idempotencyKey]", "key-5"}, keyed},
		{[]string{"filter[createdAt][period]", "1h"}, all},
		{[]string{"filter[createdAt][from]", "2100-01-01T00:00:00.000Z"}, []string{}},
		{[]string{"filter[createdAt][to]", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()), "filter[createdAt][period]", "1h"}, all},
	} {
		if got, _ := s.walk(s.Client, tokensPath, 2, tt.query...); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.query, got, tt.want)
		}
	}
	if got := s.Call(t, "GET", tokensPath, nil); strings.Contains(string(got.Body), `"output"`) || len(keyed) != 1 {
		t.Errorf("a list shows outputs: %s", got.Body)
	}
	expect(t, "bad query", s.Call(t, "GET", tokensPath+"?filter[status]=DONE,WAITING,GONE&page[after]=run_1&filter[tags]=%00", nil), 422, `{"error":"Query Error","details":[
		{"code":"custom","message":"Invalid characters","path":["filter[tags]"]},
		{"code":"custom","message":"Invalid status values: DONE, GONE","path":["filter[status]"]},
		{"code":"custom","message":"Invalid cursor","path":["page[after]"]}]}`)
	s.guardSecret("GET", tokensPath, nil)
}

// started is the internal id of a run that executes.
func (s *site) started() string {
	s.t.Helper()
	s.register("my-task")
	s.trigger(`{}`)
	return s.begin().ID
}

// TestWaitIsNoToken: a wait until an instant cannot be read or completed as a token.
func TestWaitIsNoToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var p store.Waitpoint
	p, err := s.engine.WaitFor(t.Context(), s.env, s.started(), engine.NewWaitpoint{At: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	path := tokensPath + "/" + id.Friendly(id.Waitpoint, p.ID)
	expect(t, "read", s.Call(t, "GET", path, nil), 404, `{"error":"Waitpoint not found"}`)
	expect(t, "complete", s.Call(t, "POST", path+"/complete", `{}`), 404, `{"error":"Waitpoint not found"}`)
	hash := s.auth.WaitpointHash(s.env.ID, p.ID)
	expect(t, "callback", s.with("").Call(t, "POST", path+"/callback/"+hash, `{}`), 404, `{"error":"Waitpoint not found"}`)
}
