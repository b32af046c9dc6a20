package auth

import (
	"context"
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/store"
	"sear/internal/tenant"
)

// RotationGrace is how long a root key works on after it was replaced, when nobody
// says, and MaxRotationGrace the most that can be said.
const (
	RotationGrace = 24 * time.Hour
	//limit:access Time that a replaced key goes on working, when a rotation asks for it |  | 400 Number must be between 0 and 2592000
	MaxRotationGrace = 30 * 24 * time.Hour
)

func newSecretKey(t tenant.EnvType) string { return "tr_" + t.Slug() + "_" + id.Random(id.Alnum, 24) }

func newScopedKey(t tenant.EnvType) string {
	return "tr_" + t.Slug() + "_sk_" + id.Random(id.Alnum, 24)
}

func newPAT() string { return tenant.PATPrefix + id.Random(id.Readable, 40) }

func newProjectRef() string { return "proj_" + id.Random(id.Lower, 20) }

// builtIn is the name of the token that `sear keys` prints.
const builtIn = "Created with the server"

// keyTable and patTable bind sealed credentials to their rows.
const (
	keyTable = "api_key"
	patTable = "pat"
)

// rootKey is the row of a new root key.
func (s *Sealer) rootKey(envID, key string, now time.Time) store.APIKey {
	row := store.APIKey{
		ID: id.New(now), EnvID: envID, Hash: digest(key), Name: "Secret key", LastFour: key[len(key)-4:], CreatedAt: now,
	}
	row.Sealed = s.Seal([]byte(key), keyTable, row.ID)
	return row
}

// scopedKey is the row of a new additional key.
func scopedKey(envID, name, key string, scopes []string, now, expires time.Time) store.APIKey {
	return store.APIKey{
		ID: id.New(now), EnvID: envID, Hash: digest(key), Scopes: scopes, Name: name,
		LastFour: key[len(key)-4:], CreatedAt: now, ExpiresAt: expires,
	}
}

func (s *Sealer) openKey(k store.APIKey) (string, error) {
	plain, err := s.Open(k.Sealed, keyTable, k.ID)
	return string(plain), err
}

// patRow is the row of a new token. A showable one can be read back.
func (s *Sealer) patRow(userID, name, token string, showable bool, now time.Time) store.PAT {
	row := store.PAT{
		ID: id.New(now), UserID: userID, Name: name, Hash: digest(token), Obfuscated: tenant.Obfuscate(token), CreatedAt: now,
	}
	if showable {
		row.Sealed = s.Seal([]byte(token), patTable, row.ID)
	}
	return row
}

// SecretKey returns the current root key of an environment; of a branch, its root's.
func (a *Auth) SecretKey(ctx context.Context, env *tenant.Environment) (string, error) {
	var rows []store.APIKey
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.RootKeys(env.RootID(), time.Now())
		return err
	})
	if err != nil {
		return "", err
	}
	if len(rows) == 0 {
		return "", errNoKey(env)
	}
	return a.sealer.openKey(rows[0])
}

func errNoKey(env *tenant.Environment) error {
	return errors.New("environment " + env.RootID() + " has no root key")
}

// RotateKey replaces the root key of a root environment and returns the new one. All
// older keys, and public tokens they signed, work until the returned instant, when the
// grace has passed, or shorter if that was said before.
func (a *Auth) RotateKey(ctx context.Context, env *tenant.Environment, grace time.Duration) (string, time.Time, error) {
	if env.ParentID != "" {
		return "", time.Time{}, fault.New(fault.Invalid, "A branch has no keys of its own")
	}
	now := time.Now()
	until := now.Add(grace)
	key := newSecretKey(env.Type)
	row := a.sealer.rootKey(env.ID, key, now)
	err := a.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockEnvironment(env.ID); err != nil {
			return err
		}
		old, err := tx.RootKeys(env.ID, now)
		if err != nil {
			return err
		}
		for _, k := range old {
			if !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(until) {
				continue
			}
			if err := tx.ExpireAPIKey(k.ID, until); err != nil {
				return err
			}
		}
		return tx.AddAPIKey(row)
	})
	return key, until, err
}

// AddKey makes an additional key of a root environment, held to its scopes. Only its
// hash is kept: this is the one time it can be shown. expires is zero for never.
func (a *Auth) AddKey(ctx context.Context, env *tenant.Environment, name string, scopes []string, expires time.Time) (string, error) {
	if env.ParentID != "" {
		return "", fault.New(fault.Invalid, "A branch has no keys of its own")
	}
	key := newScopedKey(env.Type)
	row := scopedKey(env.ID, name, key, scopes, time.Now(), expires)
	return key, a.store.Update(ctx, func(tx *store.Tx) error { return tx.AddAPIKey(row) })
}
