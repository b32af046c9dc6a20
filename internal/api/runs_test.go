package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/wire"
)

// current is a client that knows the current names of statuses, as the SDK does.
func current(c servertest.Client) servertest.Client {
	return headers(c, wire.VersionHeader, wire.CurrentVersion)
}

// shown is what the tests look at of a run.
type shown struct {
	ID, Status, Version, TriggerFunction, BatchID string
	IsCompleted, IsFailed                         bool
	AttemptCount, Depth                           int
	Tags                                          []string
	Payload, Output, Metadata, Error              json.RawMessage
	PayloadPresignedURL, OutputPresignedURL       string
	RelatedRuns                                   struct {
		Root, Parent *struct{ ID string }
		Children     []struct{ ID string }
	}
	Env struct{ ID, Name string }
}

func (s *site) retrieve(friendly string) shown {
	s.t.Helper()
	return body[shown](s.t, current(s.Client).Call(s.t, "GET", "/api/v3/runs/"+friendly, nil))
}

// set changes a run's row behind the engine's back.
func (s *site) set(friendly, assignment string, args ...any) {
	s.t.Helper()
	internal, _ := id.Internal(id.Run, friendly)
	if err := s.store.Update(s.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(fmt.Sprintf("UPDATE run SET %s WHERE id = $%d", assignment, len(args)+1), append(args, internal)...)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
}

func TestGetRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{"payload":"{\"json\":{\"d\":\"1970-01-01T00:00:00.000Z\"},\"meta\":{\"values\":{\"d\":[\"Date\"]}}}","options":{
		"payloadType":"application/super+json","tags":["b","B","a"],"metadata":{"n":1.50},"ttl":"1h30m","test":true,"concurrencyKey":"c",
		"idempotencyKey":"hash","idempotencyKeyOptions":{"key":"mine","scope":"global"}}}`)
	got := current(s.Client).Call(t, "GET", "/api/v3/runs/"+friendly, nil)
	expect(t, "queued", got, 200, `{"id":"`+friendly+`","status":"QUEUED","taskIdentifier":"my-task","idempotencyKey":"mine","isQueued":true,
		"isExecuting":false,"isWaiting":false,"isCompleted":false,"isSuccess":false,"isFailed":false,"isCancelled":false,"isTest":true,
		"createdAt":"*","updatedAt":"*","ttl":"1h30m","tags":["a","b","B"],"costInCents":0,"baseCostInCents":0,"durationMs":0,
		"metadata":{"n":1.5},"taskKind":"STANDARD","depth":0,"triggerFunction":"trigger","payload":{"d":"1970-01-01T00:00:00.000Z"},
		"relatedRuns":{"children":[]},"attemptCount":0,"attempts":[]}`)
	if !strings.Contains(string(got.Body), `"metadata":{"n":1.50}`) || strings.Contains(string(got.Body), "null") {
		t.Errorf("numbers lost their text, or something is null: %s", got.Body)
	}
}

func TestGetRunAtItsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	for _, tt := range []struct {
		name   string
		done   engine.Completion
		status string
		want   shown
	}{
		{"output", engine.Completion{Output: run.Packet{Data: `{"json":{"b":"10"},"meta":{"values":{"b":["bigint"]}}}`, Type: run.TypeSuper}}, "COMPLETED",
			shown{Output: json.RawMessage(`{"b":"10"}`)}},
		{"text", engine.Completion{Output: run.Packet{Data: `say "hi"`, Type: run.TypeText}}, "COMPLETED", shown{Output: json.RawMessage(`"say \"hi\""`)}},
		{"no output", engine.Completion{}, "COMPLETED", shown{}},
		{"error", engine.Completion{Err: &run.Error{Type: run.BuiltIn, Name: "TypeError", Message: "no", StackTrace: "at x"}}, "FAILED",
			shown{IsFailed: true, Error: json.RawMessage(`{"message":"no","name":"TypeError","stackTrace":"at x"}`)}},
		{"thrown text", engine.Completion{Err: &run.Error{Type: run.StringError, Raw: "oh"}}, "FAILED", shown{IsFailed: true, Error: json.RawMessage(`{"message":"oh"}`)}},
		{"too long", engine.Completion{Err: &run.Error{Type: run.Internal, Code: run.CodeMaxDuration}}, "TIMED_OUT",
			shown{IsFailed: true, Error: json.RawMessage(`{"message":"trigger.dev internal error (MAX_DURATION_EXCEEDED)"}`)}},
	} {
		friendly := s.trigger(`{}`)
		s.complete(s.begin(), tt.done)
		got := s.retrieve(friendly)
		want := tt.want
		want.ID, want.Status, want.IsCompleted, want.AttemptCount, want.Version = friendly, tt.status, true, 1, got.Version
		want.TriggerFunction, want.Tags, want.RelatedRuns.Children = "trigger", []string{}, got.RelatedRuns.Children
		if d := cmp.Diff(want, got); d != "" || got.Version == "" {
			t.Errorf("%s: version %q\n%s", tt.name, got.Version, d)
		}
	}
}

// TestStatusVocabularies: callers of before get the names of before.
func TestStatusVocabularies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{}`)
	for status, names := range map[run.Status][2]string{
		run.StatusDequeued: {"DEQUEUED", "EXECUTING"}, run.StatusRetrying: {"EXECUTING", "REATTEMPTING"},
		run.StatusWaiting: {"WAITING", "FROZEN"}, run.StatusFailed: {"FAILED", "FAILED"}, run.StatusExpired: {"EXPIRED", "EXPIRED"},
	} {
		s.set(friendly, "status = $1", string(status))
		now, before := s.retrieve(friendly), body[shown](t, s.Call(t, "GET", "/api/v3/runs/"+friendly, nil))
		if now.Status != names[0] || before.Status != names[1] || now.IsCompleted != status.Final() {
			t.Errorf("%s is %s and, for older callers, %s; completed %v", status, now.Status, before.Status, now.IsCompleted)
		}
	}
}

