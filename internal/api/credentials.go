package api

import (
	"net/http"
	"time"

	"sear/internal/auth"
	"sear/internal/rest"
	"sear/internal/store"
)

// Credential is a credential as its owner sees it: what it is, never the secret itself.
type Credential struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind"`
	Name        string     `json:"name"`
	Hint        string     `json:"hint,omitempty"`
	Project     string     `json:"project,omitempty"`
	Environment string     `json:"environment,omitempty"`
	Scopes      *[]string  `json:"scopes,omitempty"` // of an additional key
	CreatedAt   time.Time  `json:"createdAt"`
	LastUsedAt  *time.Time `json:"lastUsedAt,omitempty"` // to the minute
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
}

// credentialKinds are the names of what there is.
var credentialKinds = map[store.CredentialKind]string{
	store.CredentialToken: "personal access token", store.CredentialKey: "additional key", store.CredentialSession: "session",
}

// Credentials is the form in which the API and `sear keys list` show them.
func Credentials(all []store.Credential) []Credential {
	out := make([]Credential, len(all))
	for i, c := range all {
		out[i] = newCredential(c)
	}
	return out
}

func newCredential(c store.Credential) Credential {
	out := Credential{ID: auth.CredentialID(c), Kind: credentialKinds[c.Kind], Name: c.Name, Hint: c.Hint, Project: c.Project, CreatedAt: c.CreatedAt}
	if c.Kind == store.CredentialKey {
		out.Environment, out.Hint = c.Env.Slug(), "tr_"+c.Env.Slug()+"_****"+c.Hint
		if c.Root {
			out.Kind = "secret key"
		} else {
			out.Scopes = &c.Scopes
		}
	}
	if !c.LastUsedAt.IsZero() {
		out.LastUsedAt = &c.LastUsedAt
	}
	if !c.ExpiresAt.IsZero() {
		out.ExpiresAt = &c.ExpiresAt
	}
	return out
}

// listCredentials serves GET /api/v1/credentials: what works for the user.
func (a *API) listCredentials(w http.ResponseWriter, r *http.Request) error {
	all, err := a.auth.Credentials(r.Context(), auth.From(r.Context()).UserID)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]any{"data": Credentials(all)})
}

// endCredential serves DELETE /api/v1/credentials/{credential}.
func (a *API) endCredential(w http.ResponseWriter, r *http.Request) error {
	name, err := param(r, "credential")
	if err != nil {
		return err
	}
	if err := a.auth.EndCredential(r.Context(), auth.From(r.Context()).UserID, name); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: name})
}

// endAllCredentials serves DELETE /api/v1/credentials: all tokens and sessions of the user end,
// the caller's too.
func (a *API) endAllCredentials(w http.ResponseWriter, r *http.Request) error {
	ended, err := a.auth.EndAll(r.Context(), auth.From(r.Context()).UserID)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]int64{"ended": ended})
}

// replaceCredential serves POST /api/v1/credentials/{credential}/replace: a new token or key with the
// rights of the old one, which works until the grace has passed.
func (a *API) replaceCredential(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[rotateBody](r, maxKeyBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	name, err := param(r, "credential")
	if err != nil {
		return err
	}
	fresh, until, err := a.auth.ReplaceCredential(r.Context(), auth.From(r.Context()).UserID, name, body.grace())
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		Credential string    `json:"credential"`
		Expires    time.Time `json:"previousExpiresAt"`
	}{fresh, until.UTC()})
}

// resetPassword serves POST /api/v1/account/password/reset: the user gets a new password, which is
// shown this once, and all sessions of the user end.
func (a *API) resetPassword(w http.ResponseWriter, r *http.Request) error {
	admin, err := a.auth.ResetPassword(r.Context(), auth.From(r.Context()).UserID)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]string{"email": admin.Email, "password": admin.Password})
}
