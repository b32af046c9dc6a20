package api_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
	"sear/internal/wire"
)

const triggerPath = "/api/v1/tasks/my-task/trigger"

// trigger makes a run and returns its friendly id.
func (s *site) trigger(body string) string {
	s.t.Helper()
	return runOf(s.t, s.Call(s.t, "POST", triggerPath, body))
}

// runOf is the friendly id of the run that an answer names.
func runOf(t testing.TB, got servertest.Response) string {
	t.Helper()
	return body[wire.Triggered](t, got).ID
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.Call(t, "POST", triggerPath, `{"payload":"{\"json\":{\"n\":1}}","context":{"user":1},"options":{"payloadType":"application/super+json","payloadSize":16,
		"queue":{"name":"q 1"},"concurrencyKey":7,"ttl":"1h","tags":["a"," ","b"],"test":true,"machine":"large-1x","maxAttempts":4,"maxDuration":60,
		"priority":2,"metadata":{"m":1},"region":"eu","idempotencyKey":"k","idempotencyKeyOptions":{"key":"mine","scope":"global"},"delay":"1h"}}`)
	expect(t, "trigger", got, 200, `{"id":"*","isCached":false}`)
	friendly := runOf(t, got)
	d := s.detail(s.env, friendly)
	want := run.Definition{
		Payload:  run.Packet{Data: `{"json":{"n":1}}`, Type: run.TypeSuper},
		Metadata: run.Packet{Data: `{"m":1}`, Type: run.TypeJSON}, Seed: run.Packet{Data: `{"m":1}`, Type: run.TypeJSON},
		Tags: []string{"a", "b"}, Test: true, Key: run.IdempotencyKey{Key: "k", ExpiresAt: d.Key.ExpiresAt},
		Extra: run.Extra{Context: json.RawMessage(`{"user":1}`), Trace: d.Extra.Trace, KeyOptions: &run.KeyOptions{Key: "mine", Scope: "global"},
			Source: "api", TTL: "1h", PriorityMS: 2000},
	}
	if diff := cmp.Diff(want, d.Definition); diff != "" {
		t.Error(diff)
	}
	type settings struct {
		Status                   run.Status
		Lane                     run.Lane
		TTL, Delay               time.Duration
		Machine                  string
		MaxAttempts, MaxDuration int
	}
	if diff := cmp.Diff(settings{run.StatusDelayed, run.Lane{Queue: "q1", Key: "7"}, time.Hour, time.Hour, "large-1x", 4, 60},
		settings{d.Status, d.Lane, d.TTL, d.DelayUntil.Sub(d.CreatedAt).Round(time.Minute), d.Machine, d.MaxAttempts, d.MaxDuration}); diff != "" {
		t.Error(diff)
	}
	if left := d.Key.ExpiresAt.Sub(d.CreatedAt); left != 30*24*time.Hour {
		t.Errorf("the key holds for %v", left)
	}
}

// TestTriggerToken: the token that comes back reads the run, and only that.
func TestTriggerToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.Call(t, "POST", triggerPath, `{}`)
	friendly := runOf(t, got)
	var claims auth.Claims
	if err := json.Unmarshal([]byte(got.Header.Get("x-trigger-jwt-claims")), &claims); err != nil {
		t.Fatal(err)
	}
	want := auth.Claims{Sub: s.env.ID, Pub: true, Scopes: []string{"read:runs:" + friendly, "write:inputStreams:" + friendly}}
	if d := cmp.Diff(want, claims); d != "" {
		t.Error(d)
	}
	p, err := s.auth.Environment(t.Context(), got.Header.Get("x-trigger-jwt"), "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Scopes, p.Scopes); d != "" {
		t.Error(d)
	}
	if life := time.Until(p.ExpiresAt).Round(time.Minute); life != time.Hour {
		t.Errorf("the token lasts %v", life)
	}
	columns := []string{"payload"}
	got = s.with(s.sign(auth.Grant{Scopes: []string{"trigger:tasks"}, SkipColumns: columns})).Call(t, "POST", triggerPath, `{}`)
	if p, err = s.auth.Environment(t.Context(), got.Header.Get("x-trigger-jwt"), ""); err != nil || cmp.Diff(columns, p.SkipColumns) != "" {
		t.Errorf("columns left out: %v, %v, want those of the caller's token", p.SkipColumns, err)
	}
}

