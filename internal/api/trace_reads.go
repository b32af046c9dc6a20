package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/telemetry"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// maxTraced is of how many runs a trace is told.
//
//limit:runs Runs of a trace | runs | further ones are left out, and a page says `truncated`
const maxTraced = 1000

// traced is a run with the descendants that share its trace, as far as they are visible.
type traced struct {
	reader    tenant.Principal
	traceID   string
	runs      map[string]store.Detail // by internal id
	family    []telemetry.History     // the run first
	truncated bool                    // there are more runs
	now       time.Time
}

// readTrace reads the trace of the run that a path names, if the caller may. With
// alone it is the run without its descendants.
func (a *API) readTrace(r *http.Request, alone bool) (*traced, error) {
	runID, err := runParam(r)
	if err != nil {
		return nil, err
	}
	p := auth.From(r.Context())
	t := &traced{reader: p, runs: map[string]store.Detail{}, now: time.Now()}
	err = a.store.View(r.Context(), func(tx *store.Tx) error {
		root, err := tx.Detail(p.Env.ID, runID)
		if err != nil {
			return err
		}
		if !readsRun(p, root) {
			return errForbidden
		}
		return t.read(tx, root, alone)
	})
	return t, err
}

// read descends from a run, level by level.
func (t *traced) read(tx *store.Tx, root store.Detail, alone bool) error {
	t.traceID, _, _ = traceOf(root)
	for level := []store.Detail{root}; len(level) > 0; {
		ids := make([]string, len(level))
		for i, d := range level {
			level[i] = visible(t.reader, d)
			ids[i], t.runs[d.ID] = d.ID, level[i]
		}
		steps, err := tx.Bounds(ids)
		if err != nil {
			return err
		}
		for _, d := range level {
			bounds := steps[d.ID]
			if !readsRun(t.reader, d) { // not even how often it was tried
				bounds = nil
			}
			t.family = append(t.family, history(d, bounds))
		}
		if alone {
			return nil
		}
		room := maxTraced - len(t.runs)
		if level, err = tx.Offspring(ids, t.traceID, room+1); err != nil {
			return err
		}
		if len(level) > room {
			t.truncated, level = true, level[:room]
		}
	}
	return nil
}

// traceOf is the trace a run belongs to, its own span and the one above that.
func traceOf(d store.Detail) (traceID, spanID, parentID string) {
	traceID, spanID, _ = wire.ParseTraceparent(d.Extra.Trace["traceparent"])
	return traceID, spanID, d.Extra.ParentSpan
}

// history is a run with the snapshots that bound its attempts.
func history(d store.Detail, steps []store.Snapshot) telemetry.History {
	_, span, parent := traceOf(d)
	h := telemetry.History{Run: d.Run, Span: span, Parent: parent}
	for _, s := range append(steps, store.SnapshotOf(d.Run)) {
		h.Steps = append(h.Steps, telemetry.Step{Exec: s.Exec, Status: s.Status, Attempt: s.Attempt, Note: s.Note, At: s.At})
	}
	return h
}

// spanLevel is that of all spans of runs and attempts; the levels above are for logs.
const spanLevel = "TRACE"

// spanState is what every answer that shows a span says of it.
type spanState struct {
	Message     string `json:"message"`
	IsError     bool   `json:"isError"`
	IsPartial   bool   `json:"isPartial"`
	IsCancelled bool   `json:"isCancelled"`
	Level       string `json:"level"`
}

func stateOf(s telemetry.Span) spanState {
	return spanState{s.Message, s.Failed, s.Partial(), s.Cancelled, spanLevel}
}

// treeSpan is a span with those below it.
type treeSpan struct {
	ID       string      `json:"id"`
	ParentID string      `json:"parentId,omitempty"`
	RunID    string      `json:"runId"`
	Data     treeData    `json:"data"`
	Children []*treeSpan `json:"children"`
}

// treeData is what happened in a span of the tree.
type treeData struct {
	spanState
	TaskSlug      string      `json:"taskSlug"`
	Events        []spanEvent `json:"events"`
	StartTime     string      `json:"startTime"`
	Duration      int64       `json:"duration"` // nanoseconds
	AttemptNumber int         `json:"attemptNumber,omitempty"`
	WorkerVersion string      `json:"workerVersion,omitempty"`
	QueueName     string      `json:"queueName,omitempty"`
	MachinePreset string      `json:"machinePreset,omitempty"`
}

// runTrace serves GET /api/v1/runs/{run}/trace: as a tree, or page by page to whoever
// says how large a page is.
func (a *API) runTrace(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	paged := q.values.Has("page[size]")
	var page tracePaging
	if paged {
		page = q.tracePage()
	}
	if err := rest.QueryError(q.problems); err != nil {
		return err
	}
	t, err := a.readTrace(r, false)
	switch {
	case err != nil:
		return err
	case t.traceID == "": // no request made the run
		return fault.New(fault.NotFound, "Trace not found")
	case paged:
		return rest.JSON(w, http.StatusOK, t.page(page))
	}
	type trace struct {
		TraceID  string    `json:"traceId"`
		RootSpan *treeSpan `json:"rootSpan"`
	}
	return rest.JSON(w, http.StatusOK, struct {
		Trace trace `json:"trace"`
	}{trace{t.traceID, t.tree()}})
}