func TestStoredPackets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	in := run.Packet{Data: `{"json":"` + strings.Repeat("x", 200_000) + `"}`, Type: run.TypeSuper}
	path := s.upload("trigger/packet_1/payload.json", in)
	friendly := s.trigger(`{"payload":"` + path + `","options":{"payloadType":"application/store"}}`)
	out := run.Packet{Data: `"` + strings.Repeat("y", 200_000) + `"`, Type: run.TypeJSON}
	s.complete(s.begin(), engine.Completion{Output: run.Packet{Data: s.upload(friendly+"/output.json", out), Type: run.TypeStore}})
	got := s.retrieve(friendly)
	if got.Payload != nil || got.Output != nil {
		t.Errorf("stored packets are shown: %s, %s", got.Payload, got.Output)
	}
	for url, want := range map[string]run.Packet{got.PayloadPresignedURL: in, got.OutputPresignedURL: out} {
		r := s.send("GET", url, "", "")
		if have := (run.Packet{Data: string(r.Body), Type: r.Header.Get("Content-Type")}); r.Status != 200 || have != want {
			t.Errorf("%s: %d, %d bytes of %s", url, r.Status, len(r.Body), have.Type)
		}
	}
}

func TestRelatedRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.trigger(`{}`)
	parent := s.trigger(`{"options":{"parentRunId":"` + root + `"}}`)
	child := s.trigger(`{"options":{"parentRunId":"` + parent + `"}}`)
	other := s.trigger(`{"options":{"parentRunId":"` + parent + `"}}`)
	got := s.retrieve(child)
	if got.RelatedRuns.Root == nil || got.RelatedRuns.Root.ID != root || got.RelatedRuns.Parent == nil || got.RelatedRuns.Parent.ID != parent || got.Depth != 2 {
		t.Errorf("of the child: %+v, depth %d", got.RelatedRuns, got.Depth)
	}
	var children []string
	got = s.retrieve(parent)
	for _, c := range got.RelatedRuns.Children {
		children = append(children, c.ID)
	}
	want := []string{child, other}
	slices.Sort(want) // two of the same millisecond have no order
	slices.Sort(children)
	if d := cmp.Diff(want, children); d != "" {
		t.Error(d)
	}
	if got = s.retrieve(root); got.RelatedRuns.Root != nil || got.RelatedRuns.Parent != nil {
		t.Errorf("the root has elders: %+v", got.RelatedRuns)
	}
}