func TestTaskIDsInPaths(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for path, want := range map[string]string{
		"my%2Ftask%20id": "my/task id", "my%20task": "my task", "100%25": "100%", "%2525": "%25", "a%2Fb%25": "a/b%", "%C3%BC": "ü", "a.b-c_d": "a.b-c_d",
	} {
		friendly := runOf(t, s.Call(t, "POST", "/api/v1/tasks/"+path+"/trigger", `{}`))
		if got := s.detail(s.env, friendly).Task; got != want {
			t.Errorf("%s is task %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"a%00b", "%ff", "a%2F%ff", strings.Repeat("x", 513)} {
		expect(t, path, s.Call(t, "POST", "/api/v1/tasks/"+path+"/trigger", `{}`), 400,
			`{"error":"Params Error","details":[{"code":"custom","message":"*","path":["*"]}]}`)
	}
}

// TestBadInput goes through everything a body and its headers can have wrong.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	problem := func(s string) string { b, _ := json.Marshal(map[string]string{"error": s}); return string(b) }
	header := func(message, path string) string {
		return `{"error":"Headers Error","details":[{"code":"custom","message":"` + message + `","path":["` + path + `"]}]}`
	}
	big := `{"payload":"` + strings.Repeat("x", 3<<20) + `"}`
	for _, c := range []struct {
		name, method, path, body string
		client                   servertest.Client
		status                   int
		want                     string
	}{
		{"wrong method", "PUT", triggerPath, `{}`, s.Client, 405, problem("Method not allowed")},
		{"unknown path", "POST", triggerPath + "/x", `{}`, s.Client, 404, problem("Not found")},
		{"no key", "POST", triggerPath, `{}`, s.with(""), 401, problem("Invalid or Missing API key")},
		{"unknown key", "POST", triggerPath, `{}`, s.with("tr_dev_nobodys"), 401, problem("Invalid API key")},
		{"legacy public key", "POST", triggerPath, `{}`, s.with("pk_dev_x"), 401, problem("Invalid API key")},
		{"forged token", "POST", triggerPath, `{}`, s.with(s.sign(auth.Grant{Scopes: []string{"admin"}}) + "x"), 401, problem("Public Access Token is invalid")},
		{"token on a route without", "PUT", "/api/v2/packets/a", "", s.token("admin"), 401, problem("Invalid API key")},
		{"too large", "POST", triggerPath, big, s.Client, 413, problem("Request body too large")},
		{"empty", "POST", triggerPath, "", s.Client, 400, problem("Request body is empty")},
		{"no JSON", "POST", triggerPath, `{"payload":`, s.Client, 400, problem("Invalid JSON")},
		{"trailing JSON", "POST", triggerPath, `{} {}`, s.Client, 400, problem("Invalid JSON")},
		{"null", "POST", triggerPath, "null", s.Client, 400, problem("Invalid JSON")},
		{"zero", "POST", triggerPath, "0", s.Client, 400, problem("Invalid JSON")},
		{"false", "POST", triggerPath, "false", s.Client, 400, problem("Invalid JSON")},
		{"empty text", "POST", triggerPath, `""`, s.Client, 400, problem("Invalid JSON")},
		{"no object", "POST", triggerPath, "[]", s.Client, 400, problem("Validation error: Expected object, received array")},
		{"two problems", "POST", triggerPath, `{"options":{"queue":{"name":1},"test":"x"}}`, s.Client, 400,
			problem(`Validation error: Expected string, received number at "options.queue.name"; Expected boolean, received string at "options.test"`)},
		{"scope of another task", "POST", triggerPath, `{}`, s.token("trigger:tasks:other", "read:tasks"), 403,
			`{"error":"Unauthorized","code":"unauthorized","param":"access_token","type":"authorization"}`},
		{"long key in a header", "POST", triggerPath, `{}`, headers(s.Client, "Idempotency-Key", strings.Repeat("k", 2049)), 400,
			header("idempotency-key must be 2048 characters or less", "idempotency-key")},
		{"link that is no number", "POST", triggerPath, `{}`, headers(s.Client, "X-Trigger-Span-Parent-As-Link", "yes"), 400,
			header("Expected number, received nan", "x-trigger-span-parent-as-link")},
		{"unknown engine", "POST", triggerPath, `{}`, headers(s.Client, "X-Trigger-Engine-Version", "V3"), 400,
			header("Invalid enum value. Expected 'V1' | 'V2'", "x-trigger-engine-version")},
		{"bad storage path", "POST", triggerPath, `{"payload":"a/../b","options":{"payloadType":"application/store"}}`, s.Client, 400,
			problem("Invalid packet storage path")},
		{"too many tags", "POST", triggerPath, `{"options":{"tags":["1","2","3","4","5","6","7","8","9","10","11"]}}`, s.Client, 422,
			problem("Runs can only have 10 tags, you're trying to set 11.")},
		{"large metadata", "POST", triggerPath, `{"options":{"metadata":{"m":"` + strings.Repeat("x", 262_144) + `"}}}`, s.Client, 413,
			problem("Metadata exceeds maximum size of 262144 bytes")},
		{"debounce", "POST", triggerPath, `{"options":{"debounce":{"key":"k","delay":"300ms"}}}`, s.Client, 422,
			problem("Invalid debounce delay: 300ms. Supported formats: {number}s, {number}m, {number}h, {number}d, {number}w")},
		{"unknown version", "POST", triggerPath, `{"options":{"lockToVersion":"20200101.1"}}`, s.Client, 422,
			problem("Task locked to version '20200101.1', but no worker found with that version.")},
		{"unknown parent that waits", "POST", triggerPath, `{"options":{"parentRunId":"run_none","resumeParentOnCompletion":true}}`, s.Client, 404,
			problem("Parent run not found")},
		{"key to reset of no run", "POST", "/api/v1/idempotencyKeys/k/reset", `{"taskIdentifier":"t"}`, s.Client, 404,
			problem("No runs found with idempotency key: k and task: t")},
		{"key to reset of no task", "POST", "/api/v1/idempotencyKeys/k/reset", `{"taskIdentifier":""}`, s.Client, 400,
			problem(`Validation error: Task identifier is required at "taskIdentifier"`)},
		{"key to reset without a right", "POST", "/api/v1/idempotencyKeys/k/reset", `{"taskIdentifier":"t"}`, s.token("write:tasks"), 403,
			`{"error":"Unauthorized","code":"unauthorized","param":"access_token","type":"authorization"}`},
	} {
		expect(t, c.name, c.client.Call(t, c.method, c.path, c.body), c.status, c.want)
	}
	expect(t, "no length", stream(t, s.Client, "POST", triggerPath, "application/json", strings.NewReader(`{}`)), 413, problem("Request body too large"))
	if got := s.Call(t, "PUT", triggerPath, `{}`).Header.Get("Allow"); got == "" {
		t.Error("an answer to a wrong method does not say which are right")
	}
}

func TestTriggerLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const frame = len(`{"payload":""}`)
	if got := s.Call(t, "POST", triggerPath, `{"payload":"`+strings.Repeat("x", 3<<20-frame)+`"}`); got.Status != 200 {
		t.Errorf("a body of exactly 3 MiB: %d %s", got.Status, got.Body)
	}
	if got := headers(s.Client, "Idempotency-Key", strings.Repeat("k", 2048)).Call(t, "POST", triggerPath, `{}`); got.Status != 200 {
		t.Errorf("a key of 2048 characters: %d %s", got.Status, got.Body)
	}
}

