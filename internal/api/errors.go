package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"sear/internal/auth"
	"sear/internal/failure"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/wire"
)

// errorScope is the type of thing that the scopes of this file are about.
const errorScope = "errors"

// listedError is a group of failures in a list.
type listedError struct {
	ID             string         `json:"id"`
	Fingerprint    string         `json:"fingerprint"`
	TaskIdentifier string         `json:"taskIdentifier"`
	ErrorType      string         `json:"errorType"`
	ErrorMessage   string         `json:"errorMessage"`
	Status         failure.Status `json:"status"`
	Count          int64          `json:"count"`
	FirstSeen      string         `json:"firstSeen"`
	LastSeen       string         `json:"lastSeen"`
	ResolvedAt     *string        `json:"resolvedAt"`
	IgnoredUntil   *string        `json:"ignoredUntil"`
}

// shownError is a group of failures with all that is known of it. The contract has the
// members without a value as null.
type shownError struct {
	listedError
	AffectedVersions  []string `json:"affectedVersions"`
	ResolvedInVersion *string  `json:"resolvedInVersion"`
	ResolvedBy        *string  `json:"resolvedBy"` // unknown: keys belong to nobody
	IgnoredAt         *string  `json:"ignoredAt"`
	IgnoredReason     *string  `json:"ignoredReason"`
	IgnoredByUserID   *string  `json:"ignoredByUserId"`
	IgnoredUntilRate  *float64 `json:"ignoredUntilOccurrenceRate"`
	IgnoredUntilTotal *int64   `json:"ignoredUntilTotalOccurrences"`
}

// orAbsent is nil for the zero value.
func orAbsent[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func listError(g failure.Group) listedError {
	return listedError{
		ID: id.Friendly(id.Error, g.ID), Fingerprint: g.Fingerprint, TaskIdentifier: g.Task, ErrorType: g.Type, ErrorMessage: g.Message,
		Status: g.Status, Count: g.Count, FirstSeen: wire.ISO(g.FirstSeen), LastSeen: wire.ISO(g.LastSeen),
		ResolvedAt: orAbsent(wire.ISO(g.ResolvedAt)), IgnoredUntil: orAbsent(wire.ISO(g.Ignore.Until)),
	}
}

func showError(g failure.Group) shownError {
	versions := g.Versions
	if versions == nil {
		versions = []string{}
	}
	return shownError{
		listedError: listError(g), AffectedVersions: versions, ResolvedInVersion: orAbsent(g.ResolvedIn), IgnoredAt: orAbsent(wire.ISO(g.IgnoredAt)),
		IgnoredReason: orAbsent(g.Ignore.Reason), IgnoredUntilRate: orAbsent(g.Ignore.Rate), IgnoredUntilTotal: orAbsent(g.Ignore.Total),
	}
}

// listErrors serves GET /api/v1/errors.
func (a *API) listErrors(w http.ResponseWriter, r *http.Request) error {
	p := auth.From(r.Context())
	now := time.Now()
	q := newQuery(r)
	filter := store.ErrorFilter{
		EnvID: p.Env.ID, Tasks: q.list("filter[taskIdentifier]"), Versions: q.list("filter[version]"),
		Search: q.text("filter[search]"), Seen: q.within("filter", now), Now: now,
	}
	statuses := q.list("filter[status]")
	q.refuse("filter[status]", "status", statuses, func(s string) bool { return slices.Contains(failure.Statuses, failure.Status(s)) })
	for _, s := range statuses {
		filter.Statuses = append(filter.Statuses, failure.Status(s))
	}
	cut := store.Page{Size: q.size(), After: q.errorCursor("page[after]"), Before: q.errorCursor("page[before]")}
	if err := rest.QueryError(q.problems); err != nil {
		return err
	}
	if !p.Can("read", errorScope, "") {
		return errForbidden
	}
	var list store.List[failure.Group]
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.ListErrors(filter, cut)
		return err
	})
	if err != nil {
		return err
	}
	out := page[listedError]{Data: []listedError{}, Pagination: cursors{
		Next: opaque(list.Next), Previous: opaque(list.Previous),
	}}
	for _, g := range list.Items {
		out.Data = append(out.Data, listError(g.At(now)))
	}
	return rest.JSON(w, http.StatusOK, out)
}

// opaque is a cursor of the store as the list of errors shows it.
func opaque(cursor string) string { return base64.RawURLEncoding.EncodeToString([]byte(cursor)) }

// errorCursor reads what opaque wrote.
func (q *query) errorCursor(name string) string {
	v := q.values.Get(name)
	if v == "" {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(v)
	if err != nil || !store.ValidErrorCursor(string(text)) {
		q.problems.Add(name, "Invalid cursor")
	}
	return string(text)
}

// errorParam is the internal id of the group that a path names, which the caller may
// act on.
func errorParam(r *http.Request, action string) (string, error) {
	friendly, err := param(r, "error")
	if err != nil {
		return "", err
	}
	if !auth.From(r.Context()).Can(action, errorScope, friendly) {
		return "", errForbidden
	}
	errorID, ok := id.Internal(id.Error, friendly)
	if !ok {
		return "", fault.New(fault.NotFound, "Error not found")
	}
	return errorID, nil
}

// getError serves GET /api/v1/errors/{error}.
func (a *API) getError(w http.ResponseWriter, r *http.Request) error {
	errorID, err := errorParam(r, "read")
	if err != nil {
		return err
	}
	var g failure.Group
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		g, err = tx.Error(environment(r).ID, errorID)
		return err
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, showError(g.At(time.Now())))
}

