package api_test

import (
	"net/url"
	"strings"
	"testing"

	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
)

// secretive triggers a run whose every text is a secret, below another, in its trace.
func (s *site) secretive(parent string) string {
	s.t.Helper()
	c, options := s.Client, `"metadata":"{\"SECRET\":1}","tags":["SECRET"],"idempotencyKey":"SECRET-`+parent+`","machine":"large-2x","ttl":"77m","test":true`
	if parent != "" {
		d := s.detail(s.env, parent)
		c = headers(c, "X-Trigger-Worker", "true", "Traceparent", d.Extra.Trace["traceparent"], "X-Trigger-Span-Parent-As-Link", "0")
		options += `,"parentRunId":"` + parent + `"`
	}
	return runOf(s.t, c.Call(s.t, "POST", "/api/v1/tasks/SECRET/trigger", `{"payload":{"SECRET":1},"options":{`+options+`}}`))
}

// TestRelativesShowNothingOfThemselves: who reads one run learns of its family the ids, the
// states and the places in the tree, unless the credential reads them too.
func TestRelativesShowNothingOfThemselves(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.register("SECRET", "my-task")
		root := s.secretive("")
		parent := s.secretive(root)
		d := s.detail(s.env, parent)
		inTrace := headers(s.Client, "X-Trigger-Worker", "true", "Traceparent", d.Extra.Trace["traceparent"], "X-Trigger-Span-Parent-As-Link", "0")
		mine := runOf(t, inTrace.Call(t, "POST", triggerPath, `{"options":{"parentRunId":"`+parent+`"}}`))
		child := s.secretive(mine)
		grandchild := s.secretive(child)
		for range 5 { // in an order that does not matter
			r, failed := s.begin(), &run.Error{Type: run.BuiltIn, Name: "SECRET", Message: "SECRET", StackTrace: "SECRET"}
			if id.Friendly(id.Run, r.ID) == mine {
				failed = nil
			}
			s.complete(r, engine.Completion{Err: failed})
		}

		token := current(s.token("read:runs:" + mine))
		for _, path := range []string{"/api/v3/runs/" + mine, "/api/v1/runs/" + mine + "/trace", "/api/v1/runs/" + mine + "/trace?page[size]=100", "/api/v1/runs/" + mine + "/events"} {
			relatives := map[string][]string{"/api/v3": {root, parent, child}, "/api/v1": {child, grandchild}}[path[:7]]
			if strings.HasSuffix(path, "/events") {
				relatives = nil
			}
			s.tellsOnlyOf(token, path, relatives...)
			if got := s.Call(t, "GET", path, nil); len(relatives) > 0 && !strings.Contains(string(got.Body), "SECRET") {
				t.Errorf("%s with the secret key: %s", path, got.Body)
			}
		}
		_, tree := s.trace(mine)
		for _, span := range tree.all() {
			s.tellsOnlyOf(token, "/api/v1/runs/"+mine+"/spans/"+span.ID, span.RunID)
		}

		related := body[retrievedFamily](t, token.Call(t, "GET", "/api/v3/runs/"+mine, nil)).RelatedRuns
		if c := related.Children[0]; c.ID != child || c.Status != "FAILED" || !c.IsFailed || c.IsTest || c.TaskIdentifier != "" || c.Depth != 3 || c.DurationMS != 0 || c.UpdatedAt != c.CreatedAt {
			t.Errorf("the child is shown as %+v", c)
		}
		both := current(s.token("read:runs:"+mine, "read:runs:"+parent))
		related = body[retrievedFamily](t, both.Call(t, "GET", "/api/v3/runs/"+mine, nil)).RelatedRuns
		if related.Parent.TaskIdentifier != "SECRET" || related.Root.TaskIdentifier != "" || !related.Parent.IsTest {
			t.Errorf("with the right to read the parent: %+v, root %+v", related.Parent, related.Root)
		}
	})
}

// tellsOnlyOf checks that an answer names relatives, and nothing else of them.
func (s *site) tellsOnlyOf(c servertest.Client, path string, relatives ...string) {
	s.t.Helper()
	at, err := url.Parse(path)
	if err != nil {
		s.t.Fatal(err)
	}
	at.RawQuery = at.Query().Encode()
	got := c.Call(s.t, "GET", at.String(), nil)
	if strings.Contains(string(got.Body), "SECRET") || strings.Contains(string(got.Body), "large-2x") || strings.Contains(string(got.Body), "77m") {
		s.t.Errorf("%s: %s", path, got.Body)
	}
	for _, r := range relatives {
		if got.Status == 200 && !strings.Contains(string(got.Body), r) {
			s.t.Errorf("%s does not name %s: %s", path, r, got.Body)
		}
	}
}

// all are a span and those below it.
func (s treeSpan) all() []treeSpan {
	out := []treeSpan{s}
	for _, c := range s.Children {
		out = append(out, c.all()...)
	}
	return out
}

// retrievedFamily is a run's family as clients read it.
type retrievedFamily struct {
	RelatedRuns struct {
		Root, Parent *relative
		Children     []relative
	}
}

type relative struct {
	ID, Status, TaskIdentifier, CreatedAt, UpdatedAt string
	IsFailed, IsTest                                 bool
	Depth                                            int
	DurationMS                                       int64
}
