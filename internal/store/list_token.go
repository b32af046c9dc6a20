package store

import (
	"strings"

	"sear/internal/sqldb"
)

// TokenStatus is what the API calls the state of a token.
type TokenStatus string

// The states of a token.
const (
	TokenWaiting   TokenStatus = "WAITING"
	TokenCompleted TokenStatus = "COMPLETED"
	TokenTimedOut  TokenStatus = "TIMED_OUT"
)

// TokenStatus is the state of a MANUAL waitpoint. Only a timeout makes one an error.
func (w Waitpoint) TokenStatus() TokenStatus {
	switch {
	case !w.Done:
		return TokenWaiting
	case w.IsError:
		return TokenTimedOut
	}
	return TokenCompleted
}

// tokenStates are the conditions that mean the same in SQL.
var tokenStates = map[TokenStatus]string{
	TokenWaiting:   "done = 0",
	TokenCompleted: "done = 1 AND is_error = 0",
	TokenTimedOut:  "done = 1 AND is_error = 1",
}

// TokenFilter selects waitpoint tokens of an environment. A zero field selects all;
// of the values in a field a token must have one.
type TokenFilter struct {
	EnvID    string
	Statuses []TokenStatus
	Tags     []string
	Key      string // idempotency key, also one that has expired
	Created  Created
}

// ListTokens reads a page of the tokens that a filter selects, newest first and
// without their outputs.
func (tx *Tx) ListTokens(f TokenFilter, p Page) (List[Waitpoint], error) {
	q := &pick{from: "waitpoint", keys: []string{"id"}}
	q.is("env_id", f.EnvID)
	q.is("kind", string(WaitManual))
	q.within(f.Created)
	var states []string
	for _, s := range f.Statuses {
		states = append(states, tokenStates[s])
	}
	q.any(states)
	if f.Key != "" {
		key := q.arg(f.Key)
		q.any([]string{"idem_key = " + key, "old_key = " + key})
	}
	if f.Tags != nil {
		elements := "json_each(tags) AS tag"
		if tx.Postgres() {
			elements = "jsonb_array_elements_text(CAST(tags AS jsonb)) AS tag(value)"
		}
		q.where = append(q.where, "EXISTS (SELECT 1 FROM "+elements+" WHERE tag.value {{in "+q.arg(sqldb.List(f.Tags))+"}})")
	}
	ids, err := q.ids(tx, p)
	if err != nil {
		return List[Waitpoint]{}, err
	}
	return tx.tokens(p.cut(ids))
}

// tokenColumns are waitpointColumns without the output, which may be large.
var tokenColumns = strings.Replace(waitpointColumns, "output, output_type", "NULL, NULL", 1)

// tokens reads the tokens of a page.
func (tx *Tx) tokens(page List[string]) (List[Waitpoint], error) {
	out := List[Waitpoint]{Next: page.Next, Previous: page.Previous}
	if len(page.Items) == 0 {
		return out, nil
	}
	found, err := tx.queryWaitpoints(`SELECT `+tokenColumns+` FROM waitpoint WHERE id {{in $1}} ORDER BY id DESC`, sqldb.List(page.Items))
	out.Items = found
	return out, err
}
