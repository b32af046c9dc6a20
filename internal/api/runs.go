package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// commonRun is what every answer that shows a run says of it.
type commonRun struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	TaskIdentifier string `json:"taskIdentifier"`
	wire.Flags
	IdempotencyKey  string          `json:"idempotencyKey,omitempty"`
	Version         string          `json:"version,omitempty"`
	IsTest          bool            `json:"isTest"`
	CreatedAt       string          `json:"createdAt"`
	UpdatedAt       string          `json:"updatedAt"`
	StartedAt       string          `json:"startedAt,omitempty"`
	FinishedAt      string          `json:"finishedAt,omitempty"`
	DelayedUntil    string          `json:"delayedUntil,omitempty"`
	TTL             string          `json:"ttl,omitempty"`
	ExpiredAt       string          `json:"expiredAt,omitempty"`
	Tags            []string        `json:"tags"`
	CostInCents     float64         `json:"costInCents"`
	BaseCostInCents float64         `json:"baseCostInCents"`
	DurationMS      int64           `json:"durationMs"`
	Metadata        json.RawMessage `json:"metadata,omitempty"`
	TaskKind        string          `json:"taskKind"`
	Region          string          `json:"region,omitempty"`
	Depth           int             `json:"depth"`
}

// relatedRun is a run of the same family.
type relatedRun struct {
	commonRun
	TriggerFunction string `json:"triggerFunction"`
	BatchID         string `json:"batchId,omitempty"`
}

// retrievedRun is a run with all that is known of it.
type retrievedRun struct {
	relatedRun
	Payload             json.RawMessage `json:"payload,omitempty"`
	PayloadPresignedURL string          `json:"payloadPresignedUrl,omitempty"`
	Output              json.RawMessage `json:"output,omitempty"`
	OutputPresignedURL  string          `json:"outputPresignedUrl,omitempty"`
	Error               *wire.RunError  `json:"error,omitempty"`
	Schedule            *runSchedule    `json:"schedule,omitempty"`
	RelatedRuns         family          `json:"relatedRuns"`
	AttemptCount        int             `json:"attemptCount"`
	Attempts            []struct{}      `json:"attempts"` // empty: upstream's newer engine keeps none
}

// family is the relatives of a run.
type family struct {
	Root     *relatedRun  `json:"root,omitempty"`
	Parent   *relatedRun  `json:"parent,omitempty"`
	Children []relatedRun `json:"children"`
}

// Kinds of tasks.
const (
	standardTask  = "STANDARD"
	scheduledTask = "SCHEDULED"
)

// showRun puts a run into the words of a caller's version of the API.
func showRun(d store.Detail, version string) commonRun {
	name := wire.StatusName(d.Status, version)
	out := commonRun{
		ID: id.Friendly(id.Run, d.ID), Status: name, TaskIdentifier: d.Task, Flags: wire.FlagsOf(name),
		IdempotencyKey: d.Key.Key, Version: d.Version, IsTest: d.Test,
		CreatedAt: wire.ISO(d.CreatedAt), UpdatedAt: wire.ISO(d.UpdatedAt), StartedAt: wire.ISO(d.StartedAt),
		FinishedAt: wire.ISO(d.CompletedAt), DelayedUntil: wire.ISO(d.DelayUntil), ExpiredAt: wire.ISO(d.ExpiredAt),
		TTL: d.Extra.TTL, Tags: d.Tags, DurationMS: d.Usage.Milliseconds(), TaskKind: standardTask, Region: d.Extra.Region, Depth: d.Depth,
	}
	if out.TTL == "" && d.Run.TTL > 0 {
		out.TTL = run.FormatTTL(d.Run.TTL)
	}
	if o := d.Extra.KeyOptions; o != nil && out.IdempotencyKey != "" {
		out.IdempotencyKey = o.Key
	}
	if d.Extra.ScheduleID != "" {
		out.TaskKind = scheduledTask
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	if d.Metadata.Data != "" {
		out.Metadata = json.RawMessage(d.Metadata.Data)
	}
	return out
}

// showRelated is showRun for the routes that show a run with its family. They have
// the tags in the order of the alphabet, where lists have them as they were given.
func showRelated(d store.Detail, version string) relatedRun {
	out := relatedRun{commonRun: showRun(d, version), TriggerFunction: triggerFunction(d.Run)}
	out.Tags = slices.SortedFunc(slices.Values(out.Tags), func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(b, a)) // "a" before "A"
	})
	if out.Tags == nil {
		out.Tags = []string{}
	}
	if d.BatchID != "" {
		out.BatchID = id.Friendly(id.Batch, d.BatchID)
	}
	return out
}

