package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
)

const queuesPath = "/api/v1/queues"

// queuePath is where the SDK finds a queue, with what follows.
func queuePath(name, rest string) string {
	return queuesPath + "/" + url.PathEscape(strings.ReplaceAll(name, "/", "%2F")) + rest
}

// newQueueSite has two custom queues and those of two tasks.
func newQueueSite(t *testing.T, database string) *site {
	t.Helper()
	s := newSite(t)
	if database != "" {
		s = newSiteOn(t, database)
	}
	five := 5
	m := deploy.Manifest{ContentHash: "queues", Queues: []deploy.Queue{{Name: "emails", Limit: &five}, {Name: "emails/urgent"}},
		Tasks: []deploy.Task{{ID: "hello", FilePath: "a.ts"}, {ID: "my/task", FilePath: "a.ts"}}}
	if _, err := s.engine.RegisterWorker(t.Context(), s.env, m); err != nil {
		t.Fatal(err)
	}
	return s
}

// plainQueue is how a queue without a limit, and with nothing in it, is shown.
func plainQueue(name, kind string) string {
	return `{"id":"*","name":"` + name + `","type":"` + kind + `","running":0,"queued":0,"paused":false,"concurrencyLimit":null,
		"concurrency":{"current":null,"base":null,"override":null,"overriddenAt":null,"overriddenBy":null}}`
}

// emails is the queue of that name, with a limit of its own unless overridden.
func emails(current int, override string) string {
	at := `null`
	if override != "null" {
		at = `"*"`
	}
	return fmt.Sprintf(`{"id":"*","name":"emails","type":"custom","running":0,"queued":0,"paused":false,"concurrencyLimit":%d,
		"concurrency":{"current":%[1]d,"base":5,"override":%s,"overriddenAt":%s,"overriddenBy":null}}`, current, override, at)
}

func TestReadQueues(t *testing.T) {
	t.Parallel()
	s := newQueueSite(t, "")
	expect(t, "list", s.Call(t, "GET", queuesPath, nil), 200, `{"data":[`+emails(5, "null")+`,`+plainQueue("emails/urgent", "custom")+`,`+
		plainQueue("hello", "task")+`,`+plainQueue("my/task", "task")+`],"pagination":{"currentPage":1,"totalPages":1,"count":4}}`)
	expect(t, "last page", s.Call(t, "GET", queuesPath+"?perPage=3&page=2", nil), 200,
		`{"data":[`+plainQueue("my/task", "task")+`],"pagination":{"currentPage":2,"totalPages":2,"count":4}}`)
	expect(t, "beyond", s.Call(t, "GET", queuesPath+"?perPage=1000&page=2147483647", nil), 200,
		`{"data":[],"pagination":{"currentPage":2147483647,"totalPages":1,"count":4}}`)
	expect(t, "nothing", s.with(s.keys.SecretKeys.Prod).Call(t, "GET", queuesPath, nil), 200,
		`{"data":[],"pagination":{"currentPage":1,"totalPages":0,"count":0}}`)
	for _, query := range []string{"page=0&perPage=x", "page=-1&perPage=0", "page=1.5&perPage=2147483648"} {
		expect(t, query, s.Call(t, "GET", queuesPath+"?"+query, nil), 400, `{"error":"Query Error","details":[
			{"code":"custom","message":"Number must be between 1 and 2147483647","path":["page"]},
			{"code":"custom","message":"Number must be between 1 and 2147483647","path":["perPage"]}]}`)
	}

	made := body[struct{ ID string }](t, s.Call(t, "GET", queuePath("emails/urgent", "?type=custom"), nil))
	if !strings.HasPrefix(made.ID, "queue_") {
		t.Errorf("id %q", made.ID)
	}
	for path, want := range map[string]string{
		queuePath(made.ID, ""):                           plainQueue("emails/urgent", "custom"),
		queuePath(made.ID, "?type=id"):                   plainQueue("emails/urgent", "custom"),
		queuePath("emails/urgent", "?type=custom"):       plainQueue("emails/urgent", "custom"), // encoded twice, as by the SDK
		queuesPath + "/emails%2Furgent?type=custom":      plainQueue("emails/urgent", "custom"),
		queuePath("my/task", "?type=task"):               plainQueue("my/task", "task"),
		queuePath("task/my/task", "?type=custom"):        plainQueue("my/task", "task"),
		queuePath("hello", "?type=task"):                 plainQueue("hello", "task"),
		queuesPath + "/%68ello?type=task":                plainQueue("hello", "task"),
		queuePath("emails", "?type=custom&other=%F0%9F"): `{"error":"Query Error","details":[{"code":"custom","message":"Invalid characters","path":["other"]}]}`,
	} {
		status := 200
		if strings.Contains(want, "error") {
			status = 400
		}
		expect(t, path, s.Call(t, "GET", path, nil), status, want)
	}
	for _, path := range []string{
		queuePath("emails", ""), queuePath("hello", "?type=custom"), queuePath("emails", "?type=task"), queuePath("run_"+id.New(s.env.CreatedAt), ""),
		queuePath("queue_"+id.New(s.env.CreatedAt), ""), queuePath("100%", "?type=task"), queuesPath + "/%2500?type=custom", queuesPath + "/%25ff?type=task",
	} {
		expect(t, path, s.Call(t, "GET", path, nil), 404, `{"error":"queue-not-found"}`)
	}
	expect(t, "of another environment", s.with(s.keys.SecretKeys.Prod).Call(t, "GET", queuePath(made.ID, ""), nil), 404, `{"error":"queue-not-found"}`)
	expect(t, "type", s.Call(t, "GET", queuePath("hello", "?type=queue"), nil), 400,
		`{"error":"Query Error","details":[{"code":"custom","message":"Invalid enum value. Expected 'id' | 'task' | 'custom', received 'queue'","path":["type"]}]}`)
}

