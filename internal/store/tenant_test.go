package store_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/sqldb"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// onEach runs a test on an empty store of either kind.
func onEach(t *testing.T, test func(t *testing.T, st *store.Store)) {
	t.Helper()
	for name, url := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "core.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := store.Open(t.Context(), url(t), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := st.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, st)
		})
	}
}

// update fails the test when the transaction does.
func update(t *testing.T, st *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := st.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// now is when everything in these tests happens, at the precision of the store.
var now = time.Date(2026, 11, 24, 10, 30, 0, 123456000, time.UTC)

// tenancy is an organisation with a project, its environments and a user.
type tenancy struct {
	org     tenant.Organization
	project tenant.Project
	user    tenant.User
	envs    map[tenant.EnvType]*tenant.Environment
}

func seedTenancy(t *testing.T, st *store.Store, name string) tenancy {
	t.Helper()
	s := tenancy{envs: map[tenant.EnvType]*tenant.Environment{}}
	s.org = tenant.Organization{ID: id.New(now), Slug: name, Title: "Org " + name, CreatedAt: now}
	s.project = tenant.Project{ID: id.New(now), OrgID: s.org.ID, Ref: "proj_" + name, Slug: "p", Name: "Project " + name, CreatedAt: now}
	s.user = tenant.User{ID: id.New(now), Email: name + "@example.com", CreatedAt: now}
	update(t, st, func(tx *store.Tx) error {
		if err := tx.AddOrganization(s.org); err != nil {
			return err
		}
		if err := tx.AddProject(s.project); err != nil {
			return err
		}
		if err := tx.AddUser(s.user, "hash"); err != nil {
			return err
		}
		if err := tx.AddMember(s.org.ID, s.user.ID, tenant.Owner, now); err != nil {
			return err
		}
		for _, typ := range tenant.EnvTypes {
			e := &tenant.Environment{
				ID: id.New(now), OrgID: s.org.ID, ProjectID: s.project.ID, Type: typ, Slug: typ.Slug(),
				ConcurrencyLimit: 7, CreatedAt: now, Project: &s.project, Org: &s.org,
			}
			s.envs[typ] = e
			if added, err := tx.AddEnvironment(e); err != nil || !added {
				return fmt.Errorf("add %s: %v, %w", typ, added, err)
			}
		}
		return nil
	})
	return s
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		a := seedTenancy(t, st, "a")
		seedTenancy(t, st, "b")
		dev := a.envs[tenant.Development]
		update(t, st, func(tx *store.Tx) error {
			got, err := tx.Environment(dev.ID)
			if diff := cmp.Diff(dev, got); err != nil || diff != "" {
				t.Errorf("Environment: %v\n%s", err, diff)
			}
			got, err = tx.RootEnvironment(a.project.ID, tenant.Production)
			if diff := cmp.Diff(a.envs[tenant.Production], got); err != nil || diff != "" {
				t.Errorf("RootEnvironment: %v\n%s", err, diff)
			}
			if _, err := tx.Environment("none"); !fault.Is(err, fault.NotFound) {
				t.Errorf("an unknown environment: %v", err)
			}
			if err := tx.LockEnvironment(dev.ID); err != nil {
				t.Errorf("LockEnvironment: %v", err)
			}
			if err := tx.LockEnvironment("none"); !fault.Is(err, fault.NotFound) {
				t.Errorf("LockEnvironment of none: %v", err)
			}
			again := *dev
			again.ID = id.New(now)
			if added, err := tx.AddEnvironment(&again); err != nil || added {
				t.Errorf("a second root of one type: added %v, %v", added, err)
			}
			return nil
		})
	})
}

func TestProjects(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		a, b := seedTenancy(t, st, "a"), seedTenancy(t, st, "b")
		update(t, st, func(tx *store.Tx) error {
			p, o, err := tx.MemberProject(a.user.ID, a.project.Ref)
			if diff := cmp.Diff([]any{a.project, a.org}, []any{p, o}); err != nil || diff != "" {
				t.Errorf("MemberProject: %v\n%s", err, diff)
			}
			if _, _, err := tx.MemberProject(a.user.ID, b.project.Ref); !fault.Is(err, fault.NotFound) {
				t.Errorf("a project of others: %v", err)
			}
			return nil
		})
	})
}

