package store

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

// Page is a wish for a part of a list that is ordered by id, newest first. Before
// beats After: items newer than the one, or older than the other.
type Page struct {
	Size          int
	After, Before string // internal ids, which need not exist; "" for none
}

// List is a page of a list. Next and Previous are the ids to go on after and before,
// "" where there is nothing more.
type List[T any] struct {
	Items          []T
	Next, Previous string
}

// cut makes a page of up to Size+1 ids, nearest to the cursor first.
func (p Page) cut(ids []string) List[string] {
	more := len(ids) > p.Size
	l := List[string]{Items: ids[:min(len(ids), p.Size)]}
	if len(l.Items) == 0 {
		return l
	}
	if p.Before != "" {
		slices.Reverse(l.Items)
	}
	first, last := l.Items[0], l.Items[len(l.Items)-1]
	if more || p.Before != "" {
		l.Next = last
	}
	if p.Before != "" && more || p.Before == "" && p.After != "" {
		l.Previous = first
	}
	return l
}

// merge sorts what several queries found for the same page, nearest to the cursor first.
func (p Page) merge(ids []string) []string {
	slices.Sort(ids)
	if p.Before == "" {
		slices.Reverse(ids)
	}
	ids = slices.Compact(ids)
	return ids[:min(len(ids), p.Size+1)]
}

// Created bounds the time of creation, both ends included, to the millisecond that
// ids keep. A zero end is open.
type Created struct{ From, To time.Time }

// pick builds the query for the ids of one page: a range of one index, in its order,
// of which conditions filter rows until the page is full.
type pick struct {
	from  string
	keys  []string // the column of the id, and others that always equal it
	where []string
	args  []any
}

// arg takes an argument and returns its placeholder.
func (q *pick) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// is demands a value of a column.
func (q *pick) is(column string, v any) { q.where = append(q.where, column+" = "+q.arg(v)) }

// in demands one of several values of a column; nil demands nothing, an empty list the impossible.
func (q *pick) in(column string, values []string) {
	if values != nil {
		q.where = append(q.where, column+" {{in "+q.arg(sqldb.List(values))+"}}")
	}
}

// any demands one of several conditions; none demand nothing.
func (q *pick) any(conditions []string) {
	if len(conditions) > 0 {
		q.where = append(q.where, "("+strings.Join(conditions, " OR ")+")")
	}
}

// bound bounds the ids. It says so of each column: Postgres does not draw the
// conclusion, and would read a second index from its end.
func (q *pick) bound(operator, id string) {
	at := q.arg(id)
	for _, key := range q.keys {
		q.where = append(q.where, key+operator+at)
	}
}

// within bounds the ids by the time in them.
func (q *pick) within(c Created) {
	if !c.From.IsZero() {
		q.bound(" >= ", id.From(c.From))
	}
	if !c.To.IsZero() {
		q.bound(" < ", id.From(c.To.Add(time.Millisecond)))
	}
}

// ids reads the page, nearest to the cursor first, and one id more if there is one.
func (q *pick) ids(tx *Tx, p Page) ([]string, error) {
	order := " DESC"
	switch {
	case p.Before != "":
		order = " ASC"
		q.bound(" > ", p.Before)
	case p.After != "":
		q.bound(" < ", p.After)
	}
	return tx.texts(`SELECT `+q.keys[0]+` FROM `+q.from+` WHERE `+strings.Join(q.where, " AND ")+
		` ORDER BY `+q.keys[0]+order+` LIMIT `+q.arg(p.Size+1), q.args...)
}

// RunFilter selects runs. A zero field selects all of them; of the values in a field
// a run must have one.
type RunFilter struct {
	Envs     []string // at least one
	Statuses []run.Status
	Tasks    []string
	Versions []string // of the worker the run is locked to
	Tags     []string
	Queues   []string
	Machines []string
	Regions  []string
	Schedule string
	BatchID  string
	BulkID   string   // of the bulk action the run belongs to
	IDs      []string // of the runs themselves
	Test     *bool
	Created  Created
	ErrorID  string // a group of failures that the run belongs to

	members []string // runs of the batch, which has an index that planners do not see the use of
	without string   // bulk action the run must not belong to
}

