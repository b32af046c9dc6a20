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
	"sear/internal/servertest"
	"sear/internal/store"
)

const bulkPath = "/api/v1/bulk-actions"

// pendingBulk leaves a bulk action that no engine has noticed.
func (s *site) pendingBulk(kind store.BulkKind) string {
	s.t.Helper()
	at := time.Now()
	b := store.Bulk{ID: id.New(at), EnvID: s.env.ID, Kind: kind, Status: store.BulkPending, CreatedAt: at,
		Filter: store.RunFilter{Envs: []string{s.env.ID}}}
	if err := s.store.Update(s.t.Context(), func(tx *store.Tx) error { return tx.AddBulk(b) }); err != nil {
		s.t.Fatal(err)
	}
	return id.Friendly(id.Bulk, b.ID)
}

// bulk creates a bulk action and waits for its end.
func (s *site) bulk(wanted string) servertest.Response {
	s.t.Helper()
	created := s.Call(s.t, "POST", bulkPath, wanted)
	if created.Status != 202 {
		s.t.Fatalf("%s: %d %s", wanted, created.Status, created.Body)
	}
	path := bulkPath + "/" + body[struct{ ID string }](s.t, created).ID
	for range 1000 {
		got := s.Call(s.t, "GET", path, nil)
		if !strings.Contains(string(got.Body), `"PENDING"`) {
			return got
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatal("the bulk action does not end")
	panic("unreachable")
}

// inProduction makes production what a site is about.
func (s *site) inProduction() *site {
	s.Client, s.env = s.with(s.keys.SecretKeys.Prod), s.prod
	return s
}

func TestBulkActions(t *testing.T) {
	t.Parallel()
	s := newSite(t).inProduction()
	s.register("my-task")
	first, second := s.trigger(`{}`), s.trigger(`{}`)
	done := s.trigger(`{"options":{"tags":["done"]}}`)
	s.Call(t, "POST", action(done, "cancel"), nil)
	both := `["` + first + `","` + done + `"]`

	got := s.bulk(`{"action":"cancel","name":"two","runIds":` + both + `}`)
	expect(t, "cancel", got, 200, `{"id":"*","name":"two","type":"CANCEL","status":"COMPLETED","counts":{"total":2,"success":1,"failure":1},"createdAt":"*","completedAt":"*"}`)
	cancelled := body[struct{ ID string }](t, got).ID
	members := s.list(s.Client, "/api/v1/runs", "filter[bulkAction]", cancelled).ids()
	want := []string{first, done}
	slices.Sort(want)
	slices.Sort(members)
	if d := cmp.Diff(want, members); d != "" {
		t.Errorf("runs of the cancellation: %s", d)
	}

	got = s.bulk(`{"action":"replay","filter":{"tag":"done"},"targetRegion":"eu"}`)
	expect(t, "replay", got, 200, `{"id":"*","type":"REPLAY","status":"COMPLETED","counts":{"total":1,"success":1,"failure":0},"createdAt":"*","completedAt":"*"}`)
	replays := s.list(s.Client, "/api/v1/runs", "filter[bulkAction]", body[struct{ ID string }](t, got).ID).ids()
	if len(replays) != 1 {
		t.Fatalf("replays: %v", replays)
	}
	if d := s.detail(s.env, replays[0]); d.Extra.ReplayedFrom != done || d.Extra.Region != "eu" {
		t.Errorf("replayed as %+v", d.Extra)
	}
	if d := s.detail(s.env, second); d.Status.Final() {
		t.Errorf("the other run is %s", d.Status)
	}
	expect(t, "abort of a completed action", s.Call(t, "POST", bulkPath+"/"+cancelled+"/abort", nil), 400, `{"error":"Bulk action has already completed"}`)
	pending := s.pendingBulk(store.BulkCancel)
	for range 2 {
		expect(t, "abort", s.Call(t, "POST", bulkPath+"/"+pending+"/abort", nil), 200, `{"id":"`+pending+`"}`)
	}
	expect(t, "aborted", s.Call(t, "GET", bulkPath+"/"+pending, nil), 200,
		`{"id":"`+pending+`","type":"CANCEL","status":"ABORTED","counts":{"total":0,"success":0,"failure":0},"createdAt":"*","completedAt":"*"}`)
}

// TestBulkFilters: each member of a filter selects as the list of runs does.
func TestBulkFilters(t *testing.T) {
	t.Parallel()
	s := newSite(t).inProduction()
	s.trigger(`{"options":{"tags":["a,b"],"test":true,"machine":"micro","queue":{"name":"q"},"region":"eu"}}`)
	s.trigger(`{"options":{"tags":["a","b"]}}`)
	time.Sleep(2 * time.Millisecond)
	now := time.Now()
	for filter, want := range map[string]int{
		`{"tag":"a,b"}`: 1, `{"tag":["a","none"]}`: 1, `{"tag":["a","a,b"]}`: 2, `{"isTest":true}`: 1, `{"isTest":false}`: 1,
		`{"machine":"micro"}`: 1, `{"machine":["micro"],"tag":"a"}`: 0, `{"queue":{"type":"custom","name":"q"}}`: 1,
		`{"queue":[{"type":"custom","name":"q"},{"type":"task","name":"my-task"}]}`: 2, `{"region":["eu"]}`: 1,
		`{"taskIdentifier":"my-task"}`: 2, `{"taskIdentifier":["x"]}`: 0, `{"version":"1"}`: 0, `{"schedule":"sched_1"}`: 0,
		`{"batch":"batch_1"}`: 0, `{"bulkAction":"bulk_1"}`: 0, `{"period":"1h"}`: 2, `{"status":"COMPLETED","tag":"","period":" "}`: 0,
		fmt.Sprintf(`{"from":%d}`, now.Add(-time.Minute).UnixMilli()):                  2,
		fmt.Sprintf(`{"to":%q}`, now.Add(-time.Minute).UTC().Format(time.RFC3339Nano)): 0,
		`{"to":"2100-01-01T00:00:00Z"}`:                                                2,
	} {
		got := body[struct{ Counts struct{ Total, Failure int } }](t, s.bulk(`{"action":"cancel","filter":`+filter+`}`))
		if got.Counts.Total != want {
			t.Errorf("%s selects %d, want %d", filter, got.Counts.Total, want)
		}
	}
}

func TestBulkRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	expect(t, "several", s.Call(t, "POST", bulkPath, `{"action":"foo","name":5,"filter":{"tag":"x"}}`), 400,
		`{"error":"Validation error: Expected string, received number at \"name\"; Invalid discriminator value. Expected 'cancel' | 'replay' at \"action\""}`)
	friendly := s.trigger(`{}`)
	ids := func(n int) string {
		list, _ := json.Marshal(slices.Repeat([]string{friendly}, n))
		return string(list)
	}
	const v = "Validation error: "
	for _, tt := range []struct{ body, want string }{
		{``, "Request body is empty"},
		{`{`, "Invalid JSON"},
		{`{"runIds":["run_1"]}`, v + `Invalid discriminator value. Expected 'cancel' | 'replay' at "action"`},
		{`{"action":"cancel"}`, v + "Exactly one of filter or runIds must be provided"},
		{`{"action":"cancel","runIds":["run_1"],"filter":{"tag":"a"}}`, v + "Exactly one of filter or runIds must be provided"},
		{`{"action":"cancel","runIds":[]}`, v + `Array must contain at least 1 element(s) at "runIds"`},
		{`{"action":"cancel","runIds":"run_1"}`, v + `Expected array, received string at "runIds"`},
		{`{"action":"cancel","runIds":["run_1","batch_1"]}`, v + `Invalid run id at "runIds.1"`},
		{`{"action":"cancel","runIds":` + ids(501) + `}`, "Too many runIds (501). Maximum is 500. Use a filter to select more runs."},
		{`{"action":"cancel","runIds":["run_1"],"targetRegion":"eu"}`, v + `targetRegion can only be used with replay at "targetRegion"`},
		{`{"action":"replay","runIds":["run_1"],"targetRegion":"\u0000"}`, v + `Invalid characters at "targetRegion"`},
		{`{"action":"cancel","runIds":["run_1"],"name":"` + strings.Repeat("é", 256) + `"}`, v + `Name must be less than 255 characters at "name"`},
		{`{"action":"cancel","filter":null}`, v + `Expected object at "filter"`},
		{`{"action":"cancel","filter":{}}`, v + `At least one filter must be provided at "filter"`},
		{`{"action":"cancel","filter":{"tag":[""],"status":" "}}`, v + `At least one filter must be provided at "filter"`},
		{`{"action":"cancel","filter":{"tags":"a"}}`, v + `Unrecognized key(s) in object: 'tags' at "filter"`},
		{`{"action":"cancel","filter":{"period":"whenever"}}`, v + `Invalid period: whenever at "filter.period"`},
		{`{"action":"cancel","filter":{"from":"whenever","batch":"run_1"}}`, v + `Invalid date: whenever at "filter.from"; Invalid batch id: run_1 at "filter.batch"`},
		{`{"action":"cancel","filter":{"to":-1,"tag":1,"version":[1],"isTest":"true","queue":{"type":"task"}}}`, v + `Expected boolean at "filter.isTest"; ` +
			`Expected queue or array of queues, each with a type, task or custom, and a name at "filter.queue"; Expected string or array of strings at "filter.tag"; ` +
			`Expected date or number at "filter.to"; Expected string or array of strings at "filter.version"`},
		{`{"action":"cancel","filter":{"status":"GONE","machine":["huge"]}}`, v + `Invalid status values: GONE at "filter.status"; Invalid machine values: huge at "filter.machine"`},
		{`{"action":"cancel","filter":{"bulkAction":"run_1"}}`, v + `Invalid bulk action id: run_1 at "filter.bulkAction"`},
		{`{"action":"cancel","filter":{"tag":"\u0000"}}`, v + `Invalid characters at "filter.tag"`},
	} {
		got := s.Call(t, "POST", bulkPath, tt.body)
		answer := struct{ Error string }{}
		if err := json.Unmarshal(got.Body, &answer); err != nil || got.Status != 400 || answer.Error != tt.want {
			t.Errorf("%.80s: %d %s\nwant %s", tt.body, got.Status, got.Body, tt.want)
		}
	}
	if got := body[struct{ Data []any }](t, s.Call(t, "GET", bulkPath, nil)); len(got.Data) != 0 {
		t.Errorf("what was refused is there: %v", got.Data)
	}
	longest := s.bulk(`{"action":"cancel","name":"` + strings.Repeat("é", 255) + `","runIds":` + ids(500) + `}`)
	if got := body[struct{ Counts struct{ Total int } }](t, longest); got.Counts.Total != 1 {
		t.Errorf("at the limits: %s", longest.Body)
	}
}

// TestBulkRegion: a laptop is in no region, wherever its runs are to be replayed.
func TestBulkRegion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.bulk(`{"action":"replay","runIds":["` + s.trigger(`{}`) + `"],"targetRegion":"eu"}`)
	replays := s.list(s.Client, "/api/v1/runs", "filter[bulkAction]", body[struct{ ID string }](t, got).ID).ids()
	if len(replays) != 1 || s.detail(s.env, replays[0]).Extra.Region != "" {
		t.Errorf("replayed as %v", replays)
	}
}