// TestQueueCredentials: a token reads the queues it names, and does no more with them.
func TestQueueCredentials(t *testing.T) {
	t.Parallel()
	s := newQueueSite(t, "")
	path := queuePath("emails", "?type=custom")
	queueID := body[struct{ ID string }](t, s.Call(t, "GET", path, nil)).ID
	for _, c := range []struct {
		scope, path string
		status      int
	}{
		{"read:queues", path, 200},
		{"read:queues", queuePath("unknown", "?type=custom"), 404},
		{"read:queues:" + queueID, path, 200},
		{"read:queues:" + queueID, queuePath(queueID, ""), 200},
		{"read:queues:emails", path, 200},
		{"read:queues:emails", queuePath(queueID, ""), 200},
		{"read:queues:emails", queuePath("unknown", "?type=custom"), 403},
		{"read:queues:emails", queuePath("hello", "?type=task"), 403},
		{"read:runs", path, 403},
		{"write:queues", path, 403},
		{"admin", path, 200},
	} {
		if got := s.token(c.scope).Call(t, "GET", c.path, nil); got.Status != c.status {
			t.Errorf("%s of %s: %d %s, want %d", c.scope, c.path, got.Status, got.Body, c.status)
		}
	}
	for name, c := range map[string]servertest.Client{"token": s.token("admin"), "nobody": s.with(""), "PAT": s.with(s.keys.PersonalAccessToken)} {
		for _, call := range [][3]string{
			{"GET", queuesPath, ""}, {"POST", queuePath("emails", "/pause"), `{"type":"custom","action":"pause"}`},
			{"POST", queuePath("emails", "/concurrency/override"), `{"type":"custom","concurrencyLimit":1}`},
			{"POST", queuePath("emails", "/concurrency/reset"), `{"type":"custom"}`},
		} {
			var send any
			if call[2] != "" {
				send = call[2]
			}
			if got := c.Call(t, call[0], call[1], send); got.Status != 401 {
				t.Errorf("%s: %s %s: %d %s", name, call[0], call[1], got.Status, got.Body)
			}
		}
	}
	expect(t, "unchanged", s.Call(t, "GET", path, nil), 200, emails(5, "null"))
}

func TestPauseQueue(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"sqlite": func(testing.TB) string { return "" }, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newQueueSite(t, url(t))
			for range 3 {
				if _, err := s.engine.Trigger(t.Context(), s.env, engine.Trigger{Task: "hello"}); err != nil {
					t.Fatal(err)
				}
			}
			s.begin()
			if got, err := s.engine.Dequeue(t.Context(), s.env, "", 1); err != nil || len(got) != 1 {
				t.Fatalf("%d runs: %v", len(got), err)
			}
			shown := func(running, queued int, paused bool) string {
				return fmt.Sprintf(`{"id":"*","name":"hello","type":"task","running":%d,"queued":%d,"paused":%v,"concurrencyLimit":null,
					"concurrency":{"current":null,"base":null,"override":null,"overriddenAt":null,"overriddenBy":null}}`, running, queued, paused)
			}
			path := queuePath("hello", "")
			expect(t, "before", s.Call(t, "GET", path+"?type=task", nil), 200, shown(2, 1, false))
			for range 2 {
				expect(t, "pause", s.Call(t, "POST", path+"/pause", `{"type":"task","action":"pause"}`), 200, shown(1, 2, true))
			}
			if got, err := s.engine.Dequeue(t.Context(), s.env, "", 5); err != nil || len(got) != 0 {
				t.Errorf("%d runs of a paused queue: %v", len(got), err)
			}
			expect(t, "resume", s.Call(t, "POST", path+"/pause", `{"type":"task","action":"resume"}`), 200, shown(1, 2, false))
			if got, err := s.engine.Dequeue(t.Context(), s.env, "", 5); err != nil || len(got) != 2 {
				t.Errorf("%d runs of a resumed queue: %v", len(got), err)
			}
		})
	}
}

