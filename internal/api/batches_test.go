package api_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/wire"
)

const ndjson = "application/x-ndjson"

// newBatch makes a batch of n items and returns its friendly id.
func (s *site) newBatch(n int) string {
	s.t.Helper()
	return body[wire.CreatedBatch](s.t, s.Call(s.t, "POST", "/api/v3/batches", map[string]int{"runCount": n})).ID
}

func itemsPath(batch string) string { return "/api/v3/batches/" + batch + "/items" }

// items are lines of plain items with these indexes.
func items(indexes ...int) string {
	var b strings.Builder
	for _, i := range indexes {
		fmt.Fprintf(&b, `{"index":%d,"task":"my-task","payload":"{\"json\":%d}","options":{"payloadType":"application/super+json"}}`+"\n", i, i)
	}
	return b.String()
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func (s *site) sendItems(c servertest.Client, batch, lines string) servertest.Response {
	s.t.Helper()
	return stream(s.t, c, "POST", itemsPath(batch), ndjson, strings.NewReader(lines))
}

// batchRuns are the runs of a batch by index.
func (s *site) batchRuns(batch string) map[int]store.Detail {
	s.t.Helper()
	internal, _ := id.Internal(id.Batch, batch)
	out := map[int]store.Detail{}
	err := s.store.View(s.t.Context(), func(tx *store.Tx) error {
		list, err := tx.BatchItems(internal)
		if err != nil {
			return err
		}
		for _, i := range list {
			if out[i.Index], err = tx.Detail(s.env.ID, i.RunID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestCreateBatch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.Call(t, "POST", "/api/v3/batches", `{"runCount":2,"taskIdentifiers":["my-task"],"idempotencyKey":"k","idempotencyKeyOptions":{"key":"bk","scope":"run"}}`)
	expect(t, "create", got, 202, `{"id":"*","runCount":2,"isCached":false,"idempotencyKey":"k"}`)
	first := body[wire.CreatedBatch](t, got).ID
	again := s.Call(t, "POST", "/api/v3/batches", `{"runCount":2,"taskIdentifiers":["my-task"],"idempotencyKey":"k"}`)
	expect(t, "again", again, 200, `{"id":"`+first+`","runCount":2,"isCached":true,"idempotencyKey":"k"}`)

	call := headers(s.Client, "X-Trigger-Request-Idempotency-Key", "call-1")
	once := body[wire.CreatedBatch](t, call.Call(t, "POST", "/api/v3/batches", `{"runCount":1}`)).ID
	expect(t, "the same call again", call.Call(t, "POST", "/api/v3/batches", `{"runCount":1}`), 202, `{"id":"`+once+`","runCount":1,"isCached":false}`)
}

// TestBatchToken: the token that comes back reads the batch; a page's may also fill
// it, unless the page's own token was for some tasks only.
func TestBatchToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, c := range []struct {
		name   string
		client servertest.Client
		writes bool
	}{
		{"a server", s.Client, false},
		{"a page", headers(s.Client, "X-Trigger-Client", "browser"), true},
		{"a page with a token", headers(s.token("batchTrigger:tasks"), "X-Trigger-Client", "browser"), true},
		{"a page with a token for a task", headers(s.token("batchTrigger:tasks:my-task"), "X-Trigger-Client", "browser"), false},
	} {
		got := c.client.Call(t, "POST", "/api/v3/batches", `{"runCount":1,"taskIdentifiers":["my-task"]}`)
		batch := body[wire.CreatedBatch](t, got).ID
		p, err := s.auth.Environment(t.Context(), got.Header.Get("x-trigger-jwt"), "")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"read:batch:" + batch}
		if c.writes {
			want = append(want, "write:batch:"+batch)
		}
		if d := cmp.Diff(want, p.Scopes); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if c.writes {
			expect(t, c.name, s.sendItems(s.with(got.Header.Get("x-trigger-jwt")), batch, items(0)), 200,
				`{"id":"`+batch+`","itemsAccepted":1,"itemsDeduplicated":0,"sealed":true,"runCount":1}`)
		}
	}
}

func TestCreateBatchRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	forbidden := `{"error":"Unauthorized","code":"unauthorized","param":"access_token","type":"authorization"}`
	for _, c := range []struct {
		name, body string
		client     servertest.Client
		status     int
		want       string
	}{
		{"no key", `{"runCount":1}`, s.with(""), 401, `{"error":"Invalid or Missing API key"}`},
		{"no count", `{}`, s.Client, 400, `{"error":"Validation error: Required at \"runCount\""}`},
		{"too many", `{"runCount":1001}`, s.Client, 400, `{"error":"Batch runCount of 1001 exceeds maximum allowed of 1000."}`},
		{"too large", `{"runCount":1,"x":"` + strings.Repeat("x", 131_072) + `"}`, s.Client, 413, `{"error":"Request body too large"}`},
		{"not JSON", `{`, s.Client, 400, `{"error":"Invalid JSON"}`},
		{"another task", `{"runCount":1,"taskIdentifiers":["a","b"]}`, s.token("batchTrigger:tasks:a"), 403, forbidden},
		{"any task", `{"runCount":1}`, s.token("batchTrigger:tasks:a"), 403, forbidden},
		{"single triggers only", `{"runCount":1,"taskIdentifiers":["a"]}`, s.token("trigger:tasks"), 403, forbidden},
		{"somebody's parent", `{"runCount":1,"parentRunId":"run_1"}`, s.token("batchTrigger:tasks"), 403, forbidden},
		{"no such parent", `{"runCount":1,"parentRunId":"run_none","resumeParentOnCompletion":true}`, s.Client, 404, `{"error":"Parent run not found"}`},
	} {
		expect(t, c.name, c.client.Call(t, "POST", "/api/v3/batches", c.body), c.status, c.want)
	}
	expect(t, "no length", stream(t, s.Client, "POST", "/api/v3/batches", "application/json", strings.NewReader(`{"runCount":1}`)), 413,
		`{"error":"Request body too large"}`)
	once := s.with(s.sign(auth.Grant{Scopes: []string{"batchTrigger:tasks"}, OneTime: true}))
	if got := once.Call(t, "POST", "/api/v3/batches", `{"runCount":1}`); got.Status != 202 {
		t.Errorf("first use of a token: %d %s", got.Status, got.Body)
	}
	if got := once.Call(t, "POST", "/api/v3/batches", `{"runCount":1}`); got.Status != 422 {
		t.Errorf("second use of a token: %d %s", got.Status, got.Body)
	}
}

func TestStreamItems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(3)
	lines := `{"index":0,"task":"a/b","payload":{"n": 1}}` + "\r\n\n" +
		`{"index":2,"task":"c","payload":"{\"json\":2}","options":{"payloadType":"application/super+json","tags":["t"],"queue":{"name":"q"},"delay":"1h","idempotencyKey":"k"}}`
	expect(t, "two of three", s.sendItems(s.Client, batch, lines), 200,
		`{"id":"`+batch+`","itemsAccepted":2,"itemsDeduplicated":0,"sealed":false,"enqueuedCount":2,"expectedCount":3,"runCount":3}`)
	expect(t, "everything again", s.sendItems(s.Client, batch, items(0, 1, 2)), 200,
		`{"id":"`+batch+`","itemsAccepted":1,"itemsDeduplicated":2,"sealed":true,"runCount":3}`)
	expect(t, "once more", s.sendItems(s.Client, batch, items(0, 1, 2)), 200,
		`{"id":"`+batch+`","itemsAccepted":0,"itemsDeduplicated":3,"sealed":true,"runCount":3}`)
	type shown struct {
		Task, Payload, Queue string
		Status               run.Status
		Tags                 []string
		Key                  string
	}
	got := map[int]shown{}
	for i, d := range s.batchRuns(batch) {
		got[i] = shown{d.Task, d.Payload.Data, d.Lane.Queue, d.Status, d.Tags, d.Key.Key}
		if d.Extra.Trace["traceparent"] == "" || d.Extra.Source != "api" {
			t.Errorf("item %d has %+v", i, d.Extra)
		}
	}
	if d := cmp.Diff(map[int]shown{
		0: {"a/b", `{"n": 1}`, "task/a/b", run.StatusPending, nil, ""},
		1: {"my-task", `{"json":1}`, "task/my-task", run.StatusPending, nil, ""},
		2: {"c", `{"json":2}`, "q", run.StatusDelayed, []string{"t"}, "k"},
	}, got); d != "" {
		t.Error(d)
	}
}

// TestManyItems: a batch of the largest size comes in several transactions, and its
// runs are in the order of their indexes.
func TestManyItems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(wire.MaxBatch)
	expect(t, "all", s.sendItems(headers(s.Client, "Content-Type", "application/ndjson"), batch, items(upTo(wire.MaxBatch)...)), 200,
		`{"id":"`+batch+`","itemsAccepted":1000,"itemsDeduplicated":0,"sealed":true,"runCount":1000}`)
	runs := s.batchRuns(batch)
	var ids []string
	for i := range wire.MaxBatch {
		ids = append(ids, runs[i].ID)
	}
	if !slices.IsSorted(ids) {
		t.Error("the ids do not follow the indexes")
	}
}

