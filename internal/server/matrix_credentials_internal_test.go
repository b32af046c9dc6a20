package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/id"
	"sear/internal/store"
	"sear/internal/tenant"
)

// powers is what a credential may do, as far as the test relies on it.
type powers int

const (
	some powers = iota // what its scopes say, or all
	acts               // it may act on things, and read nothing
	none               // nothing at all
)

// credential is one way to say who calls.
type credential struct {
	group, name string
	headers     func() http.Header
	class       string // "" for one that is not valid anywhere
	env         string // the environment that it belongs to, or everywhere
	powers      powers
}

// nobody is a call without a credential.
var nobody = http.Header{}

// header is a call with a text as the credential.
func header(authorization string) http.Header { return http.Header{"Authorization": {authorization}} }

// bearer is always the same credential.
func bearer(text string, pairs ...string) func() http.Header {
	return func() http.Header {
		h := header("Bearer " + text)
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
}

// credentials are all of them, those that may change something last: each is to find things
// as they were made.
func (w *world) credentials() (all []credential) {
	w.t.Helper()
	add := func(group, class, env string, p powers, list ...named) {
		for _, n := range list {
			all = append(all, credential{group, n.name, n.headers, class, env, p})
		}
	}
	old, graced := w.rotations()
	add("invalid", "", "", none, w.missing()...)
	add("invalid", "", "", none, w.misspelled()...)
	add("invalid", "", "", none, w.ended(old)...)
	add("invalid", "", "", none, w.forged()...)
	add("metrics", metric, "", some, named{"metrics token", bearer(metricsToken)})
	add("keys without rights", additionalKey, target, none,
		named{"key without scopes", bearer(w.additional())}, named{"key with a scope of nothing", bearer(w.additional("read:nothing"))})
	add("tokens without rights", publicToken, target, none, w.powerless()...)

	elsewhere := func(name, env, key string, pairs ...string) {
		add("keys elsewhere", secretKey, env, some, named{name, bearer(key, pairs...)})
	}
	elsewhere("dev key", "dev", w.domain("dev").key)
	elsewhere("dev key with a branch", "dev", w.domain("dev").key, auth.BranchHeader, "default")
	elsewhere("staging key", "staging", w.domain("staging").key)
	elsewhere("staging key with prod as its branch", "staging", w.domain("staging").key, auth.BranchHeader, "prod")
	elsewhere("preview key with a branch", "preview", w.keys.SecretKeys.Preview, auth.BranchHeader, "feat")
	elsewhere("other tenant's key", "other", w.domain("other").key)
	for _, d := range w.domains[1:] {
		add("additional keys elsewhere", additionalKey, d.name, some, named{d.name + " additional key for everything", bearer(w.additionalOf(d.name, "admin"))})
	}
	for _, d := range w.domains[1:] {
		add("tokens elsewhere", publicToken, d.name, some, named{d.name + " token for everything", bearer(w.token(d.name, auth.Grant{Scopes: []string{"admin"}}))})
	}
	pat, cookie := w.otherUser()
	add("other user's token", personalToken, "other", some, named{"other user's token", w.personal(pat)})
	add("sessions", session, "other", some, named{"other user's session", cookie})

	for _, scope := range w.scopes() {
		add("tokens with one scope", publicToken, target, scope.powers, named{"token " + scope.name, bearer(w.token(target, auth.Grant{Scopes: []string{scope.text}}))})
	}
	for _, scope := range []string{"read:runs", "write:runs", "trigger:tasks", "read:envvars", "write:envvars"} {
		add("keys with one scope", additionalKey, target, some, named{"key " + scope, bearer(w.additional(scope))})
	}
	add("tokens for everything", publicToken, target, some, named{"token admin", bearer(w.token(target, auth.Grant{Scopes: []string{"admin"}}))}, named{"token admin for one use", w.once})
	add("keys for everything", additionalKey, target, some, named{"key admin", bearer(w.additional("admin"))})
	add("prod keys", secretKey, target, some, named{"prod key", bearer(w.target().key)}, named{"prod key with the scheme in lower case", lower(w.target().key)},
		named{"prod key with a branch", bearer(w.target().key, auth.BranchHeader, "feat")}, named{"prod key replaced and in its grace", bearer(graced)})
	add("sessions", session, everywhere, some, named{"owner's session", w.session(w.keys.PersonalAccessToken)})
	add("owner's token", personalToken, everywhere, some, named{"owner's personal token", w.personal(w.keys.PersonalAccessToken)})
	for i := range all { // each calls from an address of its own
		inner, from := all[i].headers, "192.0.2."+strconv.Itoa(i+1)
		all[i].headers = func() http.Header {
			h := inner()
			h.Set("X-Forwarded-For", from)
			return h
		}
	}
	return all
}

// named is a credential before it is sorted in.
type named struct {
	name    string
	headers func() http.Header
}

func raw(authorization string) func() http.Header {
	return func() http.Header { return header(authorization) }
}

func lower(key string) func() http.Header { return raw("bearer " + key) }

func (w *world) missing() []named {
	key := w.target().key
	return []named{
		{"nothing", func() http.Header { return nobody.Clone() }}, {"empty", raw("")}, {"empty bearer", raw("Bearer ")}, {"garbage", raw("Bearer \u00e4 garbage/../x")},
		{"key without a scheme", raw(key)}, {"key as a password", raw("Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"+key)))},
		{"key in a cookie", func() http.Header { return http.Header{"Cookie": {"sear_session=" + key}} }},
		{"unknown key", raw("Bearer tr_prod_000000000000000000000000")}, {"unknown personal token", raw("Bearer " + tenant.PATPrefix + strings.Repeat("0", 40))},
	}
}

