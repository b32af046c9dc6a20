package tenant

import "time"

// Kind is the sort of credential a request came with.
type Kind string

// The kinds. A request without a credential has the zero Kind.
const (
	KindNone      Kind = ""
	KindSecretKey Kind = "secret key"     // the root key of an environment: may do everything in it
	KindScopedKey Kind = "additional key" // a further key of an environment, held to its scopes
	KindPublic    Kind = "public token"   // a JWT signed with an environment's key, held to its scopes
	KindPAT       Kind = "personal access token"
)

// Principal is who makes a request and what the credential permits.
type Principal struct {
	Kind   Kind
	Env    *Environment // nil for a personal access token and without a credential
	UserID string       // set for a personal access token
	Scopes []string     // of additional keys and public tokens

	// Maker is who counts as the maker of what is made with a credential that is held to scopes:
	// that credential or, if it came with something that another had made, the other one.
	Maker string
	// Credential is the SHA-256 in hex of what was verified: two requests have the same one
	// exactly when they came with the same credential.
	Credential string
	// OneTime identifies a public token that may be used once, "" for all others.
	// Whoever acts on it must record it in the same transaction.
	OneTime string
	// ExpiresAt is when the credential ends, zero for one that does not.
	ExpiresAt time.Time
	// SkipColumns are run columns a public token asked realtime to leave out.
	SkipColumns []string
}

// Bound is the end of a token that the credential hands out: at, unless the credential is a
// key that ends earlier. Who holds a key that was replaced must not outlive it.
func (p Principal) Bound(at time.Time) time.Time {
	isKey := p.Kind == KindSecretKey || p.Kind == KindScopedKey
	if isKey && !p.ExpiresAt.IsZero() && p.ExpiresAt.Before(at) {
		return p.ExpiresAt
	}
	return at
}

// Can reports whether the credential permits the action on a thing of the given type;
// id "" means all things of the type. A personal access token is not limited by scopes:
// what it reaches is limited by the user's memberships.
func (p Principal) Can(action, kind, id string) bool {
	switch p.Kind {
	case KindSecretKey, KindPAT:
		return true
	case KindScopedKey, KindPublic:
		for _, s := range p.Scopes {
			if ParseScope(s).Allows(action, kind, id) {
				return true
			}
		}
	}
	return false
}

// KeyOwner is who owns the idempotency and debounce keys that the credential sends, "" for
// the environment. A key leads to what was made with it, which its holder may then change or
// is given a token to read: only who may do both anyway is led to what others made.
func (p Principal) KeyOwner() string {
	if p.Can("read", "runs", "") && p.Can("write", "runs", "") {
		return ""
	}
	return p.Maker
}

// MayGrant reports whether the credential may put the scope into a token it hands out.
// Public tokens hand out nothing.
func (p Principal) MayGrant(scope string) bool {
	switch p.Kind {
	case KindSecretKey:
		return true
	case KindScopedKey:
		want := ParseScope(scope)
		for _, s := range p.Scopes {
			if ParseScope(s).Covers(want) {
				return true
			}
		}
	}
	return false
}
