package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sear/internal/auth"
	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// maxTriggerBody bounds the body of a trigger call, in bytes.
//
//limit:runs Body of a trigger, of a replay, and of what completes a token | bytes | 413 Request body too large
const maxTriggerBody = 3 << 20

// tokenLife is how long the public token lasts that comes with what was triggered.
//
//limit:access Life of the public token that comes with a run or a batch |  | 401
const tokenLife = time.Hour

// trigger serves POST /api/v1/tasks/{task}/trigger.
func (a *API) trigger(w http.ResponseWriter, r *http.Request) error {
	if err := checkLength(r, maxTriggerBody); err != nil {
		return err
	}
	task, err := taskParam(r)
	if err != nil {
		return err
	}
	h, err := readHeaders(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[wire.TriggerBody](r, maxTriggerBody)
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	if !p.Can("trigger", "tasks", task) {
		return errForbidden
	}
	wanted, err := body.Trigger(time.Now())
	if err != nil {
		return err
	}
	if err := mayParent(p, wanted.ParentID); err != nil {
		return err
	}
	t, err := a.engineTrigger(r.Context(), p, h, task, wanted)
	if err != nil {
		return err
	}
	t.Request, t.OneTime = run.OwnKey(h.request, p.KeyOwner()), engine.OneTime{Token: p.OneTime, ExpiresAt: p.ExpiresAt}
	if h.key.Text != "" {
		t.Key.Text = h.key.Text
	}
	if h.key.TTL != 0 {
		t.Key.TTL = h.key.TTL
	}
	done, err := a.engine.Trigger(r.Context(), p.Env, t)
	if err != nil {
		return err
	}
	friendly := id.Friendly(id.Run, done.ID)
	if err := a.sendToken(w, r, "read:runs:"+friendly, "write:inputStreams:"+friendly); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, wire.Triggered{ID: friendly, IsCached: done.Cached})
}

// taskParam is the task that a path names.
func taskParam(r *http.Request) (string, error) {
	task, err := param(r, "task")
	if err == nil && !deploy.ValidTaskID(task) {
		err = badParam("taskId", "Invalid task id")
	}
	return task, err
}

// mayParent checks that a credential may make runs that belong to another, or make
// that one wait.
func mayParent(p tenant.Principal, parentID string) error {
	if parentID != "" && !p.Can("write", "runs", id.Friendly(id.Run, parentID)) {
		return errForbidden
	}
	return nil
}

// engineTrigger puts a trigger into the engine's words, and a payload that is too
// large for the database into the packet store. Keys become the caller's own, and a packet
// that is there already must be one that the caller may read: whoever reads the run will.
func (a *API) engineTrigger(ctx context.Context, p tenant.Principal, h headers, task string, t wire.Trigger) (engine.Trigger, error) {
	if t.Payload.Type == run.TypeStore {
		if err := a.mayRefer(ctx, p, t.Payload.Data); err != nil {
			return engine.Trigger{}, err
		}
	}
	payload, err := a.keep(ctx, p.Env, t.Payload)
	if err != nil {
		return engine.Trigger{}, err
	}
	out := engine.Trigger{
		Task: task, Payload: payload, Metadata: t.Metadata, Queue: t.Queue, ConcurrencyKey: t.ConcurrencyKey,
		DelayUntil: t.DelayUntil, TTL: t.TTL, Tags: t.Tags, Test: t.Test, Key: keyOf(p, t.Key), Machine: t.Machine,
		MaxAttempts: t.MaxAttempts, MaxDuration: t.MaxDuration, PriorityMS: t.PriorityMS, Version: t.Version, External: t.External,
		Debounce: (*engine.Debounce)(t.Debounce), ParentID: t.ParentID, ResumeParent: t.ResumeParent,
		Traceparent: h.traceparent, Extra: run.Extra{Context: t.Context, Source: h.source, TTL: t.TTLText, Streams: h.streams},
	}
	if out.Debounce != nil {
		out.Debounce.Key = run.OwnKey(out.Debounce.Key, p.KeyOwner())
		out.Extra.Debounce = out.Debounce.Key
	}
	if p.Env.Type != tenant.Development { // a laptop is in no region
		out.Extra.Region = t.Region
	}
	return out, nil
}

// keyOf is an idempotency key as the caller's own.
func keyOf(p tenant.Principal, k wire.Key) engine.Key {
	return engine.Key{Text: k.Text, Owner: p.KeyOwner(), TTL: k.TTL, Options: k.Options}
}

