package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/servertest"
)

const errorsPath = "/api/v1/errors"

// shownError is what the tests read of a group.
type shownError struct {
	ID, Fingerprint, TaskIdentifier, ErrorType, ErrorMessage, Status string
	Count                                                            int
	AffectedVersions                                                 []string
	ResolvedAt, IgnoredUntil, ResolvedInVersion, IgnoredAt           *string
}

type errorPage struct {
	Data       []shownError
	Pagination struct{ Next, Previous string }
}

// fail triggers a task and lets its only attempt fail, and returns the run's friendly id.
func (s *site) fail(task, name, message string) string {
	s.t.Helper()
	friendly := servertest.Post[struct{ ID string }](s.t, s.Client, "/api/v1/tasks/"+task+"/trigger", `{"options":{"maxAttempts":1}}`).ID
	s.complete(s.begin(), engine.Completion{Err: &run.Error{Type: run.BuiltIn, Name: name, Message: message}})
	return friendly
}

func (s *site) errors(query string) errorPage {
	s.t.Helper()
	return servertest.Get[errorPage](s.t, s.Client, errorsPath+query)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		worker := s.register("a", "b")
		first := s.fail("a", "TypeError", "order 1 is gone")
		second := s.fail("a", "TypeError", "order 2 is gone")
		other := s.fail("b", "Error", "100% wrong")

		all := s.errors("")
		if len(all.Data) != 2 || all.Data[0].TaskIdentifier != "b" || all.Data[1].Count != 2 {
			t.Fatalf("%+v", all)
		}
		group := all.Data[1]
		expect(t, "retrieve", s.Call(t, "GET", errorsPath+"/"+group.ID, nil), 200, fmt.Sprintf(`{"id":%q,"fingerprint":"*","taskIdentifier":"a",
			"errorType":"TypeError","errorMessage":"order <number> is gone","status":"unresolved","count":2,"firstSeen":"*","lastSeen":"*",
			"resolvedAt":null,"ignoredUntil":null,"affectedVersions":[%q],"resolvedInVersion":null,"resolvedBy":null,"ignoredAt":null,"ignoredReason":null,
			"ignoredByUserId":null,"ignoredUntilOccurrenceRate":null,"ignoredUntilTotalOccurrences":null}`, group.ID, worker.Version))

		for query, want := range map[string][]string{
			"?filter[error]=" + group.ID:                           {second, first},
			"?filter[error]=" + all.Data[0].ID:                     {other},
			"?filter[error]=error_0000000000000000":                nil,
			"?filter[bulkAction]=bulk_1&filter[error]=" + group.ID: nil,
			"?filter[taskIdentifier]=b&filter[error]=" + group.ID:  nil,
		} {
			var got []string
			for _, r := range servertest.Get[struct{ Data []struct{ ID string } }](t, s.Client, "/api/v1/runs"+query).Data {
				got = append(got, r.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("runs%s: %v, want %v", query, got, want)
			}
		}
		ago := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(-d).UnixMilli()) }
		for query, want := range map[string]int{
			"?filter[taskIdentifier]=a":          1,
			"?filter[taskIdentifier]=a,b":        2,
			"?filter[taskIdentifier]=c":          0,
			"?filter[version]=" + worker.Version: 2,
			"?filter[version]=20200101.1":        0,
			"?filter[status]=unresolved":         2,
			"?filter[status]=resolved,ignored":   0,
			"?filter[search]=ORDER":              1,
			"?filter[search]=typeerror":          1,
			"?filter[search]=%25":                1, // the sign, not a pattern
			"?filter[search]=_":                  0, // likewise
			"?filter[search]=%25%20wrong":        1,
			"?filter[period]=1h":                 2,
			"?filter[from]=" + ago(time.Hour):    2,
			"?filter[to]=" + ago(time.Hour):      0,
			"?filter[from]=" + ago(-time.Hour):   0,
			"?page[size]=1":                      1,
		} {
			if got := s.errors(query); len(got.Data) != want {
				t.Errorf("%s: %d groups, want %d", query, len(got.Data), want)
			}
		}
		page := s.errors("?page[size]=1")
		next := s.errors("?page[size]=1&page[after]=" + page.Pagination.Next)
		if len(next.Data) != 1 || next.Data[0].ID != group.ID || next.Pagination.Next != "" || next.Pagination.Previous == "" {
			t.Errorf("after %s: %+v", page.Pagination.Next, next)
		}
		if back := s.errors("?page[size]=1&page[before]=" + next.Pagination.Previous); len(back.Data) != 1 || back.Data[0].ID != page.Data[0].ID {
			t.Errorf("before %s: %+v", next.Pagination.Previous, back)
		}
	})
}

