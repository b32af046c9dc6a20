package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/wire"
)

// runResult serves GET /api/v1/runs/{run}/result.
func (a *API) runResult(w http.ResponseWriter, r *http.Request) error {
	d, err := a.detail(r)
	if fault.Is(err, fault.NotFound) || err == nil && !d.Status.Final() {
		return fault.New(fault.NotFound, "Run either doesn't exist or is not finished")
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, wire.ResultOf(d.Run))
}

// cancelRun serves POST /api/v2/runs/{run}/cancel, and v1 of it. Cancelling a finished
// run is no error. Who may not cancel does not learn whether there is such a run.
func (a *API) cancelRun(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return errNoResource
	}
	p := auth.From(r.Context())
	var found run.Run
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.Run(p.Env.ID, runID)
		return err
	})
	missing := fault.Is(err, fault.NotFound)
	if err != nil && !missing {
		return err
	}
	friendly := id.Friendly(id.Run, runID)
	switch {
	case !p.Can("write", "runs", friendly) && (missing || !p.Can("write", "tasks", found.Task)):
		return errForbidden
	case missing:
		return errNoResource
	}
	if err := a.engine.Cancel(r.Context(), p.Env, runID, engine.CanceledByUser, false); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: friendly})
}

// errNoResource answers an action on nothing.
var errNoResource = fault.New(fault.NotFound, "Resource not found")

// maxSmallBody bounds bodies that hold a few words, in bytes.
//
//limit:requests Bodies that hold a few words: tags, rescheduling, schedules, queues, states of errors | bytes | 413 Request body too large
const maxSmallBody = 16 << 10

// rescheduleBody says until when a run is to wait: a duration or a date as text, or a
// date as a number.
type rescheduleBody struct {
	Delay json.RawMessage `json:"delay"`
}

// Validate demands a text or a number.
func (b rescheduleBody) Validate() error {
	var p rest.Problems
	switch {
	case b.Delay == nil:
		p.Put(rest.Problem{Code: "invalid_type", Message: "Required", Path: "delay"})
	case !isText(b.Delay) && !isNumber(b.Delay):
		p.Put(rest.Problem{Code: "invalid_type", Message: "Expected string or date", Path: "delay"})
	}
	return p.Err()
}

// until is the instant the delay ends, which must be in the future.
func (b rescheduleBody) until(now time.Time) (time.Time, error) {
	var text string
	var ms float64
	var at time.Time
	if isText(b.Delay) {
		_ = json.Unmarshal(b.Delay, &text) // Validate has seen that it is one
		at, _ = wire.ParseWhen(text, now)
	} else if json.Unmarshal(b.Delay, &ms) == nil && ms > 0 && ms < maxMillis {
		text, at = string(b.Delay), time.UnixMilli(int64(ms))
	}
	if !at.After(now) {
		return at, fault.Newf(fault.Malformed, "Invalid delay: %s", cmp.Or(text, string(b.Delay)))
	}
	return at, nil
}

// isText reports whether a JSON value is a string.
func isText(v json.RawMessage) bool { return len(v) > 0 && v[0] == '"' }