// credentials are all kinds of them, for things of the development environment.
func (s *site) credentials(right, wrong []string) (may, mayNot, unknown map[string]servertest.Client) {
	s.t.Helper()
	may = map[string]servertest.Client{"secret key": s.Client, "admin's token": s.token("admin")}
	mayNot = map[string]servertest.Client{"token without scopes": s.token()}
	for _, scope := range right {
		may["token for "+scope] = s.token(scope)
		key, err := s.auth.AddKey(s.t.Context(), s.env, "test", []string{scope}, time.Time{})
		if err != nil {
			s.t.Fatal(err)
		}
		may["additional key for "+scope] = s.with(key)
	}
	for _, scope := range wrong {
		mayNot["token for "+scope] = s.token(scope)
	}
	return may, mayNot, map[string]servertest.Client{
		"nothing": s.with(""), "unknown key": s.with("tr_dev_unknown"), "personal token": s.with(s.keys.PersonalAccessToken),
		"expired token": s.with(s.sign(auth.Grant{Scopes: []string{"admin"}, Expires: time.Now().Add(-time.Minute)})),
	}
}

// guard tells that a route lets in whom it should.
func (s *site) guard(method, path string, body any, ok int, right, wrong []string) {
	s.t.Helper()
	may, mayNot, unknown := s.credentials(right, wrong)
	for status, clients := range map[int]map[string]servertest.Client{ok: may, 403: mayNot, 401: unknown} {
		for name, c := range clients {
			if got := c.Call(s.t, method, path, body); got.Status != status {
				s.t.Errorf("%s %s with %s: %d %s, want %d", method, path, name, got.Status, got.Body, status)
			}
		}
	}
}

// guardSecret tells that a route is for the secret key alone.
func (s *site) guardSecret(method, path string, body any) {
	s.t.Helper()
	for name, c := range map[string]servertest.Client{
		"nothing": s.with(""), "admin's token": s.token("admin"), "unknown key": s.with("tr_dev_unknown"), "personal token": s.with(s.keys.PersonalAccessToken),
	} {
		if got := c.Call(s.t, method, path, body); got.Status != 401 {
			s.t.Errorf("%s %s with %s: %d %s", method, path, name, got.Status, got.Body)
		}
	}
}

func TestWhoMayRetrieve(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(1)
	line := `{"index":0,"task":"my-task","payload":"1","options":{"tags":["red","blue"]}}`
	if got := s.sendItems(s.Client, batch, line); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	friendly := id.Friendly(id.Run, s.batchRuns(batch)[0].ID)
	s.guard("GET", "/api/v3/runs/"+friendly, nil, 200,
		[]string{"read:runs", "read:runs:" + friendly, "read:tasks:my-task", "read:tags:blue", "read:batch:" + batch, "read:all"},
		[]string{"read:runs:run_other", "write:runs", "read:tasks:other", "read:tags:green", "read:batch:batch_other", "read:deployments"})

	const missing = `{"error":"Not found"}`
	for name, got := range map[string]servertest.Response{
		"of another environment": s.with(s.keys.SecretKeys.Prod).Call(t, "GET", "/api/v3/runs/"+friendly, nil),
		"unknown":                s.Call(t, "GET", "/api/v3/runs/run_unknown", nil),
		"no id":                  s.Call(t, "GET", "/api/v3/runs/batch_1", nil),
	} {
		expect(t, name, got, 404, missing)
		if got.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("%s: clients are not told to give up", name)
		}
	}
}

// listed reads one page of a list.
type listed struct {
	Data       []shown
	Pagination struct{ Next, Previous string }
}

func (l listed) ids() []string {
	out := []string{}
	for _, r := range l.Data {
		out = append(out, r.ID)
	}
	return out
}

func (s *site) list(c servertest.Client, path string, query ...string) listed {
	s.t.Helper()
	q := url.Values{}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return body[listed](s.t, current(c).Call(s.t, "GET", path+"?"+q.Encode(), nil))
}

// walk reads a list forwards to its end, and then backwards to its beginning.
func (s *site) walk(c servertest.Client, path string, size int, query ...string) (forwards, backwards []string) {
	s.t.Helper()
	forwards = []string{}
	query = append(query, "page[size]", fmt.Sprint(size))
	page := s.list(c, path, query...)
	for pages := 0; ; pages++ {
		forwards = append(forwards, page.ids()...)
		if page.Pagination.Next == "" {
			break
		}
		if pages > 100 || len(page.Data) != size {
			s.t.Fatalf("page %d has %d items and goes on", pages, len(page.Data))
		}
		page = s.list(c, path, append(query, "page[after]", page.Pagination.Next)...)
	}
	after := page.Pagination.Next
	for backwards = page.ids(); page.Pagination.Previous != ""; {
		// The SDK sends the old page[after] along, which must not count.
		page = s.list(c, path, append(query, "page[before]", page.Pagination.Previous, "page[after]", after)...)
		backwards = append(page.ids(), backwards...)
	}
	return forwards, backwards
}