func TestWhoMayTrigger(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scopedKey := func(scopes ...string) servertest.Client {
		key, err := s.auth.AddKey(t.Context(), s.env, "test", scopes, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return s.with(key)
	}
	for name, c := range map[string]struct {
		client servertest.Client
		status int
	}{
		"secret key":                    {s.Client, 200},
		"key of another environment":    {s.with(s.keys.SecretKeys.Prod), 200},
		"token for the task":            {s.token("trigger:tasks:my-task"), 200},
		"token for all tasks":           {s.token("trigger:tasks"), 200},
		"token of an admin":             {s.token("admin"), 200},
		"token for reading":             {s.token("read:tasks:my-task", "read:all"), 403},
		"token for batches":             {s.token("batchTrigger:tasks:my-task"), 403},
		"token for nothing":             {s.token(), 403},
		"additional key for the task":   {scopedKey("trigger:tasks:my-task"), 200},
		"additional key for other runs": {scopedKey("write:runs"), 403},
	} {
		if got := c.client.Call(t, "POST", triggerPath, `{}`); got.Status != c.status {
			t.Errorf("%s: %d %s, want %d", name, got.Status, got.Body, c.status)
		}
	}
}

func TestOneTimeToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.sign(auth.Grant{Scopes: []string{"trigger:tasks:my-task"}, OneTime: true}))
	expect(t, "first use", c.Call(t, "POST", triggerPath, `{}`), 200, `{"id":"*","isCached":false}`)
	expect(t, "second use", c.Call(t, "POST", triggerPath, `{}`), 422,
		`{"error":"Cannot trigger my-task with a one-time use token as it has already been used."}`)
	other := s.with(s.sign(auth.Grant{Scopes: []string{"trigger:tasks:my-task"}, OneTime: true, Expires: time.Now().Add(time.Hour)}))
	if got := other.Call(t, "POST", triggerPath, `{"options":{"tags":["1","2","3","4","5","6","7","8","9","10","11"]}}`); got.Status != 422 {
		t.Errorf("a refused trigger: %d %s", got.Status, got.Body)
	}
	expect(t, "use after a refusal", other.Call(t, "POST", triggerPath, `{}`), 200, `{"id":"*","isCached":false}`)
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.trigger(`{"options":{"idempotencyKey":"k"}}`)
	expect(t, "same key", s.Call(t, "POST", triggerPath, `{"options":{"idempotencyKey":"k"}}`), 200, `{"id":"`+first+`","isCached":true}`)
	expect(t, "key in a header", headers(s.Client, "Idempotency-Key", "k").Call(t, "POST", triggerPath, `{"options":{"idempotencyKey":"other"}}`), 200,
		`{"id":"`+first+`","isCached":true}`)
	if other := runOf(t, s.Call(t, "POST", "/api/v1/tasks/other/trigger", `{"options":{"idempotencyKey":"k"}}`)); other == first {
		t.Error("two tasks share a key's run")
	}
	timed := runOf(t, headers(s.Client, "Idempotency-Key", "timed", "Idempotency-Key-Ttl", "2h").Call(t, "POST", triggerPath, `{}`))
	if d := s.detail(s.env, timed); d.Key.ExpiresAt.Sub(d.CreatedAt) != 2*time.Hour {
		t.Errorf("the key holds until %v", d.Key.ExpiresAt)
	}

	expect(t, "reset", s.Call(t, "POST", "/api/v1/idempotencyKeys/k/reset", `{"taskIdentifier":"my-task"}`), 200, `{"id":"k"}`)
	if again := s.trigger(`{"options":{"idempotencyKey":"k"}}`); again == first {
		t.Error("a key that was reset still leads to its run")
	}
	s.trigger(`{"options":{"idempotencyKey":"a/b %"}}`)
	expect(t, "reset of an odd key with a token", s.token("write:runs").Call(t, "POST", "/api/v1/idempotencyKeys/a%2Fb%20%25/reset", `{"taskIdentifier":"my-task"}`),
		200, `{"id":"a/b %"}`)
}