// isNumber reports whether a JSON value is a number.
func isNumber(v json.RawMessage) bool {
	return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

// isObject reports whether a JSON value is an object.
func isObject(v json.RawMessage) bool { return len(v) > 0 && v[0] == '{' }

// rescheduleRun serves POST /api/v1/runs/{run}/reschedule.
func (a *API) rescheduleRun(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[rescheduleBody](r, maxSmallBody)
	if err != nil {
		return rest.BodyIssues(err)
	}
	until, err := body.until(time.Now())
	if err != nil {
		return err
	}
	err = a.engine.Reschedule(r.Context(), environment(r), runID, until)
	if fault.Is(err, fault.Invalid) {
		return rest.WithStatus(err, http.StatusBadRequest)
	}
	if err != nil {
		return err
	}
	out, err := a.retrieve(r, runID)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// tagsBody is the tags to add: one, or several.
type tagsBody struct {
	Tags tagList `json:"tags"`
}

// tagList reads the member tags of a body: one text, or a list of texts.
type tagList []string

// UnmarshalJSON reads either form.
func (l *tagList) UnmarshalJSON(b []byte) error {
	if isText(b) {
		b = slices.Concat([]byte{'['}, b, []byte{']'})
	}
	var tags []*string // Go would read null as ""
	if b[0] != '[' || json.Unmarshal(b, &tags) != nil || slices.Contains(tags, nil) {
		return rest.Problems{{Code: "invalid_type", Message: "Expected string or an array of strings", Path: "tags"}}.Err()
	}
	*l = tagList{}
	for _, tag := range tags {
		*l = append(*l, *tag)
	}
	return nil
}

// maxTag is the length of a tag, in JavaScript's characters.
//
//limit:inside the same as that of a trigger
const maxTag = 128

// Validate names every tag that cannot be one.
func (b tagsBody) Validate() error {
	var p rest.Problems
	if b.Tags == nil {
		p.Put(rest.Problem{Code: "invalid_type", Message: "Required", Path: "tags"})
	}
	b.Tags.check(&p)
	return p.Err()
}

func (l tagList) check(p *rest.Problems) {
	for i, tag := range l {
		at := fmt.Sprintf("tags.%d", i)
		if len(utf16.Encode([]rune(tag))) > maxTag {
			p.Add(at, "Tags must be less than 128 characters")
		}
		if !storable(tag) {
			p.Add(at, "Null characters are not allowed")
		}
	}
}

// filled are the tags that are not blank.
func (l tagList) filled() []string {
	return slices.DeleteFunc(slices.Clone(l), func(tag string) bool { return strings.TrimSpace(tag) == "" })
}

// addTags serves POST /api/v1/runs/{run}/tags.
func (a *API) addTags(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[tagsBody](r, maxSmallBody)
	if err != nil {
		return rest.BodyIssues(err)
	}
	added, err := a.engine.AddTags(r.Context(), environment(r), runID, body.Tags)
	if err != nil {
		return err
	}
	message := "No new tags to add"
	if added > 0 {
		message = fmt.Sprintf("Successfully set %d new tags.", added)
	}
	return rest.JSON(w, http.StatusOK, struct {
		Message string `json:"message"`
	}{message})
}

// maxMetadataBody bounds the body of a change of metadata, in bytes.
//
//limit:metadata Body of a change | bytes | 413 Request body too large
const maxMetadataBody = 2 << 20

// metadataBody changes the metadata of a run and its family.
type metadataBody struct {
	Metadata         json.RawMessage `json:"metadata"`
	Operations       operations      `json:"operations"`
	ParentOperations operations      `json:"parentOperations"`
	RootOperations   operations      `json:"rootOperations"`
}

// Validate names everything that is wrong.
func (b metadataBody) Validate() error {
	var p rest.Problems
	if b.Metadata != nil && !isObject(b.Metadata) {
		p.Put(rest.Problem{Code: "invalid_type", Message: "Expected object", Path: "metadata"})
	}
	b.Operations.check("operations", &p)
	b.ParentOperations.check("parentOperations", &p)
	b.RootOperations.check("rootOperations", &p)
	return p.Err()
}

// edit is the body in the domain's words.
func (b metadataBody) edit() run.MetadataEdit {
	return run.MetadataEdit{Replace: b.Metadata, Own: b.Operations.all(), Parent: b.ParentOperations.all(), Root: b.RootOperations.all()}
}

// operations change a document one after the other.
type operations []struct {
	Type  string          `json:"type"`
	Key   *string         `json:"key"`
	Value json.RawMessage `json:"value"`
}

// check names what is wrong with the operations at path.
func (l operations) check(path string, p *rest.Problems) {
	for i, o := range l {
		wrong := func(member, message string) {
			p.Put(rest.Problem{Code: "invalid_type", Message: message, Path: fmt.Sprintf("%s.%d.%s", path, i, member)})
		}
		if !slices.Contains(operationTypes, o.Type) {
			wrong("type", "Invalid discriminator value. Expected '"+strings.Join(operationTypes, "' | '")+"'")
			continue
		}
		if o.Key == nil && o.Type != "update" {
			wrong("key", "Required")
		}
		switch {
		case o.Type == "delete":
		case o.Value == nil:
			wrong("value", "Required")
		case o.Type == "increment" && !isNumber(o.Value):
			wrong("value", "Expected number")
		case o.Type == "update" && !isObject(o.Value):
			wrong("value", "Expected object")
		}
	}
}

// operationTypes are the types of operations.
var operationTypes = []string{"update", "set", "delete", "append", "remove", "increment"}

// all are the operations in the domain's words.
func (l operations) all() []run.Operation {
	var out []run.Operation
	for _, o := range l {
		op := run.Operation{Type: o.Type, Value: o.Value}
		if o.Key != nil {
			op.Key = *o.Key
		}
		out = append(out, op)
	}
	return out
}

// metadataDoc shows the metadata of a run.
type metadataDoc struct {
	Metadata json.RawMessage `json:"metadata"`
}

func showMetadata(p run.Packet) metadataDoc {
	if p.Data == "" {
		return metadataDoc{json.RawMessage("{}")}
	}
	return metadataDoc{json.RawMessage(p.Data)}
}

// putMetadata serves PUT /api/v1/runs/{run}/metadata.
func (a *API) putMetadata(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return fault.New(fault.NotFound, "Task Run not found")
	}
	body, err := rest.Decode[metadataBody](r, maxMetadataBody)
	if err != nil {
		return err
	}
	doc, err := a.engine.EditMetadata(r.Context(), environment(r), runID, body.edit())
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Task Run not found")
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, showMetadata(doc))
}

// getMetadata serves GET /api/v1/runs/{run}/metadata.
func (a *API) getMetadata(w http.ResponseWriter, r *http.Request) error {
	d, err := a.detail(r)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Task Run not found")
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, showMetadata(d.Metadata))
}
