package api

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/auth"
	"sear/internal/tenant"
)

func TestJWTClaims(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	p, err := s.Environment(t.Context(), s.keys.SecretKeys.Dev, "")
	if err != nil {
		t.Fatal(err)
	}
	const path = "/api/v1/auth/jwt/claims"
	want := fields{"sub": p.Env.ID, "pub": true, "jti": "*"}
	first := s.expect(t, 200, want, "POST", path, s.keys.SecretKeys.Dev, "")
	second := s.expect(t, 200, want, "POST", path, s.keys.SecretKeys.Dev, "")
	if first["jti"] == second["jti"] {
		t.Errorf("both tokens that a client signs of these claims have the id %v", first["jti"])
	}
}

func TestOneTimeTokensOfOneSecondDiffer(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	seen := map[any]bool{}
	for range 20 {
		got := s.expect(t, 200, fields{"token": "*"}, "POST", "/api/v1/auth/public-tokens", s.keys.SecretKeys.Dev,
			`{"scopes":["trigger:tasks:a"],"oneTimeUse":true}`)
		if seen[got["token"]] {
			t.Fatalf("one text twice: %v", got["token"])
		}
		seen[got["token"]] = true
	}
}

func TestServerSignedTokens(t *testing.T) {
	t.Parallel()
	s := setupAccounts(t)
	p, err := s.Environment(t.Context(), s.keys.SecretKeys.Dev, "")
	if err != nil {
		t.Fatal(err)
	}
	held := []string{"read:runs", "trigger:tasks:a"}
	scoped, err := s.AddKey(t.Context(), p.Env, "ci", held, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	const path = "/api/v1/auth/public-tokens"
	body := `{"scopes":["read:runs:run_1","trigger:tasks:a"],"expirationTime":"1h","oneTimeUse":true,"realtime":{"skipColumns":["payload"]}}`
	got := s.expect(t, 200, fields{"token": "*"}, "POST", path, scoped, body)
	token, _ := got["token"].(string)
	q, err := s.Environment(t.Context(), token, "")
	if err != nil {
		t.Fatal(err)
	}
	want := tenant.Principal{
		Kind: tenant.KindPublic, Env: q.Env, Scopes: []string{"read:runs:run_1", "trigger:tasks:a"},
		Maker: q.Maker, Credential: q.OneTime, OneTime: q.OneTime, ExpiresAt: q.ExpiresAt, SkipColumns: []string{"payload"},
	}
	if diff := cmp.Diff(want, q); diff != "" || q.Env.ID != p.Env.ID || q.OneTime == "" {
		t.Error(diff)
	}
	if d := time.Until(q.ExpiresAt); d < 59*time.Minute || d > time.Hour {
		t.Errorf("expires in %v", d)
	}
	s.expect(t, 403, fields{
		"error": "Requested scopes exceed the API key's access", "code": "scopes_exceed_key_access",
		"deniedScopes": []any{"read:tags", "admin"}, "param": "access_token", "type": "authorization",
	}, "POST", path, scoped, `{"scopes":["read:runs","read:tags","admin"]}`)
	s.expect(t, 200, fields{"token": "*"}, "POST", path, s.keys.SecretKeys.Dev, `{"scopes":["admin"]}`)
	s.expect(t, 400, fields{"error": "*"}, "POST", path, scoped, `{"scopes":[]}`)
	s.expect(t, 400, fields{"error": "Invalid expiration time"}, "POST", path, scoped, `{"scopes":["read:runs"],"expirationTime":"soon"}`)
	s.expect(t, 401, fields{"error": "Invalid API key"}, "POST", path, token, `{"scopes":["read:runs"]}`)

	s.expect(t, 200, fields{"token": "*"}, "POST", "/api/v1/auth/jwt", s.keys.SecretKeys.Dev, "")
	got = s.expect(t, 200, fields{"token": "*"}, "POST", "/api/v1/auth/jwt", s.keys.SecretKeys.Dev, `{"claims":{"scopes":["read:tags:x"]}}`)
	token, _ = got["token"].(string)
	if q, err := s.Environment(t.Context(), token, ""); err != nil || !q.Can("read", "tags", "x") || q.Can("read", "tags", "y") {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestParseExpiration(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	const invalid, past, long = "Invalid expiration time", "Expiration time must be in the future", "Expiration time cannot exceed 30 days"
	for _, c := range []struct {
		raw  string
		want time.Duration
		text string
	}{
		{"", auth.DefaultTokenTTL, ""},
		{"null", auth.DefaultTokenTTL, ""},
		{`"15m"`, 15 * time.Minute, ""},
		{`"1h"`, time.Hour, ""},
		{`"1.5 hours"`, 90 * time.Minute, ""},
		{`"2 Days"`, 48 * time.Hour, ""},
		{`"30s from now"`, 30 * time.Second, ""},
		{`"30d"`, 30 * 24 * time.Hour, ""},
		{"1800000060", time.Minute, ""},
		{"1800000000", 0, past},
		{"1700000000", 0, past},
		{`"0s"`, 0, past},
		{`"0.0000000001s"`, 0, past},
		{`"31d"`, 0, long},
		{`"1y"`, 0, long},
		{"9e300", 0, long},
		{`"999999999999999999999999999y"`, 0, long},
		{`"soon"`, 0, invalid},
		{`"15"`, 0, invalid},
		{`"-5m"`, 0, invalid},
		{`"5m ago"`, 0, invalid},
		{`""`, 0, invalid},
		{`{}`, 0, invalid},
		{"true", 0, invalid},
		{"1e999", 0, invalid},
	} {
		got, err := parseExpiration(json.RawMessage(c.raw), now)
		switch {
		case c.text != "" && (err == nil || err.Error() != c.text):
			t.Errorf("%s: %v, want %s", c.raw, err, c.text)
		case c.text == "" && (err != nil || got.Sub(now) != c.want):
			t.Errorf("%s: in %v, %v; want %v", c.raw, got.Sub(now), err, c.want)
		}
	}
}

func FuzzParseExpiration(f *testing.F) {
	for _, s := range []string{`"15m"`, `1800000060`, `"1.5 hours from now"`, `null`, `"+ 5s"`, `-1e308`, `"99999999999999999999y"`} {
		f.Add(s)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseExpiration(json.RawMessage(s), now)
		if err == nil && (!got.After(now) || got.Sub(now) > maxTokenTTL) {
			t.Fatalf("%q ends %v from now", s, got.Sub(now))
		}
	})
}
