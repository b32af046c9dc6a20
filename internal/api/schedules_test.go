package api_test

import (
	"context"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/id"
	"sear/internal/schedule"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

const schedulesPath = "/api/v1/schedules"

// onDatabases runs a test of schedules on both, with a task that schedules may trigger
// in two environments.
func onDatabases(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	for name, start := range map[string]func(testing.TB) *site{
		"sqlite": newSite, "postgres": func(t testing.TB) *site { return newSiteOn(t, pgtest.URL(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.declare(s.env, "tick", nil)
			s.declare(s.prod, "tick", nil)
			test(t, s)
		})
	}
}

// declare makes a scheduled task known, and "plain", which is none.
func (s *site) declare(env *tenant.Environment, task string, d *deploy.Schedule) {
	s.t.Helper()
	m := deploy.Manifest{ContentHash: id.Random(id.Lower, 9), Tasks: []deploy.Task{{ID: "plain", FilePath: "a.ts"},
		{ID: task, FilePath: "a.ts", TriggerSource: "schedule", Schedule: d}}}
	if _, err := s.engine.RegisterWorker(s.t.Context(), env, m); err != nil {
		s.t.Fatal(err)
	}
}

// shownSchedule is what is read of an answer.
type shownSchedule struct {
	ID, Type, Task, DeduplicationKey, ExternalID, Timezone, Window string
	Active                                                         bool
	Generator                                                      struct{ Type, Expression, Description string }
	NextRun, NextRunEffectiveAt                                    time.Time
	Environments                                                   []struct{ ID, Type string }
	Misses                                                         []struct {
		From, To time.Time
		Count    int
		Reason   string
	}
}

func (s *site) newSchedule(wish string) shownSchedule {
	s.t.Helper()
	return body[shownSchedule](s.t, s.Call(s.t, "POST", schedulesPath, wish))
}

// english is what package schedule says of an expression; its own tests know what it must.
func english(t *testing.T, expression string) string {
	t.Helper()
	cron, err := schedule.Parse(expression)
	if err != nil || cron.Describe() == "" {
		t.Fatalf("%q: %q, %v", expression, cron.Describe(), err)
	}
	return cron.Describe()
}

func TestScheduleLife(t *testing.T) {
	t.Parallel()
	onDatabases(t, func(t *testing.T, s *site) {
		made := s.Call(t, "POST", schedulesPath, `{"task":"tick","cron":" 0 9 * * 1-5 ","deduplicationKey":"k","externalId":"user_1",
			"timezone":"America/New_York","window":"30m"}`)
		full := func(extra string) string {
			return `{"id":"*","type":"IMPERATIVE","task":"tick","active":true,"deduplicationKey":"k","generator":{"type":"CRON",
				"expression":"0 9 * * 1-5","description":"` + english(t, "0 9 * * 1-5") + `"},"nextRun":"*","nextRunEffectiveAt":"*",
				"environments":[{"id":"` + s.env.ID + `","type":"DEVELOPMENT"}]` + extra + `}`
		}
		expect(t, "created", made, 200, full(`,"externalId":"user_1","timezone":"America/New_York","window":"30m"`))
		first := body[shownSchedule](t, made)
		path := schedulesPath + "/" + first.ID
		expect(t, "retrieved", s.Call(t, "GET", path, nil), 200, full(`,"externalId":"user_1","timezone":"America/New_York","window":"30m"`))

		if again := s.newSchedule(`{"task":"tick","cron":"0 9 * * 1-5","deduplicationKey":"k"}`); again.ID != first.ID || again.ExternalID != "" ||
			again.Timezone != "UTC" || again.Window != "" {
			t.Errorf("the same key made %+v", again)
		}
		prod := s.with(s.keys.SecretKeys.Prod)
		if got := prod.Call(t, "GET", path, nil); got.Status != 404 {
			t.Errorf("in another environment: %d %s", got.Status, got.Body)
		}
		joined := body[shownSchedule](t, prod.Call(t, "POST", schedulesPath, `{"task":"tick","cron":"5 4 * * *","deduplicationKey":"k"}`))
		if got := body[shownSchedule](t, s.Call(t, "GET", path, nil)); joined.ID != first.ID || len(got.Environments) != 2 || got.Generator.Expression != "0 9 * * 1-5" {
			t.Errorf("joined by another environment it is %+v", got)
		}

		got := body[shownSchedule](t, s.Call(t, "PUT", path, `{"task":"tick","cron":"@hourly","externalId":"e"}`))
		if got.ID != first.ID || got.ExternalID != "e" || got.Generator.Expression != "@hourly" || got.DeduplicationKey != "k" ||
			!got.NextRun.After(time.Now()) || got.NextRun.Minute() != 0 {
			t.Errorf("updated it is %+v", got)
		}
		for range 2 {
			if off := body[shownSchedule](t, s.Call(t, "POST", path+"/deactivate", nil)); off.Active {
				t.Errorf("deactivated it is %+v", off)
			}
		}
		if on := body[shownSchedule](t, s.Call(t, "POST", path+"/activate", nil)); !on.Active || !on.NextRun.Equal(got.NextRun) {
			t.Errorf("activated it is %+v", on)
		}
		expect(t, "deleted", s.Call(t, "DELETE", path, nil), 200, `{"id":"`+first.ID+`"}`)
		for _, c := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/activate"}, {"POST", "/deactivate"}} {
			expect(t, c[0]+c[1], s.Call(t, c[0], path+c[1], nil), 404, `{"error":"Schedule not found"}`)
		}
		expect(t, "PUT", s.Call(t, "PUT", path, `{"task":"tick","cron":"* * * * *"}`), 404, `{"error":"Schedule not found"}`)
		expect(t, "another id", s.Call(t, "GET", schedulesPath+"/run_1", nil), 404, `{"error":"Schedule not found"}`)
	})
}

// TestScheduleIsChangedInItsEnvironmentOnly: what a laptop does with a schedule by its
// environment's key leaves that of production alone, though both have one id.
func TestScheduleIsChangedInItsEnvironmentOnly(t *testing.T) {
	t.Parallel()
	onDatabases(t, func(t *testing.T, s *site) {
		prod := s.with(s.keys.SecretKeys.Prod)
		const daily = `{"task":"tick","cron":"0 3 * * *","timezone":"Europe/Berlin","deduplicationKey":"k","externalId":"customer","window":"30m"}`
		made := body[shownSchedule](t, prod.Call(t, "POST", schedulesPath, daily))
		path := schedulesPath + "/" + made.ID
		unchanged := func(what string, envs int) {
			t.Helper()
			got := body[shownSchedule](t, prod.Call(t, "GET", path, nil))
			if len(got.Environments) != envs {
				t.Errorf("%s: it has the environments %v", what, got.Environments)
			}
			if got.Environments = made.Environments; !reflect.DeepEqual(got, made) {
				t.Errorf("%s: production's schedule is %+v, and was %+v", what, got, made)
			}
		}
		joined := s.newSchedule(`{"task":"tick","cron":"* * * * *","deduplicationKey":"k"}`)
		if joined.ID != made.ID || joined.ExternalID != "" || joined.Generator.Expression != "* * * * *" || joined.Window != "" {
			t.Errorf("created in development it is %+v", joined)
		}
		unchanged("create", 2)
		s.declare(s.env, "tock", nil)
		if got := body[shownSchedule](t, s.Call(t, "PUT", path, `{"task":"tock","cron":"@hourly","externalId":"mine"}`)); got.Task != "tock" || got.ExternalID != "mine" {
			t.Errorf("updated in development it is %+v", got)
		}
		unchanged("update", 2)
		if got := body[shownSchedule](t, s.Call(t, "POST", path+"/deactivate", nil)); got.Active {
			t.Error("it is still active in development")
		}
		unchanged("deactivate", 2)
		if got := body[shownSchedule](t, prod.Call(t, "POST", path+"/deactivate", nil)); got.Active {
			t.Error("it is still active in production")
		}
		if got := body[shownSchedule](t, s.Call(t, "POST", path+"/activate", nil)); !got.Active {
			t.Error("it is not active in development")
		}
		if got := body[shownSchedule](t, prod.Call(t, "GET", path, nil)); got.Active {
			t.Error("development switched it on in production")
		}
		prod.Call(t, "POST", path+"/activate", nil)
		expect(t, "delete", s.Call(t, "DELETE", path, nil), 200, `{"id":"`+made.ID+`"}`)
		expect(t, "deleted", s.Call(t, "GET", path, nil), 404, `{"error":"Schedule not found"}`)
		unchanged("delete", 1)
		expect(t, "delete the last", prod.Call(t, "DELETE", path, nil), 200, `{"id":"`+made.ID+`"}`)
		if again := body[shownSchedule](t, prod.Call(t, "POST", schedulesPath, daily)); again.ID == made.ID {
			t.Error("the id outlived its last environment")
		}
	})
}

// TestScheduleByItsKey: wherever a path names a schedule by its id, the deduplication key that
// somebody chose for it does as well, within the project and what the environment has of it.
func TestScheduleByItsKey(t *testing.T) {
	t.Parallel()
	onDatabases(t, func(t *testing.T, s *site) {
		const key = "user/42 ü?"
		made := s.newSchedule(`{"task":"tick","cron":"0 9 * * *","deduplicationKey":"` + key + `"}`)
		path := schedulesPath + "/" + url.PathEscape(key)
		if got := body[shownSchedule](t, s.Call(t, "GET", path, nil)); got.ID != made.ID || got.DeduplicationKey != key {
			t.Errorf("retrieved is %+v", got)
		}
		if got := body[shownSchedule](t, s.Call(t, "PUT", path, `{"task":"tick","cron":"@hourly"}`)); got.ID != made.ID || got.Generator.Expression != "@hourly" {
			t.Errorf("updated is %+v", got)
		}
		if got := body[shownSchedule](t, s.Call(t, "POST", path+"/deactivate", nil)); got.ID != made.ID || got.Active {
			t.Errorf("deactivated is %+v", got)
		}
		if got := body[shownSchedule](t, s.Call(t, "POST", path+"/activate", nil)); got.ID != made.ID || !got.Active {
			t.Errorf("activated is %+v", got)
		}
		prod := s.with(s.keys.SecretKeys.Prod)
		for _, c := range []struct {
			client servertest.Client
			path   string
		}{
			{prod, path}, {s.Client, schedulesPath + "/nobodys"}, {s.Client, schedulesPath + "/sched_nobodys"}, {s.Client, schedulesPath + "/" + strings.Repeat("k", 3000)},
		} {
			for _, call := range [][2]string{{"GET", ""}, {"PUT", ""}, {"DELETE", ""}, {"POST", "/activate"}, {"POST", "/deactivate"}} {
				expect(t, call[0], c.client.Call(t, call[0], c.path+call[1], `{"task":"tick","cron":"* * * * *"}`), 404, `{"error":"Schedule not found"}`)
			}
		}
		odd := s.newSchedule(`{"task":"tick","cron":"0 9 * * *","deduplicationKey":"` + made.ID + `"}`) // an id is an id first
		if got := body[shownSchedule](t, s.Call(t, "GET", schedulesPath+"/"+made.ID, nil)); got.ID != made.ID || odd.ID == made.ID {
			t.Errorf("by its id retrieved is %+v", got)
		}
		expect(t, "deleted", s.Call(t, "DELETE", path, nil), 200, `{"id":"`+made.ID+`"}`)
		expect(t, "gone", s.Call(t, "GET", path, nil), 404, `{"error":"Schedule not found"}`)
	})
}

func TestScheduleKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.declare(s.env, "tick", nil)
	s.declare(s.env, "tock", nil) // the newest build has no tick
	if a, b := s.newSchedule(`{"task":"tock","cron":"* * * * *"}`), s.newSchedule(`{"task":"tock","cron":"* * * * *","deduplicationKey":""}`); a.ID == b.ID || b.DeduplicationKey == "" {
		t.Errorf("without keys: %+v and %+v", a, b)
	} else if got := body[shownSchedule](t, s.Call(t, "GET", schedulesPath+"/"+b.ID, nil)); got.DeduplicationKey != "" {
		t.Errorf("a key of our own is shown: %s", got.DeduplicationKey)
	}
}

func TestScheduleRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.declare(s.env, "tick", nil)
	friendly := s.newSchedule(`{"task":"tick","cron":"* * * * *"}`).ID
	zone := `Invalid IANA timezone: 'Sea/Atlantis'. View the list of valid timezones at ` + s.URL + `/timezones`
	for _, c := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"task":"tick","cron":"*/5 * * * * *"}`, 422, `"Invalid cron expression: CRON expressions with seconds are not allowed"`},
		{`{"task":"tick","cron":" "}`, 422, `"Invalid cron expression: CRON expression is required"`},
		{`{"task":"tick","cron":"61 * * * *"}`, 422, `"Invalid cron expression: `},
		{`{"task":"tick","cron":"* * * * *","timezone":"Sea/Atlantis"}`, 422, `"` + zone + `"`},
		{`{"task":"tick","cron":"* * * * *","timezone":""}`, 422, `Invalid IANA timezone: ''`},
		{`{"task":"tick","cron":"* * * * *","window":"90s"}`, 422, `"Invalid window: `},
		{`{"task":"nobody","cron":"* * * * *"}`, 422, `"Task with identifier nobody not found in project."`},
		{`{"task":"plain","cron":"* * * * *"}`, 422, `"Task with identifier plain is not a scheduled task."`},
		{`{"task":"plain","cron":"61 * * * *","timezone":"Sea/Atlantis"}`, 422, zone + `; Task with identifier plain is not a scheduled task.`},
		{`{}`, 400, `{"error":"Invalid request body","issues":[{"code":"invalid_type","message":"Required","path":["task"]},{"code":"invalid_type","message":"Required","path":["cron"]}]}`},
		{`{"task":1,"cron":"* * * * *"}`, 400, `"Invalid request body"`},
		{`{"task":"tick","cron":"* * * * *","externalId":"a\u0000"}`, 400, `"path":["externalId"]`},
		{`{"task":"tick","cron":"* * * * *","deduplicationKey":"` + strings.Repeat("k", 2049) + `"}`, 400, `"path":["deduplicationKey"]`},
		{`{"task":"tick"`, 400, `Invalid JSON`},
	} {
		for method, path := range map[string]string{"POST": schedulesPath, "PUT": schedulesPath + "/" + friendly} {
			if got := s.Call(t, method, path, c.body); got.Status != c.status || !strings.Contains(string(got.Body), c.says) {
				t.Errorf("%s %.80s: %d %s", method, c.body, got.Status, got.Body)
			}
		}
	}
	for _, c := range [][2]string{{"GET", ""}, {"POST", ""}, {"GET", "/" + friendly}, {"PUT", "/" + friendly}, {"DELETE", "/" + friendly},
		{"POST", "/" + friendly + "/activate"}, {"POST", "/" + friendly + "/deactivate"}} {
		s.guardSecret(c[0], schedulesPath+c[1], `{"task":"tick","cron":"* * * * *"}`)
	}
}

func TestDeclaredScheduleIsReadOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.declare(s.env, "tick", &deploy.Schedule{Cron: "*/5 * * * *"})
	got := body[struct{ Data []shownSchedule }](t, s.Call(t, "GET", schedulesPath, nil)).Data
	if len(got) != 1 || got[0].Type != "DECLARATIVE" || got[0].Generator.Description != english(t, "*/5 * * * *") || got[0].DeduplicationKey != "" {
		t.Fatalf("declared is %+v", got)
	}
	path := schedulesPath + "/" + got[0].ID
	for _, c := range [][3]string{{"PUT", path, "update"}, {"DELETE", path, "delete"}, {"POST", path + "/activate", "activate"}, {"POST", path + "/deactivate", "deactivate"}} {
		expect(t, c[2], s.Call(t, c[0], c[1], `{"task":"tick","cron":"* * * * *"}`), 422, `{"error":"Cannot `+c[2]+` a declarative schedule"}`)
	}
}

func TestListSchedules(t *testing.T) {
	t.Parallel()
	onDatabases(t, func(t *testing.T, s *site) {
		expect(t, "none", s.Call(t, "GET", schedulesPath, nil), 200, `{"data":[],"pagination":{"currentPage":1,"totalPages":0,"count":0}}`)
		var want []string
		for i := range 5 {
			want = append(want, s.newSchedule(fmt.Sprintf(`{"task":"tick","cron":"* * * * *","deduplicationKey":"%d"}`, i)).ID)
			time.Sleep(2 * time.Millisecond) // ids sort by the millisecond
		}
		slices.Reverse(want)
		type numbered struct {
			Data       []shownSchedule
			Pagination struct{ CurrentPage, TotalPages, Count int }
		}
		for query, part := range map[string][]string{"": want, "?perPage=2": want[:2], "?perPage=2&page=3": want[4:], "?perPage=2&page=4": nil, "?perPage=101": want} {
			got := body[numbered](t, s.Call(t, "GET", schedulesPath+query, nil))
			var ids []string
			for _, d := range got.Data {
				ids = append(ids, d.ID)
			}
			if !slices.Equal(ids, part) || got.Pagination.Count != 5 {
				t.Errorf("%s: %+v", query, got)
			}
		}
		for _, query := range []string{"?page=0", "?page=-1", "?perPage=0", "?perPage=x", "?page=1.5", "?page=99999999999999999999"} {
			if got := s.Call(t, "GET", schedulesPath+query, nil); got.Status != 400 || !strings.Contains(string(got.Body), `"Invalid request parameters"`) {
				t.Errorf("%s: %d %s", query, got.Status, got.Body)
			}
		}
		if got := body[numbered](t, s.with(s.keys.SecretKeys.Prod).Call(t, "GET", schedulesPath, nil)); len(got.Data) != 0 {
			t.Errorf("another environment has %+v", got)
		}
	})
}

