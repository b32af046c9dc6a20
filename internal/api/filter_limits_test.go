package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// values are n values, from the first on.
func values(first, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("value-%d", first+i))
	}
	return out
}

// TestFiltersTakeAHundredValues: each value of a filter is a term of a statement, or one more
// statement, so there are so many and no more. A value that is there twice is there once.
func TestFiltersTakeAHundredValues(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.trigger(`{"options":{"queue":{"name":"value-7"},"tags":["value-7"]}}`)
		project := "/api/v1/projects/" + s.keys.ProjectRef + "/runs"
		const anyText, oneOf = true, false // whether the filter takes any text
		for _, f := range []struct {
			path, name string
			free       bool
			status     int
		}{
			{"/api/v1/runs", "filter[queue]", anyText, 400}, {"/api/v1/runs", "filter[tag]", anyText, 400},
			{"/api/v1/runs", "filter[taskIdentifier]", anyText, 400}, {"/api/v1/runs", "filter[version]", anyText, 400},
			{"/api/v1/runs", "filter[region]", anyText, 400}, {"/api/v1/runs", "filter[status]", oneOf, 400}, {"/api/v1/runs", "filter[machine]", oneOf, 400},
			{project, "filter[queue]", anyText, 400}, {project, "filter[tag]", anyText, 400}, {project, "filter[env]", oneOf, 400},
			{"/api/v1/errors", "filter[taskIdentifier]", anyText, 400}, {"/api/v1/errors", "filter[version]", anyText, 400}, {"/api/v1/errors", "filter[status]", oneOf, 400},
			{"/api/v1/deployments", "status", oneOf, 400},
			{"/api/v1/waitpoints/tokens", "filter[tags]", anyText, 422}, {"/api/v1/waitpoints/tokens", "filter[status]", oneOf, 422}, // as the document has it
		} {
			c := s.Client
			if f.path == project {
				c = s.with(s.keys.PersonalAccessToken)
			}
			ask := func(list []string) (int, string) {
				got := c.Call(t, "GET", f.path+"?"+url.Values{f.name: {strings.Join(list, ",")}}.Encode(), nil)
				return got.Status, string(got.Body)
			}
			if status, answer := ask(values(0, 101)); status != f.status || !strings.Contains(answer, `At most 100 values can be given`) || !strings.Contains(answer, `"`+f.name+`"`) {
				t.Errorf("%s?%s with 101 values: %d %s", f.path, f.name, status, answer)
			}
			if status, answer := ask([]string{strings.Repeat("x", 2049)}); status != f.status || !strings.Contains(answer, `A value must have at most 2048 bytes`) {
				t.Errorf("%s?%s with a long value: %d %s", f.path, f.name, status, answer)
			}
			if !f.free {
				continue
			}
			status, answer := ask(values(0, 100))
			if status != 200 || f.name == "filter[queue]" && !strings.Contains(answer, `"run_`) {
				t.Errorf("%s?%s with 100 values: %d %s", f.path, f.name, status, answer)
			}
			if status, answer := ask(slices.Repeat(values(7, 2), 1000)); status != 200 {
				t.Errorf("%s?%s with the same two values: %d %s", f.path, f.name, status, answer)
			}
		}
	})
}

// TestRepeatedStatesAreOneTerm: a state takes a term of the statement, so it may not be repeated in it.
func TestRepeatedStatesAreOneTerm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for path, name := range map[string]string{"/api/v1/waitpoints/tokens": "filter[status]", "/api/v1/runs": "filter[status]", "/api/v1/deployments": "status", "/api/v1/errors": "filter[status]"} {
		state := map[string]string{"/api/v1/waitpoints/tokens": "WAITING", "/api/v1/runs": "QUEUED", "/api/v1/deployments": "DEPLOYED", "/api/v1/errors": "resolved"}[path]
		got := s.Call(t, "GET", path+"?"+url.Values{name: {strings.Repeat(state+",", 3000)}}.Encode(), nil)
		if got.Status != 200 {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}

// TestBulkFiltersTakeAHundredValues: the filter of a bulk action is read as that of a list.
func TestBulkFiltersTakeAHundredValues(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	list := func(n int, format string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	for name, format := range map[string]string{"tag": `"v%d"`, "taskIdentifier": `"v%d"`, "version": `"v%d"`, "region": `"v%d"`, "queue": `{"type":"custom","name":"v%d"}`} {
		got := s.Call(t, "POST", "/api/v1/bulk-actions", `{"action":"cancel","filter":{"`+name+`":`+list(101, format)+`}}`)
		if got.Status != 400 || !strings.Contains(string(got.Body), `At most 100 values can be given at \"filter.`+name) {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	got := s.Call(t, "POST", "/api/v1/bulk-actions", `{"action":"cancel","filter":{"queue":`+list(100, `{"type":"custom","name":"v%d"}`)+`}}`)
	if got.Status != 202 {
		t.Errorf("100 values: %d %s", got.Status, got.Body)
	}
}

// TestBatchesNameAsManyTasksAsItems: the tasks of a batch are looked up one by one.
func TestBatchesNameAsManyTasksAsItems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	named := func(n int) string {
		return `{"runCount":1,"taskIdentifiers":["` + strings.Join(values(0, n), `","`) + `"]}`
	}
	if got := s.Call(t, "POST", "/api/v3/batches", named(1000)); got.Status != 202 {
		t.Errorf("1000: %d %s", got.Status, got.Body)
	}
	expect(t, "1001", s.Call(t, "POST", "/api/v3/batches", named(1001)), 400, `{"error":"Validation error: Array must contain at most 1000 element(s) at \"taskIdentifiers\""}`)
}
