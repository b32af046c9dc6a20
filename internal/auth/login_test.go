package auth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/store"
)

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (w *world) user(t *testing.T) string {
	t.Helper()
	p, err := w.PAT(t.Context(), w.keys.PersonalAccessToken)
	if err != nil {
		t.Fatal(err)
	}
	return p.UserID
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		req  auth.LoginRequest
		want store.Approval
	}{
		{"poll", auth.LoginRequest{}, store.ApprovalPoll},
		{"poll although there is a port", auth.LoginRequest{CallbackPort: 4000}, store.ApprovalPoll},
		{"paste", auth.LoginRequest{Challenge: challenge()}, store.ApprovalPaste},
		{"callback", auth.LoginRequest{Challenge: challenge(), CallbackPort: 4000}, store.ApprovalCallback},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			code, approval, err := w.BeginLogin(t.Context(), c.req)
			if err != nil || approval != c.want {
				t.Fatalf("BeginLogin: %q, %v", approval, err)
			}
			proof := ""
			if c.req.Challenge != "" {
				proof = verifier
			}
			if token, err := w.ExchangeLogin(t.Context(), code, proof, ""); err != nil || token != "" {
				t.Fatalf("before the approval: %q, %v", token, err)
			}
			if p, err := w.PendingLogin(t.Context(), code); err != nil || p.Approval != c.want {
				t.Fatalf("PendingLogin: %+v, %v", p, err)
			}
			ok, err := w.ApproveLogin(t.Context(), code, w.user(t))
			if err != nil || ok.Approval != c.want {
				t.Fatalf("ApproveLogin: %+v, %v", ok, err)
			}
			if (ok.Code == "") != (c.want == store.ApprovalPoll) || (ok.CallbackPort == 0) != (c.want != store.ApprovalCallback) {
				t.Errorf("approved: %+v", ok)
			}
			token, err := w.ExchangeLogin(t.Context(), code, proof, ok.Code)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := w.PAT(t.Context(), token); err != nil || p.UserID != w.user(t) {
				t.Errorf("the token is %+v, %v", p, err)
			}
			if again, err := w.ExchangeLogin(t.Context(), code, proof, ok.Code); err != nil || again != token {
				t.Errorf("a repeated call: %q, %v; want the same token", again, err)
			}
			if _, err := w.ApproveLogin(t.Context(), code, w.user(t)); !fault.Is(err, fault.Conflict) {
				t.Errorf("approved after it was completed: %v", err)
			}
		})
	}
}

func TestLoginProofs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code, _, err := w.BeginLogin(t.Context(), auth.LoginRequest{Challenge: challenge()})
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.ApproveLogin(t.Context(), code, w.user(t))
	if err != nil {
		t.Fatal(err)
	}
	ok, err := w.ApproveLogin(t.Context(), code, w.user(t))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[2-9A-HJ-NP-Z]{4}(-[2-9A-HJ-NP-Z]{4}){2}$`).MatchString(ok.Code) || ok.Code == first.Code {
		t.Errorf("codes %q and %q", first.Code, ok.Code)
	}
	for _, c := range []struct {
		name, code, verifier, approval string
		kind                           fault.Kind
	}{
		{"unknown login", "x", verifier, ok.Code, fault.NotFound},
		{"no verifier", code, "", ok.Code, fault.Forbidden},
		{"wrong verifier", code, verifier + "x", ok.Code, fault.Forbidden},
		{"challenge for verifier", code, challenge(), ok.Code, fault.Forbidden},
		{"no approval code", code, verifier, "", fault.Malformed},
		{"wrong approval code", code, verifier, "AAAA-AAAA-AAAA", fault.Malformed},
		{"replaced approval code", code, verifier, first.Code, fault.Malformed},
	} {
		if token, err := w.ExchangeLogin(t.Context(), c.code, c.verifier, c.approval); !fault.Is(err, c.kind) || token != "" {
			t.Errorf("%s: %q, %v, want kind %v", c.name, token, err, c.kind)
		}
	}
	typed := strings.ToLower(strings.ReplaceAll(ok.Code, "-", " "))
	if token, err := w.ExchangeLogin(t.Context(), code, verifier, typed); err != nil || token == "" {
		t.Errorf("typed as %q: %q, %v", typed, token, err)
	}
}

func TestLoginExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		late, _, err := w.BeginLogin(t.Context(), auth.LoginRequest{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(auth.LoginTTL - 1)
		if _, err := w.ApproveLogin(t.Context(), late, w.user(t)); err != nil {
			t.Fatal(err)
		}
		if token, err := w.ExchangeLogin(t.Context(), late, "", ""); err != nil || token == "" {
			t.Fatalf("%q, %v", token, err)
		}
		time.Sleep(time.Minute)
		if _, err := w.ExchangeLogin(t.Context(), late, "", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("a token given out is given again a minute later: %v", err)
		}
		code, _, err := w.BeginLogin(t.Context(), auth.LoginRequest{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(auth.LoginTTL)
		for name, err := range map[string]error{
			"exchange": second(w.ExchangeLogin(t.Context(), code, "", "")),
			"approve":  second(w.ApproveLogin(t.Context(), code, w.user(t))),
			"page":     second(w.PendingLogin(t.Context(), code)),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s after the end: %v", name, err)
			}
		}
	})
}

func TestConcurrentExchangeMakesOneToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code, _, err := w.BeginLogin(t.Context(), auth.LoginRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ApproveLogin(t.Context(), code, w.user(t)); err != nil {
		t.Fatal(err)
	}
	tokens := make([]string, 8)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			var err error
			if tokens[i], err = w.ExchangeLogin(t.Context(), code, "", ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, got := range tokens {
		if got == "" || got != tokens[0] {
			t.Fatalf("tokens differ: %v", tokens)
		}
	}
	w.view(t, func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow(`SELECT count(*) FROM pat`).Scan(&n)
		if n != 2 {
			t.Errorf("%d tokens in the store, want that of the set-up and one", n)
		}
		return err
	})
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, c := range map[string]struct{ email, secret string }{
		"password":                   {w.admin.Email, w.admin.Password},
		"password, address as typed": {" Admin@Sear.local ", w.admin.Password},
		"token":                      {"", w.keys.PersonalAccessToken},
	} {
		session, err := w.SignIn(t.Context(), c.email, c.secret)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		u, err := w.SessionUser(t.Context(), session)
		if err != nil || u.Email != w.admin.Email {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
		if err := w.SignOut(t.Context(), session); err != nil {
			t.Error(err)
		}
		_, err = w.SessionUser(t.Context(), session)
		refused(t, name+", signed out", err, "Sign in first")
	}
	for name, c := range map[string]struct{ email, secret string }{
		"wrong password":  {w.admin.Email, w.admin.Password + "x"},
		"no password":     {w.admin.Email, ""},
		"unknown address": {"nobody@sear.local", w.admin.Password},
		"unknown token":   {w.admin.Email, "tr_pat_x"},
		"secret key":      {w.admin.Email, w.keys.SecretKeys.Dev},
	} {
		_, err := w.SignIn(t.Context(), c.email, c.secret)
		refused(t, name, err, "The e-mail address, password or token is not right")
	}
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		session, err := w.SignIn(t.Context(), "", w.keys.PersonalAccessToken)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(auth.SessionTTL - 1)
		if _, err := w.SessionUser(t.Context(), session); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		_, err = w.SessionUser(t.Context(), session)
		refused(t, "at its end", err, "Sign in first")
	})
}