func TestTimezones(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/api/v1/timezones", "/timezones"} {
		all := body[struct{ Timezones []string }](t, s.with("").Call(t, "GET", path, nil)).Timezones
		rest := body[struct{ Timezones []string }](t, s.with("").Call(t, "GET", path+"?excludeUtc=true", nil)).Timezones
		if len(all) < 400 || all[0] != "UTC" || !slices.Equal(all[1:], rest) || !slices.IsSorted(rest) || !slices.Contains(rest, "Europe/Berlin") {
			t.Errorf("%s: %d zones, %d without UTC, from %q", path, len(all), len(rest), all[0])
		}
	}
}

// TestScheduledRun: a run tells by which schedule it was triggered, and lists find it.
func TestScheduledRun(t *testing.T) {
	t.Parallel()
	onDatabases(t, func(t *testing.T, s *site) {
		made := s.newSchedule(`{"task":"tick","cron":"0 0 1 1 *","deduplicationKey":"k","externalId":"e"}`)
		internal, _ := id.Internal(id.Schedule, made.ID)
		if err := s.engine.See(t.Context(), s.env); err != nil {
			t.Fatal(err)
		}
		due := time.Now().Add(-time.Second).UTC().Truncate(time.Second)
		err := s.store.Update(t.Context(), func(tx *store.Tx) error {
			if err := tx.AddMiss(store.Instance{Schedule: store.Schedule{ID: internal}, EnvID: s.env.ID}, store.Miss{Gap: schedule.Gap{From: due, To: due, Count: 1}, Reason: "Because"}); err != nil {
				return err
			}
			return tx.RestartSchedule(s.env.ID, internal, due)
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		if got, err := s.engine.AwaitDequeue(ctx, s.env, "", 1); err != nil || len(got) != 1 || got[0].Run.Task != "tick" {
			t.Fatalf("dequeued %+v, %v", got, err)
		}
		list := s.list(s.Client, "/api/v1/runs", "filter[schedule]", made.ID)
		if len(list.Data) != 1 {
			t.Fatalf("listed are %+v", list)
		}
		if traceID, root := s.trace(list.Data[0].ID); traceID == "" || root.RunID != list.Data[0].ID || root.ParentID != "" {
			t.Errorf("its trace is %q %+v", traceID, root)
		}
		got := body[struct {
			TaskKind string
			Payload  struct{ Timestamp time.Time }
			Schedule shownSchedule
		}](t, s.Call(t, "GET", "/api/v3/runs/"+list.Data[0].ID, nil))
		if got.TaskKind != "SCHEDULED" || got.Schedule.ID != made.ID || got.Schedule.ExternalID != "e" || got.Schedule.DeduplicationKey != "k" ||
			got.Schedule.Generator.Expression != "0 0 1 1 *" || !got.Payload.Timestamp.Equal(due) {
			t.Errorf("the run says %+v", got)
		}
		if m := body[shownSchedule](t, s.Call(t, "GET", schedulesPath+"/"+made.ID, nil)).Misses; len(m) != 1 || m[0].Reason != "Because" || m[0].Count != 1 || !m[0].From.Equal(due) || !m[0].To.Equal(due) {
			t.Errorf("the schedule missed %+v", m)
		}
		if got := s.Call(t, "GET", "/api/v1/runs?filter[schedule]=run_1", nil); got.Status != 400 || !strings.Contains(string(got.Body), "filter[schedule]") {
			t.Errorf("a filter that is no schedule: %d %s", got.Status, got.Body)
		}
	})
}