// triggerFunction is the SDK's function that made a run.
func triggerFunction(r run.Run) string {
	name := "trigger"
	if r.BatchID != "" {
		name = "batchTrigger"
	}
	if r.ResumeParent {
		name += "AndWait"
	}
	return name
}

// runParam is the internal id of the run that a path names.
func runParam(r *http.Request) (string, error) {
	friendly, err := param(r, "run")
	if err != nil {
		return "", err
	}
	runID, ok := id.Internal(id.Run, friendly)
	if !ok {
		return "", fault.New(fault.NotFound, "Run not found")
	}
	return runID, nil
}

// detail reads the run that a path names.
func (a *API) detail(r *http.Request) (store.Detail, error) {
	runID, err := runParam(r)
	if err != nil {
		return store.Detail{}, err
	}
	var d store.Detail
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		d, err = tx.Detail(environment(r).ID, runID)
		return err
	})
	return d, err
}

// readsRun reports whether a credential may read a run: by its id, its task, a tag or its batch.
func readsRun(p tenant.Principal, d store.Detail) bool {
	if p.Can("read", "runs", id.Friendly(id.Run, d.ID)) || p.Can("read", "tasks", d.Task) {
		return true
	}
	for _, tag := range d.Tags {
		if p.Can("read", "tags", tag) {
			return true
		}
	}
	return d.BatchID != "" && p.Can("read", "batch", id.Friendly(id.Batch, d.BatchID))
}

// visible is what a credential may know of a run because it reads a relative of it: all of it,
// or no more than its id, its status and its place in the family. When it was made is in the id.
func visible(p tenant.Principal, d store.Detail) store.Detail {
	if readsRun(p, d) {
		return d
	}
	var out store.Detail
	out.ID, out.EnvID, out.ParentID, out.RootID, out.Depth = d.ID, d.EnvID, d.ParentID, d.RootID, d.Depth
	out.Exec, out.Status = d.Exec, d.Status
	out.CreatedAt, out.UpdatedAt = d.CreatedAt, d.CreatedAt
	if d.Exec == run.Finished {
		out.CompletedAt = d.CreatedAt // a span that is over has an end
	}
	out.Extra.Trace = d.Extra.Trace // the id of its span
	return out
}

// getRun serves GET /api/v3/runs/{run}.
func (a *API) getRun(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return fault.New(fault.NotFound, "Not found")
	}
	out, err := a.retrieve(r, runID)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Not found")
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// maxChildren is how many children a run is shown with.
//
//limit:runs Children that a run is shown with, and runs that a span is shown to have triggered | runs | the oldest are shown
const maxChildren = 1000

