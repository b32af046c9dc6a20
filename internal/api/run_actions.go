package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
	"unicode/utf16"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/wire"
)

// runResult serves GET /api/v1/runs/{run}/result.
func (a *API) runResult(w http.ResponseWriter, r *http.Request) error {
	d, err := a.detail(r)
	if fault.Is(err, fault.NotFound) || err == nil && d.Exec != run.Finished {
		return fault.New(fault.NotFound, "Run either doesn't exist or is not finished")
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, wire.ResultOf(d.Run))
}

// cancelRun serves POST /api/v2/runs/{run}/cancel. Cancelling a finished run is no error.
func (a *API) cancelRun(w http.ResponseWriter, r *http.Request) error {
	d, err := a.detail(r)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Resource not found")
	}
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	friendly := id.Friendly(id.Run, d.ID)
	if !p.Can("write", "runs", friendly) && !p.Can("write", "tasks", d.Task) {
		return errForbidden
	}
	if err := a.engine.Cancel(r.Context(), p.Env, d.ID, engine.CanceledByUser, false); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: friendly})
}

// replayBody is what a replay may change. The keys are those of the SDK; others are
// refused, because a misspelt one would replay something else than was meant.
type replayBody struct {
	Payload           json.RawMessage `json:"payload"`
	PayloadType       json.RawMessage `json:"payloadType"`
	Metadata          json.RawMessage `json:"metadata"`
	Tags              json.RawMessage `json:"tags"`
	Queue             *string         `json:"queue"`
	ConcurrencyKey    json.RawMessage `json:"concurrencyKey"`
	Machine           json.RawMessage `json:"machine"`
	Version           json.RawMessage `json:"version"`
	Region            json.RawMessage `json:"region"`
	Delay             json.RawMessage `json:"delay"`
	TTL               json.RawMessage `json:"ttl"`
	IdempotencyKey    json.RawMessage `json:"idempotencyKey"`
	IdempotencyKeyTTL json.RawMessage `json:"idempotencyKeyTTL"`
	MaxAttempts       json.RawMessage `json:"maxAttempts"`
	MaxDuration       json.RawMessage `json:"maxDuration"`
	Priority          json.RawMessage `json:"priority"`
}

// trigger is the body as that of a trigger call, so that the same rules hold.
func (b replayBody) trigger(now time.Time) (wire.Trigger, error) {
	options := map[string]any{}
	for name, v := range map[string]json.RawMessage{
		"payloadType": b.PayloadType, "metadata": b.Metadata, "tags": b.Tags, "concurrencyKey": b.ConcurrencyKey, "machine": b.Machine,
		"lockToVersion": b.Version, "region": b.Region, "delay": b.Delay, "ttl": b.TTL, "idempotencyKey": b.IdempotencyKey,
		"idempotencyKeyTTL": b.IdempotencyKeyTTL, "maxAttempts": b.MaxAttempts, "maxDuration": b.MaxDuration, "priority": b.Priority,
	} {
		if v != nil {
			options[name] = v
		}
	}
	if b.Queue != nil {
		options["queue"] = map[string]string{"name": *b.Queue}
	}
	body := map[string]any{"options": options}
	if b.Payload != nil {
		body["payload"] = b.Payload
	}
	text, err := json.Marshal(body)
	if err != nil {
		return wire.Trigger{}, err
	}
	var t wire.TriggerBody
	if err := t.UnmarshalJSON(text); err != nil {
		return wire.Trigger{}, err
	}
	return t.Trigger(now)
}

// readReplay reads the body of a replay, which may be empty.
func readReplay(r *http.Request) (replayBody, error) {
	var b replayBody
	text, err := rest.ReadBody(r, maxTriggerBody)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return b, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return b, fault.Wrap(fault.Malformed, err, "Invalid request body: "+err.Error())
	}
	return b, nil
}

// replayRun serves POST /api/v1/runs/{run}/replay.
func (a *API) replayRun(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return err
	}
	body, err := readReplay(r)
	if err != nil {
		return err
	}
	wanted, err := body.trigger(time.Now())
	if err != nil {
		return err
	}
	h, err := readHeaders(r)
	if err != nil {
		return err
	}
	env := environment(r)
	changed, err := a.engineTrigger(env, h, "", wanted)
	if err != nil {
		return err
	}
	changed.Request = h.request
	done, err := a.engine.Replay(r.Context(), env, runID, func(t *engine.Trigger) { body.change(t, changed) })
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: id.Friendly(id.Run, done.ID)})
}

// change puts what the body says over the trigger of the replayed run.
func (b replayBody) change(t *engine.Trigger, to engine.Trigger) {
	t.Request, t.Extra.Trace, t.Extra.ParentSpan = to.Request, to.Extra.Trace, to.Extra.ParentSpan
	t.DelayUntil, t.TTL, t.Extra.TTL, t.Key = to.DelayUntil, to.TTL, to.Extra.TTL, to.Key
	t.MaxAttempts, t.MaxDuration, t.PriorityMS, t.Version = to.MaxAttempts, to.MaxDuration, to.PriorityMS, to.Version
	for _, c := range []struct {
		said bool
		set  func()
	}{
		{b.Payload != nil, func() { t.Payload = to.Payload }},
		{b.Metadata != nil, func() { t.Metadata = to.Metadata }},
		{b.Tags != nil, func() { t.Tags = to.Tags }},
		{b.Queue != nil, func() { t.Queue = to.Queue }},
		{b.ConcurrencyKey != nil, func() { t.ConcurrencyKey = to.ConcurrencyKey }},
		{b.Machine != nil, func() { t.Machine = to.Machine }},
		{b.Region != nil, func() { t.Extra.Region = to.Extra.Region }},
	} {
		if c.said {
			c.set()
		}
	}
}

// maxSmallBody bounds bodies that hold a few words, in bytes.
const maxSmallBody = 16 << 10

// rescheduleBody says until when a run is to wait.
type rescheduleBody struct {
	Delay string `json:"delay"`
}

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
	until, ok := wire.ParseWhen(body.Delay, time.Now())
	if !ok {
		return fault.Newf(fault.Malformed, "Invalid delay: %s", body.Delay)
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

// tagList reads a text or a list of texts.
type tagList []string

// UnmarshalJSON reads either form.
func (l *tagList) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = tagList{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// maxTag is the length of a tag, in JavaScript's characters.
const maxTag = 128

// Validate names every tag that is too long.
func (b tagsBody) Validate() error {
	var p rest.Problems
	if b.Tags == nil {
		p.Add("tags", "Required")
	}
	b.Tags.check(&p)
	return p.Err()
}

func (l tagList) check(p *rest.Problems) {
	for i, tag := range l {
		if len(utf16.Encode([]rune(tag))) > maxTag {
			p.Add(fmt.Sprintf("tags[%d]", i), "Tags must be less than 128 characters")
		}
	}
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
const maxMetadataBody = 2 << 20

// metadataBody changes the metadata of a run and its family.
type metadataBody struct {
	Metadata         json.RawMessage `json:"metadata"`
	Operations       []run.Operation `json:"operations"`
	ParentOperations []run.Operation `json:"parentOperations"`
	RootOperations   []run.Operation `json:"rootOperations"`
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
	doc, err := a.engine.EditMetadata(r.Context(), environment(r), runID, run.MetadataEdit{
		Replace: body.Metadata, Own: body.Operations, Parent: body.ParentOperations, Root: body.RootOperations,
	})
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
