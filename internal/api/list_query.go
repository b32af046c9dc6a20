package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
	//limit:lists Items on a page | items | 400 Number must be between 1 and {}; lists by number, and deployments, take it for the limit
	maxPage = 100
)

// Bounds of what a filter may say. Its values become terms of a statement, or statements.
const (
	//limit:lists Values of one filter, of a list or a bulk action, each counted once | values | 400 (422 for tokens) At most {} values can be given
	maxFilterValues = 100
	//limit:lists A value of a filter | bytes | 400 (422 for tokens) A value must have at most {} bytes
	maxFilterValue = 2048 // bytes
)

// query reads the query of a list and collects what is wrong with it.
type query struct {
	values   url.Values
	exact    bool // a value of a list is one value, whatever commas are in it
	problems rest.Problems
}

// newQuery takes the query of a request. Text that no database keeps could only
// match nothing, if it did not make the database fail.
func newQuery(r *http.Request) *query {
	q := &query{values: r.URL.Query()}
	q.checkText()
	return q
}

// checkText refuses text that no database keeps.
func (q *query) checkText() {
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if slices.ContainsFunc(q.values[name], func(v string) bool { return !storable(v) }) {
			q.problems.Add(name, "Invalid characters")
		}
	}
}

// storable reports whether a text can be in a text column: Postgres has no place in
// one for NUL, nor for what is not UTF-8.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// list is a parameter of comma-separated values, each once; nil when it is absent. There are
// no more than maxFilterValues.
func (q *query) list(name string) (out []string) {
	for value := range q.parts(name) {
		switch {
		case slices.Contains(out, value):
		case len(value) > maxFilterValue:
			q.problems.Add(name, fmt.Sprintf("A value must have at most %d bytes", maxFilterValue))
			return out
		case len(out) == maxFilterValues:
			q.problems.Add(name, fmt.Sprintf("At most %d values can be given", maxFilterValues))
			return out
		default:
			out = append(out, value)
		}
	}
	return out
}

// tags is a parameter of comma-separated tags. A tag may hold a comma itself: the whole text
// counts as one as well.
func (q *query) tags(name string) []string {
	out := q.list(name)
	for _, v := range q.values[name] {
		if !q.exact && strings.Contains(v, ",") && len(v) <= maxFilterValue {
			out = append(out, v)
		}
	}
	return out
}

// parts are the values of a parameter.
func (q *query) parts(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range q.values[name] {
			if q.exact {
				if !yield(v) {
					return
				}
				continue
			}
			for part := range strings.SplitSeq(v, ",") {
				if part = strings.TrimSpace(part); part != "" && !yield(part) {
					return
				}
			}
		}
	}
}

// text is a parameter of one value, "" when it is absent.
func (q *query) text(name string) string {
	v := q.values.Get(name)
	if len(v) > maxFilterValue {
		q.problems.Add(name, fmt.Sprintf("A value must have at most %d bytes", maxFilterValue))
	}
	return v
}

// page reads the size of a page and its cursors. Items have friendly ids of the prefix.
func (q *query) page(prefix string) store.Page {
	return store.Page{Size: q.size(), After: q.cursor("page[after]", prefix), Before: q.cursor("page[before]", prefix)}
}