// newestFirst sorts ids as lists do.
func newestFirst(ids []string) {
	slices.Sort(ids)
	slices.Reverse(ids)
}

func TestListRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	expect(t, "an empty list", s.Call(t, "GET", "/api/v1/runs", nil), 200, `{"data":[],"pagination":{}}`)

	var all, tagged []string
	for i := range 11 {
		options := `{"tags":["common"],"test":false}`
		if i%4 == 1 {
			options = `{"tags":["rare","common"],"test":true,"machine":"micro","queue":{"name":"q"},"concurrencyKey":"k",
				"metadata":{"$$streams":["a"],"z":1,"$$streamsVersion":"v1","a":2}}`
		}
		friendly := s.trigger(`{"payload":1,"options":` + options + `}`)
		all = append(all, friendly)
		if i%4 == 1 {
			tagged = append(tagged, friendly)
		}
	}
	newestFirst(all)
	newestFirst(tagged)
	s.with(s.keys.SecretKeys.Prod).Call(t, "POST", triggerPath, `{"options":{"tags":["rare"]}}`)

	for _, size := range []int{1, 3, 11, 100} {
		forwards, backwards := s.walk(s.Client, "/api/v1/runs", size)
		if d := cmp.Diff([][]string{all, all}, [][]string{forwards, backwards}); d != "" {
			t.Errorf("pages of %d\n%s", size, d)
		}
	}
	for _, query := range [][]string{
		{"filter[tag]", "rare"}, {"filter[tag]", "none,rare"}, {"filter[isTest]", "true"}, {"filter[queue]", "q"}, {"filter[queue]", "other,q"},
		{"filter[machine]", "micro,large-1x"}, {"filter[tag]", "rare", "filter[status]", "QUEUED", "filter[taskIdentifier]", "x,my-task"},
	} {
		forwards, _ := s.walk(s.Client, "/api/v1/runs", 2, query...)
		if d := cmp.Diff(tagged, forwards); d != "" {
			t.Errorf("%v\n%s", query, d)
		}
	}
	for _, query := range [][]string{
		{"filter[tag]", "none"}, {"filter[status]", "COMPLETED,EXECUTING"}, {"filter[status]", "INTERRUPTED"}, {"filter[version]", "1"},
		{"filter[schedule]", "sched_1"}, {"filter[batch]", "batch_1"}, {"filter[bulkAction]", "bulk_1"}, {"filter[region]", "eu"},
		{"filter[createdAt][from]", "2100-01-01T00:00:00Z"}, {"filter[createdAt][to]", "1700000000000"}, {"filter[taskIdentifier]", "other"},
	} {
		if got := s.list(s.Client, "/api/v1/runs", query...); len(got.Data) != 0 {
			t.Errorf("%v selects %v", query, got.ids())
		}
	}
	for _, query := range [][]string{
		{"filter[createdAt][period]", "1h"}, {"filter[createdAt][period]", "99999d"}, {"filter[createdAt][from]", "0"},
		{"filter[createdAt][to]", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli())}, {"filter[status]", "QUEUED,FAILED"}, {"filter[tag]", "common,rare"},
	} {
		if got := s.list(s.Client, "/api/v1/runs", query...); len(got.Data) != len(all) {
			t.Errorf("%v selects %d of %d", query, len(got.Data), len(all))
		}
	}
	one := s.list(s.Client, "/api/v1/runs", "filter[tag]", "rare", "page[size]", "1").Data[0]
	if string(one.Metadata) != `{"z":1,"a":2}` || one.Payload != nil || one.Env.ID != s.env.ID || one.Env.Name != "dev" {
		t.Errorf("listed as %+v, metadata %s", one, one.Metadata)
	}
}

