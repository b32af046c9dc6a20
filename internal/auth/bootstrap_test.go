package auth_test

import (
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"sear/internal/auth"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

func TestBootstrapShapes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for what, c := range map[string]struct{ got, want string }{
		"token":    {w.keys.PersonalAccessToken, `^tr_pat_[1-9a-km-z]{40}$`},
		"project":  {w.keys.ProjectRef, `^proj_[a-z]{20}$`},
		"dev":      {w.keys.SecretKeys.Dev, `^tr_dev_[0-9a-zA-Z]{24}$`},
		"staging":  {w.keys.SecretKeys.Staging, `^tr_stg_[0-9a-zA-Z]{24}$`},
		"prod":     {w.keys.SecretKeys.Prod, `^tr_prod_[0-9a-zA-Z]{24}$`},
		"preview":  {w.keys.SecretKeys.Preview, `^tr_preview_[0-9a-zA-Z]{24}$`},
		"password": {w.admin.Password, `^[1-9a-km-z]{20}$`},
		"e-mail":   {w.admin.Email, `^admin@sear\.local$`},
	} {
		if !regexp.MustCompile(c.want).MatchString(c.got) {
			t.Errorf("%s %q does not match %s", what, c.got, c.want)
		}
	}
}

func TestBootstrapHappensOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	admin, err := auth.Bootstrap(t.Context(), w.store, w.sealer)
	if err != nil || admin != nil {
		t.Errorf("a second start: %v, %v", admin, err)
	}
	keys, err := auth.ReadKeys(t.Context(), w.store, w.sealer)
	if err != nil || keys != w.keys {
		t.Errorf("keys changed: %+v, %v", keys, err)
	}
	if _, err := auth.Bootstrap(t.Context(), w.store, sealer(t, 2)); err == nil {
		t.Error("another sealing key is not noticed")
	}
}

// TestBootstrapByManyNodes starts several nodes at once on one empty database.
func TestBootstrapByManyNodes(t *testing.T) {
	t.Parallel()
	const nodes = 4
	for name, stores := range map[string]func(t *testing.T) []*store.Store{
		"sqlite": func(t *testing.T) []*store.Store { // one process, for there are never two
			st := open(t, "sqlite:"+filepath.Join(t.TempDir(), "core.db"))
			return []*store.Store{st, st, st, st}
		},
		"postgres": func(t *testing.T) (all []*store.Store) {
			url := pgtest.URL(t)
			for range nodes {
				all = append(all, open(t, url))
			}
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var admins []*auth.Admin
			var wg sync.WaitGroup
			all := stores(t)
			for _, st := range all {
				wg.Go(func() {
					admin, err := auth.Bootstrap(t.Context(), st, sealer(t, 1))
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					if admin != nil {
						admins = append(admins, admin)
					}
				})
			}
			wg.Wait()
			if len(admins) != 1 {
				t.Fatalf("%d nodes set the store up, want 1", len(admins))
			}
			checkOneOfEach(t, all[0])
		})
	}
}

func checkOneOfEach(t *testing.T, st *store.Store) {
	t.Helper()
	err := st.View(t.Context(), func(tx *store.Tx) error {
		for table, want := range map[string]int{
			"instance": 1, "org": 1, "project": 1, "account": 1, "org_member": 1, "pat": 1,
			"env": len(tenant.EnvTypes), "api_key": len(tenant.EnvTypes),
		} {
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
				return err
			}
			if n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestNothingSecretIsStoredPlain reads every text and blob of the store.
func TestNothingSecretIsStoredPlain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	session, err := w.SignIn(t.Context(), "203.0.113.7", w.admin.Email, w.admin.Password)
	if err != nil {
		t.Fatal(err)
	}
	code := w.BeginLogin(asked(0))
	proof := w.approve(t, code)
	issued, err := w.ExchangeLogin(t.Context(), code, verifier, proof)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetVariables(t.Context(), w.env(t, tenant.Development), auth.VariableSet{Own: map[string]string{"A": "a user's secret"}}); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"session": session, "login code": code, "approval code": proof, "login's token": issued, "variable": "a user's secret", "password": w.admin.Password,
		"token": w.keys.PersonalAccessToken, "secret key": w.keys.SecretKeys.Dev,
	}
	for table, columns := range map[string]string{
		"api_key": "id || hash || name || hex(sealed)", "pat": "id || hash || name || obfuscated || hex(sealed)",
		"account": "email || name || password_hash", "session": "hash", "auth_code": "hash || approval_hash || hex(sealed)", "env_var": "name || hex(sealed)",
	} {
		w.view(t, func(tx *store.Tx) error {
			for what, secret := range secrets {
				var n int
				if err := tx.QueryRow(`SELECT count(*) FROM `+table+` WHERE instr(`+columns+`, $1) > 0 OR instr(`+columns+`, hex($1)) > 0`,
					secret).Scan(&n); err != nil {
					return err
				}
				if n > 0 {
					t.Errorf("%s holds the %s as it is", table, what)
				}
			}
			return nil
		})
	}
}
