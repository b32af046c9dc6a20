package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/wire"
)

// treeSpan is a span of the tree as clients read it.
type treeSpan struct {
	ID, ParentID, RunID string
	Data                struct {
		Message, TaskSlug, StartTime, Level string
		Duration                            float64
		IsError, IsPartial, IsCancelled     bool
		Events                              []struct{ Name string }
	}
	Children []treeSpan
}

// outline draws a tree.
func (s treeSpan) outline() string {
	out := s.Data.Message
	for name, is := range map[string]bool{"…": s.Data.IsPartial, "!": s.Data.IsError, "x": s.Data.IsCancelled} {
		if is {
			out += name
		}
	}
	if len(s.Children) == 0 {
		return out
	}
	var below []string
	for _, c := range s.Children {
		below = append(below, c.outline())
	}
	return out + "(" + strings.Join(below, " ") + ")"
}

func (s *site) trace(friendly string) (traceID string, root treeSpan) {
	s.t.Helper()
	v := body[struct {
		Trace struct {
			TraceID  string
			RootSpan treeSpan
		}
	}](s.t, s.Call(s.t, "GET", "/api/v1/runs/"+friendly+"/trace", nil))
	return v.Trace.TraceID, v.Trace.RootSpan
}

// child triggers a run from inside another, as the SDK does; in its trace or in one of its own.
func (s *site) child(parent string, linked bool) string {
	s.t.Helper()
	d := s.detail(s.env, parent)
	link := "0"
	if linked {
		link = "1"
	}
	c := headers(s.Client, "X-Trigger-Worker", "true", "Traceparent", d.Extra.Trace["traceparent"], "X-Trigger-Span-Parent-As-Link", link)
	return runOf(s.t, c.Call(s.t, "POST", triggerPath, `{"options":{"parentRunId":"`+parent+`","priority":5}}`))
}

func TestTrace(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.register("my-task")
		friendly := s.trigger(`{"options":{"maxAttempts":2}}`)
		traceID, root := s.trace(friendly)
		wantTrace, wantSpan, _ := wire.ParseTraceparent(s.detail(s.env, friendly).Extra.Trace["traceparent"])
		if traceID != wantTrace || root.ID != wantSpan || root.ParentID != "" || root.RunID != friendly || root.outline() != "my-task…" || root.Data.Level != "TRACE" {
			t.Errorf("queued: %s %+v", traceID, root)
		}
		first := s.begin()
		below, beside := s.child(friendly, false), s.child(friendly, true)
		s.complete(first, engine.Completion{Err: &run.Error{Type: run.BuiltIn, Name: "Error", Message: "no"}, Retry: &run.Retry{}})
		_, root = s.trace(friendly)
		if root.outline() != "my-task…(Attempt 1!(my-task…))" {
			t.Errorf("after a failure: %s", root.outline())
		}
		if got := root.Children[0].Children[0]; got.RunID != below || got.ParentID != root.Children[0].ID {
			t.Errorf("the child is %+v", got)
		}
		detail := func(of treeSpan) string {
			got := s.Call(t, "GET", "/api/v1/runs/"+friendly+"/spans/"+of.ID, nil)
			if got.Status != 200 {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
			return string(got.Body)
		}
		if got := detail(root.Children[0]); !strings.Contains(got, below) || !strings.Contains(got, beside) || !strings.Contains(got, `"isError":true`) || !strings.Contains(got, `"attempt_failed"`) {
			t.Errorf("attempt: %s", got)
		}
		if got := detail(root); strings.Contains(got, below) || !strings.Contains(got, `"parentId":null`) {
			t.Errorf("run: %s", got)
		}
		if got := detail(root.Children[0].Children[0]); !strings.Contains(got, `"runId":"`+below+`"`) {
			t.Errorf("child: %s", got)
		}
		s.Call(t, "POST", "/api/v2/runs/"+below+"/cancel", nil)
		if _, root = s.trace(friendly); !strings.Contains(root.outline(), "(Attempt 1!(my-taskx)") {
			t.Errorf("after the child was cancelled: %s", root.outline())
		}
	})
}