func TestPauseRefused(t *testing.T) {
	t.Parallel()
	s := newQueueSite(t, "")
	queueID := body[struct{ ID string }](t, s.Call(t, "GET", queuePath("emails", "?type=custom"), nil)).ID
	for send, want := range map[string]string{
		`{}`:                              `Validation error: Required at \"action\"`,
		`{"action":"stop","type":"kind"}`: `Validation error: Invalid enum value. Expected 'id' | 'task' | 'custom', received 'kind' at \"type\"; Invalid enum value. Expected 'pause' | 'resume', received 'stop' at \"action\"`,
		`{"action":1}`:                    `Validation error: Expected string, received number at \"action\"`,
		`{"action":1,"type":2}`:           `Validation error: Expected string, received number at \"action\"; Expected string, received number at \"type\"`,
		`{"action":"stop","type":2}`:      `Validation error: Expected string, received number at \"type\"; Invalid enum value. Expected 'pause' | 'resume', received 'stop' at \"action\"`,
		`{"action":`:                      `Invalid JSON`,
		``:                                `Request body is empty`,
	} {
		expect(t, send, s.Call(t, "POST", queuePath(queueID, "/pause"), send), 400, `{"error":"`+want+`"}`)
	}
	missing := `{"error":"queue-not-found"}`
	expect(t, "unknown", s.Call(t, "POST", queuePath("unknown", "/pause"), `{"type":"custom","action":"pause"}`), 404, missing)
	expect(t, "no id", s.Call(t, "POST", queuePath("emails", "/pause"), `{"action":"pause"}`), 404, missing)
	expect(t, "of another environment", s.with(s.keys.SecretKeys.Prod).Call(t, "POST", queuePath(queueID, "/pause"), `{"action":"pause"}`), 404, missing)
	expect(t, "unchanged", s.Call(t, "GET", queuePath(queueID, ""), nil), 200, emails(5, "null"))
}

func TestOverrideQueue(t *testing.T) {
	t.Parallel()
	s := newQueueSite(t, "")
	queueID := body[struct{ ID string }](t, s.Call(t, "GET", queuePath("emails", "?type=custom"), nil)).ID
	override, reset := queuePath(queueID, "/concurrency/override"), queuePath(queueID, "/concurrency/reset")

	notOverridden := `{"error":"Queue is not overridden"}`
	expect(t, "too early", s.Call(t, "POST", reset, `{}`), 400, notOverridden)
	for _, c := range []struct {
		send string
		want int
	}{{`{"concurrencyLimit":0}`, 0}, {`{"concurrencyLimit":100,"percent":null}`, 100}, {`{"type":"id","percent":12.5}`, 12}, {`{"percent":0.1}`, 1}, {`{"percent":100}`, 100}} {
		expect(t, c.send, s.Call(t, "POST", override, c.send), 200, emails(c.want, fmt.Sprint(c.want)))
	}
	expect(t, "reset without a body", s.Call(t, "POST", reset, nil), 200, emails(5, "null"))
	expect(t, "reset again", s.Call(t, "POST", queuePath("emails", "/concurrency/reset"), `{"type":"custom"}`), 400, notOverridden)

	for send, want := range map[string]string{
		`{}`: `Validation error: Provide exactly one of concurrencyLimit or percent`,
		`{"type":"x","concurrencyLimit":-1,"percent":101}`: `Validation error: Invalid enum value. Expected 'id' | 'task' | 'custom', received 'x' at \"type\"; ` +
			`Provide exactly one of concurrencyLimit or percent; Number must be between 0 and 100000 at \"concurrencyLimit\"; Number must be greater than 0 and no more than 100 at \"percent\"`,
		`{"percent":0}`:               `Validation error: Number must be greater than 0 and no more than 100 at \"percent\"`,
		`{"concurrencyLimit":1.5}`:    `Validation error: Expected integer, received float at \"concurrencyLimit\"`,
		`{"concurrencyLimit":100001}`: `Validation error: Number must be between 0 and 100000 at \"concurrencyLimit\"`,
		`{"concurrencyLimit":"5"}`:    `Validation error: Expected number, received string at \"concurrencyLimit\"`,
		`{"concurrencyLimit":101}`:    `Concurrency limit 101 exceeds the environment's maximum of 100`,
		`[]`:                          `Validation error: Expected object, received array`,
		``:                            `Request body is empty`,
	} {
		expect(t, send, s.Call(t, "POST", override, send), 400, `{"error":"`+want+`"}`)
	}
	missing := `{"error":"Queue not found"}`
	expect(t, "unknown", s.Call(t, "POST", queuePath("unknown", "/concurrency/override"), `{"type":"task","percent":1}`), 404, missing)
	expect(t, "reset of the unknown", s.Call(t, "POST", queuePath("unknown", "/concurrency/reset"), `{"type":"custom"}`), 404, missing)
	other := s.with(s.keys.SecretKeys.Prod)
	expect(t, "of another environment", other.Call(t, "POST", override, `{"percent":1}`), 404, missing)
	expect(t, "reset of another's", other.Call(t, "POST", reset, nil), 404, missing)
	expect(t, "reset by a wrong type", s.Call(t, "POST", reset, `{"type":"all"}`), 400,
		`{"error":"Validation error: Invalid enum value. Expected 'id' | 'task' | 'custom', received 'all' at \"type\""}`)
	expect(t, "unchanged", s.Call(t, "GET", queuePath(queueID, ""), nil), 200, emails(5, "null"))
}
