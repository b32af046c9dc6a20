package api_test

import (
	"encoding/json"
	"fmt"
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

// action is the path of an action on a run.
func action(friendly, name string) string { return "/api/v1/runs/" + friendly + "/" + name }

// elsewhere calls a route for a run that the caller's environment does not have.
func (s *site) elsewhere(method, name string, body any, want string) {
	s.t.Helper()
	friendly := s.trigger(`{}`)
	for who, got := range map[string]servertest.Response{
		"of another environment": s.with(s.keys.SecretKeys.Prod).Call(s.t, method, action(friendly, name), body),
		"unknown":                s.Call(s.t, method, action("run_unknown", name), body),
		"no id":                  s.Call(s.t, method, action("batch_1", name), body),
	} {
		expect(s.t, name+" "+who, got, 404, `{"error":"`+want+`"}`)
		if got.Header.Get("X-Should-Retry") != "false" {
			s.t.Errorf("%s: clients are not told to give up", name)
		}
	}
}

func TestRunResult(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	const unfinished = `{"error":"Run either doesn't exist or is not finished"}`
	for _, tt := range []struct {
		done engine.Completion
		want string
	}{
		{engine.Completion{Output: run.Packet{Data: `{"json":1}`, Type: run.TypeSuper}}, `"ok":true,"output":"{\"json\":1}","outputType":"application/super+json"`},
		{engine.Completion{}, `"ok":true,"outputType":"application/json"`},
		{engine.Completion{Err: &run.Error{Type: run.BuiltIn, Name: "Error", Message: "no"}}, `"ok":false,"error":{"type":"BUILT_IN_ERROR","name":"Error","message":"no","stackTrace":""}`},
		{engine.Completion{Err: &run.Error{Type: run.Custom, Raw: "{}"}}, `"ok":false,"error":{"type":"CUSTOM_ERROR","raw":"{}"}`},
	} {
		friendly := s.trigger(`{}`)
		expect(t, "queued", s.Call(t, "GET", action(friendly, "result"), nil), 404, unfinished)
		attempt := s.begin()
		expect(t, "executing", s.Call(t, "GET", action(friendly, "result"), nil), 404, unfinished)
		s.complete(attempt, tt.done)
		expect(t, "finished", s.Call(t, "GET", action(friendly, "result"), nil), 200, `{"id":"`+friendly+`","taskIdentifier":"my-task",`+tt.want+`}`)
	}
	friendly := s.trigger(`{}`)
	s.Call(t, "POST", action(friendly, "cancel"), nil)
	expect(t, "cancelled", s.Call(t, "GET", action(friendly, "result"), nil), 200,
		`{"ok":false,"id":"`+friendly+`","taskIdentifier":"my-task","error":{"type":"INTERNAL_ERROR","code":"TASK_RUN_CANCELLED"}}`)
	s.elsewhere("GET", "result", nil, "Run either doesn't exist or is not finished")
	s.guardSecret("GET", action(friendly, "result"), nil)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{}`)
	for _, path := range []string{"/api/v2/runs/" + friendly + "/cancel", action(friendly, "cancel")} { // the second finds it finished
		expect(t, path, s.Call(t, "POST", path, nil), 200, `{"id":"`+friendly+`"}`)
	}
	if got := s.retrieve(friendly); got.Status != "CANCELED" || string(got.Error) != `{"message":"Canceled by user"}` {
		t.Errorf("%s, error %s", got.Status, got.Error)
	}
	s.elsewhere("POST", "cancel", nil, "Resource not found")
	expect(t, "unknown", s.Call(t, "POST", "/api/v2/runs/run_unknown/cancel", nil), 404, `{"error":"Resource not found"}`)

	friendly = s.trigger(`{}`)
	s.guard("POST", action(friendly, "cancel"), nil, 200, []string{"write:runs", "write:runs:" + friendly, "write:tasks:my-task"},
		[]string{"read:runs", "write:runs:run_other", "write:tasks:other", "trigger:tasks:my-task"})
	if got := s.token("write:tasks:my-task").Call(t, "POST", action("run_unknown", "cancel"), nil); got.Status != 403 {
		t.Errorf("who may cancel some runs learns which exist: %d %s", got.Status, got.Body)
	}
	expect(t, "unknown to who may cancel all", s.token("write:runs").Call(t, "POST", action("run_unknown", "cancel"), nil), 404, `{"error":"Resource not found"}`)
}

// TestCancelOfAnExecutingRun: it is over for all who ask, before its worker has confirmed.
func TestCancelOfAnExecutingRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	batch := s.newBatch(1)
	s.sendItems(s.Client, batch, items(0))
	friendly := id.Friendly(id.Run, s.begin().ID) // its worker has yet to confirm
	s.Call(t, "POST", action(friendly, "cancel"), nil)
	if got := s.retrieve(friendly); got.Status != "CANCELED" {
		t.Errorf("an executing run is %s", got.Status)
	}
	result := `{"ok":false,"id":"` + friendly + `","taskIdentifier":"my-task","error":{"type":"INTERNAL_ERROR","code":"TASK_RUN_CANCELLED"}}`
	expect(t, "its result", s.Call(t, "GET", action(friendly, "result"), nil), 200, result)
	expect(t, "that of its batch", s.Call(t, "GET", "/api/v1/batches/"+batch+"/results", nil), 200, `{"id":"`+batch+`","items":[`+result+`]}`)
	bulk := s.bulk(`{"action":"cancel","runIds":["` + friendly + `"]}`)
	if got := body[struct{ Counts struct{ Failure int } }](t, bulk); got.Counts.Failure != 1 {
		t.Errorf("cancelled again: %s", bulk.Body)
	}
}

func TestReschedule(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{"options":{"delay":"1h"}}`)
	for _, tt := range []struct {
		delay string
		want  time.Time
	}{
		{`"2h"`, time.Now().Add(2 * time.Hour)},
		{`"2100-01-02T03:04:05.678Z"`, time.Date(2100, 1, 2, 3, 4, 5, 678e6, time.UTC)},
		{`4102542245678`, time.UnixMilli(4102542245678)},
	} {
		got := s.Call(t, "POST", action(friendly, "reschedule"), `{"delay":`+tt.delay+`}`)
		answer := body[struct {
			ID, Status, DelayedUntil string
			RelatedRuns              map[string]any
		}](t, got)
		until := s.detail(s.env, friendly).DelayUntil
		if answer.ID != friendly || answer.Status != "DELAYED" || answer.DelayedUntil != until.Format("2006-01-02T15:04:05.000Z") || answer.RelatedRuns == nil {
			t.Errorf("%s: %s", tt.delay, got.Body)
		}
		if off := until.Sub(tt.want).Abs(); off > time.Minute {
			t.Errorf("%s: delayed until %v, want %v", tt.delay, until, tt.want)
		}
	}
	before := s.detail(s.env, friendly).DelayUntil
	for _, tt := range []struct{ body, want string }{
		{`{"delay":"soon"}`, `{"error":"Invalid delay: soon"}`},
		{`{"delay":""}`, `{"error":"*"}`},
		{`{"delay":"2001-01-01T00:00:00Z"}`, `{"error":"Invalid delay: 2001-01-01T00:00:00Z"}`},
		{`{"delay":1e300}`, `{"error":"Invalid delay: 1e300"}`},
		{`{"delay":-5}`, `{"error":"Invalid delay: -5"}`},
		{`{"delay":0}`, `{"error":"Invalid delay: 0"}`},
		{`{}`, `{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Required","path":["delay"]}]}`},
		{`{"delay":null}`, `{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Expected string or date","path":["delay"]}]}`},
		{`{"delay":{}}`, `{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Expected string or date","path":["delay"]}]}`},
		{`{"delay":`, `{"error":"Invalid JSON"}`},
		{``, `{"error":"Request body is empty"}`},
	} {
		expect(t, tt.body, s.Call(t, "POST", action(friendly, "reschedule"), tt.body), 400, tt.want)
	}
	if now := s.detail(s.env, friendly).DelayUntil; !now.Equal(before) {
		t.Errorf("a refused call moved the run from %v to %v", before, now)
	}
	expect(t, "queued", s.Call(t, "POST", action(s.trigger(`{}`), "reschedule"), `{"delay":"1h"}`), 400, `{"error":"Cannot reschedule a run that is not delayed"}`)
	s.elsewhere("POST", "reschedule", `{"delay":"1h"}`, "Run not found")
	s.guardSecret("POST", action(friendly, "reschedule"), `{"delay":"1h"}`)
}

