package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// accountBody bounds the bodies of this file, in bytes.
//
//limit:requests Bodies about logins, public tokens and branches | bytes | 413 Request body too large
const accountBody = 64 << 10

// whoamiResponse tells the command line whose token it has.
type whoamiResponse struct {
	UserID       string         `json:"userId"`
	Email        string         `json:"email"`
	DashboardURL string         `json:"dashboardUrl"`
	Project      *whoamiProject `json:"project,omitempty"`
}

type whoamiProject struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	OrgTitle string `json:"orgTitle"`
}

// whoami serves GET /api/v2/whoami. A projectRef that the user does not know of is
// left out of the answer.
func (a *API) whoami(w http.ResponseWriter, r *http.Request) error {
	origin := a.origin(r)
	userID := auth.From(r.Context()).UserID
	res := whoamiResponse{DashboardURL: origin}
	err := a.store.View(r.Context(), func(tx *store.Tx) error {
		u, err := tx.User(userID)
		if err != nil {
			return err
		}
		res.UserID, res.Email = u.ID, u.Email
		ref := r.URL.Query().Get("projectRef")
		if ref == "" || !storable(ref) {
			return nil
		}
		p, o, err := tx.MemberProject(userID, ref)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		res.Project = &whoamiProject{Name: p.Name, URL: origin + "/orgs/" + o.Slug + "/projects/" + p.Slug, OrgTitle: o.Title}
		return err
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, res)
}

// projectEnvResponse is how the command line gets at an environment.
type projectEnvResponse struct {
	APIKey    string `json:"apiKey"`
	Name      string `json:"name"`
	APIURL    string `json:"apiUrl"`
	ProjectID string `json:"projectId"`
}

// projectEnv serves GET /api/v1/projects/{ref}/{env}, for a user and for programs that
// hold the environment's key already.
func (a *API) projectEnv(w http.ResponseWriter, r *http.Request) error {
	env, err := a.pathEnvironment(r)
	if err != nil {
		return err
	}
	key := auth.Bearer(r) // whoever has an older key is not shown the one that replaced it
	if auth.From(r.Context()).Kind == tenant.KindPAT {
		if key, err = a.auth.SecretKey(r.Context(), env); err != nil {
			return err
		}
	}
	return rest.JSON(w, http.StatusOK, projectEnvResponse{
		APIKey: key, Name: env.Project.Name, APIURL: a.origin(r), ProjectID: env.Project.ID,
	})
}

// pathEnvironment is the environment that the path names by project and slug.
func (a *API) pathEnvironment(r *http.Request) (*tenant.Environment, error) {
	slug, err := param(r, "env")
	if err != nil {
		return nil, err
	}
	typ, ok := tenant.TypeForSlug(slug)
	if !ok {
		return nil, fault.New(fault.NotFound, "Environment not found")
	}
	return a.rootEnvironment(r, typ)
}

// rootEnvironment is an environment of the project that the path names, which the caller may act in.
func (a *API) rootEnvironment(r *http.Request, typ tenant.EnvType) (env *tenant.Environment, err error) {
	ref, err := param(r, "ref")
	if err != nil {
		return nil, err
	}
	p := auth.From(r.Context())
	if p.Env != nil {
		switch {
		case p.Env.Project.Ref != ref:
			return nil, fault.New(fault.Malformed, "Invalid project ref for this API key. Make sure you are using an API key associated with that project.")
		case p.Env.Type != typ:
			return nil, fault.New(fault.Malformed, "Invalid environment slug for this API key. Make sure you are using an API key associated with that environment.")
		}
		return p.Env, nil
	}
	err = a.store.View(r.Context(), func(tx *store.Tx) error {
		project, _, err := tx.MemberProject(p.UserID, ref)
		if err != nil {
			return err
		}
		env, err = tx.RootEnvironment(project.ID, typ)
		return err
	})
	return env, err
}

// branchRequest names a branch of a project.
type branchRequest struct {
	Env    string `json:"env"`
	Branch string `json:"branch"`
}

// branchTypes are the environments that have branches, as the command line names them.
var branchTypes = map[string]tenant.EnvType{"preview": tenant.Preview, "development": tenant.Development}

// Validate checks what the command line's own schema promises, and the name.
func (b branchRequest) Validate() error {
	var p rest.Problems
	if _, ok := branchTypes[b.Env]; !ok {
		p.Add("env", "Invalid enum value. Expected 'preview' | 'development'")
	}
	if !tenant.ValidBranch(b.Branch) {
		p.Add("branch", "Invalid branch name")
	}
	return p.Err()
}

// root reports whether the branch is another name of the environment itself.
func (b branchRequest) root() bool {
	return branchTypes[b.Env] == tenant.Development && b.Branch == tenant.DefaultBranch
}

// openBranch serves POST /api/v1/projects/{ref}/branches.
func (a *API) openBranch(w http.ResponseWriter, r *http.Request) error {
	req, err := rest.Decode[branchRequest](r, accountBody)
	if err != nil {
		return err
	}
	env, err := a.rootEnvironment(r, branchTypes[req.Env])
	if err != nil {
		return err
	}
	if !req.root() {
		root, now := env, time.Now()
		err = a.store.Update(r.Context(), func(tx *store.Tx) (err error) {
			env, err = tx.OpenBranch(root, req.Branch, now)
			return err
		})
		if err != nil {
			return err
		}
	}
	return rest.JSON(w, http.StatusOK, idResponse{env.ID})
}

type idResponse struct {
	ID string `json:"id"`
}

// archiveBranch serves POST /api/v1/projects/{ref}/branches/archive.
func (a *API) archiveBranch(w http.ResponseWriter, r *http.Request) error {
	req, err := rest.Decode[branchRequest](r, accountBody)
	if err != nil {
		return err
	}
	root, err := a.rootEnvironment(r, branchTypes[req.Env])
	if err != nil {
		return err
	}
	if req.root() {
		return fault.New(fault.Invalid, "The default branch cannot be archived")
	}
	var res struct {
		Branch idResponse `json:"branch"`
	}
	now := time.Now()
	err = a.store.Update(r.Context(), func(tx *store.Tx) error {
		b, err := tx.Branch(root.ID, req.Branch)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "Branch not found")
		}
		if err != nil {
			return err
		}
		res.Branch.ID = b.ID
		return tx.ArchiveBranch(b.ID, now)
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, res)
}