// TestBulkReplayCap: only so many bulk replays at once; an aborted one makes room.
func TestBulkReplayCap(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.trigger(`{}`)
	var last string
	for range engine.MaxBulkReplays {
		last = s.pendingBulk(store.BulkReplay)
	}
	const replay = `{"action":"replay","filter":{"isTest":false}}`
	got := s.Call(t, "POST", bulkPath, replay)
	expect(t, "one too many", got, 429, `{"error":"Too many concurrent bulk replays. Maximum is 3; wait for one to finish or abort one."}`)
	if got.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("x-should-retry is %q", got.Header.Get("X-Should-Retry"))
	}
	expect(t, "cancel", s.Call(t, "POST", bulkPath, `{"action":"cancel","filter":{"tag":"none"}}`), 202, `{"id":"*"}`)
	expect(t, "elsewhere", s.with(s.keys.SecretKeys.Prod).Call(t, "POST", bulkPath, replay), 202, `{"id":"*"}`)
	s.Call(t, "POST", bulkPath+"/"+last+"/abort", nil)
	expect(t, "after an abort", s.Call(t, "POST", bulkPath, replay), 202, `{"id":"*"}`)
}

// TestBulkRequestRepeated: a call that is sent again, as after a lost answer, is one bulk
// action; it is no replay too many, either.
func TestBulkRequestRepeated(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.trigger(`{}`)
		for range engine.MaxBulkReplays - 1 {
			s.pendingBulk(store.BulkReplay)
		}
		create := func(key string) servertest.Response {
			return headers(s.Client, "X-Trigger-Request-Idempotency-Key", key).Call(t, "POST", bulkPath, `{"action":"replay","filter":{"isTest":true}}`)
		}
		first := create("one")
		expect(t, "first", first, 202, `{"id":"*"}`)
		if again := create("one"); again.Status != 202 || string(again.Body) != string(first.Body) {
			t.Errorf("%s and then %d %s", first.Body, again.Status, again.Body)
		}
		if other := create("two"); string(other.Body) == string(first.Body) {
			t.Errorf("another call was answered %s", other.Body)
		}
	})
}

