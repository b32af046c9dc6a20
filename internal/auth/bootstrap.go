package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/store"
	"sear/internal/tenant"
)

// AdminEmail is the address of the user that a new store gets.
const AdminEmail = "admin@sear.local"

// instanceTable and instanceRow bind the value by which a wrong sealing key is noticed.
const (
	instanceTable = "instance"
	instanceRow   = "1"
)

// Admin is the user of a new store. The password is shown once and kept as a hash.
type Admin struct{ Email, Password string }

// Bootstrap fills an empty store with an organisation, a project, its environments
// with their keys, and an administrator with a personal access token. It returns the
// administrator to the one caller, of all nodes starting at once, that did so, and nil
// to the others. A store that was set up under another sealing key is an error.
func Bootstrap(ctx context.Context, st *store.Store, sealer *Sealer) (*Admin, error) {
	switch err := CheckSeal(ctx, st, sealer); {
	case err == nil:
		return nil, nil
	case !fault.Is(err, fault.NotFound):
		return nil, err
	}
	s, err := newSetup(sealer, time.Now())
	if err != nil {
		return nil, err
	}
	first := false
	err = st.Update(ctx, func(tx *store.Tx) (err error) {
		first, err = s.insert(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("set up the store: %w", err)
	}
	if !first {
		return nil, CheckSeal(ctx, st, sealer)
	}
	return &Admin{Email: s.user.Email, Password: s.password}, nil
}

// ErrOtherKey says that a store was set up under another sealing key.
var ErrOtherKey = errors.New("the store was set up under another sealing key than this server has")

// CheckSeal opens the value by which a wrong key is noticed: it is ErrOtherKey when that does
// not fit, and a fault.NotFound when the store is empty.
func CheckSeal(ctx context.Context, st *store.Store, sealer *Sealer) error {
	var sealed []byte
	err := st.View(ctx, func(tx *store.Tx) (err error) {
		sealed, err = tx.Instance()
		return err
	})
	if err != nil {
		return err
	}
	if _, err := sealer.Open(sealed, instanceTable, instanceRow); err != nil {
		return fmt.Errorf("%w: %w", ErrOtherKey, err)
	}
	return nil
}

// setup is the content of a new store. It is made before the transaction, which may
// run more than once.
type setup struct {
	now      time.Time
	instance []byte
	org      tenant.Organization
	project  tenant.Project
	envs     []*tenant.Environment
	keys     []store.APIKey
	user     tenant.User
	password string
	hash     string
	pat      store.PAT
}

func newSetup(sealer *Sealer, now time.Time) (*setup, error) {
	s := &setup{now: now, instance: sealer.Seal([]byte("sear"), instanceTable, instanceRow)}
	s.org = tenant.Organization{ID: id.New(now), Slug: "sear", Title: "Sear", CreatedAt: now}
	s.project = tenant.Project{ID: id.New(now), OrgID: s.org.ID, Ref: newProjectRef(), Slug: "default", Name: "Default", CreatedAt: now}
	for _, t := range tenant.EnvTypes {
		env := &tenant.Environment{
			ID: id.New(now), OrgID: s.org.ID, ProjectID: s.project.ID, Type: t,
			ConcurrencyLimit: tenant.DefaultConcurrency, CreatedAt: now,
		}
		s.envs = append(s.envs, env)
		s.keys = append(s.keys, sealer.rootKey(env.ID, newSecretKey(t), now))
	}
	s.user = tenant.User{ID: id.New(now), Email: AdminEmail, CreatedAt: now}
	var err error
	s.password, s.hash, err = newPassword()
	s.pat = sealer.patRow(s.user.ID, builtIn, newPAT(), true, now)
	return s, err
}

func (s *setup) insert(tx *store.Tx) (first bool, err error) {
	if first, err = tx.SetUp(s.instance, s.now); err != nil || !first {
		return false, err
	}
	if err := tx.AddOrganization(s.org); err != nil {
		return false, err
	}
	if err := tx.AddProject(s.project); err != nil {
		return false, err
	}
	for i, env := range s.envs {
		if _, err := tx.AddEnvironment(env); err != nil {
			return false, err
		}
		if err := tx.AddAPIKey(s.keys[i]); err != nil {
			return false, err
		}
	}
	if err := tx.AddUser(s.user, s.hash); err != nil {
		return false, err
	}
	if err := tx.AddMember(s.org.ID, s.user.ID, tenant.Owner, s.now); err != nil {
		return false, err
	}
	return true, tx.AddPAT(s.pat)
}

// Keys is what a developer needs to point the official tools at the first project.
type Keys struct {
	PersonalAccessToken string     `json:"personalAccessToken"`
	ProjectRef          string     `json:"projectRef"`
	SecretKeys          SecretKeys `json:"secretKeys"`
}

// SecretKeys are the root keys of a project's environments.
type SecretKeys struct {
	Dev     string `json:"dev"`
	Staging string `json:"staging"`
	Prod    string `json:"prod"`
	Preview string `json:"preview"`
}

// ReadKeys reads them back from a store that has been set up; it only reads, so it may
// be used beside a running server. The token is "" once it has been revoked.
func ReadKeys(ctx context.Context, st *store.Store, sealer *Sealer) (Keys, error) {
	var k Keys
	err := st.View(ctx, func(tx *store.Tx) error {
		project, _, err := tx.FirstProject()
		if err != nil {
			return err
		}
		k.ProjectRef = project.Ref
		for t, key := range map[tenant.EnvType]*string{
			tenant.Development: &k.SecretKeys.Dev, tenant.Staging: &k.SecretKeys.Staging,
			tenant.Production: &k.SecretKeys.Prod, tenant.Preview: &k.SecretKeys.Preview,
		} {
			if *key, err = readRootKey(tx, sealer, project.ID, t); err != nil {
				return err
			}
		}
		k.PersonalAccessToken, err = readPAT(tx, sealer)
		return err
	})
	return k, err
}

func readRootKey(tx *store.Tx, sealer *Sealer, projectID string, t tenant.EnvType) (string, error) {
	env, err := tx.RootEnvironment(projectID, t)
	if err != nil {
		return "", err
	}
	rows, err := tx.RootKeys(env.ID, time.Now())
	if err != nil {
		return "", err
	}
	if len(rows) == 0 {
		return "", errNoKey(env)
	}
	return sealer.openKey(rows[0])
}

func readPAT(tx *store.Tx, sealer *Sealer) (string, error) {
	p, err := tx.ShowablePAT()
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	plain, err := sealer.Open(p.Sealed, patTable, p.ID)
	return string(plain), err
}