// retrieve reads a run with its family, if the caller may.
func (a *API) retrieve(r *http.Request, runID string) (*retrievedRun, error) {
	p := auth.From(r.Context())
	version := r.Header.Get(wire.VersionHeader)
	var d store.Detail
	var relatives family
	var scheduled *runSchedule
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		if d, err = tx.Detail(p.Env.ID, runID); err != nil {
			return err
		}
		if !readsRun(p, d) {
			return errForbidden
		}
		if relatives, err = readFamily(tx, p, d.Run, version); err != nil {
			return err
		}
		scheduled, err = readRunSchedule(tx, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &retrievedRun{relatedRun: showRelated(d, version), Schedule: scheduled, RelatedRuns: relatives, AttemptCount: d.Attempt,
		Error: wire.ErrorOf(d.Err), Payload: wire.Plain(d.Payload), Attempts: []struct{}{}}
	if d.Payload.Type == run.TypeStore {
		if out.PayloadPresignedURL, err = a.packetURL(r, http.MethodGet, d.Payload.Data); err != nil {
			return nil, err
		}
	}
	if d.Status == run.StatusCompleted {
		out.Output = wire.Plain(d.Output)
		if d.Output.Type == run.TypeStore {
			out.OutputPresignedURL, err = a.packetURL(r, http.MethodGet, d.Output.Data)
		}
	}
	return out, err
}

// readFamily reads the root, the parent and the children of a run, as far as they are visible.
func readFamily(tx *store.Tx, p tenant.Principal, r run.Run, version string) (family, error) {
	f := family{Children: []relatedRun{}}
	children, err := tx.ChildSummaries(r.ID, maxChildren)
	if err != nil {
		return f, err
	}
	for _, c := range children {
		f.Children = append(f.Children, showRelated(visible(p, c), version))
	}
	if r.ParentID == "" {
		return f, nil
	}
	elders, err := tx.Summaries([]string{r.ParentID, r.RootID})
	if d, ok := elders[r.ParentID]; ok {
		parent := showRelated(visible(p, d), version)
		f.Parent = &parent
	}
	if d, ok := elders[r.RootID]; ok {
		root := showRelated(visible(p, d), version)
		f.Root = &root
	}
	return f, err
}

// listedRun is a run in a list.
type listedRun struct {
	commonRun
	Env runEnv `json:"env"`
}

// runEnv is the environment of a listed run.
type runEnv struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// page is a page of a list with cursors.
type page[T any] struct {
	Data       []T     `json:"data"`
	Pagination cursors `json:"pagination"`
}

// cursors lead to the neighbours of a page.
type cursors struct {
	Next     string `json:"next,omitempty"`
	Previous string `json:"previous,omitempty"`
}

// cursorsOf are the friendly ids to go on from: the contract says that a cursor is one.
func cursorsOf[T any](l store.List[T], prefix string) cursors {
	var c cursors
	if l.Next != "" {
		c.Next = id.Friendly(prefix, l.Next)
	}
	if l.Previous != "" {
		c.Previous = id.Friendly(prefix, l.Previous)
	}
	return c
}

// listRuns serves GET /api/v1/runs.
func (a *API) listRuns(w http.ResponseWriter, r *http.Request) error {
	q, err := readRunQuery(r)
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	if !mayList(p, q.filter.Tasks) {
		return errForbidden
	}
	return a.sendRuns(w, r, q, []*tenant.Environment{p.Env})
}

// mayList reports whether a credential may list runs of the tasks, or with none of all.
func mayList(p tenant.Principal, tasks []string) bool {
	if p.Can("read", "runs", "") || p.Can("read", "tasks", "") {
		return true
	}
	for _, task := range tasks {
		if !p.Can("read", "tasks", task) {
			return false
		}
	}
	return len(tasks) > 0
}

// listProjectRuns serves GET /api/v1/projects/{ref}/runs: the runs of all
// environments of a project, or of those that filter[env] names.
func (a *API) listProjectRuns(w http.ResponseWriter, r *http.Request) error {
	q, err := readRunQuery(r)
	if err != nil {
		return err
	}
	ref, err := param(r, "ref")
	if err != nil {
		return err
	}
	var envs []*tenant.Environment
	err = a.store.View(r.Context(), func(tx *store.Tx) error {
		project, _, err := tx.MemberProject(auth.From(r.Context()).UserID, ref)
		if err != nil {
			return err
		}
		envs, err = tx.ProjectEnvironments(project.ID)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Project not found")
	}
	if err != nil {
		return err
	}
	return a.sendRuns(w, r, q, q.selected(envs))
}

// sendRuns answers a page of the runs of some environments.
func (a *API) sendRuns(w http.ResponseWriter, r *http.Request, q runQuery, envs []*tenant.Environment) error {
	byID := map[string]*tenant.Environment{}
	for _, e := range envs {
		byID[e.ID] = e
		q.filter.Envs = append(q.filter.Envs, e.ID)
	}
	var list store.List[store.Detail]
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.ListRuns(q.filter, q.page)
		return err
	})
	if err != nil {
		return err
	}
	out := page[listedRun]{Data: []listedRun{}, Pagination: cursorsOf(list, id.Run)}
	for _, d := range list.Items {
		e := byID[d.EnvID]
		item := listedRun{commonRun: showRun(d, r.Header.Get(wire.VersionHeader)), Env: runEnv{e.ID, e.Slug}}
		item.Metadata = withoutStreams(item.Metadata)
		out.Data = append(out.Data, item)
	}
	return rest.JSON(w, http.StatusOK, out)
}

// withoutStreams leaves out what older SDKs keep in the metadata about their streams.
func withoutStreams(doc json.RawMessage) json.RawMessage {
	if !bytes.Contains(doc, []byte(`"$$streams`)) {
		return doc
	}
	var ops []run.Operation
	for _, key := range []string{"$$streams", "$$streamsVersion", "$$streamsBaseUrl"} {
		ops = append(ops, run.Operation{Type: "delete", Key: key})
	}
	left, err := run.ApplyMetadata(string(doc), nil, ops)
	if err != nil { // it is no larger and no deeper than it was
		return doc
	}
	return json.RawMessage(left)
}
