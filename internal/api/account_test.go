package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"sear/internal/auth"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// accounts is the part of the API that needs no engine, on a store after its first start.
type accounts struct {
	*auth.Auth
	store  *store.Store
	keys   auth.Keys
	router chi.Router
}

func setupAccounts(t *testing.T) *accounts {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), "sqlite::memory:", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	sealer, err := auth.NewSealer(bytes.Repeat([]byte{1}, auth.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Bootstrap(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	s := &accounts{Auth: auth.New(st, sealer, log), store: st, router: chi.NewRouter()}
	if s.keys, err = auth.ReadKeys(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	a := &API{store: st, auth: s.Auth, origin: func(*http.Request) string { return "http://sear.test" }, log: log}
	for pattern, route := range map[string]struct {
		handle  rest.Handler
		classes []auth.Class
	}{
		"GET /api/v2/whoami":                           {a.whoami, []auth.Class{auth.PAT}},
		"GET /api/v1/projects/{ref}/{env}":             {a.projectEnv, []auth.Class{auth.PAT, auth.SecretKey}},
		"POST /api/v1/projects/{ref}/branches":         {a.openBranch, []auth.Class{auth.PAT}},
		"POST /api/v1/projects/{ref}/branches/archive": {a.archiveBranch, []auth.Class{auth.PAT}},
		"GET /api/v1/platform-notifications":           {a.platformNotifications, []auth.Class{auth.PAT}},
		"POST /api/v1/profile/complete":                {a.completeProfile, []auth.Class{auth.PAT}},
		"POST /api/v1/authorization-code":              {a.createAuthCode, []auth.Class{auth.None}},
		"POST /api/v1/token":                           {a.exchangeToken, []auth.Class{auth.None}},
		"POST /api/v1/auth/jwt/claims":                 {a.jwtClaims, []auth.Class{auth.SecretKey}},
		"POST /api/v1/auth/public-tokens":              {a.publicToken, []auth.Class{auth.SecretKey, auth.ScopedKey}},
		"POST /api/v1/auth/jwt":                        {a.jwt, []auth.Class{auth.SecretKey}},
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.router.With(s.Require(route.classes...)).Method(method, path, rest.Wrap(log, route.handle))
	}
	return s
}

// call sends a request and returns the status and the body as JSON.
func (s *accounts) call(t *testing.T, method, path, credential, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	s.router.ServeHTTP(rec, r)
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %d %s: %v", method, path, rec.Code, rec.Body, err)
	}
	return rec.Code, out
}

// expect calls and compares. Values of "*" stand for any text.
func (s *accounts) expect(t *testing.T, status int, want map[string]any, method, path, credential, body string, header ...string) map[string]any {
	t.Helper()
	code, got := s.call(t, method, path, credential, body, header...)
	shown := map[string]any{}
	for k, v := range got {
		if text, ok := v.(string); ok && text != "" && want[k] == "*" {
			v = "*"
		}
		shown[k] = v
	}
	if diff := cmp.Diff(want, shown); code != status || diff != "" {
		t.Errorf("%s %s: status %d, want %d\n%s", method, path, code, status, diff)
	}
	return got
}

type fields = map[string]any

func TestWhoami(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	pat := s.keys.PersonalAccessToken
	me := fields{"userId": "*", "email": auth.AdminEmail, "dashboardUrl": "http://sear.test"}
	s.expect(t, 200, me, "GET", "/api/v2/whoami", pat, "")
	s.expect(t, 200, me, "GET", "/api/v2/whoami?projectRef=proj_unknown", pat, "")
	me["project"] = fields{"name": "Default", "orgTitle": "Sear", "url": "http://sear.test/orgs/sear/projects/default"}
	s.expect(t, 200, me, "GET", "/api/v2/whoami?projectRef="+s.keys.ProjectRef, pat, "")
	s.expect(t, 401, fields{"error": "Invalid or Missing Access Token"}, "GET", "/api/v2/whoami", "tr_pat_x", "")
}

func TestProjectEnv(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	pat, k, base := s.keys.PersonalAccessToken, s.keys.SecretKeys, "/api/v1/projects/"+s.keys.ProjectRef+"/"
	for slug, key := range map[string]string{"dev": k.Dev, "staging": k.Staging, "stg": k.Staging, "prod": k.Prod, "preview": k.Preview} {
		s.expect(t, 200, fields{"apiKey": key, "name": "Default", "apiUrl": "http://sear.test", "projectId": "*"}, "GET", base+slug, pat, "")
	}
	s.expect(t, 200, fields{"apiKey": k.Dev, "name": "Default", "apiUrl": "http://sear.test", "projectId": "*"}, "GET", base+"dev", k.Dev, "")
	s.expect(t, 404, fields{"error": "Project not found"}, "GET", "/api/v1/projects/proj_unknown/dev", pat, "")
	s.expect(t, 404, fields{"error": "Environment not found"}, "GET", base+"nope", pat, "")
	const project = "Invalid project ref for this API key. Make sure you are using an API key associated with that project."
	s.expect(t, 400, fields{"error": project}, "GET", "/api/v1/projects/proj_unknown/dev", k.Dev, "")
	const slug = "Invalid environment slug for this API key. Make sure you are using an API key associated with that environment."
	s.expect(t, 400, fields{"error": slug}, "GET", base+"prod", k.Dev, "")
}

// TestProjectOfOthers checks that membership, not the reference, opens a project.
func TestProjectOfOthers(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	now := time.Now()
	err := s.store.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.AddOrganization(tenant.Organization{ID: "o", Slug: "other", CreatedAt: now}); err != nil {
			return err
		}
		if err := tx.AddProject(tenant.Project{ID: "p", OrgID: "o", Ref: "proj_other", CreatedAt: now}); err != nil {
			return err
		}
		_, err := tx.AddEnvironment(&tenant.Environment{ID: "e", OrgID: "o", ProjectID: "p", Type: tenant.Development, CreatedAt: now})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pat := s.keys.PersonalAccessToken
	s.expect(t, 404, fields{"error": "Project not found"}, "GET", "/api/v1/projects/proj_other/dev", pat, "")
	s.expect(t, 404, fields{"error": "Project not found"}, "POST", "/api/v1/projects/proj_other/branches", pat, `{"env":"development","branch":"x"}`)
}

func TestBranchRoutes(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	pat, base := s.keys.PersonalAccessToken, "/api/v1/projects/"+s.keys.ProjectRef+"/branches"
	open := func(body string) string {
		id, _ := s.expect(t, 200, fields{"id": "*"}, "POST", base, pat, body)["id"].(string)
		return id
	}
	dev := open(`{"env":"development","branch":"feat/x","git":{"commitSha":"abc"}}`)
	if again := open(`{"env":"development","branch":"feat/x"}`); again != dev {
		t.Errorf("opened again it is %s, was %s", again, dev)
	}
	if preview := open(`{"env":"preview","branch":"feat/x"}`); preview == dev {
		t.Error("branches of two environments are one")
	}
	p, err := s.Environment(t.Context(), s.keys.SecretKeys.Dev, "feat/x")
	if err != nil || p.Env.ID != dev {
		t.Errorf("the key reaches %+v, %v", p.Env, err)
	}
	root, err := s.Environment(t.Context(), s.keys.SecretKeys.Dev, "")
	if err != nil {
		t.Fatal(err)
	}
	if id := open(`{"env":"development","branch":"default"}`); id != root.Env.ID {
		t.Errorf("default is %s, want the root %s", id, root.Env.ID)
	}
	s.expect(t, 200, fields{"branch": fields{"id": dev}}, "POST", base+"/archive", pat, `{"env":"development","branch":"feat/x"}`)
	s.expect(t, 404, fields{"error": "Branch not found"}, "POST", base+"/archive", pat, `{"env":"development","branch":"feat/x"}`)
	s.expect(t, 422, fields{"error": "*"}, "POST", base+"/archive", pat, `{"env":"development","branch":"default"}`)
	if _, err := s.Environment(t.Context(), s.keys.SecretKeys.Dev, "feat/x"); err == nil {
		t.Error("an archived branch is still served")
	}
	for _, body := range []string{`{"env":"production","branch":"x"}`, `{"env":"preview","branch":"a b"}`, `{"env":"preview"}`, `{}`, `[]`, ``} {
		s.expect(t, 400, fields{"error": "*"}, "POST", base, pat, body)
		s.expect(t, 400, fields{"error": "*"}, "POST", base+"/archive", pat, body)
	}
}

func TestProfileAndNotifications(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	pat := s.keys.PersonalAccessToken
	s.expect(t, 400, fields{"error": "*"}, "POST", "/api/v1/profile/complete", pat, `{"name":" ab "}`)
	s.expect(t, 200, fields{"updated": true}, "POST", "/api/v1/profile/complete", pat, `{"name":" Ada Lovelace "}`)
	s.expect(t, 200, fields{"updated": false}, "POST", "/api/v1/profile/complete", pat, `{"name":"Somebody else"}`)
	s.expect(t, 200, fields{"notification": nil}, "GET", "/api/v1/platform-notifications?projectRef=x", pat, "")
}

func TestCommandLineLogin(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	p, err := s.PAT(t.Context(), s.keys.PersonalAccessToken)
	if err != nil {
		t.Fatal(err)
	}
	for approval, body := range map[string]string{
		"paste":    `{"codeChallenge":"` + challenge + `","codeChallengeMethod":"S256"}`,
		"callback": `{"codeChallenge":"` + challenge + `","codeChallengeMethod":"S256","callbackPort":4000}`,
	} {
		want := fields{"url": "*", "authorizationCode": "*", "approval": approval}
		begun := s.expect(t, 200, want, "POST", "/api/v1/authorization-code", "", body, "User-Agent", "node/20")
		code, _ := begun["authorizationCode"].(string)
		if begun["url"] != "http://sear.test/account/authorization-code/"+code {
			t.Errorf("url %v", begun["url"])
		}
		ask := func(verifier, approvalCode string) string {
			b, _ := json.Marshal(map[string]string{"authorizationCode": code, "codeVerifier": verifier, "approvalCode": approvalCode})
			return string(b)
		}
		s.expect(t, 200, fields{"token": nil}, "POST", "/api/v1/token", "", ask(verifier, "x"), "Content-Type", "text/plain;charset=UTF-8")
		l, proof, err := s.ApproveLogin(t.Context(), code, code[:4], p.UserID)
		if err != nil || l.Address != "192.0.2.1" || l.Client != "node/20" {
			t.Fatalf("%+v, %v", l, err)
		}
		s.expect(t, 400, fields{"error": "*"}, "POST", "/api/v1/token", "", ask(verifier, "AAAA-AAAA-AAAA"))
		s.expect(t, 403, fields{"error": "*", "code": "*", "param": "*", "type": "*"}, "POST", "/api/v1/token", "", ask("", proof))
		_, got := s.call(t, "POST", "/api/v1/token", "", ask(verifier, proof))
		issued, _ := got["token"].(fields)
		token, _ := issued["token"].(string)
		if token == "" || issued["obfuscatedToken"] != tenant.Obfuscate(token) {
			t.Errorf("approved: %v", got)
		}
		s.expect(t, 200, fields{"userId": p.UserID, "email": "*", "dashboardUrl": "*"}, "GET", "/api/v2/whoami", token, "")
	}
	s.expect(t, 404, fields{"error": "*"}, "POST", "/api/v1/token", "", `{"authorizationCode":"nope"}`)
	for _, body := range []string{
		`{"codeChallenge":"` + challenge + `","codeChallengeMethod":"plain"}`, `{"codeChallenge":"` + challenge + `"}`,
		`{"codeChallenge":"` + challenge + `","codeChallengeMethod":"S256","callbackPort":80}`,
		`{"codeChallenge":"` + challenge + `","codeChallengeMethod":"S256","callbackPort":70000}`,
	} {
		s.expect(t, 400, fields{"error": "*"}, "POST", "/api/v1/authorization-code", "", body)
	}
	long := strings.Repeat("x", 5000)
	s.expect(t, 413, fields{"error": "*"}, "POST", "/api/v1/authorization-code", "", `{"codeChallenge":"`+long+`"}`)
	s.expect(t, 413, fields{"error": "*"}, "POST", "/api/v1/token", "", `{"authorizationCode":"`+long+`"}`)
}

// TestLoginNeedsAChallenge: without one whoever knows the link of a login could fetch its
// token, also when somebody else has approved it.
func TestLoginNeedsAChallenge(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	for _, body := range []string{
		``, `{}`, `{"callbackPort":4000}`, `{"codeChallengeMethod":"S256"}`, `{"codeChallenge":"","codeChallengeMethod":"S256"}`,
		`{"codeChallenge":"short","codeChallengeMethod":"S256"}`, `{"codeChallenge":"` + strings.Repeat("B", 43) + `","codeChallengeMethod":"S256"}`,
	} {
		code, got := s.call(t, "POST", "/api/v1/authorization-code", "", body)
		if text, _ := got["error"].(string); code != 400 || !strings.Contains(text, `"codeChallenge"`) {
			t.Errorf("%s: %d %v", body, code, got)
		}
	}
}

// TestLoginsWithoutEndShutNobodyOut: who begins ten thousand is refused, and nobody else is.
func TestLoginsWithoutEndShutNobodyOut(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	const body = `{"codeChallenge":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM","codeChallengeMethod":"S256"}`
	begin := func(peer string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/api/v1/authorization-code", strings.NewReader(body))
		r.RemoteAddr = peer
		rec := httptest.NewRecorder()
		s.router.ServeHTTP(rec, r)
		return rec
	}
	var refused int
	for range 10_000 {
		switch rec := begin("203.0.113.7:4000"); {
		case rec.Code == http.StatusTooManyRequests && rec.Header().Get("Retry-After") == "1":
			refused++
		case rec.Code != http.StatusOK:
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	if refused == 0 {
		t.Error("one address may ask without end")
	}
	if rec := begin("203.0.113.8:4000"); rec.Code != http.StatusOK {
		t.Errorf("from another address: %d %s", rec.Code, rec.Body)
	}
}