func TestSameKeyTwiceInABatch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(2)
	const item = `{"index":%d,"task":"my-task","options":{"idempotencyKey":"k"}}` + "\n"
	expect(t, "items", s.sendItems(s.Client, batch, fmt.Sprintf(item+item, 0, 1)), 200,
		`{"id":"`+batch+`","itemsAccepted":2,"itemsDeduplicated":0,"sealed":true,"runCount":2}`)
	if runs := s.batchRuns(batch); runs[0].ID != runs[1].ID {
		t.Error("one key led to two runs")
	}
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	unknown := id.Friendly(id.Batch, id.New(time.Now()))
	theirs := body[wire.CreatedBatch](t, s.with(s.keys.SecretKeys.Prod).Call(t, "POST", "/api/v3/batches", `{"runCount":1}`)).ID
	for _, c := range []struct {
		name, batch, lines string
		status             int
		want               string
		kept               int
	}{
		{"not JSON", s.newBatch(3), items(0, 1) + "{oops}\n", 400, "Invalid JSON at line 3: invalid character 'o' looking for beginning of object key string", 2},
		{"no item", s.newBatch(3), items(0) + "[]\n" + items(1), 422, "Invalid item at index 1: Expected object, received array", 1},
		{"wrong option", s.newBatch(3), items(0) + `{"index":1,"task":"t","options":{"machine":5}}`, 422,
			`Invalid item at index 1: Expected string, received number at "options.machine"`, 1},
		{"bad storage path", s.newBatch(3), items(0) + `{"index":1,"task":"t","payload":"../x","options":{"payloadType":"application/store"}}`, 422,
			"Invalid item at index 1: Invalid packet storage path", 1},
		{"index too large", s.newBatch(3), items(0, 1, 3), 422, "Item index 3 exceeds batch runCount 3", 2},
		{"unknown batch", unknown, items(0), 422, "Batch " + unknown + " not found", 0},
		{"unknown batch, no items", unknown, "", 422, "Batch " + unknown + " not found", 0},
		{"no batch at all", "run_1", items(0), 422, "Batch run_1 not found", 0},
		{"batch of another environment", theirs, items(0), 422, "Batch " + theirs + " not found", 0},
	} {
		got := s.sendItems(s.Client, c.batch, c.lines)
		expect(t, c.name, got, c.status, fmt.Sprintf(`{"error":%q}`, c.want))
		if n := len(s.batchRuns(c.batch)); n != c.kept {
			t.Errorf("%s: %d items stay, want %d", c.name, n, c.kept)
		}
	}
	batch := s.newBatch(1)
	expect(t, "wrong type", stream(t, s.Client, "POST", itemsPath(batch), "application/json", strings.NewReader(items(0))), 415,
		`{"error":"Content-Type must be application/x-ndjson or application/ndjson"}`)
	expect(t, "wrong method", s.with("").Call(t, "GET", itemsPath(batch), nil), 405, `{"error":"Method not allowed. Use POST to stream batch items."}`)
	expect(t, "no key", s.sendItems(s.with(""), batch, items(0)), 401, `{"error":"Invalid or Missing API key"}`)
}

