package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// shownToken is a waitpoint token in a list; retrieved ones have their output too.
type shownToken struct {
	ID                      string   `json:"id"`
	URL                     string   `json:"url"`
	Status                  string   `json:"status"`
	CompletedAt             string   `json:"completedAt,omitempty"`
	CompletedAfter          string   `json:"completedAfter,omitempty"`
	TimeoutAt               string   `json:"timeoutAt,omitempty"`
	IdempotencyKey          string   `json:"idempotencyKey,omitempty"`
	IdempotencyKeyExpiresAt string   `json:"idempotencyKeyExpiresAt,omitempty"`
	Tags                    []string `json:"tags"`
	CreatedAt               string   `json:"createdAt"`
	Output                  string   `json:"output,omitempty"`
	OutputType              string   `json:"outputType,omitempty"`
	OutputIsError           *bool    `json:"outputIsError,omitempty"`
}

func (a *API) showToken(r *http.Request, p store.Waitpoint) shownToken {
	out := shownToken{
		ID: id.Friendly(id.Waitpoint, p.ID), URL: a.callbackURL(r, p), Status: string(p.TokenStatus()),
		CompletedAt: wire.ISO(p.CompletedAt), CompletedAfter: wire.ISO(p.Due), TimeoutAt: wire.ISO(p.Due),
		IdempotencyKey: p.Key.Key, Tags: p.Tags, CreatedAt: wire.ISO(p.CreatedAt),
	}
	if p.Key.Key != "" {
		out.IdempotencyKeyExpiresAt = wire.ISO(p.Key.ExpiresAt)
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	return out
}

// callbackURL completes a token without any other credential.
func (a *API) callbackURL(r *http.Request, p store.Waitpoint) string {
	return a.origin(r) + "/api/v1/waitpoints/tokens/" + id.Friendly(id.Waitpoint, p.ID) + "/callback/" + a.auth.WaitpointHash(p.EnvID, p.ID)
}

// tokenBody is a wish for a token.
type tokenBody struct {
	IdempotencyKey    string  `json:"idempotencyKey"`
	IdempotencyKeyTTL string  `json:"idempotencyKeyTTL"`
	Timeout           string  `json:"timeout"`
	Tags              tagList `json:"tags"`
}

// Validate names everything that is wrong.
func (b tokenBody) Validate() error {
	var p rest.Problems
	if len(b.IdempotencyKey) > wire.MaxKey {
		p.Add("idempotencyKey", "idempotencyKey must be 2048 characters or less")
	}
	if !storable(b.IdempotencyKey) {
		p.Add("idempotencyKey", "Null characters are not allowed")
	}
	b.Tags.check(&p)
	return p.Err()
}

// timeoutAt is when the token times out, zero for never. Upstream takes a timeout that
// it cannot read for none; here whoever misspells it learns so at once.
func (b tokenBody) timeoutAt(now time.Time) (time.Time, error) {
	if b.Timeout == "" {
		return time.Time{}, nil
	}
	at, ok := wire.ParseWhen(b.Timeout, now)
	if !ok {
		return at, fault.Newf(fault.Invalid, "Invalid timeout: %s", b.Timeout)
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// maxTokenBody bounds the body of a token's creation, in bytes.
//
//limit:waits Body that creates a token | bytes | 413 Request body too large
const maxTokenBody = 10 << 10

// tokenAccess is how long the public token lasts that comes with a waitpoint token.
//
//limit:waits Time that the public token lasts that comes with a token |  | 401
const tokenAccess = 24 * time.Hour

// createToken serves POST /api/v1/waitpoints/tokens.
func (a *API) createToken(w http.ResponseWriter, r *http.Request) error {
	h, err := readHeaders(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[tokenBody](r, maxTokenBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	tags := body.Tags.filled()
	if len(tags) > engine.MaxTags {
		return fault.Newf(fault.Invalid, "Waitpoints can only have %d tags, you're trying to set %d.", engine.MaxTags, len(tags))
	}
	timeout, err := body.timeoutAt(time.Now())
	if err != nil {
		return err
	}
	keyTTL, ok := wire.ParseKeyTTL(body.IdempotencyKeyTTL)
	if !ok {
		return fault.New(fault.Invalid, wire.NotADuration("idempotencyKeyTTL", body.IdempotencyKeyTTL))
	}
	env := environment(r)
	p, cached, err := a.engine.CreateToken(r.Context(), env, engine.NewWaitpoint{
		At: timeout, Key: engine.Key{Text: body.IdempotencyKey, TTL: keyTTL}, Tags: tags, Request: h.request,
	})
	if err != nil {
		return err
	}
	friendly := id.Friendly(id.Waitpoint, p.ID)
	if err := a.sendTokenFor(w, r, tokenAccess, "write:waitpoints:"+friendly); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		ID       string `json:"id"`
		IsCached bool   `json:"isCached"`
		URL      string `json:"url"`
	}{friendly, cached, a.callbackURL(r, p)})
}

// listTokens serves GET /api/v1/waitpoints/tokens.
func (a *API) listTokens(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	f := store.TokenFilter{
		EnvID: environment(r).ID, Statuses: q.tokenStatuses(), Tags: q.tags("filter[tags]"),
		Key: q.text("filter[idempotencyKey]"), Created: q.created(time.Now()),
	}
	p := q.page(id.Waitpoint)
	if err := rest.QueryError(q.problems); err != nil {
		return rest.WithStatus(err, http.StatusUnprocessableEntity) // as the document has it for this list alone
	}
	var list store.List[store.Waitpoint]
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.ListTokens(f, p)
		return err
	})
	if err != nil {
		return err
	}
	out := page[shownToken]{Data: []shownToken{}, Pagination: cursorsOf(list, id.Waitpoint)}
	for _, p := range list.Items {
		out.Data = append(out.Data, a.showToken(r, p))
	}
	return rest.JSON(w, http.StatusOK, out)
}

func (q *query) tokenStatuses() []store.TokenStatus {
	names := q.list("filter[status]")
	known := []store.TokenStatus{store.TokenWaiting, store.TokenCompleted, store.TokenTimedOut}
	q.refuse("filter[status]", "status", names, func(name string) bool { return slices.Contains(known, store.TokenStatus(name)) })
	var out []store.TokenStatus
	for _, name := range names {
		out = append(out, store.TokenStatus(name))
	}
	return out
}

// errNoToken answers an id that is no token of the environment.
var errNoToken = fault.New(fault.NotFound, "Waitpoint not found")

// tokenParam is the internal id of the token that a path names.
func tokenParam(r *http.Request) (string, error) {
	friendly, err := param(r, "waitpoint")
	if err != nil {
		return "", err
	}
	internal, ok := id.Internal(id.Waitpoint, friendly)
	if !ok {
		return "", errNoToken
	}
	return internal, nil
}

// getToken serves GET /api/v1/waitpoints/tokens/{waitpoint}.
func (a *API) getToken(w http.ResponseWriter, r *http.Request) error {
	tokenID, err := tokenParam(r)
	if err != nil {
		return err
	}
	var p store.Waitpoint
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		p, err = tx.Waitpoint(environment(r).ID, tokenID)
		return err
	})
	if err != nil {
		return err
	}
	if p.Kind != store.WaitManual {
		return errNoToken
	}
	out := a.showToken(r, p)
	if p.Done {
		out.Output, out.OutputType, out.OutputIsError = p.Output.Data, p.Output.Type, &p.IsError
	}
	return rest.JSON(w, http.StatusOK, out)
}

