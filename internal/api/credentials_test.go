package api_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/servertest"
	"sear/internal/store"
)

// life is how the owner of a credential follows it from its making to its end.
type life struct {
	secret  string                              // the credential
	works   func(secret string) bool            // whether it is accepted
	listed  func(api.Credential) bool           // whether a line of the list is about it
	replace func(line api.Credential) string    // makes the successor, and the old one ends at once
	end     func(line api.Credential, s string) // ends the credential s
}

// TestEveryCredentialIsListedReplacedAndEnded: for each class of credentials there is a way to see
// that it exists, to make another in its place, and to end it.
func TestEveryCredentialIsListedReplacedAndEnded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.with(s.keys.PersonalAccessToken)
	lives := s.lives(owner)
	for _, class := range auth.Classes {
		l, ok := lives[class]
		if !ok {
			t.Errorf("nobody says how a %s is listed, replaced and ended", class)
			continue
		}
		line := find(t, owner, l.listed)
		if line.CreatedAt.IsZero() || line.ID == "" || strings.Contains(line.Hint, l.secret) {
			t.Errorf("%s: %+v", class, line)
		}
		if !l.works(l.secret) {
			t.Errorf("a %s does not work", class)
		}
		fresh := l.replace(line)
		if l.works(l.secret) || !l.works(fresh) {
			t.Errorf("a replaced %s works: %t; its successor: %t", class, l.works(l.secret), l.works(fresh))
		}
		l.end(find(t, owner, l.listed), fresh)
		if l.works(fresh) {
			t.Errorf("a %s works after its end", class)
		}
	}
}