func TestAddTags(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{"options":{"tags":["1","2","3","4","5","6","7","8"]}}`)
	add := func(tags string) servertest.Response {
		return s.Call(t, "POST", action(friendly, "tags"), `{"tags":`+tags+`}`)
	}
	longest := strings.Repeat("é", 126) + "🙂" // 128 characters, as JavaScript counts
	for _, tt := range []struct {
		tags   string
		status int
		want   string
	}{
		{`["8"," ",""]`, 200, `{"message":"No new tags to add"}`},
		{`[]`, 200, `{"message":"No new tags to add"}`},
		{`["8","a","b","c"]`, 422, `{"error":"Runs can only have 10 tags, you're trying to set 11. These tags have not been set: 'a', 'b', 'c'."}`},
		{`"` + longest + `x"`, 400, `{"error":"Invalid request body","issues":[{"code":"custom","message":"Tags must be less than 128 characters","path":["tags","0"]}]}`},
		{`["ok","` + longest + `x","\u0000"]`, 400, `{"error":"Invalid request body","issues":[{"code":"custom","message":"Tags must be less than 128 characters","path":["tags","1"]},
			{"code":"custom","message":"Null characters are not allowed","path":["tags","2"]}]}`},
		{`[1]`, 400, `{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Expected string or an array of strings","path":["tags"]}]}`},
		{`["a",null]`, 400, `{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Expected string or an array of strings","path":["tags"]}]}`},
		{`null`, 400, `{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Expected string or an array of strings","path":["tags"]}]}`},
		{`["8","` + longest + `","` + longest + `"]`, 200, `{"message":"Successfully set 1 new tags."}`},
		{`"z"`, 200, `{"message":"Successfully set 1 new tags."}`},
		{`"one too many"`, 422, `{"error":"Runs can only have 10 tags, you're trying to set 11. These tags have not been set: 'one too many'."}`},
	} {
		expect(t, tt.tags, add(tt.tags), tt.status, tt.want)
	}
	expect(t, "no tags", s.Call(t, "POST", action(friendly, "tags"), `{}`), 400,
		`{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Required","path":["tags"]}]}`)
	if got, want := s.detail(s.env, friendly).Tags, []string{"1", "2", "3", "4", "5", "6", "7", "8", longest, "z"}; !slices.Equal(got, want) {
		t.Errorf("tags %q, want %q", got, want)
	}
	if got := s.list(s.Client, "/api/v1/runs", "filter[tag]", "z").ids(); !slices.Equal(got, []string{friendly}) {
		t.Errorf("the new tag leads to %v", got)
	}
	s.elsewhere("POST", "tags", `{"tags":"a"}`, "Run not found")
	s.guardSecret("POST", action(friendly, "tags"), `{"tags":"a"}`)
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.trigger(`{"options":{"metadata":{"n":1.50}}}`)
	parent := s.trigger(`{"options":{"parentRunId":"` + root + `"}}`)
	child := s.trigger(`{"options":{"parentRunId":"` + parent + `"}}`)
	document := func(friendly string) string {
		got := body[struct{ Metadata json.RawMessage }](t, s.Call(t, "GET", action(friendly, "metadata"), nil))
		return string(got.Metadata)
	}
	if got := document(child); got != "{}" {
		t.Errorf("without metadata: %s", got)
	}
	got := s.Call(t, "PUT", action(child, "metadata"), `{"metadata":{"own":{"list":[1]}},"operations":[{"type":"append","key":"$.own.list","value":2},
		{"type":"remove","key":"own","value":1},{"type":"set","key":"__proto__","value":1},{"type":"increment","key":"count","value":2},{"type":"delete","key":"none"}],
		"parentOperations":[{"type":"set","key":"from","value":"child"}],"rootOperations":[{"type":"increment","key":"sum","value":3},{"type":"append","key":"log","value":"x"}]}`)
	expect(t, "family", got, 200, `{"metadata":{"own":{"list":[1,2]},"count":2}}`)
	for friendly, want := range map[string]string{child: `{"own":{"list":[1,2]},"count":2}`, parent: `{"from":"child"}`, root: `{"n":1.50,"sum":3,"log":["x"]}`} {
		if got := document(friendly); got != want {
			t.Errorf("%s has %s, want %s", friendly, got, want)
		}
	}
	got = s.Call(t, "PUT", action(root, "metadata"), `{"metadata":{},"operations":[{"type":"set","key":"a","value":1}],"parentOperations":[{"type":"set","key":"b","value":2}],
		"rootOperations":[{"type":"update","value":{"c":3}},{"type":"set","key":"d","value":null}]}`)
	expect(t, "a run without elders", got, 200, `{"metadata":{"c":3,"d":null}}`)
	expect(t, "no change", s.Call(t, "PUT", action(root, "metadata"), `{}`), 200, `{"metadata":{"c":3,"d":null}}`)
	s.elsewhere("PUT", "metadata", `{"metadata":{}}`, "Task Run not found")
	s.elsewhere("GET", "metadata", nil, "Task Run not found")
	s.guardSecret("PUT", action(root, "metadata"), `{}`)
	s.guardSecret("GET", action(root, "metadata"), nil)
}

func TestMetadataRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{"options":{"metadata":{"a":1}}}`)
	put := func(body string) servertest.Response { return s.Call(t, "PUT", action(friendly, "metadata"), body) }
	const types = `Invalid discriminator value. Expected 'update' | 'set' | 'delete' | 'append' | 'remove' | 'increment'`
	for _, tt := range []struct{ body, want string }{
		{``, "Request body is empty"},
		{`{`, "Invalid JSON"},
		{`{"metadata":[]}`, `Validation error: Expected object at \"metadata\"`},
		{`{"metadata":null}`, `Validation error: Expected object at \"metadata\"`},
		{`{"operations":[{"type":"zap","key":"a"}]}`, `Validation error: ` + types + ` at \"operations.0.type\"`},
		{`{"operations":[{"type":"set","key":"a","value":2},{"type":"set","value":1}],"parentOperations":[{"type":"append","key":"a"}],
			"rootOperations":[{"type":"increment","key":"a","value":"1"},{"type":"update","value":[]},{"type":"delete"}]}`,
			`Validation error: Required at \"operations.1.key\"; Required at \"parentOperations.0.value\"; Expected number at \"rootOperations.0.value\"; ` +
				`Expected object at \"rootOperations.1.value\"; Required at \"rootOperations.2.key\"`},
	} {
		expect(t, tt.body, put(tt.body), 400, `{"error":"`+tt.want+`"}`)
	}
	large := strings.Repeat("x", run.MaxMetadata-len(`{"b":""}`))
	const tooLarge = `{"error":"Metadata exceeds maximum size of 262144 bytes"}`
	expect(t, "one byte too many", put(`{"metadata":{"b":"`+large+`x"}}`), 413, tooLarge)
	expect(t, "grown too large", put(`{"operations":[{"type":"set","key":"b","value":"`+large+`"}]}`), 413, tooLarge)
	expect(t, "body too large", put(`{"metadata":{"b":"`+strings.Repeat("x", 2<<20)+`"}}`), 413, `{"error":"Request body too large"}`)
	if d := s.detail(s.env, friendly); d.Metadata.Data != `{"a":1}` {
		t.Errorf("refused calls left %s", d.Metadata.Data)
	}
	if got := put(`{"metadata":{"b":"` + large + `"}}`); got.Status != 200 {
		t.Errorf("the largest document: %d %s", got.Status, got.Body)
	}

	s.Call(t, "POST", action(friendly, "cancel"), nil)
	s.set(friendly, "completed_at = $1", time.Now().Add(-59*time.Minute).UnixMicro())
	expect(t, "an hour after the end", put(`{"metadata":{"late":1}}`), 200, `{"metadata":{"late":1}}`)
	s.set(friendly, "completed_at = $1", time.Now().Add(-61*time.Minute).UnixMicro())
	expect(t, "later", put(`{"metadata":{"later":1}}`), 422, `{"error":"Cannot update metadata for a completed run"}`)
}

