package tenant

import "time"

// EnvType is the kind of an environment, spelled as the wire has it.
type EnvType string

// The environment types. Each project has one root environment of each.
const (
	Development EnvType = "DEVELOPMENT"
	Staging     EnvType = "STAGING"
	Production  EnvType = "PRODUCTION"
	Preview     EnvType = "PREVIEW"
)

// EnvTypes lists the environments a new project gets, in the order people expect them.
var EnvTypes = []EnvType{Development, Staging, Production, Preview}

// DefaultConcurrency is how many runs a new environment executes at once.
const DefaultConcurrency = 100

// DefaultBranch is the branch name that means the root of a development environment.
const DefaultBranch = "default"

// Slug is the short name that keys, run contexts and links use.
func (t EnvType) Slug() string {
	switch t {
	case Development:
		return "dev"
	case Staging:
		return "stg"
	case Production:
		return "prod"
	case Preview:
		return "preview"
	}
	return ""
}

// TypeForSlug reads the name of an environment as it stands in a URL. Staging is
// spelled both stg and staging there.
func TypeForSlug(slug string) (t EnvType, ok bool) {
	if slug == "staging" {
		return Staging, true
	}
	for _, t := range EnvTypes {
		if slug == t.Slug() {
			return t, true
		}
	}
	return "", false
}

// Branches reports whether environments of this type may have branches.
func (t EnvType) Branches() bool { return t == Development || t == Preview }

// Environment is the place where runs live: everything a secret key can reach.
// A branch is an environment of its own below the root one, without keys of its own.
// Values are shared between requests and must not be changed.
type Environment struct {
	ID               string // 26 characters; the sub claim of public tokens
	OrgID            string
	ProjectID        string
	ParentID         string // root environment of a branch, "" for a root
	Type             EnvType
	Slug             string // that of Type, also for branches
	Branch           string // "" for a root
	ConcurrencyLimit int
	Paused           bool
	CreatedAt        time.Time
	ArchivedAt       time.Time // zero while in use
	Project          *Project  // never nil when the store loaded the environment
	Org              *Organization
}

// RootID is the environment that owns the keys: the parent of a branch, else itself.
func (e *Environment) RootID() string {
	if e.ParentID != "" {
		return e.ParentID
	}
	return e.ID
}

// Archived reports whether the environment refuses all work.
func (e *Environment) Archived() bool { return !e.ArchivedAt.IsZero() }

// maxBranch bounds branch names; git hosts allow about as much.
//
//limit:access The name of a branch | characters | 400 Invalid branch name
const maxBranch = 255

// ValidBranch reports whether name can be a branch: what git accepts of printable
// ASCII, because the name travels in a header.
func ValidBranch(name string) bool {
	if name == "" || len(name) > maxBranch || name[0] == '/' || name[len(name)-1] == '/' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c > '~' {
			return false
		}
		switch c {
		case '~', '^', ':', '?', '*', '[', '\\':
			return false
		case '.', '/':
			if i > 0 && name[i-1] == c {
				return false
			}
		}
	}
	return true
}
