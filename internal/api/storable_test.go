package api_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"sear/internal/servertest"
)

// TestTextsNoDatabaseTakes: Postgres has no place for null characters and broken UTF-8.
// Wherever they come in, both databases refuse them alike, and nothing is a server's error.
func TestTextsNoDatabaseTakes(t *testing.T) {
	t.Parallel()
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	onBoth(t, func(t *testing.T, s *site) {
		project := "/api/v1/projects/"
		pat, preview := s.with(s.keys.PersonalAccessToken), s.with(s.keys.SecretKeys.Preview)
		branch := func(c servertest.Client) servertest.Client { return headers(c, "X-Trigger-Branch", "\xff\xfe") }
		for _, c := range []struct {
			name         string
			client       servertest.Client
			method, path string
			body         any
			status       int
			says         string
		}{
			{"a token's subject", s.with(encode(`{"alg":"HS256"}`) + "." + encode(`{"pub":true,"sub":"a\u0000b"}`) + ".AAAA"), "GET", "/api/v1/runs", nil,
				401, "Invalid Public Access Token"},
			{"a branch", branch(preview), "GET", "/api/v1/runs", nil, 401, "No matching branch env"},
			{"a branch of a user", branch(pat), "GET", s.vars("preview"), nil, 404, "Branch not found"},
			{"a branch of a worker", branch(pat), "GET", project + s.keys.ProjectRef + "/preview/workers/current", nil, 404, "Worker not found"},
			{"a project", pat, "GET", project + "%00/prod", nil, 400, "Invalid URL encoding"},
			{"a project of branches", pat, "POST", project + "%00/branches", `{"env":"preview","branch":"b"}`, 400, "Invalid URL encoding"},
			{"a project of archived branches", pat, "POST", project + "%00/branches/archive", `{"env":"preview","branch":"b"}`, 400, "Invalid URL encoding"},
			{"a project asked about", pat, "GET", "/api/v2/whoami?projectRef=%00", nil, 200, "userId"},
			{"a name", pat, "POST", "/api/v1/profile/complete", `{"name":"ab\u0000c"}`, 400, "Null characters"},
			{"a cursor", s.Client, "GET", errorsPath + "?page[after]=" + encode("1.\x00"), nil, 400, "Invalid cursor"},
		} {
			if got := c.client.Call(t, c.method, c.path, c.body); got.Status != c.status || !strings.Contains(string(got.Body), c.says) {
				t.Errorf("%s: %d %s, want %d %s", c.name, got.Status, got.Body, c.status, c.says)
			}
		}
	})
}

// TestOldKeyIsNotShownTheNew: whoever holds a key that was replaced gets no further than its grace.
func TestOldKeyIsNotShownTheNew(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		at := "/api/v1/projects/" + s.keys.ProjectRef + "/dev"
		pat := s.with(s.keys.PersonalAccessToken)
		fresh := body[struct{ APIKey string }](t, pat.Call(t, "POST", at+"/keys/rotate", `{"graceSeconds":60}`)).APIKey
		shown := func(c servertest.Client) string {
			return body[struct{ APIKey string }](t, c.Call(t, http.MethodGet, at, nil)).APIKey
		}
		if got := shown(s.Client); got != s.keys.SecretKeys.Dev {
			t.Errorf("the old key is shown %s", got)
		}
		if got := shown(pat); got != fresh {
			t.Errorf("a user is shown %s", got)
		}
		token := body[struct{ Token string }](t, s.Call(t, "POST", "/api/v1/auth/public-tokens", `{"scopes":["admin"],"expirationTime":"30d"}`)).Token
		p, err := s.auth.Environment(t.Context(), token, "")
		old, oldErr := s.auth.Environment(t.Context(), s.keys.SecretKeys.Dev, "")
		if err != nil || oldErr != nil || p.ExpiresAt.After(old.ExpiresAt) || old.ExpiresAt.IsZero() {
			t.Errorf("its token ends at %s, itself at %s; %v %v", p.ExpiresAt, old.ExpiresAt, err, oldErr)
		}
	})
}
