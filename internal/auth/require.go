package auth

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sear/internal/rest"
	"sear/internal/tenant"
)

// Class is a sort of credential that a route accepts.
type Class string

// The classes. A route names at least one.
const (
	// None is for routes that anybody may call. It stands alone.
	None Class = "none"
	// SecretKey is the root key of an environment, which may do everything in it.
	SecretKey Class = "secret key"
	// ScopedKey is an additional key. A route that names it promises that its handler
	// asks tenant.Principal.Can.
	ScopedKey Class = "additional key"
	// PublicJWT is a public token. It comes with the same promise.
	PublicJWT Class = "public token"
	// PAT is a personal access token. The principal has a user and no environment.
	PAT Class = "personal access token"
)

// Classes are all of them but None. A test demands of each that it can be listed, ended and replaced.
var Classes = []Class{SecretKey, ScopedKey, PublicJWT, PAT}

// BranchHeader selects a branch of the environment whose key a request carries.
const BranchHeader = "X-Trigger-Branch"

// credential is what a request came with, and what was asked for.
type credential struct {
	bearer, branch string
	classes        []Class
}

type (
	principalKey  struct{}
	credentialKey struct{}
)

// From returns who makes the request: what Require put into the context, else a
// principal that may do nothing.
func From(ctx context.Context) tenant.Principal {
	p, _ := ctx.Value(principalKey{}).(tenant.Principal)
	return p
}

// With returns a context that carries the principal.
func With(ctx context.Context, p tenant.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// Require lets requests pass whose credential is of one of the classes, with the
// principal in their context; the others it answers itself. A route without a class
// is a mistake in the program: it panics.
func (a *Auth) Require(classes ...Class) func(http.Handler) http.Handler {
	if len(classes) == 0 || len(classes) > 1 && slices.Contains(classes, None) {
		panic("auth: a route names the credentials it accepts, or None alone")
	}
	if classes[0] == None {
		return func(next http.Handler) http.Handler { return next }
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := credential{Bearer(r), r.Header.Get(BranchHeader), classes}
			p, err := a.authenticate(r.Context(), c)
			if err != nil {
				rest.WriteError(w, r, a.log, err)
				return
			}
			ctx := context.WithValue(With(r.Context(), p), credentialKey{}, c)
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func (a *Auth) authenticate(ctx context.Context, c credential) (tenant.Principal, error) {
	if slices.Contains(c.classes, PAT) && (len(c.classes) == 1 || strings.HasPrefix(c.bearer, tenant.PATPrefix)) {
		return a.PAT(ctx, c.bearer)
	}
	if c.bearer == "" {
		return tenant.Principal{}, errMissing
	}
	if slices.Contains(c.classes, PublicJWT) {
		if subject, public := claimed(c.bearer); public {
			return a.publicToken(ctx, c.bearer, subject)
		}
	}
	p, err := a.key(ctx, c.bearer, c.branch)
	if err != nil {
		return tenant.Principal{}, err
	}
	if !slices.Contains(c.classes, classOf[p.Kind]) {
		return tenant.Principal{}, errForbidden
	}
	return p, nil
}

// classOf are the classes of what a key lookup finds.
var classOf = map[tenant.Kind]Class{tenant.KindSecretKey: SecretKey, tenant.KindScopedKey: ScopedKey}