// TestRefusalOfALongStream: a client that is still sending reads why it was refused.
func TestRefusalOfALongStream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(2)
	rest := io.LimitReader(strings.NewReader(strings.Repeat("x\n", 4<<20)), 8<<20)
	got := stream(t, s.Client, "POST", itemsPath(batch), ndjson, io.MultiReader(strings.NewReader("{oops}\n"), rest))
	if got.Status != 400 || !strings.Contains(string(got.Body), "Invalid JSON at line 1") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// TestRefusedItems: what a rule refuses, or is too large, becomes a run that has
// failed from the start, and the others run.
func TestRefusedItems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(4)
	lines := `{"index":0,"task":"a","options":{"tags":["1","2","3","4","5","6","7","8","9","10","11"]}}` + "\n" +
		`{"index":1,"task":"b","payload":"` + strings.Repeat("x", wire.MaxItem) + "\"}\n" +
		`{"index":2,"task":"c","options":{"lockToVersion":"20200101.1"}}` + "\n" + items(3)
	expect(t, "items", s.sendItems(s.Client, batch, lines), 200, `{"id":"`+batch+`","itemsAccepted":4,"itemsDeduplicated":0,"sealed":true,"runCount":4}`)
	got := map[int]string{}
	for i, d := range s.batchRuns(batch) {
		got[i] = d.Task + " " + string(d.Status)
		if d.Err != nil {
			got[i] += " " + string(d.Err.Code)
		}
	}
	if d := cmp.Diff(map[int]string{
		0: "a SYSTEM_FAILURE BATCH_ITEM_COULD_NOT_TRIGGER", 1: "b SYSTEM_FAILURE PAYLOAD_TOO_LARGE",
		2: "c SYSTEM_FAILURE BATCH_ITEM_COULD_NOT_TRIGGER", 3: "my-task PENDING",
	}, got); d != "" {
		t.Error(d)
	}
}