func TestBranches(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		root := seedTenancy(t, st, "a").envs[tenant.Preview]
		update(t, st, func(tx *store.Tx) error {
			b, err := tx.OpenBranch(root, "feat/x", now)
			if err != nil {
				return err
			}
			want := *root
			want.ID, want.ParentID, want.Branch = b.ID, root.ID, "feat/x"
			if diff := cmp.Diff(&want, b); diff != "" {
				t.Error(diff)
			}
			again, err := tx.OpenBranch(root, "feat/x", now.Add(time.Hour))
			if err != nil || again.ID != b.ID {
				t.Errorf("opened again: %v, %v", again, err)
			}
			if err := tx.ArchiveBranch(b.ID, now); err != nil {
				return err
			}
			if _, err := tx.Branch(root.ID, "feat/x"); !fault.Is(err, fault.NotFound) {
				t.Errorf("an archived branch by name: %v", err)
			}
			old, err := tx.Environment(b.ID)
			if err != nil || !old.Archived() || !old.ArchivedAt.Equal(now) {
				t.Errorf("an archived branch by id: %+v, %v", old, err)
			}
			fresh, err := tx.OpenBranch(root, "feat/x", now)
			if err != nil || fresh.ID == b.ID || fresh.Archived() {
				t.Errorf("the name used again: %+v, %v", fresh, err)
			}
			if err := tx.ArchiveBranch(root.ID, now); err != nil {
				return err
			}
			if e, err := tx.Environment(root.ID); err != nil || e.Archived() {
				t.Errorf("a root was archived: %v", err)
			}
			return nil
		})
	})
}

func TestBranchOpenedByManyIsOne(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		root := seedTenancy(t, st, "a").envs[tenant.Development]
		ids := make([]string, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				err := st.Update(t.Context(), func(tx *store.Tx) error {
					b, err := tx.OpenBranch(root, "feat/x", now)
					if err == nil {
						ids[i] = b.ID
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, got := range ids {
			if got != ids[0] {
				t.Errorf("branches %v, want one", ids)
				break
			}
		}
	})
}

func TestSetUpOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		update(t, st, func(tx *store.Tx) error {
			if _, err := tx.Instance(); !fault.Is(err, fault.NotFound) {
				t.Errorf("Instance of an empty store: %v", err)
			}
			for i, want := range []bool{true, false} {
				if first, err := tx.SetUp([]byte{byte(i)}, now); err != nil || first != want {
					t.Errorf("SetUp %d: %v, %v", i, first, err)
				}
			}
			if sealed, err := tx.Instance(); err != nil || len(sealed) != 1 || sealed[0] != 0 {
				t.Errorf("Instance: %v, %v", sealed, err)
			}
			return nil
		})
	})
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		dev := seedTenancy(t, st, "a").envs[tenant.Development]
		old := store.APIKey{ID: "k1", EnvID: dev.ID, Hash: "h1", Sealed: []byte{1}, Name: "n", LastFour: "aaaa", CreatedAt: now}
		current := store.APIKey{ID: "k2", EnvID: dev.ID, Hash: "h2", Sealed: []byte{2}, Name: "n", LastFour: "bbbb", CreatedAt: now.Add(time.Second)}
		scoped := store.APIKey{ID: "k3", EnvID: dev.ID, Hash: "h3", Scopes: []string{"read:runs"}, Name: "n", LastFour: "cccc", CreatedAt: now}
		barren := store.APIKey{ID: "k4", EnvID: dev.ID, Hash: "h4", Name: "n", LastFour: "dddd", CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
		update(t, st, func(tx *store.Tx) error {
			for _, k := range []store.APIKey{old, scoped, barren} {
				if err := tx.AddAPIKey(k); err != nil {
					return err
				}
			}
			if err := tx.ExpireAPIKey(old.ID, now.Add(time.Hour)); err != nil {
				return err
			}
			return tx.AddAPIKey(current)
		})
		old.ExpiresAt = now.Add(time.Hour)
		barren.Scopes = []string{}
		update(t, st, func(tx *store.Tx) error {
			for _, want := range []store.APIKey{old, current, scoped, barren} {
				k, e, err := tx.APIKeyByHash(want.Hash, now)
				if diff := cmp.Diff(want, k); err != nil || diff != "" || e.ID != dev.ID {
					t.Errorf("APIKeyByHash: %v\n%s", err, diff)
				}
			}
			if _, _, err := tx.APIKeyByHash(barren.Hash, barren.ExpiresAt); !fault.Is(err, fault.NotFound) {
				t.Errorf("an expired key: %v", err)
			}
			keys, err := tx.RootKeys(dev.ID, now)
			if diff := cmp.Diff([]store.APIKey{current, old}, keys); err != nil || diff != "" {
				t.Errorf("RootKeys: %v\n%s", err, diff)
			}
			keys, err = tx.RootKeys(dev.ID, old.ExpiresAt)
			if diff := cmp.Diff([]store.APIKey{current}, keys); err != nil || diff != "" {
				t.Errorf("RootKeys after the grace: %v\n%s", err, diff)
			}
			return nil
		})
		err := st.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AddAPIKey(store.APIKey{ID: "k5", EnvID: dev.ID, Hash: "h5", Sealed: []byte{3}, CreatedAt: now})
		})
		if !sqldb.IsUnique(err) {
			t.Errorf("a second current root key: %v", err)
		}
	})
}

