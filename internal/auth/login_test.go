package auth_test

import (
	"crypto/sha256"
	"log/slog"
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

// asked is a login as a command line begins it, which waits at a port or, with 0, for a person.
func asked(port int) auth.Login {
	return auth.Login{Challenge: sha256.Sum256([]byte(verifier)), CallbackPort: port, Address: "203.0.113.7", Client: "node"}
}

// word is what a person types of a login's code to approve it.
func word(code string) string { return code[:4] }

func (w *world) approve(t *testing.T, code string) (approvalCode string) {
	t.Helper()
	_, approvalCode, err := w.ApproveLogin(t.Context(), code, word(code), w.user(t))
	if err != nil {
		t.Fatal(err)
	}
	return approvalCode
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
	for want, req := range map[store.Approval]auth.Login{store.ApprovalPaste: asked(0), store.ApprovalCallback: asked(4000)} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			before := time.Now().Truncate(time.Microsecond)
			code := w.BeginLogin(req)
			if token, err := w.ExchangeLogin(t.Context(), code, verifier, ""); err != nil || token != "" {
				t.Fatalf("before the approval: %q, %v", token, err)
			}
			shown, err := w.PendingLogin(t.Context(), code)
			if shown.Began.Before(before) || time.Since(shown.Began) > time.Minute {
				t.Errorf("began at %v", shown.Began)
			}
			said := shown
			said.Began = time.Time{}
			if err != nil || said != req || shown.Approval() != want {
				t.Fatalf("PendingLogin: %+v, %v", shown, err)
			}
			l, proof, err := w.ApproveLogin(t.Context(), code, strings.ToLower(word(code))+"-", w.user(t))
			if err != nil || l != shown {
				t.Fatalf("ApproveLogin: %+v, %v", l, err)
			}
			token, err := w.ExchangeLogin(t.Context(), code, verifier, proof)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := w.PAT(t.Context(), token); err != nil || p.UserID != w.user(t) {
				t.Errorf("the token is %+v, %v", p, err)
			}
			if again, err := w.ExchangeLogin(t.Context(), code, verifier, proof); err != nil || again != token {
				t.Errorf("a repeated call: %q, %v; want the same token", again, err)
			}
			if _, _, err := w.ApproveLogin(t.Context(), code, word(code), w.user(t)); !fault.Is(err, fault.Conflict) {
				t.Errorf("approved after it was completed: %v", err)
			}
			if _, err := w.PendingLogin(t.Context(), code); !fault.Is(err, fault.Conflict) {
				t.Errorf("shown after it was completed: %v", err)
			}
			w.view(t, func(tx *store.Tx) error {
				var name string
				err := tx.QueryRow(`SELECT name FROM pat WHERE sealed IS NULL`).Scan(&name)
				if name != "Command line login from 203.0.113.7 (node)" {
					t.Errorf("the token is called %q", name)
				}
				return err
			})
		})
	}
}

func TestLoginProofs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code := w.BeginLogin(asked(0))
	first := w.approve(t, code)
	proof := w.approve(t, code)
	if !regexp.MustCompile(`^[2-9A-HJ-NP-Z]{4}(-[2-9A-HJ-NP-Z]{4}){2}$`).MatchString(proof) || proof == first {
		t.Errorf("codes %q and %q", first, proof)
	}
	for _, c := range []struct {
		name, code, verifier, approval string
		kind                           fault.Kind
	}{
		{"unknown login", "x", verifier, proof, fault.NotFound},
		{"no verifier", code, "", proof, fault.Forbidden},
		{"wrong verifier", code, verifier + "x", proof, fault.Forbidden},
		{"no approval code", code, verifier, "", fault.Malformed},
		{"wrong approval code", code, verifier, "AAAA-AAAA-AAAA", fault.Malformed},
		{"replaced approval code", code, verifier, first, fault.Malformed},
	} {
		if token, err := w.ExchangeLogin(t.Context(), c.code, c.verifier, c.approval); !fault.Is(err, c.kind) || token != "" {
			t.Errorf("%s: %q, %v, want kind %v", c.name, token, err, c.kind)
		}
	}
	typed := strings.ToLower(strings.ReplaceAll(proof, "-", " "))
	if token, err := w.ExchangeLogin(t.Context(), code, verifier, typed); err != nil || token == "" {
		t.Errorf("typed as %q: %q, %v", typed, token, err)
	}
}

// TestApprovalWantsTheCodeRead: without the characters that begin the code nothing is approved.
func TestApprovalWantsTheCodeRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code := w.BeginLogin(asked(0))
	for _, typed := range []string{"", "AAA", "0000", code[:3], code} {
		if _, _, err := w.ApproveLogin(t.Context(), code, typed, w.user(t)); !fault.Is(err, fault.Malformed) {
			t.Errorf("typed %q: %v", typed, err)
		}
	}
	if token, err := w.ExchangeLogin(t.Context(), code, verifier, "x"); err != nil || token != "" {
		t.Errorf("approved all the same: %q, %v", token, err)
	}
}

func TestLoginExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		late := w.BeginLogin(asked(0))
		time.Sleep(auth.LoginTTL - time.Microsecond)
		proof := w.approve(t, late)
		if token, err := w.ExchangeLogin(t.Context(), late, verifier, proof); err != nil || token == "" {
			t.Fatalf("%q, %v", token, err)
		}
		time.Sleep(time.Minute - 1)
		if token, err := w.ExchangeLogin(t.Context(), late, verifier, proof); err != nil || token == "" {
			t.Errorf("within a minute the token is not given again: %q, %v", token, err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := w.ExchangeLogin(t.Context(), late, verifier, proof); !fault.Is(err, fault.NotFound) {
			t.Errorf("a token given out is given again a minute later: %v", err)
		}
		code := w.BeginLogin(asked(0))
		time.Sleep(auth.LoginTTL)
		_, _, approved := w.ApproveLogin(t.Context(), code, word(code), w.user(t))
		for name, err := range map[string]error{
			"exchange": second(w.ExchangeLogin(t.Context(), code, verifier, "")),
			"approve":  approved,
			"page":     second(w.PendingLogin(t.Context(), code)),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s after the end: %v", name, err)
			}
		}
	})
}

// TestOneCodeMakesOneToken: also when the minute is over in which it is given again, and when
// others have been approved since, whose approval removes what is old.
func TestOneCodeMakesOneToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		code := w.BeginLogin(asked(0))
		if token, err := w.ExchangeLogin(t.Context(), code, verifier, w.approve(t, code)); err != nil || token == "" {
			t.Fatalf("%q, %v", token, err)
		}
		for range 9 {
			time.Sleep(time.Minute)
			for range 30 {
				w.approve(t, w.BeginLogin(asked(0)))
			}
			if _, _, err := w.ApproveLogin(t.Context(), code, word(code), w.user(t)); !fault.Is(err, fault.Conflict) {
				t.Errorf("approved once more: %v", err)
			}
		}
		time.Sleep(time.Minute)
		if _, _, err := w.ApproveLogin(t.Context(), code, word(code), w.user(t)); !fault.Is(err, fault.NotFound) {
			t.Errorf("approved when it is over: %v", err)
		}
	})
}

// TestLoginsNobodyApprovedAreNoRows: any number of them, and of those that were approved and
// not fetched a user has a few at a time, the newest.
func TestLoginsNobodyApprovedAreNoRows(t *testing.T) {
	t.Parallel()
	w := setup(t)
	rows := func() (n int) {
		w.view(t, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM auth_code`).Scan(&n) })
		return n
	}
	var codes, proofs []string
	for range 10_000 {
		codes = append(codes, w.BeginLogin(asked(0)))
	}
	if n := rows(); n != 0 {
		t.Errorf("%d rows of logins that nobody has approved", n)
	}
	for _, code := range codes[:25] {
		proofs = append(proofs, w.approve(t, code))
	}
	if n := rows(); n != 20 {
		t.Errorf("%d rows of 25 approved logins, want 20", n)
	}
	for i, proof := range proofs {
		token, err := w.ExchangeLogin(t.Context(), codes[i], verifier, proof)
		if want := i >= 5; err != nil || (token != "") != want {
			t.Errorf("login %d: %q, %v, want a token %v", i, token, err, want)
		}
	}
}

// TestNodesKnowEachOthersLogins: those with the same key, and no others.
func TestNodesKnowEachOthersLogins(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code := w.BeginLogin(asked(0))
	node := func(fill byte) *auth.Auth {
		return auth.New(w.store, sealer(t, fill), slog.New(slog.DiscardHandler))
	}
	if _, err := node(1).PendingLogin(t.Context(), code); err != nil {
		t.Errorf("another node: %v", err)
	}
	if _, err := node(2).PendingLogin(t.Context(), code); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger's server: %v", err)
	}
}

// FuzzLoginCode: no code but the one that was made is taken, whatever is done to it.
func FuzzLoginCode(f *testing.F) {
	w := setup(f)
	code := w.BeginLogin(asked(4000))
	for _, text := range []string{"", "-", code[:4], code[:5], code + "A", code[1:], "AAAA" + code[4:], strings.ToLower(code), code[:len(code)-1], "AAAA-" + strings.Repeat("A", 110)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := w.PendingLogin(t.Context(), text); text != code && !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// TestLoginCodesFitALink: also with the longest names they are short, and plain in a URL.
func TestLoginCodesFitALink(t *testing.T) {
	t.Parallel()
	w := setup(t)
	l := auth.Login{CallbackPort: 65535, Address: "2001:db8::1", Client: "caf\u00e9\n" + strings.Repeat("x", 1000)}
	code := w.BeginLogin(l)
	if !regexp.MustCompile(`^[2-9A-HJ-NP-Z]{4}-[-_A-Za-z0-9]{1,195}$`).MatchString(code) {
		t.Errorf("%d characters: %s", len(code), code)
	}
	if got, err := w.PendingLogin(t.Context(), code); err != nil || got.Client != "caf???"+strings.Repeat("x", 58) || got.Address != l.Address {
		t.Errorf("%+v, %v", got, err)
	}
	if short := w.BeginLogin(asked(0)); len(short) > 120 {
		t.Errorf("%d characters: %s", len(short), short)
	}
}

func TestConcurrentExchangeMakesOneToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code := w.BeginLogin(asked(0))
	proof := w.approve(t, code)
	tokens := make([]string, 8)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			var err error
			if tokens[i], err = w.ExchangeLogin(t.Context(), code, verifier, proof); err != nil {
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
		session, err := w.SignIn(t.Context(), "203.0.113.7", c.email, c.secret)
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
		_, err := w.SignIn(t.Context(), "203.0.113.7", c.email, c.secret)
		refused(t, name, err, "The e-mail address, password or token is not right")
	}
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		session, err := w.SignIn(t.Context(), "203.0.113.7", "", w.keys.PersonalAccessToken)
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
