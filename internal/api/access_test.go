package api_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/deploy"
	"sear/internal/id"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// credential is one sort of bearer, and what the routes page promises it.
type credential struct {
	name   string
	client servertest.Client
	class  auth.Class // "" for one that is not valid anywhere
	scopes bool       // it may do all there is; without, a route that asks answers 403
}

// allCredentials are all sorts of credentials there are, good and bad.
func (s *site) allCredentials() []credential {
	s.t.Helper()
	must := func(v string, err error) string {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
		return v
	}
	key := func(scopes ...string) servertest.Client {
		return s.with(must(s.auth.AddKey(s.t.Context(), s.env, "test", scopes, time.Time{})))
	}
	staging, prod := s.keys.SecretKeys.Staging, s.keys.SecretKeys.Prod
	foreign := must(s.auth.PublicToken(s.t.Context(), s.environment(staging), auth.Grant{Scopes: []string{"admin"}}))
	opened := s.with(s.keys.PersonalAccessToken).Call(s.t, "POST", "/api/v1/projects/"+s.keys.ProjectRef+"/branches", `{"env":"preview","branch":"feat"}`)
	if opened.Status != 200 {
		s.t.Fatalf("%d %s", opened.Status, opened.Body)
	}
	for key, grace := range map[string]time.Duration{staging: time.Hour, prod: -time.Second} {
		if _, _, err := s.auth.RotateKey(s.t.Context(), s.environment(key), grace); err != nil {
			s.t.Fatal(err)
		}
	}
	return []credential{
		{"nothing", s.with(""), "", false},
		{"an unknown key", s.with("tr_dev_unknown"), "", false},
		{"an expired token", s.with(s.sign(auth.Grant{Scopes: []string{"admin"}, Expires: time.Now().Add(-time.Minute)})), "", false},
		{"a token with another signature", s.with(tampered(s.sign(auth.Grant{Scopes: []string{"admin"}}))), "", false},
		{"an unknown personal token", s.with("tr_pat_unknown"), "", false},
		{"a key that was replaced, after its grace", s.with(prod), "", false},
		{"a preview key without a branch", s.with(s.keys.SecretKeys.Preview), "", false},
		{"a preview key with an unknown branch", headers(s.with(s.keys.SecretKeys.Preview), auth.BranchHeader, "none"), "", false},

		{"the secret key", s.Client, auth.SecretKey, true},
		{"a key that was replaced, within its grace", s.with(staging), auth.SecretKey, true},
		{"a preview key with a branch", headers(s.with(s.keys.SecretKeys.Preview), auth.BranchHeader, "feat"), auth.SecretKey, true},
		{"a public token of another environment", s.with(foreign), auth.PublicJWT, true}, // gets in, and finds nothing
		{"an additional key without scopes", key(), auth.ScopedKey, false},
		{"an additional key with another's scope", key("read:nothing"), auth.ScopedKey, false},
		{"an additional key for everything", key("admin"), auth.ScopedKey, true},
		{"a public token without scopes", s.token(), auth.PublicJWT, false},
		{"a public token with another's scope", s.token("read:nothing"), auth.PublicJWT, false},
		{"a public token for everything", s.token("admin"), auth.PublicJWT, true},
		{"a public token for one use", s.with(s.sign(auth.Grant{Scopes: []string{"admin"}, OneTime: true})), auth.PublicJWT, true},
		{"a personal token", s.with(s.keys.PersonalAccessToken), auth.PAT, true},
	}
}

// tampered is a token that its environment did not sign.
func tampered(token string) string {
	return token[:strings.LastIndexByte(token, '.')+1] + strings.Repeat("A", 43)
}

var parameter = regexp.MustCompile(`\{[a-z]+\}|\*`)

// outcome is what the routes page promises: 401, 403, or 0 for anything else.
func outcome(r api.Listed, c credential) int {
	keyed := slices.Contains(r.Classes, auth.SecretKey)
	switch {
	case slices.Contains(r.Classes, auth.None):
		return 0
	case c.class == "":
		return http.StatusUnauthorized
	case slices.Contains(r.Classes, c.class) && c.scopes:
		return 0
	case slices.Contains(r.Classes, c.class):
		return http.StatusForbidden // the handler asks what it may
	case c.class == auth.ScopedKey && keyed:
		return http.StatusForbidden // it is a key of the environment, and not enough
	}
	return http.StatusUnauthorized
}

