package auth

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/store"
	"sear/internal/tenant"
)

// SessionTTL is how long a browser stays signed in.
//
//limit:access Time that a browser stays signed in |  | it has to sign in again
const SessionTTL = 7 * 24 * time.Hour

var errSignIn = fault.New(fault.Unauthorized, "The e-mail address, password or token is not right")

// SignIn begins a browser session for a user who gives a password, or a personal access
// token in its place; with the latter the address does not matter. The session is known
// by the returned text, which is kept as a hash only. client is the network that asks, see
// rest.ClientNetwork: with a password it is a fault.Limit when that, or too many others, wait
// for an answer.
func (a *Auth) SignIn(ctx context.Context, client, email, secret string) (session string, err error) {
	userID, err := a.identify(ctx, client, email, secret)
	if err != nil {
		return "", err
	}
	session = id.Random(id.Alnum, 43) // 256 bits
	now := time.Now()
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		return tx.AddSession(digest(session), userID, now, now.Add(SessionTTL))
	})
	return session, err
}

func (a *Auth) identify(ctx context.Context, client, email, secret string) (userID string, err error) {
	if strings.HasPrefix(secret, tenant.PATPrefix) {
		p, err := a.PAT(ctx, secret)
		if fault.Is(err, fault.Unauthorized) {
			return "", errSignIn
		}
		return p.UserID, err
	}
	var u tenant.User
	var hash string
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		u, hash, err = tx.UserByEmail(strings.ToLower(strings.TrimSpace(email)))
		return err
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	matches, err := a.passwordMatches(ctx, client, hash, secret)
	if err == nil && !matches {
		err = errSignIn
	}
	if err != nil {
		return "", err
	}
	return u.ID, nil
}

// decoy is compared where there is no hash, so that the time taken does not tell
// whether an address is known.
var decoy = sync.OnceValue(func() []byte {
	hash, err := bcrypt.GenerateFromPassword([]byte(id.Random(id.Alnum, 40)), bcrypt.DefaultCost)
	if err != nil {
		panic(err) // only a password over 72 bytes or a wrong cost is refused
	}
	return hash
})

func (a *Auth) passwordMatches(ctx context.Context, client, hash, password string) (bool, error) {
	end, err := a.hashing.begin(ctx, client)
	if err != nil {
		return false, err
	}
	defer end()
	if hash == "" {
		_ = bcrypt.CompareHashAndPassword(decoy(), []byte(password))
		return false, nil
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, nil
}

// SessionUser is who a session belongs to: fault.Unauthorized when there is no such
// session or it has expired.
func (a *Auth) SessionUser(ctx context.Context, session string) (u tenant.User, err error) {
	now, hash := time.Now(), digest(session)
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		u, err = tx.UserBySession(hash, now)
		return err
	})
	switch {
	case err == nil:
		a.uses.note(store.CredentialSession, hash, now)
	case fault.Is(err, fault.NotFound):
		err = fault.Wrap(fault.Unauthorized, err, "Sign in first")
	}
	return u, err
}

// SignOut ends a session.
func (a *Auth) SignOut(ctx context.Context, session string) error {
	return a.store.Update(ctx, func(tx *store.Tx) error { return tx.DeleteSession(digest(session)) })
}
