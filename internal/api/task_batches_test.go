package api_test

import (
	"fmt"
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
)

// The routes that take a batch in one piece.
const (
	batchV1   = "/api/v1/tasks/batch"
	batchV2   = "/api/v2/tasks/batch"
	batchTask = "/api/v1/tasks/my-task/batch"
)

// whole is a body with these items.
func whole(items ...string) string { return `{"items":[` + strings.Join(items, ",") + `]}` }

// plain are n items of a task.
func plain(n int) string {
	return whole(slices.Repeat([]string{`{"task":"my-task"}`}, n)...)
}

// batchID is the batch that an answer names, in whichever words.
func batchID(t testing.TB, got servertest.Response) string {
	t.Helper()
	v := body[struct{ ID, BatchID string }](t, got)
	return max(v.ID, v.BatchID)
}

func TestWholeBatch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		const items = `{"task":"my-task","payload":{"n": 1},"context":{"user":1},"options":{"tags":["x"],"idempotencyKey":"a"}},` +
			`{"task":"my-task","payload":"{\"json\":2}","options":{"payloadType":"application/super+json"}}`
		got := s.Call(t, "POST", batchV1, whole(items))
		batch := batchID(t, got)
		runs := s.runsOf(batch)
		expect(t, "document", got, 200, `{"id":"`+batch+`","batchId":"`+batch+`","isCached":false,"runs":["`+runs[0]+`","`+runs[1]+`"]}`)
		d := s.detail(s.env, runs[0])
		if d.Payload != (run.Packet{Data: `{"n": 1}`, Type: run.TypeJSON}) || d.Key.Key != "a" || d.Tags[0] != "x" || string(d.Extra.Context) != `{"user":1}` {
			t.Errorf("the first item became %+v", d.Definition)
		}
		if d := s.detail(s.env, runs[1]); d.Payload != (run.Packet{Data: `{"json":2}`, Type: run.TypeSuper}) || d.BatchIndex != 1 {
			t.Errorf("the second item became %+v", d)
		}
		shown := body[struct {
			Status   string
			RunCount int
		}](t, s.Call(t, "GET", "/api/v1/batches/"+batch, nil))
		if shown.Status != "PROCESSING" || shown.RunCount != 2 {
			t.Errorf("%+v", shown)
		}

		old := headers(s.Client, "Trigger-Version", "3.3.0")
		got = old.Call(t, "POST", batchV1, whole(items))
		batch = batchID(t, got)
		expect(t, "old SDK", got, 202, `{"id":"`+batch+`","batchId":"`+batch+`","isCached":false,"runs":[
			{"id":"`+runs[0]+`","taskIdentifier":"my-task","isCached":true,"idempotencyKey":"a"},{"id":"`+s.runsOf(batch)[1]+`","taskIdentifier":"my-task","isCached":false}]}`)
		got = s.Call(t, "POST", batchV2, whole(items))
		expect(t, "v2", got, 202, `{"id":"`+batchID(t, got)+`","runCount":2,"isCached":false}`)
		got = s.Call(t, "POST", batchTask, whole(`{"payload":1}`, `{}`))
		runs = s.runsOf(batchID(t, got))
		expect(t, "one task", got, 200, `{"batchId":"`+batchID(t, got)+`","runs":["`+runs[0]+`","`+runs[1]+`"]}`)
		if d := s.detail(s.env, runs[1]); d.Task != "my-task" || d.Payload.Data != "" {
			t.Errorf("an empty item became %+v", d)
		}
	})
}