// keep is a payload as it is stored with its run.
func (a *API) keep(ctx context.Context, env *tenant.Environment, p run.Packet) (run.Packet, error) {
	return a.blobs.Offload(ctx, env.ID, p, a.engine.ExpectPacket)
}

// sendToken puts a public token for what was made into the response's headers, and
// its claims for clients that rather sign their own. What answers a caller whose keys are its
// own is what that caller has made; any other may do with it what the token permits.
func (a *API) sendToken(w http.ResponseWriter, r *http.Request, scopes ...string) error {
	return a.sendTokenFor(w, r, tokenLife, scopes...)
}

// sendTokenFor is sendToken for a token of another life.
func (a *API) sendTokenFor(w http.ResponseWriter, r *http.Request, life time.Duration, scopes ...string) error {
	p := auth.From(r.Context())
	token, err := a.auth.PublicToken(r.Context(), p.Env, auth.Grant{
		Scopes: scopes, Expires: p.Bound(time.Now().Add(life)), SkipColumns: p.SkipColumns, Maker: p.Maker,
	})
	if err != nil {
		return err
	}
	claims, err := json.Marshal(auth.ClaimsFor(p.Env, scopes...))
	if err != nil {
		return err
	}
	w.Header().Set(tokenHeader, token)
	w.Header().Set(claimsHeader, string(claims))
	return nil
}

// headers is what the headers of a trigger call say.
type headers struct {
	key         wire.Key
	request     string
	source      string
	streams     string
	traceparent string // "" when the run begins a trace of its own
}

// readHeaders reads the headers of a call that makes runs, or what must not be made twice.
func readHeaders(r *http.Request) (headers, error) {
	var problems rest.Problems
	h := headers{
		key:     wire.Key{Text: keyHeader(r, &problems, "idempotency-key"), TTL: keyTTLHeader(r, &problems)},
		request: keyHeader(r, &problems, strings.ToLower(requestKeyHeader)),
		source:  source(r),
	}
	if v := r.Header.Get("X-Trigger-Realtime-Streams-Version"); v == "v1" || v == "v2" {
		h.streams = v
	}
	if v := r.Header.Get("X-Trigger-Engine-Version"); v != "" && v != "V1" && v != "V2" {
		problems.Add("x-trigger-engine-version", "Invalid enum value. Expected 'V1' | 'V2'")
	}
	link := strings.TrimSpace(r.Header.Get("X-Trigger-Span-Parent-As-Link"))
	asLink, err := strconv.ParseFloat(link, 64)
	if link != "" && err != nil {
		problems.Add("x-trigger-span-parent-as-link", "Expected number, received nan")
	}
	// The spans of callers outside of runs are not kept here, so a run of theirs cannot
	// hang below one.
	if r.Header.Get(workerHeader) != "" && asLink != 1 {
		h.traceparent = r.Header.Get("Traceparent")
	}
	return h, rest.HeadersError(problems)
}

// keyHeader reads a header that is stored as a key.
func keyHeader(r *http.Request, problems *rest.Problems, name string) string {
	v := r.Header.Get(name)
	if len(v) > wire.MaxKey || !utf8.ValidString(v) {
		problems.Add(name, name+" must be "+strconv.Itoa(wire.MaxKey)+" characters or less")
		return ""
	}
	return v
}

// keyTTLHeader reads the header that says how long the idempotency key is to hold.
func keyTTLHeader(r *http.Request, problems *rest.Problems) time.Duration {
	const name = "idempotency-key-ttl"
	v := r.Header.Get(name)
	ttl, ok := wire.ParseKeyTTL(v)
	if !ok {
		problems.Add(name, wire.NotADuration(name, v))
	}
	return ttl
}

// source is who triggers.
func source(r *http.Request) string {
	switch v := r.Header.Get(sourceHeader); {
	case r.Header.Get(workerHeader) != "":
		return "sdk"
	case v == "sdk" || v == "cli" || v == "mcp":
		return v
	}
	return "api"
}

// checkLength refuses a body that is too large before it is read. The routes that use
// it demand to be told the length.
func checkLength(r *http.Request, limit int64) error {
	if r.ContentLength < 0 || r.ContentLength > limit {
		return fault.New(fault.TooLarge, "Request body too large")
	}
	return nil
}