// TestRepeatedCall: what the SDK sends again with the same request key is the same call.
func TestRepeatedCall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := headers(s.Client, "X-Trigger-Request-Idempotency-Key", "d1b1b7a0-call")
	first := runOf(t, c.Call(t, "POST", triggerPath, `{}`))
	expect(t, "again", c.Call(t, "POST", triggerPath, `{}`), 200, `{"id":"`+first+`","isCached":false}`)
	if other := runOf(t, c.Call(t, "POST", "/api/v1/tasks/other/trigger", `{}`)); other == first {
		t.Error("a call for another task was taken for a repetition")
	}
}

func TestTraceAndSource(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const traceID, spanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	parent := []string{"Traceparent", "00-" + traceID + "-" + spanID + "-01"}
	for _, c := range []struct {
		name    string
		headers []string
		child   bool
		source  string
		streams string
	}{
		{"outside", parent, false, "api", ""},
		{"in a run", append([]string{"X-Trigger-Worker", "true", "X-Trigger-Source", "mcp", "X-Trigger-Realtime-Streams-Version", "v2"}, parent...), true, "sdk", "v2"},
		{"in a run, as a link", append([]string{"X-Trigger-Worker", "true", "X-Trigger-Span-Parent-As-Link", "1"}, parent...), false, "sdk", ""},
		{"in a run, nonsense", []string{"X-Trigger-Worker", "true", "Traceparent", "00-x"}, false, "sdk", ""},
		{"the command line", []string{"X-Trigger-Source", "cli", "X-Trigger-Realtime-Streams-Version", "v9"}, false, "cli", ""},
		{"somebody", []string{"X-Trigger-Source", "me"}, false, "api", ""},
	} {
		extra := s.detail(s.env, runOf(t, headers(s.Client, c.headers...).Call(t, "POST", triggerPath, `{}`))).Extra
		trace, span, ok := wire.ParseTraceparent(extra.Trace["traceparent"])
		if !ok || span == spanID {
			t.Errorf("%s: trace %v", c.name, extra.Trace)
		}
		if child := trace == traceID; child != c.child || child != (extra.ParentSpan == spanID) {
			t.Errorf("%s: trace %v below %q", c.name, extra.Trace, extra.ParentSpan)
		}
		if extra.Source != c.source || extra.Streams != c.streams {
			t.Errorf("%s: source %q and streams %q, want %q and %q", c.name, extra.Source, extra.Streams, c.source, c.streams)
		}
	}
}

