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

type principalKey struct{}

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
			p, err := a.authenticate(r, classes)
			if err != nil {
				rest.WriteError(w, r, a.log, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(With(r.Context(), p)))
		})
	}
}

func (a *Auth) authenticate(r *http.Request, classes []Class) (tenant.Principal, error) {
	bearer := Bearer(r)
	if slices.Contains(classes, PAT) && (len(classes) == 1 || strings.HasPrefix(bearer, tenant.PATPrefix)) {
		return a.PAT(r.Context(), bearer)
	}
	if bearer == "" {
		return tenant.Principal{}, errMissing
	}
	if slices.Contains(classes, PublicJWT) {
		if subject, public := claimed(bearer); public {
			return a.publicToken(r.Context(), bearer, subject)
		}
	}
	p, err := a.key(r.Context(), bearer, r.Header.Get(BranchHeader))
	if err != nil {
		return tenant.Principal{}, err
	}
	if !slices.Contains(classes, classOf[p.Kind]) {
		return tenant.Principal{}, errForbidden
	}
	return p, nil
}

// classOf are the classes of what a key lookup finds.
var classOf = map[tenant.Kind]Class{tenant.KindSecretKey: SecretKey, tenant.KindScopedKey: ScopedKey}

// Bearer is the credential of a request, "" when there is none.
func Bearer(r *http.Request) string {
	scheme, credential, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(credential)
}
