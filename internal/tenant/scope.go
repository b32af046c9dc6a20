package tenant

import "strings"

// Scope is one right of a credential: an action on a type of thing, or on one thing.
type Scope struct {
	Action string // read, write, trigger, batchTrigger, "*", or admin
	Type   string // runs, tasks, tags, batch, …, or "all"; "" only with admin
	ID     string // the one thing meant, when One
	One    bool   // the scope names a thing rather than a whole type
	typed  bool   // the scope names a type, if an empty one
}

// admin alone is every right there is.
const admin = "admin"

// everything reports whether the scope is admin. What an application with an unset variable
// writes, admin: and nothing, is not.
func (s Scope) everything() bool { return s.Action == admin && !s.typed }

// ParseScope reads action[:type[:id]]. Only the first two colons separate, so ids may
// hold colons. It never fails: text without meaning is a scope that grants nothing.
func ParseScope(s string) Scope {
	action, rest, typed := strings.Cut(s, ":")
	if !typed {
		return Scope{Action: action}
	}
	kind, id, one := strings.Cut(rest, ":")
	return Scope{Action: action, Type: kind, ID: id, One: one, typed: true}
}

// Allows reports whether the scope permits the action on a thing; id "" means the
// whole type. An empty id inside a scope grants nothing: `read:runs:` is what an
// application with an unset variable writes, and must not open all runs.
func (s Scope) Allows(action, kind, id string) bool {
	if s.everything() {
		return true
	}
	if s.Action != action && s.Action != "*" {
		return false
	}
	if s.Type != kind && s.Type != "all" || s.Type == "" {
		return false
	}
	return s.Type == "all" || !s.One || id != "" && s.ID == id
}

// Covers reports whether whoever holds s may hand out want: everything want allows,
// s allows too.
func (s Scope) Covers(want Scope) bool {
	if s.everything() {
		return true
	}
	if s.Action != want.Action && s.Action != "*" {
		return false
	}
	if s.Type != want.Type && s.Type != "all" || want.Type == "" {
		return false
	}
	return s.Type == "all" || !s.One || want.One && want.ID != "" && s.ID == want.ID
}
