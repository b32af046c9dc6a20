package api_test

import (
	"fmt"
	"strings"
	"testing"

	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
)

// batchWith is a batch that these lines have been sent to.
func (s *site) batchWith(options string, lines ...string) string {
	s.t.Helper()
	batch := body[struct{ ID string }](s.t, s.Call(s.t, "POST", "/api/v3/batches", options)).ID
	if len(lines) == 0 {
		return batch
	}
	if got := s.sendItems(s.Client, batch, strings.Join(lines, "\n")); got.Status != 200 {
		s.t.Fatalf("%d %s", got.Status, got.Body)
	}
	return batch
}

// runsOf are the friendly ids of a batch's runs, by index.
func (s *site) runsOf(batch string) []string {
	s.t.Helper()
	byIndex := s.batchRuns(batch)
	out := make([]string, len(byIndex))
	for i, d := range byIndex {
		out[i] = id.Friendly(id.Run, d.ID)
	}
	return out
}

const line = `{"index":%d,"task":"my-task","payload":"1"}`

func TestGetBatch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	batch := s.batchWith(`{"runCount":2,"idempotencyKey":"hash","idempotencyKeyOptions":{"key":"mine","scope":"run"}}`)
	// shows compares the batch, without the times that are not of interest.
	shows := func(name, want string) {
		t.Helper()
		for _, version := range []string{"v1", "v2"} {
			expect(t, name, s.Call(t, "GET", "/api/"+version+"/batches/"+batch, nil), 200,
				`{"id":"`+batch+`","idempotencyKey":"mine","createdAt":"*","updatedAt":"*","runCount":2,`+want+`}`)
		}
	}
	shows("open", `"status":"PENDING","runs":[],"processing":{"errors":[]}`)
	s.sendItems(s.Client, batch, fmt.Sprintf(line, 1))
	shows("half", `"status":"PENDING","runs":["`+s.runsOfOne(batch, 1)+`"],"processing":{"errors":[]}`)
	s.sendItems(s.Client, batch, fmt.Sprintf(line, 0))
	runs := `"runs":["` + strings.Join(s.runsOf(batch), `","`) + `"],"processing":{"errors":[],"completedAt":"*"}`
	shows("sealed", `"status":"PROCESSING",`+runs)
	s.complete(s.begin(), engine.Completion{})
	shows("one done", `"status":"PROCESSING",`+runs)
	s.complete(s.begin(), engine.Completion{Err: &run.Error{Type: run.StringError, Raw: "no"}}) // a run that failed is no item that did
	shows("done", `"status":"COMPLETED","successfulRunCount":2,"failedRunCount":0,`+runs)
}

// runsOfOne is the run of the one item that has arrived.
func (s *site) runsOfOne(batch string, index int) string {
	s.t.Helper()
	return id.Friendly(id.Run, s.batchRuns(batch)[index].ID)
}

func TestBatchWithErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	bad := `{"index":%d,"task":"my-task","payload":"1","options":{"lockToVersion":"none"}}`
	const message = "Task locked to version 'none', but no worker found with that version."
	batch := s.batchWith(`{"runCount":2}`, fmt.Sprintf(line, 0), fmt.Sprintf(bad, 1))
	s.complete(s.begin(), engine.Completion{})
	runs := s.runsOf(batch)
	problem := func(text string) string {
		return `[{"index":1,"taskIdentifier":"my-task","error":` + text + `,"errorCode":"BATCH_ITEM_COULD_NOT_TRIGGER"}]`
	}
	expect(t, "partly", s.Call(t, "GET", "/api/v2/batches/"+batch, nil), 200, `{"id":"`+batch+`","status":"PARTIAL_FAILED","createdAt":"*","updatedAt":"*","runCount":2,
		"runs":["`+runs[0]+`","`+runs[1]+`"],"successfulRunCount":1,"failedRunCount":1,"errors":`+problem(`{"message":"`+message+`"}`)+`,
		"processing":{"completedAt":"*","errors":`+problem(`"`+message+`"`)+`}}`)
	batch = s.batchWith(`{"runCount":1}`, fmt.Sprintf(bad, 0))
	if got := body[struct{ Status string }](t, s.Call(t, "GET", "/api/v2/batches/"+batch, nil)); got.Status != "ABORTED" {
		t.Errorf("a batch of which nothing could be triggered is %s", got.Status)
	}
}