func TestVersionLock(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.register("my-task")
	d := s.detail(s.env, s.trigger(`{"options":{"lockToVersion":"`+w.Version+`"}}`))
	if d.WorkerID != w.ID {
		t.Errorf("the run is locked to %q, want %q", d.WorkerID, w.ID)
	}
	lock := `{"options":{"lockToVersion":"` + w.Version + `"`
	expect(t, "unknown task", s.Call(t, "POST", "/api/v1/tasks/none/trigger", lock+`}}`), 422,
		fmt.Sprintf(`{"error":"Task 'none' not found on locked version '%s'."}`, w.Version))
	expect(t, "unknown queue", s.Call(t, "POST", triggerPath, lock+`,"queue":{"name":"q"}}}`), 422,
		fmt.Sprintf(`{"error":"Specified queue 'q' not found or not associated with locked version '%s'."}`, w.Version))
}

func TestParents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	s.trigger(`{}`)
	parent := s.begin()
	of := func(resume bool) string {
		return fmt.Sprintf(`{"options":{"parentRunId":"%s","resumeParentOnCompletion":%v}}`, id.Friendly(id.Run, parent.ID), resume)
	}
	if d := s.detail(s.env, s.trigger(of(false))); d.ParentID != parent.ID || d.RootID != parent.ID || d.Depth != 1 || d.ResumeParent {
		t.Errorf("child of %q, root %q, depth %d", d.ParentID, d.RootID, d.Depth)
	}
	expect(t, "parent that the token may not write", s.token("trigger:tasks:my-task").Call(t, "POST", triggerPath, of(true)), 403,
		`{"error":"Unauthorized","code":"unauthorized","param":"access_token","type":"authorization"}`)
	got := s.token("trigger:tasks", "write:runs:"+id.Friendly(id.Run, parent.ID)).Call(t, "POST", triggerPath, of(true))
	if d := s.detail(s.env, runOf(t, got)); !d.ResumeParent {
		t.Error("the parent does not wait")
	}
	if d := s.detail(s.env, id.Friendly(id.Run, parent.ID)); d.Exec != run.Waiting {
		t.Errorf("the parent is %s", d.Exec)
	}
	prod := s.with(s.keys.SecretKeys.Prod)
	expect(t, "parent elsewhere that waits", prod.Call(t, "POST", triggerPath, of(true)), 404, `{"error":"Parent run not found"}`)
	if d := s.detail(s.prod, runOf(t, prod.Call(t, "POST", triggerPath, of(false)))); d.ParentID != "" {
		t.Errorf("a run of production has parent %q in development", d.ParentID)
	}

	if err := s.engine.Cancel(t.Context(), s.env, parent.ID, "test", true); err != nil {
		t.Fatal(err)
	}
	expect(t, "parent that has ended", s.Call(t, "POST", triggerPath, of(true)), 422,
		`{"error":"Cannot trigger my-task as the parent run has a status of CANCELED"}`)
}