// ListRuns reads a page of the runs that a filter selects, newest first, as
// [Tx.Summaries] does. A page costs what it holds and what the filter skips on the
// way; tags and bulk actions are looked up in their own index, so that even a rare one skips nothing.
func (tx *Tx) ListRuns(f RunFilter, p Page) (List[Detail], error) {
	ids, err := tx.runIDs(f, p)
	if err != nil {
		return List[Detail]{}, err
	}
	page := p.cut(ids)
	out := List[Detail]{Next: page.Next, Previous: page.Previous}
	details, err := tx.Summaries(page.Items)
	for _, runID := range page.Items {
		out.Items = append(out.Items, details[runID])
	}
	return out, err
}

// runIDs reads the ids of a page, nearest to the cursor first, and one id more if there is one.
func (tx *Tx) runIDs(f RunFilter, p Page) ([]string, error) {
	if none, err := tx.resolve(&f); none || err != nil {
		return nil, err
	}
	var ids []string
	for _, envID := range f.Envs {
		found, err := tx.listEnv(f, envID, p)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	return p.merge(ids), nil
}

// resolve looks up what a filter names that has an index of its own; none says that
// it can select nothing.
func (tx *Tx) resolve(f *RunFilter) (none bool, err error) {
	if f.BatchID == "" {
		return false, nil
	}
	f.members, err = tx.texts(`SELECT id FROM run WHERE batch_id = $1`, f.BatchID)
	return f.members == nil, err
}

// CountRuns counts the runs that a filter selects.
func (tx *Tx) CountRuns(f RunFilter) (total int, err error) {
	if none, err := tx.resolve(&f); none || err != nil {
		return 0, err
	}
	for _, envID := range f.Envs {
		q := &pick{from: "run", keys: []string{"run.id"}}
		q.is("run.env_id", envID)
		if f.Tags != nil {
			q.where = append(q.where, "run.id IN (SELECT run_id FROM run_tag WHERE env_id = "+q.arg(envID)+" AND tag {{in "+q.arg(sqldb.List(f.Tags))+"}})")
		}
		f.ofBulk(q)
		f.demand(q)
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM run WHERE `+strings.Join(q.where, " AND "), q.args...).Scan(&n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// ofBulk demands that a run belongs to the bulk action, if the filter names one.
func (f RunFilter) ofBulk(q *pick) {
	if f.BulkID != "" {
		q.where = append(q.where, "run.id IN (SELECT run_id FROM bulk_run WHERE bulk_id = "+q.arg(f.BulkID)+")")
	}
}

func (tx *Tx) listEnv(f RunFilter, envID string, p Page) ([]string, error) {
	switch {
	case f.Tags == nil && f.ErrorID != "":
		q := &pick{from: "error_run e CROSS JOIN run", keys: []string{"e.run_id", "run.id"}, where: []string{"run.id = e.run_id"}}
		q.is("e.error_id", f.ErrorID)
		q.is("run.env_id", envID)
		f.ofBulk(q)
		f.demand(q)
		return q.ids(tx, p)
	case f.Tags == nil:
		q := &pick{from: "run", keys: []string{"run.id"}}
		if f.BulkID != "" {
			q = &pick{from: "bulk_run b CROSS JOIN run", keys: []string{"b.run_id", "run.id"}, where: []string{"run.id = b.run_id"}}
			q.is("b.bulk_id", f.BulkID)
		}
		q.is("run.env_id", envID)
		f.demand(q)
		return q.ids(tx, p)
	}
	var ids []string
	for _, tag := range f.Tags {
		q := &pick{from: "run_tag t CROSS JOIN run", keys: []string{"t.run_id", "run.id"}, where: []string{"run.id = t.run_id"}}
		q.is("t.env_id", envID)
		q.is("t.tag", tag)
		f.ofBulk(q)
		f.demand(q)
		if f.ErrorID != "" {
			q.where = append(q.where, "EXISTS (SELECT 1 FROM error_run WHERE error_id = "+q.arg(f.ErrorID)+" AND run_id = run.id)")
		}
		found, err := q.ids(tx, p)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	return p.merge(ids), nil
}

// demand adds the conditions that concern neither environment, tags nor the bulk action.
func (f RunFilter) demand(q *pick) {
	q.within(f.Created)
	q.in("run.status", names(f.Statuses))
	q.in("run.task", f.Tasks)
	q.in("run.version", f.Versions)
	q.in("run.machine", f.Machines)
	q.in("run.region", f.Regions)
	if f.Schedule != "" {
		q.is("run.schedule_id", f.Schedule)
	}
	if f.BatchID != "" {
		q.in("run.id", f.members)
	}
	q.in("run.id", f.IDs)
	if f.without != "" {
		q.where = append(q.where, "NOT EXISTS (SELECT 1 FROM bulk_run o WHERE o.bulk_id = "+q.arg(f.without)+" AND o.run_id = run.id)")
	}
	if f.Test != nil {
		q.is("run.is_test", flag(*f.Test))
	}
	var in []string
	for _, name := range f.Queues {
		own, after, before := lanes(name)
		in = append(in, "run.lane = "+q.arg(own), "run.lane > "+q.arg(after)+" AND run.lane < "+q.arg(before))
	}
	q.any(in)
}

// names are statuses as the store writes them; nil stays nil.
func names[S ~string](statuses []S) []string {
	if statuses == nil {
		return nil
	}
	out := []string{}
	for _, s := range statuses {
		out = append(out, string(s))
	}
	return out
}

// summaryColumns are what scanDetail reads, without texts of any length that lists do
// not show: output, error, payload, and the metadata kept for replays.
var summaryColumns = strings.Replace(runColumns, "output, output_type, error", "NULL, NULL, NULL", 1) +
	`, is_test, tags, idem_key, idem_expires, NULL, extra, metadata, metadata_type, NULL, NULL, NULL, NULL`

// Summaries reads runs by id, with their definitions but without output, error and payload.
func (tx *Tx) Summaries(ids []string) (map[string]Detail, error) {
	out := make(map[string]Detail, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	list, err := tx.queryDetails(`SELECT `+summaryColumns+` FROM run WHERE id {{in $1}}`, sqldb.List(ids))
	for _, d := range list {
		out[d.ID] = d
	}
	return out, err
}

// ChildSummaries reads up to n direct children of a run, oldest first, as Summaries does.
func (tx *Tx) ChildSummaries(parentID string, n int) ([]Detail, error) {
	return tx.queryDetails(`SELECT `+summaryColumns+` FROM run WHERE parent_id = $1 ORDER BY id LIMIT $2`, parentID, n)
}

// outcomeColumns are runColumns without the output, which may be large.
var outcomeColumns = strings.Replace(runColumns, "output, output_type", "NULL, NULL", 1)

// Outcomes reads runs by id as RunsByID does, but without their outputs.
func (tx *Tx) Outcomes(ids []string) (map[string]run.Run, error) {
	out := make(map[string]run.Run, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	list, err := tx.queryRuns(`SELECT `+outcomeColumns+` FROM run WHERE id {{in $1}}`, sqldb.List(ids))
	for _, r := range list {
		out[r.ID] = r
	}
	return out, err
}

// ProjectEnvironments reads all environments of a project, branches and archived ones
// too, oldest first.
func (tx *Tx) ProjectEnvironments(projectID string) ([]*tenant.Environment, error) {
	rows, err := tx.Query(`SELECT `+envColumns+` FROM `+envTables+` WHERE e.project_id = $1 ORDER BY e.created_at, e.id`, projectID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*tenant.Environment
	for rows.Next() {
		e, err := scanEnvironment(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}
