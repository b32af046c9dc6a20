package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/store"
	"sear/internal/tenant"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		u := seedTenancy(t, st, "a").user
		bare := tenant.User{ID: "u2", Email: "b@example.com", Name: "B", CreatedAt: now}
		update(t, st, func(tx *store.Tx) error { return tx.AddUser(bare, "") })
		update(t, st, func(tx *store.Tx) error {
			for _, want := range []struct {
				tenant.User
				hash string
			}{{u, "hash"}, {bare, ""}} {
				got, hash, err := tx.UserByEmail(want.Email)
				if diff := cmp.Diff(want.User, got); err != nil || diff != "" || hash != want.hash {
					t.Errorf("UserByEmail: hash %q, %v\n%s", hash, err, diff)
				}
				if got, err := tx.User(want.ID); err != nil || got != want.User {
					t.Errorf("User: %v, %v", got, err)
				}
			}
			for _, c := range []struct {
				id   string
				want bool
			}{{u.ID, true}, {u.ID, false}, {bare.ID, false}, {"none", false}} {
				if named, err := tx.NameUser(c.id, "New"); err != nil || named != c.want {
					t.Errorf("NameUser(%s) = %v, %v", c.id, named, err)
				}
			}
			if _, err := tx.User("none"); !fault.Is(err, fault.NotFound) {
				t.Errorf("an unknown user: %v", err)
			}
			return nil
		})
	})
}

func TestPATs(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		u := seedTenancy(t, st, "a").user
		hidden := store.PAT{ID: "p1", UserID: u.ID, Name: "cli", Hash: "h1", Obfuscated: "o", CreatedAt: now}
		shown := store.PAT{ID: "p2", UserID: u.ID, Name: "first", Hash: "h2", Obfuscated: "o", Sealed: []byte{1}, CreatedAt: now}
		update(t, st, func(tx *store.Tx) error {
			if err := tx.AddPAT(hidden); err != nil {
				return err
			}
			return tx.AddPAT(shown)
		})
		update(t, st, func(tx *store.Tx) error {
			p, err := tx.ShowablePAT()
			if diff := cmp.Diff(shown, p); err != nil || diff != "" {
				t.Errorf("ShowablePAT: %v\n%s", err, diff)
			}
			for _, p := range []store.PAT{hidden, shown} {
				if got, id, err := tx.UserByPAT(p.Hash, now); err != nil || got != u || id != p.ID {
					t.Errorf("UserByPAT: %v, %v, %v", got, id, err)
				}
				if err := tx.RevokePAT(p.ID, now); err != nil {
					return err
				}
				if got, _, err := tx.UserByPAT(p.Hash, now.Add(-1)); err != nil || got != u {
					t.Errorf("UserByPAT before the end: %v, %v", got, err)
				}
				if _, _, err := tx.UserByPAT(p.Hash, now); !fault.Is(err, fault.NotFound) {
					t.Errorf("UserByPAT of a revoked token: %v", err)
				}
			}
			if _, err := tx.ShowablePAT(); !fault.Is(err, fault.NotFound) {
				t.Errorf("ShowablePAT after all were revoked: %v", err)
			}
			return nil
		})
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		u := seedTenancy(t, st, "a").user
		end := now.Add(time.Hour)
		update(t, st, func(tx *store.Tx) error {
			if err := tx.AddSession("s1", u.ID, now, end); err != nil {
				return err
			}
			if got, err := tx.UserBySession("s1", end.Add(-1)); err != nil || got != u {
				t.Errorf("UserBySession: %v, %v", got, err)
			}
			if _, err := tx.UserBySession("s1", end); !fault.Is(err, fault.NotFound) {
				t.Errorf("an expired session: %v", err)
			}
			if err := tx.AddSession("s2", u.ID, end, end.Add(time.Hour)); err != nil {
				return err
			}
			if _, err := tx.UserBySession("s1", now); !fault.Is(err, fault.NotFound) {
				t.Errorf("expired sessions are not removed: %v", err)
			}
			if err := tx.DeleteSession("s2"); err != nil {
				return err
			}
			if _, err := tx.UserBySession("s2", now); !fault.Is(err, fault.NotFound) {
				t.Errorf("a session that was ended: %v", err)
			}
			return nil
		})
	})
}