func TestDebounce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const call = `{"payload":%d,"options":{"debounce":{"key":"k","delay":"1h","mode":"trailing"}}}`
	first := s.trigger(fmt.Sprintf(call, 1))
	if second := s.trigger(fmt.Sprintf(call, 2)); second != first {
		t.Errorf("%s and %s, want one run", first, second)
	}
	d := s.detail(s.env, first)
	if d.Payload.Data != "2" || d.Status != run.StatusDelayed || d.Extra.Debounce != "k" {
		t.Errorf("payload %s, status %s, debounced by %q", d.Payload.Data, d.Status, d.Extra.Debounce)
	}
}

// TestRegions: a run of a laptop is in no region.
func TestRegions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const call = `{"options":{"region":"eu-central-1"}}`
	if got := s.detail(s.env, s.trigger(call)).Extra.Region; got != "" {
		t.Errorf("a run of development is in %q", got)
	}
	if got := s.detail(s.prod, runOf(t, s.with(s.keys.SecretKeys.Prod).Call(t, "POST", triggerPath, call))).Extra.Region; got != "eu-central-1" {
		t.Errorf("a run of production is in %q", got)
	}
}

// TestLargePayload: a payload above the bound reaches the run through the packet
// store, byte for byte.
func TestLargePayload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text := strings.Repeat(`äb"\`, blob.Inline/4)
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body string
		want run.Packet
	}{
		"text":                {`{"payload":` + string(quoted) + `,"options":{"payloadType":"text/plain"}}`, run.Packet{Data: text, Type: run.TypeText}},
		"JSON":                {`{"payload":{"a":` + string(quoted) + ` } }`, run.Packet{Data: `{"a":` + string(quoted) + ` }`, Type: run.TypeJSON}},
		"bytes for no column": {`{"payload":"a\u0000b","options":{"payloadType":"text/plain"}}`, run.Packet{Data: "a\x00b", Type: run.TypeText}},
		"one byte over":       {`{"payload":"` + strings.Repeat("x", blob.Inline-1) + `"}`, run.Packet{Data: `"` + strings.Repeat("x", blob.Inline-1) + `"`, Type: run.TypeJSON}},
	} {
		stored := s.detail(s.env, s.trigger(c.body)).Payload
		if stored.Type != run.TypeStore {
			t.Errorf("%s: stored as %s", name, stored.Type)
			continue
		}
		if got := s.download(s.Client, stored.Data); got != c.want {
			t.Errorf("%s: got %d bytes of %s, want %d of %s", name, len(got.Data), got.Type, len(c.want.Data), c.want.Type)
		}
	}
	inline := s.detail(s.env, s.trigger(`{"payload":"`+strings.Repeat("x", blob.Inline-2)+`"}`)).Payload
	if inline.Type != run.TypeJSON || len(inline.Data) != blob.Inline {
		t.Errorf("a payload of just the bound is %s of %d bytes", inline.Type, len(inline.Data))
	}
}

// TestLongestTexts: whatever passes the checks fits into the indexes and columns of
// both databases.
func TestLongestTexts(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		checkLongestTexts(newSite(t))
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		checkLongestTexts(newSiteOn(t, pgtest.URL(t)))
	})
}

func checkLongestTexts(s *site) {
	s.t.Helper()
	long := func(n int) string { return id.Random(id.Alnum, n) } // nothing that can be compressed
	wide := func(n int) string {                                 // n of JavaScript's characters that take the most bytes
		var b strings.Builder
		for range n {
			b.WriteRune(rune(0x3000 + rand.IntN(0xA000)))
		}
		return b.String()
	}
	c := headers(s.token("trigger:tasks"), "X-Trigger-Request-Idempotency-Key", long(2048)) // its keys are stored with their owner
	got := c.Call(s.t, "POST", "/api/v1/tasks/"+long(512)+"/trigger", `{"payload":"a\u0000b","options":{"payloadType":"text/plain","idempotencyKey":"`+long(2048)+
		`","concurrencyKey":"`+wide(512)+`","tags":["`+wide(128)+`"],"debounce":{"key":"`+wide(512)+`","delay":"1h"},"metadata":{"a":"\u0000"}}}`)
	if got.Status != 200 {
		s.t.Errorf("%d %s", got.Status, got.Body)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	page := headers(s.with(""), "Origin", "https://app.example", "Access-Control-Request-Headers", "authorization,content-type")
	for _, path := range []string{triggerPath, "/api/v3/batches", "/api/v3/batches/batch_1/items", "/api/v1/packets/a/b", "/packets/e/a/b",
		"/api/v1/runs/run_1/packets/output", "/api/v1/idempotencyKeys/k/reset", "/api/v3/runs/run_1", "/api/v1/runs"} {
		got := page.Call(t, http.MethodOptions, path, nil)
		if got.Status != 200 || got.Header.Get("Access-Control-Allow-Origin") != "https://app.example" ||
			got.Header.Get("Access-Control-Allow-Headers") != "authorization,content-type" || got.Header.Get("Access-Control-Max-Age") != "300" {
			t.Errorf("OPTIONS %s: %d %v", path, got.Status, got.Header)
		}
	}
	if got := page.Call(t, http.MethodOptions, "/api/v1/runs/run_1/replay", nil); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("pages may replay runs")
	}
	refused := page.Call(t, "POST", triggerPath, `{}`)
	if refused.Status != 401 || refused.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a page cannot read why it was refused: %d %v", refused.Status, refused.Header)
	}
	page.Key = s.Key
	if got := page.Call(t, "POST", triggerPath, `{}`).Header.Get("Access-Control-Expose-Headers"); got != "x-trigger-jwt, x-trigger-jwt-claims, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset" {
		t.Errorf("exposed headers: %q", got)
	}
}