// TestErrorPagesStay: a group that fails again while somebody pages goes to the front, and
// moves nothing else: no page has a group twice, and none is left out but that one.
func TestErrorPagesStay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.register("a")
		for _, name := range []string{"One", "Two", "Three"} {
			s.fail("a", name, "x")
		}
		first := s.errors("?page[size]=2")
		if len(first.Data) != 2 || first.Data[1].ErrorType != "Two" {
			t.Fatalf("%+v", first)
		}
		s.fail("a", "Two", "x") // the one that the next page begins after
		second := s.errors("?page[size]=2&page[after]=" + first.Pagination.Next)
		if len(second.Data) != 1 || second.Data[0].ErrorType != "One" || second.Pagination.Next != "" {
			t.Errorf("then %+v", second)
		}
		for _, cursor := range []string{first.Data[1].ID, "x", "!"} {
			if got := s.Call(t, "GET", errorsPath+"?page[after]="+cursor, nil); got.Status != 400 || !strings.Contains(string(got.Body), "page[after]") {
				t.Errorf("cursor %s: %d %s", cursor, got.Status, got.Body)
			}
		}
	})
}

// TestErrorStates: what people say of a group lasts until it is contradicted.
func TestErrorStates(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.register("a")
		s.fail("a", "Error", "no")
		at := errorsPath + "/" + s.errors("").Data[0].ID
		status := func() string { return servertest.Get[shownError](t, s.Client, at).Status }
		say := func(what, body string) shownError { return servertest.Post[shownError](t, s.Client, at+"/"+what, body) }

		if g := say("resolve", `{"resolvedInVersion":"20991231.1"}`); g.Status != "resolved" || g.ResolvedAt == nil || *g.ResolvedInVersion != "20991231.1" {
			t.Errorf("%+v", g)
		}
		s.fail("a", "Error", "no") // of an older version
		if got := status(); got != "resolved" {
			t.Errorf("%s after an older version failed", got)
		}
		say("resolve", "")
		s.fail("a", "Error", "no")
		if got := status(); got != "unresolved" {
			t.Errorf("%s after it failed again", got)
		}
		if g := say("ignore", `{"duration":3600000,"totalOccurrences":2,"reason":"flaky"}`); g.Status != "ignored" || g.IgnoredUntil == nil {
			t.Errorf("%+v", g)
		}
		s.fail("a", "Error", "no")
		if got := status(); got != "ignored" {
			t.Errorf("%s after one of two", got)
		}
		s.fail("a", "Error", "no")
		if got := status(); got != "unresolved" {
			t.Errorf("%s after two of two", got)
		}
		say("ignore", `{}`)
		if got := s.errors("?filter[status]=ignored"); len(got.Data) != 1 {
			t.Errorf("%+v", got)
		}
		if g := say("unresolve", ""); g.Status != "unresolved" || g.IgnoredAt != nil || g.Count != 5 {
			t.Errorf("%+v", g)
		}
	})
}

