package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/wire"
)

// replayBody is what a replay changes. It is checked as the body of a trigger call is.
type replayBody struct {
	said   map[string]json.RawMessage // its members, by the SDK's names
	wanted wire.TriggerBody
}

// replayOptions are the members of the body and the options of a trigger they become.
var replayOptions = map[string]string{
	"payload": "", "payloadType": "payloadType", "metadata": "metadata", "tags": "tags", "queue": "queue",
	"concurrencyKey": "concurrencyKey", "machine": "machine", "version": "lockToVersion", "region": "region", "delay": "delay",
	"ttl": "ttl", "idempotencyKey": "idempotencyKey", "idempotencyKeyTTL": "idempotencyKeyTTL", "maxAttempts": "maxAttempts",
	"maxDuration": "maxDuration", "priority": "priority",
}

// UnmarshalJSON decodes a body and names everything that is wrong with it. A member
// that nobody knows is refused: a misspelt one would replay something else than was meant.
func (b *replayBody) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &b.said); err != nil {
		return err
	}
	var problems rest.Problems
	var unknown []string
	options := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(b.said)) {
		option, known := replayOptions[name]
		switch {
		case !known:
			unknown = append(unknown, "'"+name+"'")
		case name == "queue":
			options[option] = map[string]any{"name": b.said[name]}
		case option != "":
			options[option] = b.said[name]
		}
	}
	if unknown != nil {
		problems.Put(rest.Problem{Code: "unrecognized_keys", Message: "Unrecognized key(s) in object: " + strings.Join(unknown, ", ")})
	}
	b.check(&problems)
	body := map[string]any{"options": options}
	if payload, ok := b.said["payload"]; ok {
		body["payload"] = payload
	}
	trigger, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return b.decode(trigger, problems)
}

// check looks at what a replay sees more strictly than a trigger.
func (b *replayBody) check(problems *rest.Problems) {
	var mediaType string
	if v, ok := b.said["payloadType"]; ok && json.Unmarshal(v, &mediaType) == nil && mediaType != run.TypeJSON && mediaType != run.TypeSuper {
		problems.Add("payloadType", "Invalid enum value. Expected '"+run.TypeJSON+"' | '"+run.TypeSuper+"', received '"+mediaType+"'")
	}
	if payload := b.said["payload"]; mediaType == run.TypeSuper && (payload == nil || payload[0] != '"') {
		problems.Add("payload", "payload must be a SuperJSON string when payloadType is application/super+json")
	}
	for _, bound := range []struct {
		name  string
		least float64
	}{{"maxAttempts", 1}, {"maxDuration", 0}} {
		var n float64
		if v, ok := b.said[bound.name]; ok && json.Unmarshal(v, &n) == nil && n < bound.least {
			problems.Add(bound.name, fmt.Sprintf("Number must be greater than or equal to %v", bound.least))
		}
	}
}

// decode reads the trigger that the body was turned into, and says what is wrong with
// it in the body's own words, after the problems that were found before.
func (b *replayBody) decode(trigger []byte, problems rest.Problems) error {
	err := b.wanted.UnmarshalJSON(trigger)
	var more rest.Problems
	if err != nil && !errors.As(err, &more) {
		return err
	}
	for _, p := range more {
		p.Path = strings.TrimPrefix(p.Path, "options.")
		switch p.Path {
		case "lockToVersion":
			p.Path = "version"
		case "queue.name":
			p.Path = "queue"
		}
		if !slices.ContainsFunc(problems, func(q rest.Problem) bool { return q.Path == p.Path }) {
			problems = append(problems, p)
		}
	}
	return problems.Err()
}

// replayRun serves POST /api/v1/runs/{run}/replay.
func (a *API) replayRun(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return err
	}
	h, err := readHeaders(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[replayBody](r, maxTriggerBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	wanted, err := body.wanted.Trigger(time.Now())
	if err != nil {
		return refusedReplay(err)
	}
	p := auth.From(r.Context())
	changed, err := a.engineTrigger(r.Context(), p, h, "", wanted)
	if err != nil {
		return err
	}
	changed.Request = run.OwnKey(h.request, p.KeyOwner())
	done, err := a.engine.Replay(r.Context(), p.Env, runID, func(t *engine.Trigger) { body.change(t, changed) })
	if err != nil {
		return refusedReplay(err)
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: id.Friendly(id.Run, done.ID)})
}

// refusedReplay answers 400 where a trigger would be answered 422, as upstream does.
func refusedReplay(err error) error {
	if fault.Is(err, fault.Invalid) {
		return rest.WithStatus(err, http.StatusBadRequest)
	}
	return err
}

// change puts what the body says over the trigger of the replayed run. What only
// concerned that run is not in the trigger, so it can be set in any case.
func (b *replayBody) change(t *engine.Trigger, to engine.Trigger) {
	t.Request, t.Traceparent = to.Request, to.Traceparent
	t.DelayUntil, t.TTL, t.Extra.TTL, t.Key = to.DelayUntil, to.TTL, to.Extra.TTL, to.Key
	t.MaxAttempts, t.MaxDuration, t.PriorityMS, t.Version = to.MaxAttempts, to.MaxDuration, to.PriorityMS, to.Version
	for name := range b.said {
		switch name {
		case "payload":
			t.Payload = to.Payload
		case "metadata":
			t.Metadata = to.Metadata
		case "tags":
			t.Tags = to.Tags
		case "queue":
			t.Queue = to.Queue
		case "concurrencyKey":
			t.ConcurrencyKey = to.ConcurrencyKey
		case "machine":
			t.Machine = to.Machine
		case "region":
			t.Extra.Region = to.Extra.Region
		}
	}
}
