package auth_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a store after its first start, and what came out of it.
type world struct {
	*auth.Auth
	store  *store.Store
	sealer *auth.Sealer
	keys   auth.Keys
	admin  *auth.Admin
	hash   string // of the credential that a test watches
}

func sealer(t testing.TB, fill byte) *auth.Sealer {
	t.Helper()
	s, err := auth.NewSealer(bytes.Repeat([]byte{fill}, auth.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func setup(t testing.TB) *world {
	t.Helper()
	w := &world{store: open(t, "sqlite::memory:"), sealer: sealer(t, 1)}
	w.Auth = auth.New(w.store, w.sealer, slog.New(slog.DiscardHandler))
	var err error
	if w.admin, err = auth.Bootstrap(t.Context(), w.store, w.sealer); err != nil {
		t.Fatal(err)
	}
	if w.keys, err = auth.ReadKeys(t.Context(), w.store, w.sealer); err != nil {
		t.Fatal(err)
	}
	return w
}

// env is the root environment of a type.
func (w *world) env(t testing.TB, typ tenant.EnvType) *tenant.Environment {
	t.Helper()
	var env *tenant.Environment
	w.view(t, func(tx *store.Tx) error {
		p, _, err := tx.FirstProject()
		if err == nil {
			env, err = tx.RootEnvironment(p.ID, typ)
		}
		return err
	})
	return env
}

func (w *world) view(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := w.store.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (w *world) update(t *testing.T, fn func(*store.Tx) error) {
	t.Helper()
	if err := w.store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (w *world) branch(t *testing.T, root *tenant.Environment, name string) *tenant.Environment {
	t.Helper()
	var b *tenant.Environment
	w.update(t, func(tx *store.Tx) (err error) {
		b, err = tx.OpenBranch(root, name, time.Now())
		return err
	})
	return b
}

// refused checks that a credential is turned away with the given text.
func refused(t *testing.T, what string, err error, text string) {
	t.Helper()
	if !fault.Is(err, fault.Unauthorized) || !strings.HasPrefix(err.Error(), text) {
		t.Errorf("%s: %v, want %q", what, err, text)
	}
}

func TestKeyLookup(t *testing.T) {
	t.Parallel()
	w := setup(t)
	preview, dev := w.env(t, tenant.Preview), w.env(t, tenant.Development)
	previewBranch, devBranch := w.branch(t, preview, "feat/x"), w.branch(t, dev, "feat/y")
	gone := w.branch(t, preview, "old")
	w.update(t, func(tx *store.Tx) error { return tx.ArchiveBranch(gone.ID, time.Now()) })
	k := w.keys.SecretKeys
	for _, c := range []struct {
		name, key, branch string
		want              string // environment
		text              string // refusal
	}{
		{"no key", "", "", "", "Invalid or Missing API key"},
		{"unknown key", "tr_dev_000000000000000000000000", "", "", "Invalid API key"},
		{"legacy public key", "pk_dev_x", "", "", "Invalid API key"},
		{"access token", w.keys.PersonalAccessToken, "", "", "Invalid API key"},
		{"part of a key", k.Dev[:len(k.Dev)-1], "", "", "Invalid API key"},
		{"dev", k.Dev, "", dev.ID, ""},
		{"dev, default branch", k.Dev, "default", dev.ID, ""},
		{"dev, a branch", k.Dev, "feat/y", devBranch.ID, ""},
		{"dev, a branch of another environment", k.Dev, "feat/x", "", "No matching branch env"},
		{"staging", k.Staging, "", w.env(t, tenant.Staging).ID, ""},
		{"prod ignores branches", k.Prod, "main", w.env(t, tenant.Production).ID, ""},
		{"preview without a branch", k.Preview, "", "", "x-trigger-branch header required for preview env"},
		{"preview", k.Preview, "feat/x", previewBranch.ID, ""},
		{"preview, unknown branch", k.Preview, "nope", "", "No matching branch env"},
		{"preview, default is a name like any other", k.Preview, "default", "", "No matching branch env"},
		{"preview, archived branch", k.Preview, "old", "", "No matching branch env"},
	} {
		for range 2 { // the second time from memory
			p, err := w.Environment(t.Context(), c.key, c.branch)
			if c.text != "" {
				refused(t, c.name, err, c.text)
				continue
			}
			if err != nil || p.Kind != tenant.KindSecretKey || p.Env.ID != c.want || !p.Can("write", "queues", "") {
				t.Errorf("%s: %+v, %v", c.name, p, err)
			}
		}
	}
}

func TestAdditionalKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		env := w.env(t, tenant.Production)
		key, err := w.AddKey(t.Context(), env, "ci", []string{"trigger:tasks:a"}, time.Now().Add(time.Minute))
		if err != nil || !strings.HasPrefix(key, "tr_prod_sk_") || len(key) != len("tr_prod_sk_")+24 {
			t.Fatalf("AddKey = %q, %v", key, err)
		}
		p, err := w.Environment(t.Context(), key, "")
		if err != nil || p.Kind != tenant.KindScopedKey || p.Env.ID != env.ID {
			t.Fatalf("%+v, %v", p, err)
		}
		if !p.Can("trigger", "tasks", "a") || p.Can("trigger", "tasks", "b") || p.Can("read", "runs", "") {
			t.Errorf("scopes are not what they were: %v", p.Scopes)
		}
		time.Sleep(time.Minute - 1)
		if _, err := w.Environment(t.Context(), key, ""); err != nil {
			t.Errorf("just before it expires: %v", err)
		}
		time.Sleep(time.Nanosecond) // within the life of the remembered principal
		_, err = w.Environment(t.Context(), key, "")
		refused(t, "an expired key", err, "Invalid API key")
		if _, err := w.AddKey(t.Context(), w.branch(t, w.env(t, tenant.Preview), "b"), "x", nil, time.Time{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a key for a branch: %v", err)
		}
	})
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		env, old := w.env(t, tenant.Development), w.keys.SecretKeys.Dev
		token, err := w.PublicToken(t.Context(), env, auth.Grant{Scopes: []string{"read:runs"}, Expires: time.Now().Add(48 * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Environment(t.Context(), old, ""); err != nil {
			t.Fatal(err)
		}
		hash := w.WaitpointHash(env.ID, "w1")
		fresh, _, err := w.RotateKey(t.Context(), env, auth.RotationGrace)
		if err != nil || fresh == old {
			t.Fatalf("RotateKey = %q, %v", fresh, err)
		}
		if got, err := w.SecretKey(t.Context(), env); err != nil || got != fresh {
			t.Errorf("SecretKey = %q, %v", got, err)
		}
		works := func(credential string) error {
			_, err := w.Environment(t.Context(), credential, "")
			return err
		}
		for _, c := range []string{old, fresh, token} {
			if err := works(c); err != nil {
				t.Errorf("in the grace: %v", err)
			}
		}
		time.Sleep(auth.RotationGrace - 1)
		if err := works(old); err != nil {
			t.Errorf("at the end of the grace: %v", err)
		}
		if err := works(token); err != nil {
			t.Errorf("at the end of the grace: %v", err)
		}
		time.Sleep(time.Nanosecond)
		refused(t, "the old key after the grace", works(old), "Invalid API key")
		refused(t, "a token it signed", works(token), "Public Access Token is invalid")
		if err := works(fresh); err != nil {
			t.Error(err)
		}
		if !w.CheckWaitpointHash(env.ID, "w1", hash) {
			t.Error("a callback URL did not survive the rotation")
		}
	})
}

func TestRotationWithoutGraceIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	env, old := w.env(t, tenant.Development), w.keys.SecretKeys.Dev
	if _, err := w.Environment(t.Context(), old, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.RotateKey(t.Context(), env, 0); err != nil {
		t.Fatal(err)
	}
	_, err := w.Environment(t.Context(), old, "")
	refused(t, "a key that was replaced", err, "Invalid API key")
}

func TestArchivedBranchRefusesAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.branch(t, w.env(t, tenant.Preview), "feat/x")
	token, err := w.PublicToken(t.Context(), b, auth.Grant{Scopes: []string{"read:runs"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{w.keys.SecretKeys.Preview, token} {
		if p, err := w.Environment(t.Context(), c, "feat/x"); err != nil || p.Env.ID != b.ID {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	w.update(t, func(tx *store.Tx) error { return tx.ArchiveBranch(b.ID, time.Now()) })
	_, err = w.Environment(t.Context(), w.keys.SecretKeys.Preview, "feat/x")
	refused(t, "key", err, "No matching branch env")
	_, err = w.Environment(t.Context(), token, "feat/x")
	refused(t, "token", err, "Invalid Public Access Token")
}

func TestPAT(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p, err := w.PAT(t.Context(), w.keys.PersonalAccessToken)
	if err != nil || p.Kind != tenant.KindPAT || p.UserID == "" || p.Env != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, c := range []string{"", "tr_pat_", "tr_pat_x", w.keys.SecretKeys.Dev, w.keys.PersonalAccessToken + "x"} {
		_, err := w.PAT(t.Context(), c)
		refused(t, c, err, "Invalid or Missing Access Token")
	}
	w.update(t, func(tx *store.Tx) error {
		p, err := tx.ShowablePAT()
		if err != nil {
			return err
		}
		return tx.RevokePAT(p.ID, time.Now())
	})
	_, err = w.PAT(t.Context(), w.keys.PersonalAccessToken)
	refused(t, "revoked", err, "Invalid or Missing Access Token")
	keys, err := auth.ReadKeys(t.Context(), w.store, w.sealer)
	if err != nil || keys.PersonalAccessToken != "" || keys.SecretKeys != w.keys.SecretKeys {
		t.Errorf("ReadKeys after the token was revoked: %+v, %v", keys, err)
	}
}

func TestStoreFailureIsNotARefusal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"key":   second(w.Environment(ctx, w.keys.SecretKeys.Dev, "")),
		"token": second(w.PAT(ctx, w.keys.PersonalAccessToken)),
	} {
		if err == nil || fault.Is(err, fault.Unauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[A any](_ A, err error) error { return err }

func TestVariables(t *testing.T) {
	t.Parallel()
	w := setup(t)
	root := w.env(t, tenant.Preview)
	b := w.branch(t, root, "feat/x")
	if err := w.SetVariables(t.Context(), root, auth.VariableSet{Own: map[string]string{"A": "1", "B": ""}}); err != nil {
		t.Fatal(err)
	}
	if err := w.SetVariables(t.Context(), b, auth.VariableSet{Own: map[string]string{"A": "2"}, Secret: new(true)}); err != nil {
		t.Fatal(err)
	}
	got, err := w.Variables(t.Context(), b)
	want := []auth.Variable{{Name: "A", Value: "2", Secret: true}, {Name: "B"}}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("Variables = %+v, %v; want %+v", got, err, want)
	}
	// A value that was copied to another variable does not open.
	w.update(t, func(tx *store.Tx) error {
		rows, err := tx.Variables(root)
		if err != nil {
			return err
		}
		rows[0].Name = "C"
		return tx.SetVariable(rows[0], time.Now())
	})
	if got, err := w.Variables(t.Context(), root); err == nil {
		t.Errorf("a copied value opened: %+v", got)
	}
}