// TestWholeBatchKeys: a key leads to the first batch, and so does the same call sent again.
func TestWholeBatchKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		for _, path := range []string{batchV1, batchV2, batchTask} {
			keyed := headers(s.Client, "Idempotency-Key", path, "Idempotency-Key-Ttl", "1h")
			first := batchID(t, keyed.Call(t, "POST", path, plain(2)))
			again := keyed.Call(t, "POST", path, plain(1))
			if got := batchID(t, again); got != first || path != batchTask && !strings.Contains(string(again.Body), `"isCached":true`) {
				t.Errorf("%s: %s, not %s", path, again.Body, first)
			}
			call := headers(s.Client, "X-Trigger-Request-Idempotency-Key", path)
			first = batchID(t, call.Call(t, "POST", path, plain(1)))
			again = call.Call(t, "POST", path, plain(1))
			if got := batchID(t, again); got != first || strings.Contains(string(again.Body), `"isCached":true`) {
				t.Errorf("%s repeated: %s, not %s", path, again.Body, first)
			}
		}
		old := headers(s.Client, "Idempotency-Key", batchV1, "Trigger-Version", "3.3.0")
		first := batchID(t, old.Call(t, "POST", batchV1, plain(1)))
		runs := s.runsOf(first)
		expect(t, "old SDK", old.Call(t, "POST", batchV1, plain(1)), 202, `{"id":"`+first+`","batchId":"`+first+`","isCached":true,"idempotencyKey":"`+batchV1+`","runs":[
			{"id":"`+runs[0]+`","taskIdentifier":"my-task","isCached":true},{"id":"`+runs[1]+`","taskIdentifier":"my-task","isCached":true}]}`)
		elsewhere := servertest.Client{URL: s.URL, Key: s.keys.SecretKeys.Prod}
		if got := batchID(t, headers(elsewhere, "Idempotency-Key", batchV1).Call(t, "POST", batchV1, plain(1))); got == first {
			t.Error("a key led to the batch of another environment")
		}
		brief := headers(s.Client, "Idempotency-Key", "brief", "Idempotency-Key-Ttl", "1s")
		first = batchID(t, brief.Call(t, "POST", batchV2, plain(1)))
		s.expireKey(first)
		if got := batchID(t, brief.Call(t, "POST", batchV2, plain(1))); got == first {
			t.Error("a key that has expired led to its batch")
		}
	})
}