// TestTraceOfEveryRun: a run has a span whoever made it, and one that could not be
// triggered hangs where it was wanted.
func TestTraceOfEveryRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	parent := s.trigger(`{}`)
	parentTrace, _ := s.trace(parent)

	bulk := body[struct{ ID string }](t, s.bulk(`{"action":"replay","runIds":["`+parent+`"]}`)).ID
	replay := s.list(s.Client, "/api/v1/runs", "filter[bulkAction]", bulk).ids()[0]
	if traceID, root := s.trace(replay); traceID == parentTrace || root.RunID != replay {
		t.Errorf("the bulk replay: %s %+v", traceID, root)
	}

	worker := headers(s.Client, "X-Trigger-Worker", "true", "Traceparent", s.detail(s.env, parent).Extra.Trace["traceparent"])
	batch := s.newBatch(2)
	s.sendItems(worker, batch, `{"index":0,"task":"my-task","options":{"lockToVersion":"none"}}`+"\n"+
		`{"index":1,"task":"my-task","payload":"../x","options":{"payloadType":"application/store"}}`)
	for index, d := range s.batchRuns(batch) {
		if d.Status != run.StatusSystemFailure || d.Task != "my-task" {
			t.Errorf("item %d of %q: %s", index, d.Task, d.Status)
		}
		if traceID, _, _ := wire.ParseTraceparent(d.Extra.Trace["traceparent"]); traceID != parentTrace {
			t.Errorf("item %d belongs to %q", index, traceID)
		}
	}
}

func TestTracePages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	friendly := s.trigger(`{"options":{"maxAttempts":1}}`)
	attempt := s.begin()
	s.child(friendly, false)
	s.child(friendly, false)
	s.complete(attempt, engine.Completion{Err: &run.Error{Type: run.StringError, Raw: "no"}})
	type page struct {
		Data []struct {
			ID, ParentID, RunID, Message string
			AttemptNumber                *int
		}
		AttemptFailures []struct {
			SpanID, RunID string
			AttemptNumber int
		}
		Pagination struct {
			Next      string
			Truncated bool
		}
	}
	path := "/api/v1/runs/" + friendly + "/trace?page[size]="
	whole := body[page](t, s.Call(t, "GET", path+"10000", nil))
	if len(whole.Data) != 4 || whole.Pagination.Next != "" || whole.Pagination.Truncated {
		t.Fatalf("%+v", whole)
	}
	if f := whole.AttemptFailures; len(f) != 1 || f[0].SpanID != whole.Data[0].ID || f[0].AttemptNumber != 1 || f[0].RunID != friendly {
		t.Errorf("failures %+v", f)
	}
	if d := whole.Data[1]; d.Message != "Attempt 1" || d.ParentID != whole.Data[0].ID || d.AttemptNumber == nil || *d.AttemptNumber != 1 || whole.Data[0].AttemptNumber != nil {
		t.Errorf("%+v", whole.Data)
	}
	for _, size := range []int{1, 2, 3, 4} {
		var got page
		for after := ""; ; {
			p := body[page](t, s.Call(t, "GET", path+fmt.Sprint(size)+"&page[after]="+url.QueryEscape(after), nil))
			got.Data, got.AttemptFailures = append(got.Data, p.Data...), append(got.AttemptFailures, p.AttemptFailures...)
			if after = p.Pagination.Next; after == "" {
				break
			}
		}
		if d := cmp.Diff(whole, got); d != "" {
			t.Errorf("pages of %d: %s", size, d)
		}
	}
	expect(t, "bad query", s.Call(t, "GET", path+"0&page[after]=x", nil), 400, `{"error":"Query Error","details":[
		{"code":"custom","message":"Number must be between 1 and 10000","path":["page[size]"]},{"code":"custom","message":"Invalid cursor","path":["page[after]"]}]}`)
	for _, size := range []string{"10001", "x", ""} {
		if got := s.Call(t, "GET", path+size, nil); got.Status != 400 {
			t.Errorf("size %q: %d %s", size, got.Status, got.Body)
		}
	}
}

func TestRunEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	friendly := s.trigger(`{"options":{"maxAttempts":1}}`)
	attempt := s.begin()
	s.child(friendly, false) // has events of its own
	s.complete(attempt, engine.Completion{Err: &run.Error{Type: run.BuiltIn, Name: "Error", Message: "no", StackTrace: "at x"}})
	got := s.Call(t, "GET", "/api/v1/runs/"+friendly+"/events", nil)
	got.Body = []byte(quoteNumbers(string(got.Body), "duration")) // expect lets only texts differ
	failed := `[{"name":"exception","time":"*","properties":{"exception":{"type":"Error","message":"no","stacktrace":"at x"}}}]`
	_, root := s.trace(friendly)
	expect(t, "events", got, 200, `{"events":[
		{"spanId":"`+root.ID+`","parentId":null,"runId":"`+friendly+`","message":"my-task","isError":true,"isPartial":false,"isCancelled":false,"level":"TRACE",
			"startTime":"*","duration":"*","kind":"SERVER","attemptNumber":null,"taskSlug":"my-task","events":`+failed+`,"style":{"icon":"task"}},
		{"spanId":"`+root.Children[0].ID+`","parentId":"`+root.ID+`","runId":"`+friendly+`","message":"Attempt 1","isError":true,"isPartial":false,"isCancelled":false,
			"level":"TRACE","startTime":"*","duration":"*","kind":"CONSUMER","attemptNumber":1,"taskSlug":"my-task","events":`+failed+`,"style":{"icon":"attempt"}}]}`)
}

// quoteNumbers makes texts of the numbers of a member.
func quoteNumbers(text, member string) string {
	parts := strings.Split(text, `"`+member+`":`)
	for i := range parts[1:] {
		number, rest, _ := strings.Cut(parts[i+1], ",")
		parts[i+1] = `"` + number + `",` + rest
	}
	return strings.Join(parts, `"`+member+`":`)
}

func TestWhoMayReadTraces(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	friendly := s.trigger(`{"options":{"tags":["red"]}}`)
	_, root := s.trace(friendly)
	paths := []string{"/trace", "/trace?page[size]=5", "/events", "/spans/" + root.ID}
	for _, path := range paths {
		s.guard("GET", "/api/v1/runs/"+friendly+path, nil, 200,
			[]string{"read:runs", "read:runs:" + friendly, "read:tasks:my-task", "read:tags:red"},
			[]string{"read:runs:run_other", "write:runs", "read:tags:green"})
		for name, got := range map[string]servertest.Response{
			"of another environment": s.with(s.keys.SecretKeys.Prod).Call(t, "GET", "/api/v1/runs/"+friendly+path, nil),
			"unknown":                s.Call(t, "GET", "/api/v1/runs/run_unknown"+path, nil),
			"no id":                  s.Call(t, "GET", "/api/v1/runs/batch_1"+path, nil),
		} {
			expect(t, path+" "+name, got, 404, `{"error":"Run not found"}`)
		}
	}
	for _, span := range []string{"0000000000000000", "x", strings.Repeat("f", 16)} {
		expect(t, span, s.Call(t, "GET", "/api/v1/runs/"+friendly+"/spans/"+span, nil), 404, `{"error":"Span not found"}`)
	}
	s.set(friendly, "extra = NULL")
	for _, path := range paths[:2] {
		expect(t, path, s.Call(t, "GET", "/api/v1/runs/"+friendly+path, nil), 404, `{"error":"Trace not found"}`)
	}
	if got := s.Call(t, "GET", "/api/v1/runs/"+friendly+"/events", nil); got.Status != 200 || !strings.Contains(string(got.Body), friendly) {
		t.Errorf("events without a trace: %d %s", got.Status, got.Body)
	}
}
