package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/wire"
)

// Limits of a bulk action.
const (
	//limit:lists Body that creates a bulk action | bytes | 413 Request body too large
	maxBulkBody = 1 << 20 // bytes
	//limit:lists Runs that a bulk action names by id | runs | 400 Too many runIds (…). Maximum is {}. Use a filter to select more runs.
	maxBulkRuns = 500 // named by id
	//limit:lists The name of a bulk action | characters | 400 Name must be less than {} characters
	maxBulkName = 255 // JavaScript's characters
)

// bulkBody is a wish for a bulk action.
type bulkBody struct {
	Action       string          `json:"action"`
	Filter       json.RawMessage `json:"filter"`
	RunIDs       []string        `json:"runIds"`
	Name         string          `json:"name"`
	TargetRegion string          `json:"targetRegion"`
}

// Validate names everything that is wrong.
func (b bulkBody) Validate() error {
	_, err := b.read(time.Now())
	return err
}

// read is the wish in the engine's words, or everything that is wrong with it.
func (b bulkBody) read(now time.Time) (engine.NewBulk, error) {
	var p rest.Problems
	n := engine.NewBulk{Kind: store.BulkKind(strings.ToUpper(b.Action)), Name: b.Name, Region: b.TargetRegion}
	if b.Action != "cancel" && b.Action != "replay" {
		p.Add("action", "Invalid discriminator value. Expected 'cancel' | 'replay'")
	}
	if len(utf16.Encode([]rune(b.Name))) > maxBulkName {
		p.Add("name", "Name must be less than 255 characters")
	}
	if b.Action == "cancel" && b.TargetRegion != "" {
		p.Add("targetRegion", "targetRegion can only be used with replay")
	}
	for _, v := range []struct{ name, text string }{{"name", b.Name}, {"targetRegion", b.TargetRegion}} {
		if !storable(v.text) {
			p.Add(v.name, "Invalid characters")
		}
	}
	switch {
	case (b.Filter == nil) == (b.RunIDs == nil):
		p.Add("", "Exactly one of filter or runIds must be provided")
	case b.Filter != nil:
		n.Filter = readBulkFilter(b.Filter, now, &p)
	default:
		n.Filter.IDs = b.runIDs(&p)
	}
	if err := p.Err(); err != nil {
		return n, err
	}
	if len(b.RunIDs) > maxBulkRuns {
		return n, fault.Newf(fault.Malformed, "Too many runIds (%d). Maximum is %d. Use a filter to select more runs.", len(b.RunIDs), maxBulkRuns)
	}
	return n, nil
}

// runIDs are the internal ids of the runs that a body names.
func (b bulkBody) runIDs(p *rest.Problems) []string {
	if len(b.RunIDs) == 0 {
		p.Add("runIds", "Array must contain at least 1 element(s)")
	}
	var out []string
	for i, friendly := range b.RunIDs {
		if p.Full() {
			break
		}
		internal, ok := id.Internal(id.Run, friendly)
		if !ok {
			p.Add("runIds."+strconv.Itoa(i), "Invalid run id")
		}
		out = append(out, internal)
	}
	return out
}

// bulkFilter is a member of a filter: the parameter of a list of runs that means the
// same, and how its value is read.
type bulkFilter struct {
	param string
	read  func(json.RawMessage) (values []string, ok bool)
	want  string
}

// bulkFilters are the members of a filter.
var bulkFilters = map[string]bulkFilter{
	"status":         {"filter[status]", readTexts, "string or array of strings"},
	"taskIdentifier": {"filter[taskIdentifier]", readTexts, "string or array of strings"},
	"version":        {"filter[version]", readTexts, "string or array of strings"},
	"tag":            {"filter[tag]", readTexts, "string or array of strings"},
	"machine":        {"filter[machine]", readTexts, "string or array of strings"},
	"region":         {"filter[region]", readTexts, "string or array of strings"},
	"queue":          {"filter[queue]", readQueues, "queue or array of queues, each with a type, task or custom, and a name"},
	"from":           {"filter[createdAt][from]", readDate, "date or number"},
	"to":             {"filter[createdAt][to]", readDate, "date or number"},
	"period":         {"filter[createdAt][period]", readText, "string"},
	"bulkAction":     {"filter[bulkAction]", readText, "string"},
	"schedule":       {"filter[schedule]", readText, "string"},
	"batch":          {"filter[batch]", readText, "string"},
	"isTest":         {"filter[isTest]", readBool, "boolean"},
}

// readBulkFilter reads a filter as the query of a list of runs. What a list ignores is
// refused here: a slip of the pen would cancel more than was meant.
func readBulkFilter(text json.RawMessage, now time.Time, p *rest.Problems) store.RunFilter {
	wrong := func(path, message string) {
		p.Put(rest.Problem{Code: "invalid_type", Message: message, Path: path})
	}
	var members map[string]json.RawMessage
	if !isObject(text) || json.Unmarshal(text, &members) != nil {
		wrong("filter", "Expected object")
		return store.RunFilter{}
	}
	q := &query{values: url.Values{}, exact: true}
	before := len(*p)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		member, known := bulkFilters[name]
		if !known {
			p.Put(rest.Problem{Code: "unrecognized_keys", Message: "Unrecognized key(s) in object: '" + name + "'", Path: "filter"})
			continue
		}
		values, ok := member.read(members[name])
		if !ok {
			wrong("filter."+name, "Expected "+member.want)
			continue
		}
		if values = slices.DeleteFunc(values, blank); len(values) > 0 {
			q.values[member.param] = values
		}
	}
	if len(q.values) == 0 && len(*p) == before {
		p.Add("filter", "At least one filter must be provided")
	}
	q.checkText()
	f := q.runFilter(now)
	for _, problem := range q.problems {
		for name, member := range bulkFilters {
			if member.param == problem.Path {
				problem.Path = "filter." + name
			}
		}
		p.Put(problem)
	}
	return f
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func readText(v json.RawMessage) ([]string, bool) {
	var s string
	ok := isText(v) && json.Unmarshal(v, &s) == nil
	return []string{s}, ok
}