// expireKey lets a batch's key expire.
func (s *site) expireKey(batch string) {
	s.t.Helper()
	internal, _ := id.Internal(id.Batch, batch)
	err := s.store.Update(s.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE batch SET idem_expires = 1 WHERE id = $1", internal)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestWholeBatchRefusedItems: what a rule refuses is told by its index, and the others run.
func TestWholeBatchRefusedItems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	eleven := `["1","2","3","4","5","6","7","8","9","10","11"]`
	for _, path := range []string{batchV1, batchV2, batchTask} {
		batch := batchID(t, s.Call(t, "POST", path, whole(`{"task":"my-task","options":{"tags":`+eleven+`}}`, `{"task":"my-task"}`,
			`{"task":"my-task","options":{"lockToVersion":"20200101.1"}}`)))
		runs := s.batchRuns(batch)
		if got := []run.Status{runs[0].Status, runs[1].Status, runs[2].Status}; !slices.Equal(got, []run.Status{run.StatusSystemFailure, run.StatusPending, run.StatusSystemFailure}) {
			t.Errorf("%s: %v", path, got)
		}
		type problem struct {
			Index            int
			Error, ErrorCode string
		}
		shown := body[struct{ Processing struct{ Errors []problem } }](t, s.Call(t, "GET", "/api/v2/batches/"+batch, nil))
		if d := cmp.Diff([]problem{
			{0, "Runs can only have 10 tags, you're trying to set 11.", "BATCH_ITEM_COULD_NOT_TRIGGER"},
			{2, "Task locked to version '20200101.1', but no worker found with that version.", "BATCH_ITEM_COULD_NOT_TRIGGER"},
		}, shown.Processing.Errors); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
}

func TestWholeBatchRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	large := `{"items":[{"task":"my-task"}],"x":"` + strings.Repeat("x", 1_000_000) + `"}`
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"none", batchV1, whole(), 400, "Batch cannot be triggered with no items"},
		{"none", batchV2, whole(), 400, "Batch cannot be triggered with no items"},
		{"none", batchTask, whole(), 400, "Batch cannot be triggered with no items"},
		{"too many", batchV1, plain(501), 400, "Batch size of 501 is too large. Maximum allowed batch size is 500."},
		{"far too many", batchV2, plain(1501), 400, "Batch size of 1501 is too large. Maximum allowed batch size is 500."},
		{"too many", batchTask, plain(1001), 400, "Too many items. Maximum allowed batch size is 1000."},
		{"too large", batchV1, large, 413, "Request body too large"},
		{"too large", batchV2, large, 413, "Request body too large"},
		{"too large", batchTask, large, 413, "Request body too large"},
		{"not JSON", batchV2, `{`, 400, "Invalid JSON"},
		{"no object", batchV2, `[]`, 400, "Validation error: Expected object, received array"},
		{"no items", batchV2, `{}`, 400, `Validation error: Required at "items"`},
		{"no list", batchV2, `{"items":{},"resumeParentOnCompletion":1,"dependentAttempt":2}`, 400,
			`Validation error: Expected array, received object at "items"; Expected boolean, received number at "resumeParentOnCompletion"; Expected string, received number at "dependentAttempt"`},
		{"everything at once", batchV1, whole(`5`, `{}`, `{"task":"","options":{"machine":5}}`), 400,
			`Validation error: Expected object, received number at "items[0]"; Required at "items[1].task"; ` +
				`A task id must have between 1 and 512 bytes at "items[2].task"; Expected string, received number at "items[2].options.machine"`},
		{"storage path", batchV2, whole(`{"task":"a"}`, `{"task":"a","payload":"../x","options":{"payloadType":"application/store"}}`), 422,
			"Invalid item at index 1: Invalid packet storage path"},
		{"storage path", batchTask, whole(`{"payload":"../x","options":{"payloadType":"application/store"}}`), 400,
			"Invalid item at index 0: Invalid packet storage path"},
		{"no such parent", batchV1, `{"items":[{"task":"a"}],"parentRunId":"run_none","resumeParentOnCompletion":true}`, 404, "Parent run not found"},
	} {
		expect(t, c.name+" "+c.path, s.Call(t, "POST", c.path, c.body), c.status, fmt.Sprintf(`{"error":%q}`, c.want))
	}
	if got := s.list(s.Client, "/api/v1/runs").ids(); len(got) != 0 {
		t.Errorf("refused batches made runs: %v", got)
	}
	for path, n := range map[string]int{batchV1: 500, batchV2: 500, batchTask: 1000} {
		if got := len(s.batchRuns(batchID(t, s.Call(t, "POST", path, plain(n))))); got != n {
			t.Errorf("%s: %d runs of %d", path, got, n)
		}
		expect(t, "no length", stream(t, s.Client, "POST", path, "application/json", strings.NewReader(plain(1))), 413, `{"error":"Request body too large"}`)
	}
	expect(t, "strategy", headers(s.Client, "Batch-Processing-Strategy", "random").Call(t, "POST", batchV2, plain(1)), 400,
		`{"error":"Headers Error","details":[{"code":"custom","message":"Invalid enum value. Expected 'parallel' | 'sequential'","path":["batch-processing-strategy"]}]}`)
	expect(t, "key", headers(s.Client, "Idempotency-Key", strings.Repeat("k", 2049)).Call(t, "POST", batchV1, plain(1)), 400,
		`{"error":"Headers Error","details":[{"code":"custom","message":"idempotency-key must be 2048 characters or less","path":["idempotency-key"]}]}`)
	if got := headers(s.Client, "Batch-Processing-Strategy", "sequential").Call(t, "POST", batchV2, plain(1)); got.Status != 202 {
		t.Errorf("one after the other: %d %s", got.Status, got.Body)
	}
	finished := s.trigger(`{}`)
	s.Call(t, "POST", "/api/v2/runs/"+finished+"/cancel", nil)
	waiting := `{"items":[{"task":"a"}],"parentRunId":"` + finished + `","resumeParentOnCompletion":true}`
	for path, status := range map[string]int{batchV1: 422, batchV2: 422, batchTask: 400} {
		expect(t, path, s.Call(t, "POST", path, waiting), status, `{"error":"Cannot trigger a batch as the parent run has a status of CANCELED"}`)
	}
}