// tree is the span of the run with all others below it.
func (t *traced) tree() *treeSpan {
	var root *treeSpan
	byID := map[string]*treeSpan{}
	spans := telemetry.Trace(t.family)
	for _, s := range spans {
		d := t.runs[s.RunID]
		byID[s.ID] = &treeSpan{ID: s.ID, ParentID: s.Parent, RunID: id.Friendly(id.Run, s.RunID), Children: []*treeSpan{}, Data: treeData{
			spanState: stateOf(s), TaskSlug: d.Task, Events: eventsOf(s), StartTime: wire.ISO(s.Start), Duration: s.Duration(t.now).Nanoseconds(),
			AttemptNumber: s.Attempt, WorkerVersion: d.Version, QueueName: d.Lane.Queue, MachinePreset: d.Machine,
		}}
	}
	for _, s := range spans {
		if parent := byID[s.Parent]; parent != nil {
			parent.Children = append(parent.Children, byID[s.ID])
		} else {
			root = byID[s.ID]
		}
	}
	return root
}

// spanEvent is what happened at an instant of a span.
type spanEvent struct {
	Name       string         `json:"name"`
	Time       string         `json:"time"`
	Properties map[string]any `json:"properties"`
}

func eventsOf(s telemetry.Span) []spanEvent {
	out := []spanEvent{}
	for _, e := range s.Events {
		out = append(out, spanEvent{e.Name, wire.ISO(e.Time), e.Properties})
	}
	return out
}

// tracePage is a page of the flat form.
type tracePage struct {
	Data            []flatSpan       `json:"data"`
	AttemptFailures []attemptFailure `json:"attemptFailures"`
	Pagination      traceCursor      `json:"pagination"`
}

// flatSpan is a span by itself.
type flatSpan struct {
	ID       string `json:"id"`
	ParentID string `json:"parentId,omitempty"`
	RunID    string `json:"runId"`
	spanState
	StartTime     string `json:"startTime"`
	Duration      int64  `json:"duration"` // nanoseconds
	AttemptNumber int    `json:"attemptNumber,omitempty"`
}

// attemptFailure says that an attempt failed. SpanID is the span of its run.
type attemptFailure struct {
	SpanID        string `json:"spanId"`
	AttemptNumber int    `json:"attemptNumber"`
	RunID         string `json:"runId"`
}