// platformNotifications serves GET /api/v1/platform-notifications: there are none.
func (a *API) platformNotifications(w http.ResponseWriter, _ *http.Request) error {
	return rest.JSON(w, http.StatusOK, struct {
		Notification *struct{} `json:"notification"` // the client wants null
	}{})
}

// profileRequest is the name a user gives at the first login.
type profileRequest struct {
	Name string `json:"name"`
}

// Validate bounds the name as the command line does.
func (p *profileRequest) Validate() error {
	p.Name = strings.TrimSpace(p.Name)
	var problems rest.Problems
	if n := utf8.RuneCountInString(p.Name); n < 3 || n > 50 {
		problems.Add("name", "Must be 3 to 50 characters")
	}
	if !storable(p.Name) {
		problems.Add("name", "Null characters are not allowed")
	}
	return problems.Err()
}

// completeProfile serves POST /api/v1/profile/complete. A name once given stays.
func (a *API) completeProfile(w http.ResponseWriter, r *http.Request) error {
	req, err := rest.Decode[profileRequest](r, accountBody)
	if err != nil {
		return err
	}
	var res struct {
		Updated bool `json:"updated"`
	}
	userID := auth.From(r.Context()).UserID
	err = a.store.Update(r.Context(), func(tx *store.Tx) (err error) {
		res.Updated, err = tx.NameUser(userID, req.Name)
		return err
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, res)
}

// loginBody bounds what begins and ends a login, in bytes: anybody may send it.
const loginBody = 4 << 10

// authCodeRequest begins a login of the command line.
type authCodeRequest struct {
	Challenge string `json:"codeChallenge"`
	Method    string `json:"codeChallengeMethod"`
	Port      int    `json:"callbackPort"`

	challenge [sha256.Size]byte // what Challenge says
}

// Validate checks what the command line's own schema promises, and that there is a challenge:
// without one whoever sees the link of a login could fetch its token. Command lines that are
// older than challenges send no body.
func (c *authCodeRequest) Validate() error {
	var p rest.Problems
	sum, err := base64.RawURLEncoding.Strict().DecodeString(c.Challenge)
	switch {
	case c.Challenge == "":
		p.Add("codeChallenge", "Required (update the CLI to 4.8.3)")
	case err != nil || len(sum) != sha256.Size:
		p.Add("codeChallenge", "Must be a SHA-256 in base64url: 43 characters")
	case c.Method != "S256":
		p.Add("codeChallengeMethod", `Invalid literal value, expected "S256"`)
	}
	copy(c.challenge[:], sum)
	if c.Port != 0 && (c.Port < 1024 || c.Port > 65535) {
		p.Add("callbackPort", "Must be 1024 to 65535")
	}
	return p.Err()
}

type authCodeResponse struct {
	URL      string         `json:"url"`
	Code     string         `json:"authorizationCode"`
	Approval store.Approval `json:"approval"`
}

// createAuthCode serves POST /api/v1/authorization-code.
func (a *API) createAuthCode(w http.ResponseWriter, r *http.Request) error {
	if err := a.auth.Admit(r); err != nil {
		return err
	}
	req, err := rest.Decode[authCodeRequest](r, loginBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	l := auth.Login{Challenge: req.challenge, CallbackPort: req.Port, Address: rest.ClientAddress(r), Client: r.UserAgent()}
	code := a.auth.BeginLogin(l)
	return rest.JSON(w, http.StatusOK, authCodeResponse{URL: a.origin(r) + auth.ApprovalPath + code, Code: code, Approval: l.Approval()})
}

// tokenRequest asks for the token of a login.
type tokenRequest struct {
	Code         string `json:"authorizationCode"`
	Verifier     string `json:"codeVerifier"`
	ApprovalCode string `json:"approvalCode"`
}

type tokenResponse struct {
	Token *issuedToken `json:"token"` // null while the login waits for approval
}

type issuedToken struct {
	Token      string `json:"token"`
	Obfuscated string `json:"obfuscatedToken"`
}

// exchangeToken serves POST /api/v1/token.
func (a *API) exchangeToken(w http.ResponseWriter, r *http.Request) error {
	if err := a.auth.Admit(r); err != nil {
		return err
	}
	req, err := rest.Decode[tokenRequest](r, loginBody)
	if err != nil {
		return err
	}
	token, err := a.auth.ExchangeLogin(r.Context(), req.Code, req.Verifier, req.ApprovalCode)
	if err != nil {
		return err
	}
	var res tokenResponse
	if token != "" {
		res.Token = &issuedToken{Token: token, Obfuscated: tenant.Obfuscate(token)}
	}
	return rest.JSON(w, http.StatusOK, res)
}