// TestErrorsOfManyAtOnce: failures in many transactions are each counted once.
func TestErrorsOfManyAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.register("a")
		var runs []run.Run
		for range 40 {
			servertest.Post[struct{ ID string }](t, s.Client, "/api/v1/tasks/a/trigger", `{"options":{"maxAttempts":1}}`)
			runs = append(runs, s.begin())
		}
		var wg sync.WaitGroup
		for i, r := range runs {
			wg.Go(func() {
				err := &run.Error{Type: run.StringError, Raw: []string{"red", "green"}[i%2]}
				if _, err := s.engine.CompleteAttempt(t.Context(), s.env, r.ID, engine.Call{Seq: r.Seq}, engine.Completion{Err: err}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, g := range s.errors("").Data {
			if g.Count != 20 {
				t.Errorf("%s: %d", g.ErrorMessage, g.Count)
			}
		}
	})
}

// TestWhatIsNoError: successes, cancellations and attempts that are tried again make no group.
func TestWhatIsNoError(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("a")
	trigger := func() string {
		return servertest.Post[struct{ ID string }](t, s.Client, "/api/v1/tasks/a/trigger", `{"options":{"maxAttempts":3}}`).ID
	}
	trigger()
	s.complete(s.begin(), engine.Completion{})
	canceled := trigger()
	servertest.Post[map[string]any](t, s.Client, "/api/v2/runs/"+canceled+"/cancel", nil)
	trigger()
	s.complete(s.begin(), engine.Completion{Err: &run.Error{Type: run.BuiltIn, Name: "Error"}, Retry: &run.Retry{Delay: time.Hour}})
	if got := s.errors(""); len(got.Data) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestErrorsRefuse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("a")
	s.fail("a", "Error", "no")
	known := s.errors("").Data[0].ID
	at := errorsPath + "/" + known
	prod := s.with(s.keys.SecretKeys.Prod)
	for _, c := range []struct {
		client             servertest.Client
		method, path, body string
		status             int
		says               string
	}{
		{s.Client, "GET", errorsPath + "?filter[status]=open,resolved", "", 400, "Invalid status values: open"},
		{s.Client, "GET", errorsPath + "?page[size]=101&filter[from]=yesterday", "", 400, `page[size]`},
		{s.Client, "GET", errorsPath + "?page[after]=run_1", "", 400, "Invalid cursor"},
		{s.Client, "GET", errorsPath + "/error_0000000000000000", "", 404, "Error not found"},
		{s.Client, "GET", errorsPath + "/run_1", "", 404, "Error not found"},
		{prod, "GET", at, "", 404, "Error not found"},
		{prod, "POST", at + "/resolve", "{}", 404, "Error not found"},
		{prod, "POST", at + "/ignore", "{}", 404, "Error not found"},
		{prod, "POST", at + "/unresolve", "", 404, "Error not found"},
		{s.Client, "POST", at + "/resolve", `{"resolvedInVersion":1}`, 400, `Expected string at \"resolvedInVersion\"`},
		{s.Client, "POST", at + "/resolve", `[]`, 400, "Expected object"},
		{s.Client, "POST", at + "/resolve", `{`, 400, "Invalid JSON"},
		{s.Client, "POST", at + "/ignore", `{"duration":"1h","occurrenceRate":-1,"totalOccurrences":1.5,"reason":1}`, 400,
			`Expected number at \"duration\"; Number must be greater than 0 at \"occurrenceRate\"; Expected integer, received float at \"totalOccurrences\"; Expected string at \"reason\"`},
		{s.Client, "POST", at + "/ignore", `{"duration":1e300}`, 400, "Number is too large"},
		{s.Client, "POST", at + "/ignore", `{"reason":"` + strings.Repeat("x", 1001) + `"}`, 400, "at most 1000"},
		{s.token("read:errors"), "GET", errorsPath, "", 200, known},
		{s.token("read:errors:" + known), "GET", at, "", 200, known},
		{s.token("read:errors:" + known), "GET", errorsPath, "", 403, "Unauthorized"},
		{s.token("read:runs"), "GET", at, "", 403, "Unauthorized"},
		{s.token("read:errors"), "POST", at + "/resolve", "{}", 403, "Unauthorized"},
		{s.token("write:errors:" + known), "POST", at + "/resolve", "{}", 200, "resolved"},
		{s.with(""), "GET", errorsPath, "", 401, "Missing"},
		{s.with(s.keys.PersonalAccessToken), "GET", errorsPath, "", 401, "Invalid"},
		{s.Client, "GET", "/api/v1/runs?filter[error]=run_1", "", 400, "Invalid error id: run_1"},
	} {
		got := c.client.Call(t, c.method, c.path, c.body)
		if got.Status != c.status || !strings.Contains(string(got.Body), c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, got.Status, got.Body, c.status, c.says)
		}
	}
}

// TestErrorJSONKeepsItsKeys: members without a value are null in the contract, not absent.
func TestErrorJSONKeepsItsKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("a")
	s.fail("a", "Error", "no")
	got := s.Call(t, http.MethodGet, errorsPath, nil)
	var page struct{ Data []map[string]json.RawMessage }
	if err := json.Unmarshal(got.Body, &page); err != nil || len(page.Data) != 1 {
		t.Fatalf("%s: %v", got.Body, err)
	}
	if string(page.Data[0]["resolvedAt"]) != "null" || string(page.Data[0]["ignoredUntil"]) != "null" {
		t.Errorf("%s", got.Body)
	}
	if _, ok := id.Internal(id.Error, strings.Trim(string(page.Data[0]["id"]), `"`)); !ok {
		t.Errorf("id %s", page.Data[0]["id"])
	}
}