// traceCursor leads to the next page.
type traceCursor struct {
	Next      string `json:"next,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

// tracePaging is which page a caller wants.
type tracePaging struct {
	size  int
	after telemetry.Span // the last span of the page before, as far as it decides the order
}

// maxSpans is the size of the largest page of a trace.
//
//limit:runs Spans on a page of a trace | spans | 400 Number must be between 1 and {}
const maxSpans = 10_000

func (q *query) tracePage() tracePaging {
	n, err := strconv.Atoi(q.values.Get("page[size]"))
	if err != nil || n < 1 || n > maxSpans {
		q.problems.Add("page[size]", fmt.Sprintf("Number must be between 1 and %d", maxSpans))
	}
	p := tracePaging{size: n}
	if v := q.values.Get("page[after]"); v != "" {
		var ok bool
		if p.after, ok = parseSpanCursor(v); !ok {
			q.problems.Add("page[after]", "Invalid cursor")
		}
	}
	return p
}

// spanCursor is where a span stands in the order of its trace. New spans begin later,
// so it stays true.
func spanCursor(s telemetry.Span) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s.%d", s.Start.UnixMicro(), s.RunID, s.Attempt))
}

func parseSpanCursor(v string) (s telemetry.Span, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(v)
	parts := strings.Split(string(text), ".")
	if err != nil || len(parts) != 3 {
		return s, false
	}
	start, err1 := strconv.ParseInt(parts[0], 10, 64)
	attempt, err2 := strconv.Atoi(parts[2])
	return telemetry.Span{Start: time.UnixMicro(start), RunID: parts[1], Attempt: attempt}, err1 == nil && err2 == nil
}

// page is a page of the spans in their order.
func (t *traced) page(p tracePaging) tracePage {
	spans := telemetry.Trace(t.family)
	from := slices.IndexFunc(spans, func(s telemetry.Span) bool { return p.after.RunID == "" || telemetry.Compare(s, p.after) > 0 })
	if from < 0 {
		from = len(spans)
	}
	to := min(from+p.size, len(spans))
	out := tracePage{Data: []flatSpan{}, AttemptFailures: []attemptFailure{}}
	for _, s := range spans[from:to] {
		friendly := id.Friendly(id.Run, s.RunID)
		out.Data = append(out.Data, flatSpan{ID: s.ID, ParentID: s.Parent, RunID: friendly, spanState: stateOf(s),
			StartTime: wire.ISO(s.Start), Duration: s.Duration(t.now).Nanoseconds(), AttemptNumber: s.Attempt})
		if s.Attempt > 0 && s.Failed {
			out.AttemptFailures = append(out.AttemptFailures, attemptFailure{s.Parent, s.Attempt, friendly})
		}
	}
	if to < len(spans) {
		out.Pagination.Next = spanCursor(spans[to-1])
	} else {
		out.Pagination.Truncated = t.truncated
	}
	return out
}

// runEvent is a span in the list of a run's events.
type runEvent struct {
	SpanID   string  `json:"spanId"`
	ParentID *string `json:"parentId"`
	RunID    string  `json:"runId"`
	spanState
	StartTime     string      `json:"startTime"` // nanoseconds
	Duration      int64       `json:"duration"`  // likewise
	Kind          string      `json:"kind"`
	AttemptNumber *int        `json:"attemptNumber"`
	TaskSlug      string      `json:"taskSlug"`
	Events        []spanEvent `json:"events"`
	Style         eventStyle  `json:"style"`
}

// eventStyle is how an event is drawn.
type eventStyle struct {
	Icon string `json:"icon"`
}

// runEvents serves GET /api/v1/runs/{run}/events.
func (a *API) runEvents(w http.ResponseWriter, r *http.Request) error {
	t, err := a.readTrace(r, true)
	if err != nil {
		return err
	}
	out := []runEvent{}
	for _, s := range t.family[0].Spans() {
		e := runEvent{SpanID: s.ID, ParentID: orNil(s.Parent), RunID: id.Friendly(id.Run, s.RunID), spanState: stateOf(s),
			StartTime: strconv.FormatInt(s.Start.UnixNano(), 10), Duration: s.Duration(t.now).Nanoseconds(),
			Kind: "SERVER", TaskSlug: t.family[0].Run.Task, Events: eventsOf(s), Style: eventStyle{"task"}}
		if s.Attempt > 0 {
			e.AttemptNumber, e.Kind, e.Style.Icon = &s.Attempt, "CONSUMER", "attempt"
		}
		out = append(out, e)
	}
	return rest.JSON(w, http.StatusOK, struct {
		Events []runEvent `json:"events"`
	}{out})
}

// orNil is a text, or null for none.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// spanDetail is a span with all that is known of it.
type spanDetail struct {
	SpanID   string  `json:"spanId"`
	ParentID *string `json:"parentId"`
	RunID    string  `json:"runId"`
	spanState
	StartTime     string         `json:"startTime"`
	DurationMS    float64        `json:"durationMs"`
	Events        []spanEvent    `json:"events"`
	TriggeredRuns []triggeredRun `json:"triggeredRuns,omitempty"`
}

// triggeredRun is a run that was triggered in a span, whichever trace it belongs to.
type triggeredRun struct {
	RunID          string `json:"runId"`
	TaskIdentifier string `json:"taskIdentifier"`
	Status         string `json:"status"`
	CreatedAt      string `json:"createdAt"`
}

// runSpan serves GET /api/v1/runs/{run}/spans/{span}: a span of the run's trace.
func (a *API) runSpan(w http.ResponseWriter, r *http.Request) error {
	wanted, err := param(r, "span")
	if err != nil {
		return err
	}
	t, err := a.readTrace(r, false)
	if err != nil {
		return err
	}
	spans := telemetry.Trace(t.family)
	at := slices.IndexFunc(spans, func(s telemetry.Span) bool { return s.ID == wanted })
	if at < 0 {
		return fault.New(fault.NotFound, "Span not found")
	}
	s := spans[at]
	out := spanDetail{SpanID: s.ID, ParentID: orNil(s.Parent), RunID: id.Friendly(id.Run, s.RunID), spanState: stateOf(s),
		StartTime: wire.ISO(s.Start), DurationMS: float64(s.Duration(t.now)) / float64(time.Millisecond), Events: eventsOf(s)}
	if out.TriggeredRuns, err = a.triggeredIn(r, t, s); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// triggeredIn are the runs that were triggered in a span, of a run that the credential reads.
func (a *API) triggeredIn(r *http.Request, t *traced, s telemetry.Span) ([]triggeredRun, error) {
	if !readsRun(t.reader, t.runs[s.RunID]) {
		return nil, nil
	}
	var children []store.Detail
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		children, err = tx.Offspring([]string{s.RunID}, "", maxChildren)
		return err
	})
	of := slices.IndexFunc(t.family, func(h telemetry.History) bool { return h.Run.ID == s.RunID })
	spans := t.family[of].Spans()
	version := r.Header.Get(wire.VersionHeader)
	var out []triggeredRun
	for _, d := range children {
		if telemetry.At(spans, d.CreatedAt).ID != s.ID {
			continue
		}
		d = visible(t.reader, d)
		out = append(out, triggeredRun{id.Friendly(id.Run, d.ID), d.Task, wire.StatusName(d.Status, version), wire.ISO(d.CreatedAt)})
	}
	return out, err
}