func TestKeyChangesAreHinted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		s := seedTenancy(t, st, "a")
		w := st.Watch(store.HintTenant, "")
		defer w.Close()
		preview := s.envs[tenant.Preview]
		var branch *tenant.Environment
		update(t, st, func(tx *store.Tx) (err error) {
			branch, err = tx.OpenBranch(preview, "b", now)
			return err
		})
		for name, change := range map[string]func(*store.Tx) error{
			"add": func(tx *store.Tx) error {
				return tx.AddAPIKey(store.APIKey{ID: "k", EnvID: preview.ID, Hash: "h", Sealed: []byte{1}, CreatedAt: now})
			},
			"expire":  func(tx *store.Tx) error { return tx.ExpireAPIKey("k", now) },
			"archive": func(tx *store.Tx) error { return tx.ArchiveBranch(branch.ID, now) },
		} {
			update(t, st, change)
			select {
			case <-w.C():
			default:
				t.Errorf("%s is not hinted", name)
			}
		}
	})
}

func TestOneTimeTokens(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		update(t, st, func(tx *store.Tx) error {
			for _, c := range []struct {
				hash  string
				at    time.Time
				first bool
			}{
				{"a", now, true},
				{"a", now.Add(time.Minute), false},
				{"b", now.Add(time.Minute), true},
				{"a", now.Add(2 * time.Hour), true}, // forgotten: such a token has expired itself
			} {
				if first, err := tx.UseToken(c.hash, now.Add(time.Hour), c.at); err != nil || first != c.first {
					t.Errorf("UseToken(%s at %v) = %v, %v", c.hash, c.at, first, err)
				}
			}
			return nil
		})
	})
}

// TestExpiredTokensAreForgotten: the uses that have expired become fewer with each new one,
// and are not all deleted in the transaction of one caller.
func TestExpiredTokensAreForgotten(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		use := func(hash string, at time.Time) (left int) {
			update(t, st, func(tx *store.Tx) error {
				if _, err := tx.UseToken(hash, at.Add(time.Hour), at); err != nil {
					return err
				}
				return tx.QueryRow(`SELECT count(*) FROM used_token`).Scan(&left)
			})
			return left
		}
		for i := range 250 {
			use(fmt.Sprint("old", i), now)
		}
		for i, want := range []int{151, 52, 3, 4} {
			if left := use(fmt.Sprint("new", i), now.Add(2*time.Hour)); left != want {
				t.Errorf("after %d uses %d are left, want %d", i+1, left, want)
			}
		}
	})
}