func TestWhoMayStream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const forbidden = `{"error":"Unauthorized","code":"unauthorized","param":"access_token","type":"authorization"}`
	mine := s.token("batchTrigger:tasks:my-task")
	made := mine.Call(t, "POST", "/api/v3/batches", `{"runCount":2,"taskIdentifiers":["my-task"]}`)
	batch := body[wire.CreatedBatch](t, made).ID
	expect(t, "another task", s.sendItems(mine, batch, items(0)+`{"index":1,"task":"other"}`), 403, forbidden)
	if n := len(s.batchRuns(batch)); n != 1 {
		t.Errorf("%d items stay, want the one that was allowed", n)
	}
	expect(t, "no items", s.sendItems(mine, batch, ""), 403, forbidden) // it would tell of batches otherwise
	expect(t, "reading only", s.sendItems(s.token("read:batch:"+batch), batch, items(0)), 403, forbidden)
	expect(t, "another batch", s.sendItems(s.token("write:batch:batch_1"), batch, items(0)), 403, forbidden)
	expect(t, "the task", s.sendItems(mine, batch, items(0, 1)), 200, `{"id":"`+batch+`","itemsAccepted":1,"itemsDeduplicated":1,"sealed":true,"runCount":2}`)
	batch = s.newBatch(1)
	expect(t, "the batch", s.sendItems(s.token("write:batch:"+batch), batch, `{"index":0,"task":"other"}`), 200,
		`{"id":"`+batch+`","itemsAccepted":1,"itemsDeduplicated":0,"sealed":true,"runCount":1}`)
}

// TestItemsComeFromWhoMadeTheBatch: the right to trigger a task in batches is not one to put
// runs into the batches of others, in which a parent would take them for its own.
func TestItemsComeFromWhoMadeTheBatch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		const forbidden = `{"error":"Unauthorized","code":"unauthorized","param":"access_token","type":"authorization"}`
		page, other := s.token("batchTrigger:tasks:my-task"), s.token("batchTrigger:tasks:my-task", "read:tags:other")
		made := page.Call(t, "POST", "/api/v3/batches", `{"runCount":2,"taskIdentifiers":["my-task"]}`)
		servers, pages := s.newBatch(3), body[wire.CreatedBatch](t, made).ID
		unknown := id.Friendly(id.Batch, id.New(time.Now()))
		for _, c := range []struct {
			name, batch string
			client      servertest.Client
		}{
			{"a server's batch", servers, page},
			{"another page's batch", pages, other},
			{"a batch that is not there", unknown, page}, // nothing tells it from those that are
		} {
			expect(t, c.name, s.sendItems(c.client, c.batch, items(0)), 403, forbidden)
			if n := len(s.batchRuns(c.batch)); n != 0 {
				t.Errorf("%s has %d items", c.name, n)
			}
		}
		expect(t, "its own", s.sendItems(page, pages, items(0)), 200,
			`{"id":"`+pages+`","itemsAccepted":1,"itemsDeduplicated":0,"sealed":false,"enqueuedCount":1,"expectedCount":2,"runCount":2}`)
		expect(t, "and again", s.sendItems(page, pages, items(0, 1)), 200,
			`{"id":"`+pages+`","itemsAccepted":1,"itemsDeduplicated":1,"sealed":true,"runCount":2}`)
	})
}

// TestItemStreamEnds: a stream that goes on for ever is ended, whether it repeats items or says
// nothing, and so says the answer.
func TestItemStreamEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, c := range []struct{ name, first, line, want string }{
		{"items", items(0, 1, 0, 1), items(1), `{"error":"Too many items: batch BATCH has a runCount of 2, and one stream may repeat each item once"}`},
		{"blank lines", items(0), "\n", `{"error":"Line 1002 is blank, as are 1000 others: no more are read"}`},
		{"lines of blanks", items(0), "  \r\n", `{"error":"Line 1002 is blank, as are 1000 others: no more are read"}`},
	} {
		batch := s.newBatch(2)
		endless := strings.NewReader(c.first + strings.Repeat(c.line, 1<<20/len(c.line)))
		got := stream(t, s.Client, "POST", itemsPath(batch), ndjson, endless)
		expect(t, c.name, got, map[bool]int{true: 422, false: 400}[c.name == "items"], strings.Replace(c.want, "BATCH", batch, 1))
	}
	batch := s.newBatch(2)
	expect(t, "each item twice", s.sendItems(s.Client, batch, items(0, 0, 1, 1)), 200,
		`{"id":"`+batch+`","itemsAccepted":2,"itemsDeduplicated":2,"sealed":true,"runCount":2}`)
}