func TestReplay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.trigger(`{"payload":"{\"json\":1}","context":{"u":1},"options":{"payloadType":"application/super+json","tags":["a"],"metadata":{"m":1},"test":true,
		"machine":"micro","concurrencyKey":"ck","delay":"1h","ttl":"2h","idempotencyKey":"k","maxAttempts":7,"priority":3}}`)
	s.Call(t, "PUT", action(old, "metadata"), `{"metadata":{"changed":true}}`)
	replay := func(body any) run.Definition {
		t.Helper()
		got := s.Call(t, "POST", action(old, "replay"), body)
		expect(t, "replay", got, 200, `{"id":"*"}`)
		return s.detail(s.env, runOf(t, got)).Definition
	}
	got := s.Call(t, "POST", action(old, "replay"), nil)
	d := s.detail(s.env, runOf(t, got))
	want := run.Definition{Payload: run.Packet{Data: `{"json":1}`, Type: run.TypeSuper}, Metadata: run.Packet{Data: `{"m":1}`, Type: run.TypeJSON},
		Seed: run.Packet{Data: `{"m":1}`, Type: run.TypeJSON}, Tags: []string{"a"}, Test: true,
		Extra: run.Extra{Context: json.RawMessage(`{"u":1}`), ReplayedFrom: old, Source: "api", Trace: d.Extra.Trace}}
	if diff := cmp.Diff(want, d.Definition); diff != "" {
		t.Error(diff)
	}
	if d.Status != run.StatusPending || d.Machine != "micro" || d.Lane != (run.Lane{Queue: "task/my-task", Key: "ck"}) || d.MaxAttempts != 0 || !d.DelayUntil.IsZero() || d.ParentID != "" {
		t.Errorf("replayed as %+v", d.Run)
	}

	for _, tt := range []struct {
		body string
		want func(d run.Definition) bool
	}{
		{`{"payload":{"x":[1]}}`, func(d run.Definition) bool { return d.Payload == run.Packet{Data: `{"x":[1]}`, Type: run.TypeJSON} }},
		{`{"payload":null}`, func(d run.Definition) bool { return d.Payload == run.Packet{Data: "null", Type: run.TypeJSON} }},
		{`{"payload":"{\"json\":2}","payloadType":"application/super+json"}`, func(d run.Definition) bool { return d.Payload == run.Packet{Data: `{"json":2}`, Type: run.TypeSuper} }},
		{`{"metadata":{"new":1}}`, func(d run.Definition) bool { return d.Metadata.Data == `{"new":1}` && d.Seed.Data == `{"new":1}` }},
		{`{"tags":"one"}`, func(d run.Definition) bool { return slices.Equal(d.Tags, []string{"one"}) }},
		{`{"tags":[]}`, func(d run.Definition) bool { return len(d.Tags) == 0 }},
		{`{"ttl":"10m","idempotencyKey":"fresh"}`, func(d run.Definition) bool { return d.Extra.TTL == "10m" && d.Key.Key == "fresh" }},
	} {
		if d := replay(tt.body); !tt.want(d) {
			t.Errorf("%s made %+v", tt.body, d)
		}
	}
	got = s.Call(t, "POST", action(old, "replay"), `{"queue":"q","concurrencyKey":5,"machine":"large-2x","delay":"1h","maxAttempts":1,"maxDuration":60,"priority":1}`)
	if d := s.detail(s.env, runOf(t, got)); d.Lane != (run.Lane{Queue: "q", Key: "5"}) || d.Machine != "large-2x" || d.Status != run.StatusDelayed || d.Run.MaxAttempts != 1 || d.MaxDuration != 60 {
		t.Errorf("replayed as %+v", d.Run)
	}

	again := headers(s.Client, "X-Trigger-Request-Idempotency-Key", "call-1")
	if a, b := again.Call(t, "POST", action(old, "replay"), nil), again.Call(t, "POST", action(old, "replay"), nil); runOf(t, a) != runOf(t, b) {
		t.Errorf("a repeated call made another run: %s, %s", a.Body, b.Body)
	}
	s.elsewhere("POST", "replay", nil, "Run not found")
	s.guardSecret("POST", action(old, "replay"), nil)
}