// TestBatchOfCachedItems: an item that an earlier run answers belongs to the batch,
// but the batch does not wait for that run.
func TestBatchOfCachedItems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.trigger(`{"options":{"idempotencyKey":"k"}}`)
	batch := s.batchWith(`{"runCount":1}`, `{"index":0,"task":"my-task","payload":"1","options":{"idempotencyKey":"k"}}`)
	expect(t, "cached", s.Call(t, "GET", "/api/v2/batches/"+batch, nil), 200, `{"id":"`+batch+`","status":"COMPLETED","createdAt":"*","updatedAt":"*","runCount":1,
		"runs":["`+old+`"],"successfulRunCount":1,"failedRunCount":0,"processing":{"completedAt":"*","errors":[]}}`)
}

func TestBatchResults(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	batch := s.batchWith(`{"runCount":3}`, fmt.Sprintf(line, 0), fmt.Sprintf(line, 1), fmt.Sprintf(line, 2))
	path, runs := "/api/v1/batches/"+batch+"/results", s.runsOf(batch)
	expect(t, "none yet", s.Call(t, "GET", path, nil), 200, `{"id":"`+batch+`","items":[]}`)
	first, second := s.begin(), s.begin()
	s.complete(second, engine.Completion{Err: &run.Error{Type: run.StringError, Raw: "no"}})
	s.complete(first, engine.Completion{Output: run.Packet{Data: `{"json":1}`, Type: run.TypeSuper}})
	if id.Friendly(id.Run, first.ID) != runs[0] || id.Friendly(id.Run, second.ID) != runs[1] {
		t.Fatalf("the items began in another order")
	}
	expect(t, "two", s.Call(t, "GET", path, nil), 200, `{"id":"`+batch+`","items":[
		{"ok":true,"id":"`+runs[0]+`","taskIdentifier":"my-task","output":"{\"json\":1}","outputType":"application/super+json"},
		{"ok":false,"id":"`+runs[1]+`","taskIdentifier":"my-task","error":{"type":"STRING_ERROR","raw":"no"}}]}`)
	s.guardSecret("GET", path, nil)
}

func TestWhoMayReadBatches(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(1)
	for _, version := range []string{"v1", "v2"} {
		s.guard("GET", "/api/"+version+"/batches/"+batch, nil, 200, []string{"read:batch", "read:batch:" + batch, "read:runs"},
			[]string{"read:batch:batch_other", "write:batch:" + batch, "read:runs:run_1", "read:tasks"})
	}
	elsewhere := s.with(s.keys.SecretKeys.Prod)
	for name, got := range map[string]servertest.Response{
		"of another environment": elsewhere.Call(t, "GET", "/api/v2/batches/"+batch, nil),
		"unknown":                s.Call(t, "GET", "/api/v2/batches/batch_unknown", nil),
		"no id":                  s.Call(t, "GET", "/api/v1/batches/run_1", nil),
	} {
		expect(t, name, got, 404, `{"error":"Not found"}`)
		if got.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("%s: clients are not told to give up", name)
		}
	}
	for _, path := range []string{"/api/v1/batches/batch_unknown/results", "/api/v1/batches/run_1/results"} {
		expect(t, path, s.Call(t, "GET", path, nil), 404, `{"error":"Batch not found"}`)
	}
	expect(t, "results elsewhere", elsewhere.Call(t, "GET", "/api/v1/batches/"+batch+"/results", nil), 404, `{"error":"Batch not found"}`)
}