// size is how many items a page is to have.
func (q *query) size() int {
	v := q.values.Get("page[size]")
	if v == "" {
		return defaultPage
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxPage {
		q.problems.Add("page[size]", fmt.Sprintf("Number must be between 1 and %d", maxPage))
	}
	return n
}

func (q *query) cursor(name, prefix string) string {
	v := q.values.Get(name)
	if v == "" {
		return ""
	}
	internal, ok := parseCursor(v, prefix)
	if !ok {
		q.problems.Add(name, "Invalid cursor")
	}
	return internal
}

// parseCursor reads the id of an item, friendly or not, or upstream's opaque form of it.
func parseCursor(v, prefix string) (string, bool) {
	if internal, ok := id.Internal(prefix, v); ok {
		return internal, true
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(v, "="))
	if err != nil {
		return "", false
	}
	var opaque struct {
		ID string `json:"r"`
	}
	if json.Unmarshal(text, &opaque) != nil {
		return "", false
	}
	return id.Internal(prefix, opaque.ID)
}

// refuse notes those of a parameter's values that are not allowed.
func (q *query) refuse(name, what string, values []string, allowed func(string) bool) {
	unknown := slices.DeleteFunc(slices.Clone(values), allowed)
	if len(unknown) > 0 {
		q.problems.Add(name, "Invalid "+what+" values: "+strings.Join(unknown, ", "))
	}
}

// created reads the three ways to bound the time of creation.
func (q *query) created(now time.Time) store.Created {
	return q.within("filter[createdAt]", now)
}

// within reads the three ways to bound a time, which are members of a parameter.
func (q *query) within(name string, now time.Time) store.Created {
	c := store.Created{From: q.instant(name + "[from]"), To: q.instant(name + "[to]")}
	if v := q.values.Get(name + "[period]"); v != "" {
		d, ok := deploy.ParseDuration(v)
		if !ok { // all that there is would be another answer than was asked for
			q.problems.Add(name+"[period]", "Invalid period: "+wire.Clip(v))
		}
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
	if _, err := strconv.ParseFloat(v, 64); err == nil { // it was to be milliseconds, and no year or month
		ok = false
	}
	if !ok {
		q.problems.Add(name, "Invalid date: "+wire.Clip(v))
	}
	return at
}

// maxMillis is the end of JavaScript's time.
//
//limit:inside the last instant that JavaScript knows
const maxMillis = 8_640_000_000_000_000

// runQuery is the query of a list of runs.
type runQuery struct {
	filter store.RunFilter
	page   store.Page
	envs   []tenant.EnvType // nil: all
}

// readRunQuery reads the query of a list of runs and names everything that is wrong with it.
func readRunQuery(r *http.Request) (runQuery, error) {
	q := newQuery(r)
	out := runQuery{page: q.page(id.Run), envs: q.envs(), filter: q.runFilter(time.Now())}
	return out, rest.QueryError(q.problems)
}

// runFilter reads what selects runs of an environment.
func (q *query) runFilter(now time.Time) store.RunFilter {
	f := store.RunFilter{
		Statuses: q.statuses(), Tasks: q.list("filter[taskIdentifier]"), Versions: q.list("filter[version]"),
		Tags: q.tags("filter[tag]"), Queues: q.list("filter[queue]"), Machines: q.machines(), Regions: q.list("filter[region]"),
		Schedule: q.id("filter[schedule]", id.Schedule, "schedule"), Created: q.created(now),
		BatchID: q.id("filter[batch]", id.Batch, "batch"), BulkID: q.id("filter[bulkAction]", id.Bulk, "bulk action"),
		ErrorID: q.id("filter[error]", id.Error, "error"),
	}
	switch v := q.values.Get("filter[isTest]"); v {
	case "":
	case "true", "false":
		test := v == "true"
		f.Test = &test
	default:
		q.problems.Add("filter[isTest]", "Invalid value for isTest: "+v)
	}
	return f
}

// id is a parameter that names something by its id, friendly or not.
func (q *query) id(name, prefix, what string) string {
	v := q.values.Get(name)
	if v == "" {
		return ""
	}
	internal, ok := id.Internal(prefix, v)
	if !ok && storable(v) { // otherwise it has been said
		q.problems.Add(name, "Invalid "+what+" id: "+v)
	}
	return internal
}

func (q *query) statuses() []run.Status {
	names := q.list("filter[status]")
	q.refuse("filter[status]", "status", names, func(name string) bool {
		_, ok := wire.StatusFilter(name)
		return ok
	})
	if names == nil {
		return nil
	}
	out := []run.Status{}
	for _, name := range names {
		statuses, _ := wire.StatusFilter(name)
		out = append(out, statuses...)
	}
	return out
}

// presets are the machines a run can be on.
var presets = []string{"micro", "small-1x", "small-2x", "medium-1x", "medium-2x", "large-1x", "large-2x"}

func (q *query) machines() []string {
	list := q.list("filter[machine]")
	q.refuse("filter[machine]", "machine", list, func(name string) bool { return slices.Contains(presets, name) })
	return list
}

func (q *query) envs() []tenant.EnvType {
	list := q.list("filter[env]")
	q.refuse("filter[env]", "env", list, func(slug string) bool {
		_, ok := tenant.TypeForSlug(slug)
		return ok
	})
	var out []tenant.EnvType
	for _, slug := range list {
		t, _ := tenant.TypeForSlug(slug)
		out = append(out, t)
	}
	return out
}

// selected are those of a project's environments that the query asks for.
func (q runQuery) selected(envs []*tenant.Environment) []*tenant.Environment {
	if q.envs == nil {
		return envs
	}
	return slices.DeleteFunc(envs, func(e *tenant.Environment) bool { return !slices.Contains(q.envs, e.Type) })
}

// numbered is a page of a list that is read by number.
type numbered[T any] struct {
	Data       []T         `json:"data"`
	Pagination pageNumbers `json:"pagination"`
}

// pageNumbers say where a page stands in its list.
type pageNumbers struct {
	CurrentPage int `json:"currentPage"`
	TotalPages  int `json:"totalPages"`
	Count       int `json:"count"`
}

func pageNumbersOf(current, size, count int) pageNumbers {
	return pageNumbers{current, (count + size - 1) / size, count}
}

// positive is a parameter that counts from one.
func (q *query) positive(name string, otherwise int) int {
	v := q.values.Get(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > math.MaxInt32 {
		q.problems.Add(name, fmt.Sprintf("Number must be between 1 and %d", math.MaxInt32))
		return otherwise
	}
	return n
}
