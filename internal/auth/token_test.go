package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/auth"
	"sear/internal/run"
	"sear/internal/tenant"
)

// forge signs a token without the library that verifies it.
func forge(header, payload, key string, h func() hash.Hash) string {
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(payload))
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(text))
	return text + "." + enc.EncodeToString(mac.Sum(nil))
}

const hs256 = `{"alg":"HS256"}`

// payload is what the SDK signs for itself, as captured, with changes: a nil takes
// a claim out.
func payload(t *testing.T, envID string, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"sub": envID, "pub": true,
		"scopes":   []string{"read:runs:run_1", "read:tags:x", "write:waitpoints:w1"},
		"realtime": map[string]any{"skipColumns": []string{"payload"}},
		"iss":      "https://id.trigger.dev", "aud": "https://api.trigger.dev",
		"exp": time.Now().Add(15 * time.Minute).Unix(), "iat": time.Now().Unix(),
	}
	for k, v := range changes {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTokenSignedByTheSDK(t *testing.T) {
	t.Parallel()
	w := setup(t)
	env := w.env(t, tenant.Development)
	p, err := w.Environment(t.Context(), forge(hs256, payload(t, env.ID, nil), w.keys.SecretKeys.Dev, sha256.New), "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Kind != tenant.KindPublic || p.Env.ID != env.ID || p.OneTime != "" || p.ExpiresAt.IsZero() {
		t.Errorf("%+v", p)
	}
	if !p.Can("read", "runs", "run_1") || !p.Can("write", "waitpoints", "w1") || p.Can("read", "runs", "run_2") {
		t.Errorf("scopes %v", p.Scopes)
	}
	if diff := cmp.Diff([]string{"payload"}, p.SkipColumns); diff != "" {
		t.Error(diff)
	}
}

func TestTokenMatrix(t *testing.T) {
	t.Parallel()
	w := setup(t)
	dev, prod := w.env(t, tenant.Development), w.env(t, tenant.Production)
	preview := w.env(t, tenant.Preview)
	branch := w.branch(t, preview, "feat/x")
	k := w.keys.SecretKeys
	now := time.Now()
	const invalid, subject, unknown = "Public Access Token is invalid", "Invalid Public Access Token", "Invalid API key"
	sign := func(changes map[string]any) string {
		return forge(hs256, payload(t, dev.ID, changes), k.Dev, sha256.New)
	}
	good := sign(nil)
	for _, c := range []struct {
		name, token, text string
	}{
		{"as captured", good, ""},
		{"with typ", forge(`{"alg":"HS256","typ":"JWT"}`, payload(t, dev.ID, nil), k.Dev, sha256.New), ""},
		{"audience in a list", sign(map[string]any{"aud": []string{"other", "https://api.trigger.dev"}}), ""},
		{"no scopes", sign(map[string]any{"scopes": nil}), ""},
		{"issued in the future", sign(map[string]any{"iat": now.Add(time.Hour).Unix()}), ""},
		{"a branch, with its root's key", forge(hs256, payload(t, branch.ID, nil), k.Preview, sha256.New), ""},

		{"expired", sign(map[string]any{"exp": now.Add(-time.Second).Unix()}), invalid},
		{"never expires", sign(map[string]any{"exp": nil}), invalid},
		{"not yet valid", sign(map[string]any{"nbf": now.Add(time.Hour).Unix()}), invalid},
		{"other issuer", sign(map[string]any{"iss": "https://evil.example"}), invalid},
		{"no issuer", sign(map[string]any{"iss": nil}), invalid},
		{"other audience", sign(map[string]any{"aud": "trigger:api"}), invalid},
		{"no audience", sign(map[string]any{"aud": nil}), invalid},
		{"wrong key", forge(hs256, payload(t, dev.ID, nil), k.Prod, sha256.New), invalid},
		{"empty key", forge(hs256, payload(t, dev.ID, nil), "", sha256.New), invalid},
		{"other environment's subject", forge(hs256, payload(t, prod.ID, nil), k.Dev, sha256.New), invalid},
		{"another branch's key", forge(hs256, payload(t, branch.ID, nil), k.Dev, sha256.New), invalid},
		{"HS512", forge(`{"alg":"HS512"}`, payload(t, dev.ID, nil), k.Dev, sha512.New), invalid},
		{"HS512 that says HS256", forge(hs256, payload(t, dev.ID, nil), k.Dev, sha512.New), invalid},
		{"alg none", unsigned(`{"alg":"none"}`, payload(t, dev.ID, nil)), invalid},
		{"signature cut off", good[:strings.LastIndex(good, ".")+1], invalid},
		{"another payload", splice(good, payload(t, dev.ID, map[string]any{"scopes": []string{"admin"}})), invalid},
		{"second spelling of the signature", respell(good), invalid},

		{"no subject", sign(map[string]any{"sub": nil}), subject},
		{"empty subject", sign(map[string]any{"sub": ""}), subject},
		{"unknown subject", sign(map[string]any{"sub": "nobody"}), subject},

		{"no pub", sign(map[string]any{"pub": nil}), unknown},
		{"pub false", sign(map[string]any{"pub": false}), unknown},
		{"pub in quotes", sign(map[string]any{"pub": "true"}), unknown},
		{"scopes that are no list", sign(map[string]any{"scopes": "admin"}), unknown},
		{"unknown algorithm", forge(`{"alg":"HS1"}`, payload(t, dev.ID, nil), k.Dev, sha256.New), unknown},
		{"not a token", "a.b.c", unknown},
	} {
		p, err := w.Environment(t.Context(), c.token, "")
		switch {
		case c.text != "":
			refused(t, c.name, err, c.text)
		case err != nil || p.Kind != tenant.KindPublic:
			t.Errorf("%s: %+v, %v", c.name, p, err)
		case c.name == "no scopes" && (len(p.Scopes) > 0 || p.Can("read", "runs", "run_1")):
			t.Errorf("%s: %v", c.name, p.Scopes)
		}
	}
}

// unsigned is a token without a signature.
func unsigned(header, payload string) string {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(payload)) + "."
}

