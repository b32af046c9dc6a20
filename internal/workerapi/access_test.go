package workerapi_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"sear/internal/auth"
	"sear/internal/servertest"
	"sear/internal/workerapi"
)

// TestEveryRouteRefuses: a worker has the secret key of its environment. Whatever else comes
// is turned away at each route, except where nobody is asked.
func TestEveryRouteRefuses(t *testing.T) {
	t.Parallel()
	r := setup(t)
	token := func(env, credential string) string {
		t.Helper()
		signed, err := r.auth.PublicToken(t.Context(), r.environment(env, ""), auth.Grant{Scopes: []string{credential}})
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	additional, err := r.auth.AddKey(t.Context(), r.env, "test", []string{"admin"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\{[a-z]+\}`)
	for _, route := range workerapi.Surface() {
		for name, tc := range map[string]struct {
			key    string
			status int
		}{
			"nothing":                   {"", http.StatusUnauthorized},
			"an unknown key":            {"tr_dev_unknown", http.StatusUnauthorized},
			"a public token":            {token(r.keys.SecretKeys.Dev, "admin"), http.StatusUnauthorized},
			"a personal token":          {r.keys.PersonalAccessToken, http.StatusUnauthorized},
			"a preview key, no branch":  {r.keys.SecretKeys.Preview, http.StatusUnauthorized},
			"an additional key for all": {additional, http.StatusForbidden},
		} {
			path := parameter.ReplaceAllString(route.Path, "unknown")
			got, err := servertest.Client{URL: r.URL, Key: tc.key}.Send(t.Context(), route.Method, path, `{}`)
			refused := got.Status == tc.status
			if route.Class == auth.None {
				refused = got.Status != http.StatusUnauthorized && got.Status != http.StatusForbidden
			}
			if err != nil || !refused {
				t.Errorf("%s %s with %s: %d %s %v", route.Method, path, name, got.Status, got.Body, err)
			}
		}
	}
}