// TestRunIsFoundByATagWithAComma: commas part the tags of a filter, and may stand in one.
func TestRunIsFoundByATagWithAComma(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	odd, plain := s.trigger(`{"options":{"tags":["a, b"]}}`), s.trigger(`{"options":{"tags":["b"]}}`)
	for filter, want := range map[string][]string{"a, b": {plain, odd}, "b": {plain}, "a": nil, "b,c": {plain}} {
		if got := s.list(s.Client, "/api/v1/runs", "filter[tag]", filter).ids(); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", filter, got, want)
		}
	}
}

// TestCreatedBounds: both ends of a span belong to it, to the millisecond that the API shows.
func TestCreatedBounds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{}`)
	at := s.detail(s.env, friendly).CreatedAt.Truncate(time.Millisecond)
	for offset, want := range map[time.Duration][2]int{-time.Millisecond: {1, 0}, 0: {1, 1}, time.Millisecond: {0, 1}} {
		for _, text := range []string{fmt.Sprint(at.Add(offset).UnixMilli()), wire.ISO(at.Add(offset))} {
			from := len(s.list(s.Client, "/api/v1/runs", "filter[createdAt][from]", text).Data)
			to := len(s.list(s.Client, "/api/v1/runs", "filter[createdAt][to]", text).Data)
			if from != want[0] || to != want[1] {
				t.Errorf("%v from the creation: from selects %d, to %d; want %v", offset, from, to, want)
			}
		}
	}
}

func TestCursorForms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	runs := []string{s.trigger(`{}`), s.trigger(`{}`), s.trigger(`{}`)}
	newestFirst(runs)
	internal := strings.TrimPrefix(runs[1], "run_")
	opaque := base64.RawURLEncoding.EncodeToString([]byte(`{"c":1700000000000,"r":"` + internal + `"}`))
	for _, cursor := range []string{runs[1], internal, opaque} {
		older := s.list(s.Client, "/api/v1/runs", "page[after]", cursor)
		newer := s.list(s.Client, "/api/v1/runs", "page[before]", cursor)
		if !slices.Equal(older.ids(), runs[2:]) || !slices.Equal(newer.ids(), runs[:1]) {
			t.Errorf("%s: after %v, before %v of %v", cursor, older.ids(), newer.ids(), runs)
		}
		if older.Pagination.Next != "" || older.Pagination.Previous != runs[2] || newer.Pagination.Next != runs[0] || newer.Pagination.Previous != "" {
			t.Errorf("%s leads to %+v and %+v", cursor, older.Pagination, newer.Pagination)
		}
	}
	if end := s.list(s.Client, "/api/v1/runs", "page[after]", runs[2]); len(end.Data) != 0 || end.Pagination.Previous != "" || end.Pagination.Next != "" {
		t.Errorf("an empty page leads on: %+v", end.Pagination)
	}
}

func TestBadRunQueries(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct{ query, want string }{
		{"filter[status]=FOO,QUEUED,BAR", `[{"code":"custom","message":"Invalid status values: FOO, BAR","path":["filter[status]"]}]`},
		{"filter[machine]=huge", `[{"code":"custom","message":"Invalid machine values: huge","path":["filter[machine]"]}]`},
		{"filter[isTest]=yes", `[{"code":"custom","message":"Invalid value for isTest: yes","path":["filter[isTest]"]}]`},
		{"page[size]=0", `[{"code":"custom","message":"Number must be between 1 and 100","path":["page[size]"]}]`},
		{"page[size]=101", `[{"code":"custom","message":"Number must be between 1 and 100","path":["page[size]"]}]`},
		{"page[size]=2.5", `[{"code":"custom","message":"Number must be between 1 and 100","path":["page[size]"]}]`},
		{"page[after]=nonsense!", `[{"code":"custom","message":"Invalid cursor","path":["page[after]"]}]`},
		{"page[before]=batch_1", `[{"code":"custom","message":"Invalid cursor","path":["page[before]"]}]`},
		{"page[after]=e30=", `[{"code":"custom","message":"Invalid cursor","path":["page[after]"]}]`},
		{"filter[createdAt][from]=soon", `[{"code":"custom","message":"Invalid date: soon","path":["filter[createdAt][from]"]}]`},
		{"filter[createdAt][to]=-1", `[{"code":"custom","message":"Invalid date: -1","path":["filter[createdAt][to]"]}]`},
		{"filter[createdAt][period]=whenever", `[{"code":"custom","message":"Invalid period: whenever","path":["filter[createdAt][period]"]}]`},
		{"filter[batch]=run_1", `[{"code":"custom","message":"Invalid batch id: run_1","path":["filter[batch]"]}]`},
		{"filter[tag]=a%00b", `[{"code":"custom","message":"Invalid characters","path":["filter[tag]"]}]`},
		{"filter[schedule]=%ff", `[{"code":"custom","message":"Invalid characters","path":["filter[schedule]"]}]`},
		{"page[size]=x&filter[isTest]=1&filter[status]=NO", `[{"code":"custom","message":"Number must be between 1 and 100","path":["page[size]"]},
			{"code":"custom","message":"Invalid status values: NO","path":["filter[status]"]},
			{"code":"custom","message":"Invalid value for isTest: 1","path":["filter[isTest]"]}]`},
	} {
		expect(t, tt.query, s.Call(t, "GET", "/api/v1/runs?"+tt.query, nil), 400, `{"error":"Query Error","details":`+tt.want+`}`)
	}
}

func TestWhoMayList(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.trigger(`{}`)
	s.guard("GET", "/api/v1/runs", nil, 200, []string{"read:runs", "read:tasks", "read:all"}, []string{"read:tasks:my-task", "read:runs:run_1", "write:runs", "read:tags:a"})
	s.guard("GET", "/api/v1/runs?filter[taskIdentifier]=my-task", nil, 200, []string{"read:tasks:my-task", "read:runs"}, []string{"read:tasks:other"})
	s.guard("GET", "/api/v1/runs?filter[taskIdentifier]=my-task,other", nil, 200, []string{"read:tasks"}, []string{"read:tasks:other", "read:tasks:my-task"})
}

func TestListProjectRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var all []string
	of := map[string]string{} // the environment and the tag of each run
	for i, env := range []string{"dev", "prod", "stg", "dev", "prod"} {
		key := map[string]string{"dev": s.keys.SecretKeys.Dev, "prod": s.keys.SecretKeys.Prod, "stg": s.keys.SecretKeys.Staging}[env]
		friendly := runOf(t, s.with(key).Call(t, "POST", triggerPath, fmt.Sprintf(`{"options":{"tags":["n%d"]}}`, i%2)))
		all = append(all, friendly)
		of[friendly] = fmt.Sprintf("%s n%d", env, i%2)
	}
	newestFirst(all)
	selected := func(words ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(r string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return slices.Contains(strings.Fields(of[r]), w) })
		})
	}
	pat, path := s.with(s.keys.PersonalAccessToken), "/api/v1/projects/"+s.keys.ProjectRef+"/runs"
	forwards, backwards := s.walk(pat, path, 2)
	if d := cmp.Diff([][]string{all, all}, [][]string{forwards, backwards}); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct {
		query []string
		want  []string
	}{
		{[]string{"filter[env]", "dev"}, selected("dev")},
		{[]string{"filter[env]", "staging,prod"}, selected("stg", "prod")},
		{[]string{"filter[env]", "stg"}, selected("stg")},
		{[]string{"filter[env]", "preview"}, selected()},
		{[]string{"filter[tag]", "n1"}, selected("n1")},
	} {
		if got := s.list(pat, path, tt.query...).ids(); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.query, got, tt.want)
		}
	}
	for _, r := range s.list(pat, path).Data {
		if env, _, _ := strings.Cut(of[r.ID], " "); r.Env.Name != env || r.Env.Name == "prod" && r.Env.ID != s.prod.ID {
			t.Errorf("a run of %s is said to be of %+v", env, r.Env)
		}
	}
	expect(t, "unknown environment", pat.Call(t, "GET", path+"?filter[env]=dev,moon", nil), 400,
		`{"error":"Query Error","details":[{"code":"custom","message":"Invalid env values: moon","path":["filter[env]"]}]}`)
	expect(t, "unknown project", pat.Call(t, "GET", "/api/v1/projects/proj_unknown/runs", nil), 404, `{"error":"Project not found"}`)
	for name, c := range map[string]servertest.Client{"secret key": s.Client, "nothing": s.with(""), "unknown token": s.with("tr_pat_unknown"), "public token": s.token("admin")} {
		if got := c.Call(t, "GET", path, nil); got.Status != 401 {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}
