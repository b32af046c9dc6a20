package auth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sear/internal/auth"
	"sear/internal/tenant"
)

// ask sends a request through Require and returns the principal the handler saw.
func ask(w *world, header http.Header, classes ...auth.Class) (*httptest.ResponseRecorder, *tenant.Principal) {
	var seen *tenant.Principal
	h := w.Require(classes...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p := auth.From(r.Context())
		seen = &p
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = header
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec, seen
}

func bearer(credential string) http.Header {
	return http.Header{"Authorization": {"Bearer " + credential}}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	w := setup(t)
	dev := w.env(t, tenant.Development)
	root, pat := w.keys.SecretKeys.Dev, w.keys.PersonalAccessToken
	scoped, err := w.AddKey(t.Context(), dev, "ci", []string{"read:runs"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	public, err := w.PublicToken(t.Context(), dev, auth.Grant{Scopes: []string{"read:runs"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		classes    []auth.Class
		credential string
		kind       tenant.Kind
		status     int
		text       string
	}{
		{"root key", []auth.Class{auth.SecretKey}, root, tenant.KindSecretKey, 200, ""},
		{"root key to PAT or key", []auth.Class{auth.PAT, auth.SecretKey}, root, tenant.KindSecretKey, 200, ""},
		{"root key to PAT", []auth.Class{auth.PAT}, root, "", 401, "Invalid or Missing Access Token"},
		{"root key to public", []auth.Class{auth.PublicJWT}, root, "", 403, "Unauthorized"},
		{"scoped key", []auth.Class{auth.SecretKey, auth.ScopedKey}, scoped, tenant.KindScopedKey, 200, ""},
		{"scoped key to root", []auth.Class{auth.SecretKey}, scoped, "", 403, "Unauthorized"},
		{"scoped key to root or public", []auth.Class{auth.SecretKey, auth.PublicJWT}, scoped, "", 403, "Unauthorized"},
		{"public token", []auth.Class{auth.SecretKey, auth.PublicJWT}, public, tenant.KindPublic, 200, ""},
		{"public token to root", []auth.Class{auth.SecretKey}, public, "", 401, "Invalid API key"},
		{"public token to PAT", []auth.Class{auth.PAT}, public, "", 401, "Invalid or Missing Access Token"},
		{"PAT", []auth.Class{auth.PAT}, pat, tenant.KindPAT, 200, ""},
		{"PAT to PAT or key", []auth.Class{auth.SecretKey, auth.PAT}, pat, tenant.KindPAT, 200, ""},
		{"PAT to root", []auth.Class{auth.SecretKey}, pat, "", 401, "Invalid API key"},
		{"none to root", []auth.Class{auth.SecretKey}, "", "", 401, "Invalid or Missing API key"},
		{"none to PAT", []auth.Class{auth.PAT}, "", "", 401, "Invalid or Missing Access Token"},
		{"none to PAT or key", []auth.Class{auth.PAT, auth.SecretKey}, "", "", 401, "Invalid or Missing API key"},
		{"anything to none", []auth.Class{auth.None}, "junk", tenant.KindNone, 200, ""},
	} {
		rec, p := ask(w, bearer(c.credential), c.classes...)
		if rec.Code != c.status || (p != nil) != (c.status == 200) {
			t.Errorf("%s: %d %s, handler reached %v; want %d", c.name, rec.Code, rec.Body, p != nil, c.status)
			continue
		}
		if p != nil {
			if p.Kind != c.kind {
				t.Errorf("%s: %q, want %q", c.name, p.Kind, c.kind)
			}
			continue
		}
		var body struct{ Error, Code string }
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || body.Error != c.text {
			t.Errorf("%s: %s, %v; want %q", c.name, rec.Body, err, c.text)
		}
		if (body.Code == "unauthorized") != (c.status == 403) {
			t.Errorf("%s: code %q", c.name, body.Code)
		}
	}
}

func TestRequireReadsHeaders(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.branch(t, w.env(t, tenant.Preview), "feat/x")
	key := w.keys.SecretKeys.Preview
	for _, c := range []struct {
		header http.Header
		ok     bool
	}{
		{http.Header{"Authorization": {"Bearer " + key}, "X-Trigger-Branch": {"feat/x"}}, true},
		{http.Header{"Authorization": {"bearer  " + key + " "}, "X-Trigger-Branch": {"feat/x"}}, true},
		{http.Header{"Authorization": {key}, "X-Trigger-Branch": {"feat/x"}}, false},
		{http.Header{"Authorization": {"Basic " + key}, "X-Trigger-Branch": {"feat/x"}}, false},
		{http.Header{"Authorization": {"Bearer " + key}}, false},
		{http.Header{"Authorization": {"Bearer"}}, false},
	} {
		rec, p := ask(w, c.header, auth.SecretKey)
		if c.ok != (p != nil) || c.ok && p.Env.ID != b.ID {
			t.Errorf("%v: %d %s, %+v", c.header, rec.Code, rec.Body, p)
		}
		if strings.Contains(rec.Body.String(), key) {
			t.Errorf("%v: the answer shows the key", c.header)
		}
	}
}

func TestRouteWithoutClassPanics(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, classes := range [][]auth.Class{{}, {auth.None, auth.PAT}, {auth.SecretKey, auth.None}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("classes %v are accepted", classes)
				}
			}()
			w.Require(classes...)
		}()
	}
}

func TestNoPrincipal(t *testing.T) {
	t.Parallel()
	if p := auth.From(t.Context()); p.Kind != tenant.KindNone || p.Can("read", "runs", "") {
		t.Errorf("%+v", p)
	}
}

func BenchmarkRequireKey(b *testing.B) {
	w := setup(b)
	h := w.Require(auth.SecretKey)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = bearer(w.keys.SecretKeys.Dev)
	rec := httptest.NewRecorder()
	for b.Loop() {
		h.ServeHTTP(rec, r)
	}
	if rec.Code != 200 {
		b.Fatal(rec.Code)
	}
}

func BenchmarkPublicToken(b *testing.B) {
	w := setup(b)
	env := w.env(b, tenant.Development)
	var token string
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			var err error
			if token, err = w.PublicToken(b.Context(), env, auth.Grant{Scopes: []string{"read:runs:run_1"}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.Environment(b.Context(), token, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}