func TestListBulkActions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	expect(t, "none", s.Call(t, "GET", bulkPath, nil), 200, `{"data":[],"pagination":{}}`)
	var all []string
	for range 5 {
		all = append(all, s.pendingBulk(store.BulkCancel))
	}
	newestFirst(all)
	for _, size := range []int{1, 2, 5, 100} {
		forwards, backwards := s.walk(s.Client, bulkPath, size)
		if d := cmp.Diff([][]string{all, all}, [][]string{forwards, backwards}); d != "" {
			t.Errorf("pages of %d\n%s", size, d)
		}
	}
	both := s.list(s.Client, bulkPath, "page[after]", all[0], "page[before]", all[2]).ids()
	if d := cmp.Diff(all[:2], both); d != "" {
		t.Errorf("with both cursors, before wins: %s", d)
	}
	for _, query := range []string{"page[size]=0", "page[size]=101", "page[size]=x", "page[after]=run_1", "page[before]=!"} {
		if got := s.Call(t, "GET", bulkPath+"?"+query, nil); got.Status != 400 || !strings.Contains(string(got.Body), `"error":"Query Error"`) {
			t.Errorf("%s: %d %s", query, got.Status, got.Body)
		}
	}
	if got := s.list(s.with(s.keys.SecretKeys.Prod), bulkPath); len(got.Data) != 0 {
		t.Errorf("another environment sees %v", got.ids())
	}
}

func TestBulkAccess(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	there := s.pendingBulk(store.BulkCancel)
	for who, c := range map[string]servertest.Client{"a public token": s.token("admin"), "nobody": s.with(""), "an unknown key": s.with("tr_dev_x")} {
		for _, call := range [][2]string{{"GET", ""}, {"POST", ""}, {"GET", "/" + there}, {"POST", "/" + there + "/abort"}} {
			if got := c.Call(t, call[0], bulkPath+call[1], nil); got.Status != 401 {
				t.Errorf("%s: %s %s: %d %s", who, call[0], call[1], got.Status, got.Body)
			}
		}
	}
	for who, path := range map[string]string{"unknown": "bulk_unknown", "no id": "run_1", "of another environment": there} {
		c := s.with(s.keys.SecretKeys.Prod)
		expect(t, who, c.Call(t, "GET", bulkPath+"/"+path, nil), 404, `{"error":"Bulk action not found"}`)
		expect(t, who, c.Call(t, "POST", bulkPath+"/"+path+"/abort", nil), 404, `{"error":"Bulk action not found"}`)
	}
}