// completeBody is what a token is completed with. No data at all is no output.
type completeBody struct {
	Data json.RawMessage `json:"data"`
}

// UnmarshalJSON refuses members in the place of data: whoever guesses another name for it would
// complete the token with nothing, once and for all.
func (b *completeBody) UnmarshalJSON(text []byte) error {
	type plain completeBody
	if err := json.Unmarshal(text, (*plain)(b)); err != nil || b.Data != nil {
		return err
	}
	var others map[string]json.RawMessage
	if err := json.Unmarshal(text, &others); err != nil || len(others) == 0 {
		return err
	}
	var problems rest.Problems
	name := slices.Min(slices.Collect(maps.Keys(others)))
	problems.Add("data", "The output of a token is its data; there is none beside "+strconv.Quote(wire.Clip(name)))
	return problems.Err()
}

// completeToken serves POST /api/v1/waitpoints/tokens/{waitpoint}/complete.
// Completing a token again changes nothing.
func (a *API) completeToken(w http.ResponseWriter, r *http.Request) error {
	tokenID, err := tokenParam(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[completeBody](r, maxTriggerBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	if !p.Can("write", "waitpoints", id.Friendly(id.Waitpoint, tokenID)) {
		return errForbidden
	}
	if err := a.complete(r, p.Env, tokenID, body.Data); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, succeeded{true})
}

// succeeded answers calls that can only succeed or fail.
type succeeded struct {
	Success bool `json:"success"`
}

// complete completes a token with a JSON value.
func (a *API) complete(r *http.Request, env *tenant.Environment, tokenID string, data json.RawMessage) error {
	out, err := a.keep(r.Context(), env, tokenOutput(data))
	if err != nil {
		return err
	}
	return a.engine.CompleteToken(r.Context(), env, tokenID, out)
}

// tokenOutput is a JSON value in the form in which the SDK sends outputs: a text as it
// is, and anything else as SuperJSON. No value is no output.
func tokenOutput(data json.RawMessage) run.Packet {
	var text string
	switch {
	case len(data) == 0:
		return run.Packet{}
	case isText(data) && json.Unmarshal(data, &text) == nil:
		return run.Packet{Data: text, Type: run.TypeText}
	}
	return run.Packet{Data: `{"json":` + string(data) + `}`, Type: run.TypeSuper}
}

// callbackToken serves POST /api/v1/waitpoints/tokens/{waitpoint}/callback/{hash}:
// the whole body becomes the output. The hash is the credential.
func (a *API) callbackToken(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Content-Length") == "" {
		return fault.New(fault.NoLength, "Content-Length header is required")
	}
	if r.ContentLength > maxTriggerBody {
		return fault.New(fault.TooLarge, "Request body too large")
	}
	tokenID, err := tokenParam(r)
	if err != nil {
		return err
	}
	hash, err := param(r, "hash")
	if err != nil {
		return err
	}
	env, err := a.tokenEnvironment(r, tokenID)
	if err != nil {
		return err
	}
	if !a.auth.CheckWaitpointHash(env.ID, tokenID, hash) {
		return fault.New(fault.Unauthorized, "Invalid URL, hash doesn't match")
	}
	body, err := rest.ReadBody(r, maxTriggerBody)
	if err != nil {
		return err
	}
	if body = bytes.TrimSpace(body); !utf8.Valid(body) || !json.Valid(body) {
		body = []byte("{}")
	}
	if err := a.complete(r, env, tokenID, body); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, succeeded{true})
}

// tokenEnvironment is the environment a token belongs to.
func (a *API) tokenEnvironment(r *http.Request, tokenID string) (env *tenant.Environment, err error) {
	err = a.store.View(r.Context(), func(tx *store.Tx) error {
		envID, err := tx.WaitpointEnvironment(tokenID)
		if err != nil {
			return err
		}
		env, err = tx.Environment(envID)
		return err
	})
	return env, err
}