// TestReplayOfAnUndeclaredQueue: a queue nobody knows any more gives way to the task's own.
func TestReplayOfAnUndeclaredQueue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.trigger(`{"options":{"queue":{"name":"gone"}}}`)
	got := s.Call(t, "POST", action(old, "replay"), nil)
	if d := s.detail(s.env, runOf(t, got)); d.Lane.Queue != "task/my-task" {
		t.Errorf("it stands in %q", d.Lane.Queue)
	}
}

// TestReplayStaysInItsQueue: the queue of a task has its id in it, whatever characters that has.
func TestReplayStaysInItsQueue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my.task: one", "mytaskone")
	old := runOf(t, s.Call(t, "POST", "/api/v1/tasks/my.task:%20one/trigger", `{}`))
	queue := s.detail(s.env, old).Lane.Queue
	for what, d := range map[string]store.Detail{
		"replayed":     s.detail(s.env, runOf(t, s.Call(t, "POST", action(old, "replay"), nil))),
		"named by it":  s.detail(s.env, s.trigger(`{"options":{"queue":{"name":"`+queue+`"}}}`)),
		"of a version": s.detail(s.env, runOf(t, s.Call(t, "POST", action(old, "replay"), `{"version":"`+s.register("my.task: one").Version+`"}`))),
	} {
		if d.Lane.Queue != "task/my.task: one" {
			t.Errorf("%s it stands in %q", what, d.Lane.Queue)
		}
	}
}

func TestReplayRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	old := s.trigger(`{}`)
	for _, tt := range []struct{ body, want string }{
		{`{"foo":1,"payload":1,"bar":2}`, `Validation error: Unrecognized key(s) in object: 'bar', 'foo'`},
		{`{"payloadType":"text/plain"}`, `Validation error: Invalid enum value. Expected 'application/json' | 'application/super+json', received 'text/plain' at \"payloadType\"`},
		{`{"payloadType":"application/super+json","payload":{}}`, `Validation error: payload must be a SuperJSON string when payloadType is application/super+json at \"payload\"`},
		{`{"payloadType":"application/super+json"}`, `Validation error: payload must be a SuperJSON string when payloadType is application/super+json at \"payload\"`},
		{`{"maxAttempts":0,"maxDuration":-1,"queue":5}`, `Validation error: Number must be greater than or equal to 1 at \"maxAttempts\"; ` +
			`Number must be greater than or equal to 0 at \"maxDuration\"; Expected string, received number at \"queue\"`},
		{`{"machine":"huge"}`, "*"}, {`{"version":7}`, "*"}, {`{"tags":{}}`, "*"}, {`{"metadata":[]}`, "*"}, {`{"idempotencyKey":"` + strings.Repeat("k", 2049) + `"}`, "*"},
		{`[]`, "*"}, {`null`, "Invalid JSON"}, {`{} x`, "Invalid JSON"}, {`{`, "Invalid JSON"},
		{`{"version":"20990101.1"}`, "Task locked to version '20990101.1', but no worker found with that version."},
		{`{"tags":["1","2","3","4","5","6","7","8","9","10","11"]}`, "Runs can only have 10 tags, you're trying to set 11."},
	} {
		expect(t, tt.body, s.Call(t, "POST", action(old, "replay"), tt.body), 400, `{"error":"`+tt.want+`"}`)
	}
	for _, path := range []string{"options.", "lockToVersion"} {
		if got := s.Call(t, "POST", action(old, "replay"), `{"machine":"huge","version":7}`); strings.Contains(string(got.Body), path) {
			t.Errorf("the answer speaks of another body: %s", got.Body)
		}
	}
	if got := s.list(s.Client, "/api/v1/runs").ids(); len(got) != 1 {
		t.Errorf("refused replays made runs: %v", got)
	}
	large := fmt.Sprintf(`{"payload":%q}`, strings.Repeat("x", 3<<20))
	expect(t, "too large", s.Call(t, "POST", action(old, "replay"), large), 413, `{"error":"Request body too large"}`)
}
