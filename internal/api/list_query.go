package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sear/internal/deploy"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// Sizes of a page.
const (
	defaultPage = 25
	maxPage     = 100
)

// query reads the query of a list and collects what is wrong with it.
type query struct {
	values   url.Values
	problems rest.Problems
}

// list is a parameter of comma-separated values; nil when it is absent.
func (q *query) list(name string) []string {
	var out []string
	for _, v := range q.values[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// page reads the size of a page and its cursor: an internal id or a friendly one of the prefix.
func (q *query) page(prefix string) store.Page {
	p := store.Page{Size: defaultPage, After: q.cursor("page[after]", prefix), Before: q.cursor("page[before]", prefix)}
	if v := q.values.Get("page[size]"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxPage {
			q.problems.Add("page[size]", fmt.Sprintf("Number must be between 1 and %d", maxPage))
		}
		p.Size = n
	}
	return p
}

func (q *query) cursor(name, prefix string) string {
	v := q.values.Get(name)
	if v == "" {
		return ""
	}
	internal, ok := id.Internal(prefix, v)
	if !ok {
		q.problems.Add(name, "Invalid cursor")
	}
	return internal
}

// created reads the three ways to bound the time of creation. A period that cannot
// be read is ignored, as upstream does.
func (q *query) created(now time.Time) store.Created {
	c := store.Created{From: q.instant("filter[createdAt][from]"), To: q.instant("filter[createdAt][to]")}
	if d, ok := deploy.ParseDuration(q.values.Get("filter[createdAt][period]")); ok {
		if from := now.Add(-d); from.After(c.From) {
			c.From = from
		}
	}
	return c
}

// instant is a parameter in milliseconds, as the SDK sends it, or a date.
func (q *query) instant(name string) time.Time {
	v := q.values.Get(name)
	if v == "" {
		return time.Time{}
	}
	if ms, err := strconv.ParseInt(v, 10, 64); err == nil && ms >= 0 && ms < maxMillis {
		return time.UnixMilli(ms)
	}
	at, ok := wire.ParseDate(v)
	if !ok {
		q.problems.Add(name, "Invalid date")
	}
	return at
}

// maxMillis is the end of JavaScript's time.
const maxMillis = 8_640_000_000_000_000

// runQuery is the query of a list of runs.
type runQuery struct {
	filter store.RunFilter
	page   store.Page
	envs   []string // slugs
}

// readRunQuery reads the query of a list of runs and names everything that is wrong with it.
func readRunQuery(r *http.Request) (runQuery, error) {
	q := &query{values: r.URL.Query()}
	out := runQuery{page: q.page(id.Run), envs: q.list("filter[env]")}
	out.filter = store.RunFilter{
		Statuses: q.statuses(), Tasks: q.list("filter[taskIdentifier]"), Versions: q.list("filter[version]"),
		Tags: q.list("filter[tag]"), Queues: q.list("filter[queue]"), Machines: q.machines(), Regions: q.list("filter[region]"),
		Schedule: q.values.Get("filter[schedule]"), Created: q.created(time.Now()),
	}
	switch v := q.values.Get("filter[isTest]"); v {
	case "":
	case "true", "false":
		test := v == "true"
		out.filter.Test = &test
	default:
		q.problems.Add("filter[isTest]", "Invalid value for isTest: "+v)
	}
	if v := q.values.Get("filter[batch]"); v != "" {
		batchID, ok := id.Internal(id.Batch, v)
		if !ok {
			q.problems.Add("filter[batch]", "Invalid batch id: "+v)
		}
		out.filter.BatchID = batchID
	}
	if q.values.Get("filter[bulkAction]") != "" { // there are none yet, so no run belongs to one
		out.filter.Statuses = []run.Status{}
	}
	return out, rest.QueryError(q.problems)
}

func (q *query) statuses() []run.Status {
	var out []run.Status
	var unknown []string
	for _, name := range q.list("filter[status]") {
		statuses, ok := wire.StatusFilter(name)
		if !ok {
			unknown = append(unknown, name)
			continue
		}
		if out == nil {
			out = []run.Status{}
		}
		out = append(out, statuses...)
	}
	if len(unknown) > 0 {
		q.problems.Add("filter[status]", "Invalid status values: "+strings.Join(unknown, ", "))
	}
	return out
}

// presets are the machines a run can be on.
var presets = []string{"micro", "small-1x", "small-2x", "medium-1x", "medium-2x", "large-1x", "large-2x"}

func (q *query) machines() []string {
	list := q.list("filter[machine]")
	unknown := slices.DeleteFunc(slices.Clone(list), func(m string) bool { return slices.Contains(presets, m) })
	if len(unknown) > 0 {
		q.problems.Add("filter[machine]", "Invalid machine values: "+strings.Join(unknown, ", "))
	}
	return list
}

// selected are those of a project's environments that the query asks for.
func (q runQuery) selected(envs []*tenant.Environment) []*tenant.Environment {
	if q.envs == nil {
		return envs
	}
	return slices.DeleteFunc(envs, func(e *tenant.Environment) bool {
		return !slices.ContainsFunc(q.envs, func(slug string) bool {
			t, ok := tenant.TypeForSlug(slug)
			return ok && t == e.Type
		})
	})
}
