package auth

import (
	"context"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/store"
)

// Credentials lists what works for a user: tokens, sessions, and the keys of the environments
// that the user is a member of.
func (a *Auth) Credentials(ctx context.Context, userID string) (all []store.Credential, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		all, err = tx.Credentials(userID, time.Now())
		return err
	})
	return all, err
}

// CredentialID is how the owner of a credential names it.
func CredentialID(c store.Credential) string { return id.Friendly(string(c.Kind), c.ID) }

// ownCredential reads what a user names; a name that nothing of the user has is fault.NotFound.
func ownCredential(tx *store.Tx, userID, name string, now time.Time) (store.Credential, error) {
	kind, rowID, _ := strings.Cut(name, "_")
	return tx.Credential(userID, store.CredentialKind(kind), rowID, now)
}

// EndCredential ends a token, a session or an additional key at once, and with it what is open.
// What something would be left without is a fault.Conflict: an environment without its secret
// key, and the server without the token that `sear keys` prints. These are replaced instead.
func (a *Auth) EndCredential(ctx context.Context, userID, name string) error {
	now := time.Now()
	return a.store.Update(ctx, func(tx *store.Tx) error {
		c, err := ownCredential(tx, userID, name, now)
		switch {
		case err != nil:
			return err
		case c.Root && c.ExpiresAt.IsZero():
			return fault.New(fault.Conflict, "An environment is never without a secret key: replace it instead")
		case c.BuiltIn && c.ExpiresAt.IsZero():
			return fault.New(fault.Conflict, "This is the token that `sear keys` prints: replace it instead")
		}
		return tx.EndCredential(c.Kind, c.ID, now)
	})
}

// ReplaceCredential makes a new token or key with the rights of the one that is named, which works
// on until the grace has passed. It is returned this once. A session is not replaced but begun.
func (a *Auth) ReplaceCredential(ctx context.Context, userID, name string, grace time.Duration) (fresh string, until time.Time, err error) {
	now := time.Now()
	until = now.Add(grace)
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		c, err := ownCredential(tx, userID, name, now)
		if err != nil {
			return err
		}
		if !c.ExpiresAt.IsZero() && c.Kind == store.CredentialToken || c.Root && !c.ExpiresAt.IsZero() {
			return fault.New(fault.Conflict, "This credential has been replaced already")
		}
		if fresh, err = a.replace(tx, userID, c, now); err != nil {
			return err
		}
		if !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(until) {
			until = c.ExpiresAt
		}
		return tx.EndCredential(c.Kind, c.ID, until)
	})
	return fresh, until, err
}

// replace inserts the successor of a credential.
func (a *Auth) replace(tx *store.Tx, userID string, c store.Credential, now time.Time) (fresh string, err error) {
	switch {
	case c.Kind == store.CredentialToken:
		fresh = newPAT()
		return fresh, tx.AddPAT(a.sealer.patRow(userID, c.Name, fresh, c.BuiltIn, now))
	case c.Kind == store.CredentialKey && !c.Root:
		fresh = newScopedKey(c.Env)
		return fresh, tx.AddAPIKey(scopedKey(c.EnvID, c.Name, fresh, c.Scopes, now, c.ExpiresAt))
	case c.Root:
		return "", fault.New(fault.Conflict, "A secret key is replaced by POST /api/v1/projects/{project}/{environment}/keys/rotate")
	}
	return "", fault.New(fault.Conflict, "A session is not replaced: sign in again")
}

// EndAll ends every token and session of a user at once, as after a leak, and replaces the token
// that `sear keys` prints. The keys of environments are left as they are: they are replaced one by
// one, so that who runs on them can follow.
func (a *Auth) EndAll(ctx context.Context, userID string) (ended int64, err error) {
	now := time.Now()
	fresh := a.sealer.patRow(userID, builtIn, newPAT(), true, now)
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		shown, err := tx.ShowablePAT()
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if ended, err = tx.EndTokensAndSessions(userID, now); err != nil || shown.UserID != userID {
			return err
		}
		return tx.AddPAT(fresh)
	})
	return ended, err
}

// ResetPassword gives a user a new password, which is returned this once, and ends all sessions.
func (a *Auth) ResetPassword(ctx context.Context, userID string) (Admin, error) {
	password, hash, err := newPassword()
	if err != nil {
		return Admin{}, err
	}
	admin := Admin{Password: password}
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		u, err := tx.User(userID)
		if err != nil {
			return err
		}
		admin.Email = u.Email
		return tx.SetPassword(userID, hash)
	})
	return admin, err
}

// newPassword draws a password of a hundred bits, with the hash that is kept of it.
func newPassword() (password, hash string, err error) {
	password = id.Random(id.Readable, 20)
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	return password, string(b), err
}

// Administrator is the user that was made with the store.
func Administrator(ctx context.Context, st *store.Store) (userID string, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		u, _, err := tx.UserByEmail(AdminEmail)
		userID = u.ID
		return err
	})
	return userID, err
}