// lives are what the test above follows, one for each class.
func (s *site) lives(owner servertest.Client) map[auth.Class]life {
	status := func(path string) func(string) bool {
		return func(secret string) bool {
			return s.with(secret).Call(s.t, http.MethodGet, path, nil).Status == http.StatusOK
		}
	}
	replace := func(line api.Credential) string {
		return servertest.Post[struct{ Credential string }](s.t, owner, "/api/v1/credentials/"+line.ID+"/replace", `{"graceSeconds":0}`).Credential
	}
	end := func(line api.Credential, _ string) {
		if got := owner.Call(s.t, http.MethodDelete, "/api/v1/credentials/"+line.ID, nil); got.Status != http.StatusOK {
			s.t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	rotate := func(env string) string {
		return servertest.Post[struct{ APIKey string }](s.t, owner, "/api/v1/projects/"+s.keys.ProjectRef+"/"+env+"/keys/rotate", `{"graceSeconds":0}`).APIKey
	}
	secretOf := func(env string) func(api.Credential) bool {
		return func(c api.Credential) bool { return c.Kind == "secret key" && c.Environment == env }
	}
	scoped, err := s.auth.AddKey(s.t.Context(), s.env, "for reports", []string{"read:runs"}, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	const token = "tr_pat_of_a_login"
	err = s.store.Update(s.t.Context(), func(tx *store.Tx) error {
		u, _, err := tx.UserByEmail(auth.AdminEmail)
		if err != nil {
			return err
		}
		return tx.AddPAT(store.PAT{ID: "login", UserID: u.ID, Name: "Login", Hash: fmt.Sprintf("%x", sha256.Sum256([]byte(token))), CreatedAt: time.Now()})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return map[auth.Class]life{
		auth.SecretKey: {s.keys.SecretKeys.Staging, status("/api/v1/queues"), secretOf("stg"),
			func(api.Credential) string { return rotate("stg") }, func(api.Credential, string) { rotate("stg") }},
		auth.ScopedKey: {scoped, status("/api/v1/runs"),
			func(c api.Credential) bool {
				return c.Name == "for reports" && slices.Equal(*c.Scopes, []string{"read:runs"})
			}, replace, end},
		// Public tokens are not kept. They are as good as the key that signed them, and end with it.
		auth.PublicJWT: {s.token("read:runs").Key, status("/api/v1/runs"), secretOf("dev"),
			func(api.Credential) string { rotate("dev"); return s.token("read:runs").Key }, func(api.Credential, string) { rotate("dev") }},
		auth.PAT: {token, status("/api/v2/whoami"), func(c api.Credential) bool { return c.Kind == "personal access token" && c.Name == "Login" },
			replace, end},
	}
}

// find is the one line of the list that is accepted and works without an end.
func find(t testing.TB, owner servertest.Client, accept func(api.Credential) bool) api.Credential {
	t.Helper()
	all := servertest.Get[struct{ Data []api.Credential }](t, owner, "/api/v1/credentials").Data
	found := slices.DeleteFunc(slices.Clone(all), func(c api.Credential) bool { return c.ExpiresAt != nil || !accept(c) })
	if len(found) != 1 {
		t.Fatalf("%+v", all)
	}
	return found[0]
}

// TestWhatMustNotBeMissingIsReplaced: ending the secret key of an environment, or the token that
// `sear keys` prints, is refused with what to do instead.
func TestWhatMustNotBeMissingIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.with(s.keys.PersonalAccessToken)
	for _, accept := range []func(api.Credential) bool{
		func(c api.Credential) bool { return c.Kind == "secret key" && c.Environment == "prod" },
		func(c api.Credential) bool { return c.Kind == "personal access token" },
	} {
		got := owner.Call(t, http.MethodDelete, "/api/v1/credentials/"+find(t, owner, accept).ID, nil)
		if got.Status != http.StatusConflict || !strings.Contains(string(got.Body), "replace it instead") {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	for _, name := range []string{"token_unknown", "session_", "key", "account_" + auth.AdminEmail} {
		if got := owner.Call(t, http.MethodDelete, "/api/v1/credentials/"+name, nil); got.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

// TestPasswordResetEndsSessions: whoever is signed in with the old password is so no longer, and
// only the new one signs in.
func TestPasswordResetEndsSessions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		owner := s.with(s.keys.PersonalAccessToken)
		session, err := s.auth.SignIn(t.Context(), "", "", s.keys.PersonalAccessToken)
		if err != nil {
			t.Fatal(err)
		}
		admin := servertest.Post[auth.Admin](t, owner, "/api/v1/account/password/reset", nil)
		if _, err := s.auth.SessionUser(t.Context(), session); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("an older session: %v", err)
		}
		if _, err := s.auth.SignIn(t.Context(), "192.0.2.1", admin.Email, admin.Password); err != nil {
			t.Errorf("the new password: %v", err)
		}
		again := servertest.Post[auth.Admin](t, owner, "/api/v1/account/password/reset", nil)
		if _, err := s.auth.SignIn(t.Context(), "192.0.2.1", admin.Email, admin.Password); again == admin || !fault.Is(err, fault.Unauthorized) {
			t.Errorf("the password before: %v", err)
		}
	})
}

// TestEverythingEndsAtOnce: after a leak one call ends all tokens and sessions, and leaves a new token.
func TestEverythingEndsAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		session, err := s.auth.SignIn(t.Context(), "", "", s.keys.PersonalAccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.with(s.keys.PersonalAccessToken).Call(t, http.MethodDelete, "/api/v1/credentials", nil); string(got.Body) != `{"ended":2}` {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		if got := s.with(s.keys.PersonalAccessToken).Call(t, http.MethodGet, "/api/v2/whoami", nil); got.Status != http.StatusUnauthorized {
			t.Errorf("the old token: %d", got.Status)
		}
		if _, err := s.auth.SessionUser(t.Context(), session); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("an older session: %v", err)
		}
		keys, err := auth.ReadKeys(t.Context(), s.store, s.sealer)
		if err != nil {
			t.Fatal(err)
		}
		left := servertest.Get[struct{ Data []api.Credential }](t, s.with(keys.PersonalAccessToken), "/api/v1/credentials").Data
		if len(left) != 5 || left[0].Kind != "personal access token" || keys.SecretKeys != s.keys.SecretKeys {
			t.Errorf("left are %+v", left)
		}
	})
}