// splice puts another payload between a token's header and signature.
func splice(token, payload string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + parts[2]
}

// respell changes the two bits of a signature's last letter that decode to nothing.
func respell(token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(letters[strings.IndexByte(letters, token[last])|1])
}

func TestMintedTokens(t *testing.T) {
	t.Parallel()
	w := setup(t)
	root := w.env(t, tenant.Preview)
	b := w.branch(t, root, "feat/x")
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	token, err := w.PublicToken(t.Context(), b, auth.Grant{
		Scopes: []string{"trigger:tasks:a"}, Expires: expires, OneTime: true, SkipColumns: []string{"output"},
	})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	if string(header) != hs256 {
		t.Errorf("header %s", header)
	}
	if again := forgeParts(parts[0], parts[1], w.keys.SecretKeys.Preview); again != token {
		t.Error("the token is not signed with the root's key")
	}
	p, err := w.Environment(t.Context(), token, "")
	want := tenant.Principal{
		Kind: tenant.KindPublic, Env: b, Scopes: []string{"trigger:tasks:a"}, Credential: p.OneTime, OneTime: p.OneTime,
		ExpiresAt: expires, SkipColumns: []string{"output"}, Maker: p.Maker,
	}
	if diff := cmp.Diff(want, p); err != nil || diff != "" || p.OneTime == "" || p.Maker == "" {
		t.Errorf("OneTime %q, %v\n%s", p.OneTime, err, diff)
	}
}

// TestMakers: a credential that is held to scopes acts for itself, or for the one that it came
// from. Keys with the environment's rights own no keys, and nor do those that have them.
func TestMakers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	env := w.env(t, tenant.Development)
	token := func(maker string, scopes ...string) tenant.Principal {
		t.Helper()
		text, err := w.PublicToken(t.Context(), env, auth.Grant{Scopes: scopes, Maker: maker})
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.Environment(t.Context(), text, "")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	additional, err := w.AddKey(t.Context(), env, "x", []string{"read:runs"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.Environment(t.Context(), additional, "")
	if err != nil {
		t.Fatal(err)
	}
	root, err := w.Environment(t.Context(), w.keys.SecretKeys.Dev, "")
	if err != nil || root.KeyOwner() != "" {
		t.Errorf("the secret key owns the keys of %q, %v", root.KeyOwner(), err)
	}
	page, other := token("", "a"), token("", "b")
	makers := []string{page.KeyOwner(), other.KeyOwner(), key.KeyOwner(), token("", "read:runs").KeyOwner(), token("", "write:runs").KeyOwner()}
	for i, m := range makers {
		if len(m) != run.OwnerLen || slices.Contains(makers[:i], m) {
			t.Errorf("credential %d owns the keys of %q, of %q", i, m, makers)
		}
	}
	if got := token(page.Maker, "b").KeyOwner(); got != page.Maker {
		t.Errorf("a token that came from the page acts for %q, want %q", got, page.Maker)
	}
	for _, odd := range []string{"x", strings.Repeat("x", run.OwnerLen), page.Maker + "0", page.Maker[1:] + "\x00"} {
		if got := token(odd, "c").KeyOwner(); len(got) != run.OwnerLen || got == odd {
			t.Errorf("a token that says it acts for %q acts for %q", odd, got)
		}
	}
	for _, scopes := range [][]string{{"admin"}, {"read:runs", "write:runs"}, {"*:all"}, {"*:runs"}} {
		if got := token("", scopes...).KeyOwner(); got != "" {
			t.Errorf("%v owns the keys of %q, want those of the environment", scopes, got)
		}
	}
}

func forgeParts(header, payload, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s.%s", header, payload)
	return header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestMintedTokenExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		token, err := w.PublicToken(t.Context(), w.env(t, tenant.Development), auth.Grant{Scopes: []string{"read:runs"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(auth.DefaultTokenTTL - time.Second)
		if _, err := w.Environment(t.Context(), token, ""); err != nil {
			t.Errorf("a second before its end: %v", err)
		}
		time.Sleep(time.Second)
		_, err = w.Environment(t.Context(), token, "")
		refused(t, "at its end", err, "Public Access Token is invalid")
	})
}

func TestClaims(t *testing.T) {
	t.Parallel()
	env := &tenant.Environment{ID: "e1"}
	for want, c := range map[string]auth.Claims{
		`{"sub":"e1","pub":true}`:                              auth.ClaimsFor(env),
		`{"sub":"e1","pub":true,"scopes":["read:runs:run_1"]}`: auth.ClaimsFor(env, "read:runs:run_1"),
	} {
		if got, err := json.Marshal(c); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

// FuzzCredential looks for a credential that is let in without having been given out.
func FuzzCredential(f *testing.F) {
	f.Add("tr_dev_x")
	f.Add(hs256)
	f.Add("a.b.c")
	f.Add(unsigned(`{"alg":"none"}`, `{"pub":true,"sub":"x"}`))
	f.Add(forge(hs256, `{"pub":true,"sub":"x","exp":99999999999}`, "", sha256.New))
	w := setup(f)
	f.Fuzz(func(t *testing.T, credential string) {
		if p, err := w.Environment(t.Context(), credential, ""); err == nil {
			t.Fatalf("%q is let in as %+v", credential, p)
		}
	})
}