func TestWhoMaySendWholeBatches(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for path, ok := range map[string]int{batchV1: 200, batchV2: 202, batchTask: 200} {
		s.guard("POST", path, plain(1), ok, []string{"batchTrigger:tasks", "batchTrigger:tasks:my-task"},
			[]string{"trigger:tasks", "batchTrigger:tasks:other", "read:tasks", "write:batch"})
		mine := s.token("batchTrigger:tasks:my-task")
		expect(t, "somebody's parent", mine.Call(t, "POST", path, `{"items":[{"task":"my-task"}],"parentRunId":"run_1"}`), 403,
			`{"error":"Unauthorized","code":"unauthorized","param":"access_token","type":"authorization"}`)

		once := s.with(s.sign(auth.Grant{Scopes: []string{"batchTrigger:tasks:my-task", "read:tags:" + path}, OneTime: true})) // two with the same claims are one
		got := once.Call(t, "POST", path, plain(1))
		p, err := s.auth.Environment(t.Context(), got.Header.Get("X-Trigger-Jwt"), "")
		if err != nil {
			t.Fatalf("%s: %v after %d %s", path, err, got.Status, got.Body)
		}
		if want := []string{"read:batch:" + batchID(t, got)}; !slices.Equal(p.Scopes, want) || !strings.Contains(got.Header.Get("X-Trigger-Jwt-Claims"), want[0]) {
			t.Errorf("%s: the token that comes back may %v", path, p.Scopes)
		}
		status := 422
		if path == batchTask {
			status = 400
		}
		expect(t, "second use "+path, once.Call(t, "POST", path, plain(1)), status, `{"error":"Cannot trigger a batch with a one-time use token as it has already been used."}`)
	}
	mixed := whole(`{"task":"my-task"}`, `{"task":"other"}`)
	for _, path := range []string{batchV1, batchV2} {
		if got := s.token("batchTrigger:tasks:my-task").Call(t, "POST", path, mixed); got.Status != 403 {
			t.Errorf("%s: another's task: %d %s", path, got.Status, got.Body)
		}
	}
}

// TestWholeBatchThatIsWaitedFor: the parent waits at once, and goes on with the results
// of all items, also of those that never ran.
func TestWholeBatchThatIsWaitedFor(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.register("my-task")
		s.trigger(`{}`)
		parent := s.begin()
		friendly := id.Friendly(id.Run, parent.ID)
		batch := batchID(t, s.Call(t, "POST", batchV2, `{"items":[{"task":"my-task"},{"task":"my-task","options":{"lockToVersion":"none"}}],
			"parentRunId":"`+friendly+`","resumeParentOnCompletion":true}`))
		if got := s.detail(s.env, friendly).Exec; got != run.Waiting {
			t.Fatalf("the parent is %s", got)
		}
		if d := s.batchRuns(batch)[0]; d.ParentID != parent.ID || !d.ResumeParent || d.Depth != 1 {
			t.Errorf("the child is %+v", d.Run)
		}
		watch := s.store.Watch(engine.TopicRun, parent.ID)
		defer watch.Close()
		s.complete(s.begin(), engine.Completion{Output: run.Packet{Data: "1", Type: run.TypeJSON}})
		deadline := time.After(20 * time.Second)
		for s.detail(s.env, friendly).Exec != run.Executing {
			select {
			case <-watch.C():
			case <-deadline:
				t.Fatalf("the parent is %s", s.detail(s.env, friendly).Exec)
			}
		}
	})
}

// TestWholeBatchRace: of calls with one key at the same time, one makes the batch.
func TestWholeBatchRace(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		keyed := headers(s.Client, "Idempotency-Key", "k")
		found := make(chan string, 8)
		for range cap(found) {
			go func() {
				got := keyed.Call(t, "POST", batchV1, whole(`{"task":"my-task","options":{"idempotencyKey":"item"}}`, `{"task":"my-task","options":{"idempotencyKey":"item"}}`))
				found <- fmt.Sprint(got.Status, " ", strings.ReplaceAll(string(got.Body), `"isCached":true`, `"isCached":false`))
			}()
		}
		first := <-found
		for range cap(found) - 1 {
			if other := <-found; other != first || !strings.HasPrefix(first, "200 ") {
				t.Errorf("%s, and %s", other, first)
			}
		}
		if runs := s.list(s.Client, "/api/v1/runs").ids(); len(runs) != 1 {
			t.Errorf("%d runs of one key", len(runs))
		}
	})
}

// TestUnrepeatableBatch: after trouble of the server's, a client that sends no key is
// told not to try again, as it might trigger everything twice.
func TestUnrepeatableBatch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("ALTER TABLE batch RENAME TO lost")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{"X-Other": "false", "Idempotency-Key": "", "X-Trigger-Request-Idempotency-Key": ""} {
		got := headers(s.Client, header, "k").Call(t, "POST", batchV1, plain(1))
		if got.Status != 500 || got.Header.Get("X-Should-Retry") != want {
			t.Errorf("%s: %d, x-should-retry %q", header, got.Status, got.Header.Get("X-Should-Retry"))
		}
	}
}