// things fills the parameters of a path with what the development environment has.
func (s *site) things() func(path string) string {
	token := servertest.Post[struct{ ID string }](s.t, s.Client, "/api/v1/waitpoints/tokens", map[string]any{})
	_, err := s.engine.RegisterWorker(s.t.Context(), s.env, deploy.Manifest{ContentHash: "things", Tasks: []deploy.Task{
		{ID: "my-task", FilePath: "tasks.ts"}, {ID: "clock", FilePath: "tasks.ts", TriggerSource: "schedule"},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.fail("my-task", "Error", "no")
	friendly := s.trigger(`{"options":{"delay":"1h"}}`)
	made := func(path, wish string) string {
		return body[struct{ ID string }](s.t, s.Call(s.t, "POST", path, wish)).ID
	}
	first := func(path string) string {
		return servertest.Get[struct{ Data []struct{ ID string } }](s.t, s.Client, path).Data[0].ID
	}
	if _, err := s.auth.AddKey(s.t.Context(), s.env, "things", nil, time.Time{}); err != nil {
		s.t.Fatal(err)
	}
	key := find(s.t, s.with(s.keys.PersonalAccessToken), func(c api.Credential) bool { return c.Name == "things" })
	values := map[string]string{
		"{credential}": key.ID, "{queue}": first("/api/v1/queues"), "{error}": first("/api/v1/errors"), "{deployment}": made(deployments, captured),
		"{schedule}": made("/api/v1/schedules", `{"task":"clock","cron":"0 0 1 1 *","deduplicationKey":"k"}`),
		"{bulk}":     made("/api/v1/bulk-actions", `{"action":"cancel","filter":{"tag":"none"}}`), "{name}": "UNKNOWN", "{span}": "unknown", "{tag}": "current",
		"{run}": friendly, "{batch}": s.newBatch(1), "{waitpoint}": token.ID, "{ref}": s.keys.ProjectRef, "{env}": "dev",
		"{task}": "my-task", "{key}": "unknown", "{kind}": "payload", "{hash}": "unknown", "*": friendly + "%2Foutput.json",
	}
	return func(path string) string {
		return parameter.ReplaceAllStringFunc(path, func(name string) string {
			v, ok := values[name]
			if !ok {
				s.t.Errorf("%s: add a value for %s to things, one that the development environment has", path, name)
			}
			return v
		})
	}
}

// bodyFor is what a route must be sent before it asks what the credential may.
var bodyFor = map[string]string{
	"POST /api/v1/tasks/{task}/trigger":        `{}`,
	"POST /api/v3/batches":                     `{"runCount":1}`,
	"POST /api/v3/batches/{batch}/items":       `{"index":0,"task":"my-task"}`,
	"POST /api/v1/idempotencyKeys/{key}/reset": `{"taskIdentifier":"my-task"}`,
	"POST /api/v1/auth/public-tokens":          `{"scopes":["read:runs"]}`,
	"POST /api/v1/runs/{run}/reschedule":       `{"delay":"1h"}`,
	"POST /api/v1/runs/{run}/tags":             `{"tags":"a"}`,
	"PUT /api/v1/runs/{run}/metadata":          `{"metadata":{"a":1}}`,
	"POST /api/v1/tasks/batch":                 `{"items":[{"task":"my-task"}]}`,
	"POST /api/v2/tasks/batch":                 `{"items":[{"task":"my-task"}]}`,
	"POST /api/v1/tasks/{task}/batch":          `{"items":[{}]}`,

	"POST /api/v1/projects/{ref}/envvars/{env}":        `{"name":"A","value":"1"}`,
	"POST /api/v1/projects/{ref}/envvars/{env}/import": `{"variables":{"A":"1"},"override":true}`,
	"PUT /api/v1/projects/{ref}/envvars/{env}/{name}":  `{"value":"1"}`,
	"POST /api/v1/projects/{ref}/envvars/{env}/{name}": `{"value":"1"}`,

	"PUT /api/v1/schedules/{schedule}":                         `{"task":"clock","cron":"0 0 1 1 *"}`,
	"DELETE /api/v1/schedules/{schedule}":                      `{}`,
	"POST /api/v1/queues/{queue}/pause":                        `{"action":"resume"}`,
	"POST /api/v1/queues/{queue}/concurrency/override":         `{"concurrencyLimit":1}`,
	"POST /api/v1/queues/{queue}/concurrency/reset":            `{}`,
	"POST /api/v1/deployments/{deployment}/background-workers": manifestOf("other", "my-task"),
	"POST /api/v1/deployments/{deployment}/progress":           `{}`,
	"POST /api/v1/deployments/{deployment}/fail":               `{"error":{"name":"Error","message":"no"}}`,
	"POST /api/v1/deployments/{deployment}/cancel":             `{}`,
	"POST /api/v1/deployments/{deployment}/finalize":           `{}`,
	"POST /api/v2/deployments/{deployment}/finalize":           `{}`,
	"POST /api/v3/deployments/{deployment}/finalize":           `{}`,
	"POST /api/v1/runs/{run}/replay":                           ``,
}

// reach calls a route and returns the status, whatever the contract says of it.
func (s *site) reach(c servertest.Client, r api.Listed, path string) servertest.Response {
	s.t.Helper()
	if strings.HasSuffix(r.Path, "/items") {
		c = headers(c, "Content-Type", "application/x-ndjson")
	}
	return c.Call(s.t, r.Method, path, bodyFor[r.Method+" "+r.Path])
}

// TestEveryRouteWithEveryCredential: who gets in is what the routes page says.
func TestEveryRouteWithEveryCredential(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all, fill := s.allCredentials(), s.things()
	for _, r := range api.Surface() {
		if r.Classes[0] == auth.None {
			continue // TestOpenRoutes says why; some check a signature, which is no credential of these
		}
		for _, c := range all {
			want, got := outcome(r, c), s.reach(c.client, r, fill(r.Path))
			found := got.Status
			if found != http.StatusUnauthorized && found != http.StatusForbidden {
				found = 0
			}
			if found != want {
				t.Errorf("%s %s with %s: %d %s, want %d", r.Method, r.Path, c.name, got.Status, got.Body, want)
			}
		}
	}
}

// owned are the parameters that name a thing of one environment.
var owned = regexp.MustCompile(`\{(run|batch|waitpoint|queue|schedule|deployment|bulk|error|id)\}`)

// stranger is a client with the key of an environment of another organisation's project.
func (s *site) stranger() servertest.Client {
	s.t.Helper()
	now := time.Now()
	org := tenant.Organization{ID: id.New(now), Slug: "other", Title: "Other", CreatedAt: now}
	project := tenant.Project{ID: id.New(now), OrgID: org.ID, Ref: "proj_stranger", Slug: "other", Name: "Other", CreatedAt: now}
	env := &tenant.Environment{
		ID: id.New(now), OrgID: org.ID, ProjectID: project.ID, Type: tenant.Development,
		ConcurrencyLimit: tenant.DefaultConcurrency, CreatedAt: now,
	}
	err := s.store.Update(s.t.Context(), func(tx *store.Tx) error {
		if err := tx.AddOrganization(org); err != nil {
			return err
		}
		if err := tx.AddProject(project); err != nil {
			return err
		}
		_, err := tx.AddEnvironment(env)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	key, _, err := s.auth.RotateKey(s.t.Context(), env, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.with(key)
}

// TestOtherTenantsThings: what belongs to one environment is not there for another, of the
// same project or of one that has nothing to do with it.
func TestOtherTenantsThings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fill := s.things()
	others := map[string]servertest.Client{"another environment": s.with(s.keys.SecretKeys.Prod), "another project": s.stranger()}
	for _, r := range api.Surface() {
		if !owned.MatchString(r.Path) || r.Classes[0] == auth.None || len(r.Classes) == 1 && r.Classes[0] == auth.PAT {
			continue
		}
		want := http.StatusNotFound
		if strings.HasSuffix(r.Path, "/items") {
			want = http.StatusUnprocessableEntity // the reference: "Batch … not found"
		}
		for name, other := range others {
			if got := s.reach(other, r, fill(r.Path)); got.Status != want {
				t.Errorf("%s %s with the key of %s: %d %s, want %d", r.Method, r.Path, name, got.Status, got.Body, want)
			}
		}
	}
}

// TestPreflight: pages of other origins may ask for the routes marked so, and no others.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	browser := map[string]bool{}
	for _, r := range api.Surface() {
		browser[r.Path] = browser[r.Path] || r.Browser
	}
	for path, allowed := range browser {
		c := headers(s.with(""), "Origin", "https://app.example", "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type")
		got := c.Call(t, http.MethodOptions, parameter.ReplaceAllString(path, "unknown"), nil)
		answered := got.Status == 200 && got.Header.Get("Access-Control-Allow-Origin") == "https://app.example" &&
			got.Header.Get("Access-Control-Allow-Headers") == "authorization,content-type" &&
			got.Header.Get("Access-Control-Expose-Headers") == "x-trigger-jwt, x-trigger-jwt-claims, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset" &&
			got.Header.Get("Access-Control-Max-Age") == "300"
		if answered != allowed {
			t.Errorf("%s: preflight answered %v (%d %v), want %v", path, answered, got.Status, got.Header, allowed)
		}
	}
}