// changeError carries out what a request says of a group, and answers with it.
func (a *API) changeError(w http.ResponseWriter, r *http.Request, change func(g failure.Group, now time.Time) failure.Group) error {
	errorID, err := errorParam(r, "write")
	if err != nil {
		return err
	}
	g, err := a.engine.ChangeError(r.Context(), environment(r), errorID, change)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, showError(g))
}

// resolveBody says in which version a cause is mended.
type resolveBody struct {
	Version json.RawMessage `json:"resolvedInVersion"`
	version string
}

// maxErrorNote bounds the texts that people write about a group.
//
//limit:lists The version and the reason that are noted with a group of errors | bytes | 400 String must contain at most {} character(s)
const maxErrorNote = 1000

// UnmarshalJSON reads the body and notes what is wrong with it.
func (b *resolveBody) UnmarshalJSON(text []byte) error {
	type plain resolveBody
	if err := json.Unmarshal(text, (*plain)(b)); err != nil {
		return err
	}
	var problems rest.Problems
	b.version = optionalText(b.Version, "resolvedInVersion", &problems)
	return problems.Err()
}

// optionalText is a text of a body that may be absent, or null.
func optionalText(v json.RawMessage, path string, problems *rest.Problems) (text string) {
	switch {
	case v == nil || string(v) == "null":
	case !isText(v) || json.Unmarshal(v, &text) != nil:
		problems.Put(rest.Problem{Code: "invalid_type", Message: "Expected string", Path: path})
	case len(text) > maxErrorNote:
		problems.Add(path, "String must contain at most 1000 character(s)")
	case !storable(text):
		problems.Add(path, "Null characters are not allowed")
	}
	return text
}

// resolveError serves POST /api/v1/errors/{error}/resolve.
func (a *API) resolveError(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[resolveBody](r, maxSmallBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	return a.changeError(w, r, func(g failure.Group, now time.Time) failure.Group { return g.Resolve(body.version, now) })
}

// ignoreBody says for how long a group is ignored.
type ignoreBody struct {
	Duration json.RawMessage `json:"duration"` // milliseconds
	Rate     json.RawMessage `json:"occurrenceRate"`
	Total    json.RawMessage `json:"totalOccurrences"`
	Reason   json.RawMessage `json:"reason"`

	span   time.Duration
	ignore failure.Ignore
}

// maxIgnore bounds a duration, in milliseconds: a hundred years.
//
//limit:lists Time for which a group of errors is ignored | ms | 400 Number is too large
const maxIgnore = 100 * 365.25 * 24 * 3600 * 1000

// UnmarshalJSON reads the body and names all that is wrong with it.
func (b *ignoreBody) UnmarshalJSON(text []byte) error {
	type plain ignoreBody
	if err := json.Unmarshal(text, (*plain)(b)); err != nil {
		return err
	}
	var problems rest.Problems
	b.span = time.Duration(positive(b.Duration, "duration", maxIgnore, true, &problems)) * time.Millisecond
	b.ignore.Rate = positive(b.Rate, "occurrenceRate", 1e12, false, &problems)
	b.ignore.Total = int64(positive(b.Total, "totalOccurrences", 1e12, true, &problems))
	b.ignore.Reason = optionalText(b.Reason, "reason", &problems)
	return problems.Err()
}

// positive is a number of a body that may be absent, or null.
func positive(v json.RawMessage, path string, most float64, whole bool, problems *rest.Problems) (n float64) {
	switch {
	case v == nil || string(v) == "null":
	case !isNumber(v) || json.Unmarshal(v, &n) != nil:
		problems.Put(rest.Problem{Code: "invalid_type", Message: "Expected number", Path: path})
	case n <= 0:
		problems.Add(path, "Number must be greater than 0")
	case n > most:
		problems.Add(path, "Number is too large")
	case whole && n != float64(int64(n)):
		problems.Add(path, "Expected integer, received float")
	}
	return n
}

// ignoreError serves POST /api/v1/errors/{error}/ignore.
func (a *API) ignoreError(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[ignoreBody](r, maxSmallBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	return a.changeError(w, r, func(g failure.Group, now time.Time) failure.Group {
		i := body.ignore
		if body.span > 0 {
			i.Until = now.Add(body.span)
		}
		return g.SetIgnored(i, now)
	})
}

// unresolveError serves POST /api/v1/errors/{error}/unresolve.
func (a *API) unresolveError(w http.ResponseWriter, r *http.Request) error {
	return a.changeError(w, r, func(g failure.Group, _ time.Time) failure.Group { return g.Unresolve() })
}