func TestAuthCodes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		u := seedTenancy(t, st, "a").user
		c := store.AuthCode{Hash: "c1", Approval: store.ApprovalCallback, UserID: u.ID, ApprovalHash: "ah", BeganAt: now, ExpiresAt: now.Add(time.Hour)}
		approve := func(tx *store.Tx, c store.AuthCode, at time.Time) error {
			return tx.ApproveAuthCode(c, at, at.Add(-time.Hour))
		}
		read := func(tx *store.Tx, hash string, want store.AuthCode) {
			t.Helper()
			got, err := tx.AuthCode(hash)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("AuthCode: %v\n%s", err, diff)
			}
		}
		update(t, st, func(tx *store.Tx) error {
			if _, err := tx.AuthCode(c.Hash); !fault.Is(err, fault.NotFound) {
				t.Errorf("not approved: %v", err)
			}
			if err := approve(tx, c, now); err != nil {
				return err
			}
			read(tx, c.Hash, c)
			c.ApprovalHash = "replaced"
			if err := approve(tx, c, now); err != nil {
				return err
			}
			read(tx, c.Hash, c)
			c.Sealed, c.ExpiresAt = []byte{1}, now.Add(time.Minute)
			if err := tx.IssueAuthCode(c.Hash, c.Sealed, c.ExpiresAt); err != nil {
				return err
			}
			got, err := tx.LockAuthCode(c.Hash)
			if diff := cmp.Diff(c, got); err != nil || diff != "" {
				t.Errorf("LockAuthCode: %v\n%s", err, diff)
			}
			other := store.AuthCode{Hash: "c2", Approval: store.ApprovalPaste, UserID: u.ID, ApprovalHash: "x", BeganAt: now.Add(30 * time.Minute), ExpiresAt: now.Add(2 * time.Hour)}
			if err := approve(tx, other, now.Add(time.Hour-1)); err != nil {
				return err
			}
			read(tx, c.Hash, c) // expired, but its code is still good
			other.Hash = "c3"
			if err := approve(tx, other, now.Add(time.Hour)); err != nil {
				return err
			}
			if _, err := tx.AuthCode(c.Hash); !fault.Is(err, fault.NotFound) {
				t.Errorf("expired, and its code as well: %v", err)
			}
			return nil
		})
		update(t, st, func(tx *store.Tx) error {
			return tx.IssueAuthCode("c2", []byte{1}, now.Add(time.Minute))
		})
		err := st.Update(t.Context(), func(tx *store.Tx) error {
			return approve(tx, store.AuthCode{Hash: "c2", Approval: store.ApprovalPaste, UserID: u.ID, ApprovalHash: "y", BeganAt: now, ExpiresAt: now}, now)
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("approved after its token was issued: %v", err)
		}
	})
}

// TestApprovedLoginsAreBounded: the newest of a user stay, and those of others.
func TestApprovedLoginsAreBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		a, b := seedTenancy(t, st, "a").user, seedTenancy(t, st, "b").user
		approve := func(tx *store.Tx, name, user string, at time.Time) error {
			return tx.ApproveAuthCode(store.AuthCode{
				Hash: name, Approval: store.ApprovalPaste, UserID: user, ApprovalHash: "x", BeganAt: at, ExpiresAt: at.Add(time.Hour),
			}, at, now)
		}
		update(t, st, func(tx *store.Tx) error {
			if err := errors.Join(approve(tx, "of another", b.ID, now), approve(tx, "issued", a.ID, now)); err != nil {
				return err
			}
			if err := tx.IssueAuthCode("issued", []byte{1}, now.Add(time.Minute)); err != nil {
				return err
			}
			for i := range 25 {
				if err := approve(tx, fmt.Sprint(i), a.ID, now.Add(time.Duration(i)*time.Millisecond)); err != nil {
					return err
				}
			}
			for name, kept := range map[string]bool{"of another": true, "issued": true, "0": false, "4": false, "5": true, "24": true} {
				if _, err := tx.AuthCode(name); fault.Is(err, fault.NotFound) == kept {
					t.Errorf("%s: %v, want it kept %v", name, err, kept)
				}
			}
			return nil
		})
	})
}

func TestVariables(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		s := seedTenancy(t, st, "a")
		root, other := s.envs[tenant.Preview], s.envs[tenant.Development]
		var branch *tenant.Environment
		update(t, st, func(tx *store.Tx) (err error) {
			if branch, err = tx.OpenBranch(root, "b", now); err != nil {
				return err
			}
			for _, v := range []store.Variable{
				{EnvID: root.ID, Name: "B", Sealed: []byte{1}}, {EnvID: root.ID, Name: "A", Sealed: []byte{2}},
				{EnvID: branch.ID, Name: "B", Sealed: []byte{3}, Secret: true}, {EnvID: branch.ID, Name: "C", Sealed: []byte{4}},
				{EnvID: other.ID, Name: "D", Sealed: []byte{5}}, {EnvID: root.ID, Name: "A", Sealed: []byte{6}},
			} {
				if err := tx.SetVariable(v, now); err != nil {
					return err
				}
			}
			return nil
		})
		a := store.Variable{EnvID: root.ID, Name: "A", Sealed: []byte{6}, Version: 2}
		for env, want := range map[*tenant.Environment][]store.Variable{
			root: {a, {EnvID: root.ID, Name: "B", Sealed: []byte{1}, Version: 1}},
			branch: {
				a, {EnvID: branch.ID, Name: "B", Sealed: []byte{3}, Secret: true, Version: 1},
				{EnvID: branch.ID, Name: "C", Sealed: []byte{4}, Version: 1},
			},
			s.envs[tenant.Staging]: nil,
		} {
			update(t, st, func(tx *store.Tx) error {
				got, err := tx.Variables(env)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("Variables of %s %s: %v\n%s", env.Type, env.Branch, err, diff)
				}
				return nil
			})
		}
		update(t, st, func(tx *store.Tx) error {
			for _, want := range []bool{true, false} {
				if existed, err := tx.DeleteVariable(branch.ID, "B"); err != nil || existed != want {
					t.Errorf("DeleteVariable = %v, %v; want %v", existed, err, want)
				}
			}
			return nil
		})
	})
}