func readTexts(v json.RawMessage) ([]string, bool) {
	if isText(v) {
		return readText(v)
	}
	return readEach(v, readText)
}

// readEach reads an array.
func readEach(v json.RawMessage, read func(json.RawMessage) ([]string, bool)) ([]string, bool) {
	var list []json.RawMessage
	if len(v) == 0 || v[0] != '[' || json.Unmarshal(v, &list) != nil {
		return nil, false
	}
	var out []string
	for _, item := range list {
		values, ok := read(item)
		if !ok {
			return nil, false
		}
		out = append(out, values...)
	}
	return out, true
}

func readQueues(v json.RawMessage) ([]string, bool) {
	if isObject(v) {
		return readQueue(v)
	}
	return readEach(v, readQueue)
}

// readQueue reads {type, name}. The queue of a task is named after it.
func readQueue(v json.RawMessage) ([]string, bool) {
	var q struct{ Type, Name string }
	if !isObject(v) || json.Unmarshal(v, &q) != nil || blank(q.Name) {
		return nil, false
	}
	switch q.Type {
	case "task":
		return []string{run.TaskQueue(q.Name)}, true
	case "custom":
		return []string{q.Name}, true
	}
	return nil, false
}

// readDate reads a date, or milliseconds.
func readDate(v json.RawMessage) ([]string, bool) {
	if isText(v) {
		return readText(v)
	}
	var ms float64
	if !isNumber(v) || json.Unmarshal(v, &ms) != nil || ms < 0 || ms >= maxMillis {
		return nil, false
	}
	return []string{strconv.FormatInt(int64(ms), 10)}, true
}

func readBool(v json.RawMessage) ([]string, bool) {
	return []string{string(v)}, string(v) == "true" || string(v) == "false"
}

// shownBulk is a bulk action as the API shows it.
type shownBulk struct {
	ID          string     `json:"id"`
	Name        string     `json:"name,omitempty"`
	Type        string     `json:"type"`
	Status      string     `json:"status"`
	Counts      bulkCounts `json:"counts"`
	CreatedAt   string     `json:"createdAt"`
	CompletedAt string     `json:"completedAt,omitempty"`
}

type bulkCounts struct {
	Total   int `json:"total"`
	Success int `json:"success"`
	Failure int `json:"failure"`
}

func showBulk(b store.Bulk) shownBulk {
	return shownBulk{
		ID: id.Friendly(id.Bulk, b.ID), Name: b.Name, Type: string(b.Kind), Status: string(b.Status),
		Counts:    bulkCounts{b.Total, b.Success, b.Failure},
		CreatedAt: wire.ISO(b.CreatedAt), CompletedAt: wire.ISO(b.CompletedAt),
	}
}

// createBulk serves POST /api/v1/bulk-actions.
func (a *API) createBulk(w http.ResponseWriter, r *http.Request) error {
	h, err := readHeaders(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[bulkBody](r, maxBulkBody)
	if err != nil {
		return err
	}
	wanted, err := body.read(time.Now())
	if err != nil {
		return err
	}
	wanted.Request = h.request
	bulkID, err := a.engine.CreateBulk(r.Context(), environment(r), wanted)
	if fault.Is(err, fault.Limit) {
		return rest.WithHeader(err, "X-Should-Retry", "false") // one that runs may take long
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusAccepted, idOnly{ID: id.Friendly(id.Bulk, bulkID)})
}

// listBulks serves GET /api/v1/bulk-actions.
func (a *API) listBulks(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	p := q.page(id.Bulk)
	if err := rest.QueryError(q.problems); err != nil {
		return err
	}
	var list store.List[store.Bulk]
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.ListBulks(environment(r).ID, p)
		return err
	})
	if err != nil {
		return err
	}
	out := page[shownBulk]{Data: []shownBulk{}, Pagination: cursorsOf(list, id.Bulk)}
	for _, b := range list.Items {
		out.Data = append(out.Data, showBulk(b))
	}
	return rest.JSON(w, http.StatusOK, out)
}

// bulkParam is the internal id of the bulk action that a path names.
func bulkParam(r *http.Request) (string, error) {
	friendly, err := param(r, "bulk")
	internal, ok := id.Internal(id.Bulk, friendly)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "Bulk action not found")
	}
	return internal, err
}

// getBulk serves GET /api/v1/bulk-actions/{bulk}.
func (a *API) getBulk(w http.ResponseWriter, r *http.Request) error {
	bulkID, err := bulkParam(r)
	if err != nil {
		return err
	}
	var b store.Bulk
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		b, err = tx.Bulk(environment(r).ID, bulkID)
		return err
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, showBulk(b))
}

// abortBulk serves POST /api/v1/bulk-actions/{bulk}/abort.
func (a *API) abortBulk(w http.ResponseWriter, r *http.Request) error {
	bulkID, err := bulkParam(r)
	if err != nil {
		return err
	}
	if err := a.engine.AbortBulk(r.Context(), environment(r), bulkID); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: id.Friendly(id.Bulk, bulkID)})
}