func TestLargeItems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const n = 6 // more than one transaction takes in
	batch := s.newBatch(n)
	var lines strings.Builder
	text := strings.Repeat("x", blob.Inline+1)
	for i := range n {
		fmt.Fprintf(&lines, `{"index":%d,"task":"t","payload":"%d%s","options":{"payloadType":"text/plain"}}`+"\n", i, i, text)
	}
	expect(t, "items", s.sendItems(s.Client, batch, lines.String()), 200, `{"id":"`+batch+`","itemsAccepted":6,"itemsDeduplicated":0,"sealed":true,"runCount":6}`)
	for i, d := range s.batchRuns(batch) {
		if got := s.download(s.Client, d.Payload.Data); d.Payload.Type != run.TypeStore || got != (run.Packet{Data: fmt.Sprint(i, text), Type: run.TypeText}) {
			t.Errorf("item %d: %d bytes of %s", i, len(got.Data), got.Type)
		}
	}
}

// TestBatchThatIsWaitedFor: the parent waits once everything has arrived, and goes on
// with all results.
func TestBatchThatIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("my-task")
	s.trigger(`{}`)
	parent := s.begin()
	friendly := id.Friendly(id.Run, parent.ID)
	batch := body[wire.CreatedBatch](t, s.Call(t, "POST", "/api/v3/batches", `{"runCount":2,"parentRunId":"`+friendly+`","resumeParentOnCompletion":true}`)).ID
	if got := s.sendItems(s.Client, batch, items(0)); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := s.detail(s.env, friendly).Exec; got != run.Executing {
		t.Errorf("the parent is %s before all items are there", got)
	}
	if got := s.sendItems(s.Client, batch, items(0, 1)); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := s.detail(s.env, friendly).Exec; got != run.Waiting {
		t.Errorf("the parent is %s", got)
	}
	for range 2 {
		s.complete(s.begin(), engine.Completion{Output: run.Packet{Data: "1", Type: run.TypeJSON}})
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		d := s.detail(s.env, friendly)
		if d.Exec == run.Executing {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the parent is %s", d.Exec)
		}
	}
}

// TestBrokenStream: what had arrived in whole chunks before the client went away
// stays, and the rest is welcome.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	batch := s.newBatch(600)
	s.breakOff("POST", itemsPath(batch), ndjson, strings.NewReader(items(upTo(550)...)))
	got := body[wire.StreamedItems](t, s.sendItems(s.Client, batch, items(upTo(600)...)))
	if !got.Sealed || got.ItemsAccepted+got.ItemsDeduplicated != 600 {
		t.Errorf("%+v", got)
	}
	if n := len(s.batchRuns(batch)); n != 600 {
		t.Errorf("%d runs", n)
	}
}

// BenchmarkItems streams batches of 500 from several clients.
func BenchmarkItems(b *testing.B) {
	s := newSite(b)
	lines := items(upTo(500)...)
	b.SetParallelism(4)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := s.sendItems(s.Client, s.newBatch(500), lines); got.Status != 200 {
				b.Errorf("%d %s", got.Status, got.Body)
			}
		}
	})
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "items/s")
}

// TestStreamEndsWithItsKey: of a stream that goes on after its key was replaced, nothing more
// is taken.
func TestStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const first, more = 500, 500 // a chunk each
	batch := s.newBatch(first + more)
	all := strings.SplitAfter(items(upTo(first+more)...), "\n")
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, strings.Join(all[:first], ""))
		for end := time.Now().Add(10 * time.Second); len(s.batchRuns(batch)) < first && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		if _, _, err := s.auth.RotateKey(t.Context(), s.env, 0); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, strings.Join(all[first:], ""))
		_ = w.Close()
	}()
	if got := stream(t, s.Client, "POST", itemsPath(batch), ndjson, r); got.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := len(s.batchRuns(batch)); got != first {
		t.Errorf("%d runs, want %d", got, first)
	}
}
