package tenant

import (
	"strings"
	"time"
)

// Organization owns projects.
type Organization struct {
	ID        string
	Slug      string
	Title     string
	CreatedAt time.Time
}

// Project is one code base with its environments.
type Project struct {
	ID        string
	OrgID     string
	Ref       string // what trigger.config.ts names: proj_ and 20 lower-case letters
	Slug      string // unique within the organisation
	Name      string
	CreatedAt time.Time
}

// User is a person who signs in.
type User struct {
	ID        string
	Email     string
	Name      string
	CreatedAt time.Time
}

// Role is what a user may do in an organisation.
type Role string

// Owner may do everything.
const Owner Role = "OWNER"

// PATPrefix starts every personal access token. Root keys of environments start with
// tr_ and the environment's slug.
const PATPrefix = "tr_pat_"

// Obfuscate is the form of a token that may be shown: its kind and eight of its letters.
func Obfuscate(pat string) string {
	body := strings.TrimPrefix(pat, PATPrefix)
	if len(body) < 16 { // eight letters of a shorter one would give too much away
		return PATPrefix + "****"
	}
	return PATPrefix + body[:4] + "****" + body[len(body)-4:]
}