func (w *world) misspelled() []named {
	key, pat, preview := w.target().key, w.keys.PersonalAccessToken, w.keys.SecretKeys.Preview
	return []named{
		{"key in capitals", bearer(strings.ToUpper(key))}, {"key and a character", bearer(key + "x")}, {"key less a character", bearer(key[:len(key)-1])},
		{"key twice", bearer(key + " " + key)}, {"personal token and a character", bearer(pat + "x")},
		{"preview key without a branch", bearer(preview)}, {"preview key with an unknown branch", bearer(preview, auth.BranchHeader, "none")},
		{"preview key with a path as its branch", bearer(preview, auth.BranchHeader, "../prod")},
	}
}

// rotations replace the target's key twice: what is left are a key that has ended, one in its
// grace, and the one that is in force.
func (w *world) rotations() (old, graced string) {
	d := w.target()
	rotate := func(grace time.Duration) string {
		was := d.key
		key, _, err := w.auth.RotateKey(w.t.Context(), d.env, grace)
		if err != nil {
			w.t.Fatal(err)
		}
		d.key, d.secrets = key, append(d.secrets, key)
		return was
	}
	old = rotate(0)
	return old, rotate(24 * time.Hour)
}

func (w *world) ended(old string) []named {
	d, now := w.target(), time.Now()
	expired, err := w.auth.AddKey(w.t.Context(), d.env, "expired", []string{"admin"}, now.Add(-time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	revoked := w.additional("admin")
	pat, session := tenant.PATPrefix+id.Random(id.Readable, 40), id.Random(id.Alnum, 43)
	w.change(func(tx *store.Tx) error {
		k, _, err := tx.APIKeyByHash(hashed(revoked), now)
		if err != nil {
			return err
		}
		if err := tx.ExpireAPIKey(k.ID, now.Add(-time.Second)); err != nil {
			return err
		}
		user, _, err := tx.UserByPAT(hashed(w.keys.PersonalAccessToken), now)
		if err != nil {
			return err
		}
		row := store.PAT{ID: id.New(now), UserID: user.ID, Name: "revoked", Hash: hashed(pat), Obfuscated: "x", CreatedAt: now}
		if err := tx.AddPAT(row); err != nil {
			return err
		}
		if err := tx.AddSession(hashed(session), user.ID, now, now.Add(-time.Second)); err != nil {
			return err
		}
		return tx.RevokePAT(row.ID, now)
	})
	return []named{
		{"key that was replaced", bearer(old)}, {"key that expired", bearer(expired)}, {"key that was revoked", bearer(revoked)},
		{"personal token that was revoked", bearer(pat)}, {"session that ended", cookie(session)},
		{"token that expired", bearer(w.token(target, auth.Grant{Scopes: []string{"admin"}, Expires: now.Add(-time.Minute)}))},
		{"token of a key that was replaced", bearer(w.signed(w.claims(nil), hs256, old))},
	}
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%x", sum)
}

func cookie(session string) func() http.Header {
	return func() http.Header { return http.Header{"Cookie": {"sear_session=" + session}} }
}

// additional is an additional key of the target.
func (w *world) additional(scopes ...string) string { return w.additionalOf(target, scopes...) }

func (w *world) additionalOf(env string, scopes ...string) string {
	w.t.Helper()
	key, err := w.auth.AddKey(w.t.Context(), w.domain(env).env, "test", scopes, time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

// token is a public token that an environment has signed.
func (w *world) token(env string, g auth.Grant) string {
	w.t.Helper()
	if g.Expires.IsZero() {
		g.Expires = time.Now().Add(time.Hour)
	}
	text, err := w.auth.PublicToken(w.t.Context(), w.domain(env).env, g)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// once is a token for one use, another for each call.
func (w *world) once() http.Header {
	w.t.Helper()
	return header("Bearer " + w.token(target, auth.Grant{Scopes: []string{"admin", id.Random(id.Alnum, 8)}, OneTime: true}))
}

func (w *world) powerless() (list []named) {
	for _, c := range []struct {
		name   string
		scopes []string
	}{
		{"token without scopes", nil}, {"token with an empty scope", []string{""}}, {"token with a scope of nothing", []string{"read:nothing"}},
		{"token with scopes that say no thing", []string{"read", "write", "trigger", "read:", "write:", ":runs", "*", "admin:all", "admin:"}},
		{"token with scopes of empty ids", []string{"read:runs:", "write:runs:", "read:tasks:", "trigger:tasks:", "read:batch:", "write:waitpoints:"}},
		{"token with scopes in odd spellings", []string{"READ:RUNS", " read:runs", "read:runs ", "read: runs", "Admin", "read,runs", "read.runs"}},
		{"token for another run", []string{"read:runs:run_other", "read:tags:none", "read:tasks:none", "read:batch:batch_none"}},
	} {
		list = append(list, named{c.name, bearer(w.token(target, auth.Grant{Scopes: c.scopes}))})
	}
	return list
}

// scope is a right, and what it is called where it names a thing.
type scope struct {
	name, text string
	powers     powers
}

// scopes are one of each kind.
func (w *world) scopes() (list []scope) {
	d := w.target()
	things := strings.NewReplacer("RUN", d.things["{run}"], "BATCH", d.things["{batch}"], "TOKEN", d.things["{waitpoint}"], "QUEUE", d.things["{queue}"])
	for _, name := range []string{
		"read:runs", "read:runs:RUN", "read:tasks", "read:tasks:my-task", "read:tags:shop", "read:batch", "read:batch:BATCH", "read:queues", "read:queues:QUEUE",
		"read:deployments", "read:errors", "read:waitpoints", "read:all", "*:runs",
		"write:errors", // it is answered with the error that it changes
	} {
		list = append(list, scope{name, things.Replace(name), some})
	}
	for _, name := range []string{
		"write:runs", "write:runs:RUN", "write:tasks", "write:tasks:my-task", "write:batch:BATCH", "write:waitpoints", "write:waitpoints:TOKEN",
		"trigger:tasks", "trigger:tasks:my-task", "batchTrigger:tasks", "batchTrigger:tasks:my-task",
	} {
		list = append(list, scope{name, things.Replace(name), acts})
	}
	return list
}

// otherUser is a member of the other organisation.
func (w *world) otherUser() (pat string, cookie func() http.Header) {
	now := time.Now()
	pat = tenant.PATPrefix + id.Random(id.Readable, 40)
	user := tenant.User{ID: id.New(now), Email: "other@example.com", CreatedAt: now}
	w.change(func(tx *store.Tx) error {
		if err := tx.AddUser(user, ""); err != nil {
			return err
		}
		if err := tx.AddMember(w.domain("other").env.OrgID, user.ID, tenant.Owner, now); err != nil {
			return err
		}
		return tx.AddPAT(store.PAT{ID: id.New(now), UserID: user.ID, Name: "other", Hash: hashed(pat), Obfuscated: "x", CreatedAt: now})
	})
	return pat, w.session(pat)
}

// personal is a personal access token that works, also after a route has ended it.
func (w *world) personal(pat string) func() http.Header {
	var tokenID string
	w.change(func(tx *store.Tx) (err error) {
		_, tokenID, err = tx.UserByPAT(hashed(pat), time.Now())
		return err
	})
	return func() http.Header {
		w.change(func(tx *store.Tx) error { return tx.RevokePAT(tokenID, time.Now().Add(time.Hour)) })
		return header("Bearer " + pat)
	}
}

// session is a browser that is signed in, also after it has signed out.
func (w *world) session(pat string) func() http.Header {
	works := w.personal(pat)
	return func() http.Header {
		works()
		text, err := w.auth.SignIn(w.t.Context(), "", "", pat)
		if err != nil {
			w.t.Fatal(err)
		}
		return cookie(text)()
	}
}

// What the parts of a token are when nothing is wrong with it.
const hs256 = `{"alg":"HS256"}`

func (w *world) claims(change map[string]any) map[string]any {
	now := time.Now()
	all := map[string]any{"sub": w.target().env.ID, "pub": true, "scopes": []string{"admin"}, "iss": "https://id.trigger.dev",
		"aud": "https://api.trigger.dev", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for name, v := range change {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	return all
}

// signed is a token with a signature by a key, without the library that verifies it.
func (w *world) signed(claims map[string]any, head, key string) string {
	return sign(claims, head, key, sha256.New)
}

func sign(claims map[string]any, head, key string, h func() hash.Hash) string {
	payload, _ := json.Marshal(claims)
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(head)) + "." + enc.EncodeToString(payload)
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(text))
	return text + "." + enc.EncodeToString(mac.Sum(nil))
}

// forged are tokens that somebody has made who has no key of the target, or that are wrong
// although somebody has.
func (w *world) forged() (list []named) {
	key, now := w.target().key, time.Now()
	with := func(name string, v any) map[string]any { return w.claims(map[string]any{name: v}) }
	unsigned := func(head string) string {
		text := w.signed(w.claims(nil), head, "")
		return text[:strings.LastIndexByte(text, '.')+1]
	}
	good := w.signed(w.claims(nil), hs256, key)
	for name, text := range map[string]string{
		"alg none": unsigned(`{"alg":"none"}`), "alg None": unsigned(`{"alg":"None"}`), "no signature": unsigned(hs256), "no alg": unsigned(`{}`),
		"HS384": sign(w.claims(nil), `{"alg":"HS384"}`, key, sha512.New384), "HS512": sign(w.claims(nil), `{"alg":"HS512"}`, key, sha512.New),
		"RS256": w.signed(w.claims(nil), `{"alg":"RS256"}`, key), "kid of a path": w.signed(w.claims(nil), `{"alg":"HS256","kid":"../../../dev/null"}`, ""),
		"kid of SQL":           w.signed(w.claims(nil), `{"alg":"HS256","kid":"x' UNION SELECT 'k' --"}`, "k"),
		"embedded key":         w.signed(w.claims(nil), `{"alg":"HS256","jwk":{"kty":"oct","k":"aw"}}`, "k"),
		"empty key":            w.signed(w.claims(nil), hs256, ""),
		"no end":               w.signed(with("exp", nil), hs256, key),
		"end is a text":        w.signed(with("exp", "2099-01-01"), hs256, key),
		"not yet":              w.signed(with("nbf", now.Add(time.Hour).Unix()), hs256, key),
		"other issuer":         w.signed(with("iss", "https://example.com"), hs256, key),
		"other audience":       w.signed(with("aud", "https://example.com"), hs256, key),
		"by the dev key":       w.signed(w.claims(nil), hs256, w.domain("dev").key),
		"by other tenant":      w.signed(w.claims(nil), hs256, w.domain("other").key),
		"by the env's id":      w.signed(w.claims(nil), hs256, w.target().env.ID),
		"by an additional key": w.signed(w.claims(nil), hs256, w.additional("admin")),
		"not public":           w.signed(with("pub", false), hs256, key), "of no env": w.signed(with("sub", id.New(now)), hs256, key),
		"of an env by its path": w.signed(with("sub", "../"+w.target().env.ID), hs256, key),
		"four segments":         good + ".x", "changed claims": swap(good, w.claims(map[string]any{"scopes": []string{"admin", "x"}})),
		"scopes are a text": w.signed(with("scopes", "admin"), hs256, key), "scopes are numbers": w.signed(with("scopes", []int{1}), hs256, key),
		"signature in another spelling": respelled(good),
	} {
		list = append(list, named{name, bearer(text)})
	}
	return sortedByName(list)
}

// swap is a token with other claims under the same signature.
func swap(token string, claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	parts := strings.Split(token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2]
}

// respelled changes the two bits of a signature's last letter that decode to nothing.
func respelled(token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(letters[strings.IndexByte(letters, token[last])|1])
}
