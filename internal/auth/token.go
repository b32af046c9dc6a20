package auth

import (
	"context"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sear/internal/fault"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Public tokens name their issuer and audience so; the SDK signs them itself and
// these are the values it puts in.
const (
	tokenIssuer   = "https://id.trigger.dev"
	tokenAudience = "https://api.trigger.dev"
)

// DefaultTokenTTL is how long a public token lasts when nobody says.
const DefaultTokenTTL = 15 * time.Minute

// Claims are what a public token needs beside times and names, as the clients that
// sign for themselves expect to be told.
type Claims struct {
	Sub    string   `json:"sub"`
	Pub    bool     `json:"pub"`
	Scopes []string `json:"scopes,omitempty"`
}

// ClaimsFor are the claims of a public token of the environment.
func ClaimsFor(env *tenant.Environment, scopes ...string) Claims {
	return Claims{Sub: env.ID, Pub: true, Scopes: scopes}
}

// Grant is what a public token is to allow.
type Grant struct {
	Scopes      []string
	Expires     time.Time // zero for DefaultTokenTTL from now
	OneTime     bool      // it may trigger once
	SkipColumns []string  // run columns that realtime leaves out
}

// PublicToken signs a public token of the environment with its current root key.
func (a *Auth) PublicToken(ctx context.Context, env *tenant.Environment, g Grant) (string, error) {
	s, err := a.signer(ctx, env.ID)
	if err != nil {
		return "", err
	}
	if len(s.keys) == 0 {
		return "", errNoKey(env)
	}
	now := time.Now()
	if g.Expires.IsZero() {
		g.Expires = now.Add(DefaultTokenTTL)
	}
	claims := jwt.MapClaims{
		"iss": tokenIssuer, "aud": tokenAudience, "sub": env.ID, "pub": true,
		"iat": now.Unix(), "exp": g.Expires.Unix(),
	}
	if g.Scopes != nil {
		claims["scopes"] = g.Scopes
	}
	if g.OneTime {
		claims["otu"] = true
	}
	if g.SkipColumns != nil {
		claims["realtime"] = map[string]any{"skipColumns": g.SkipColumns}
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	delete(t.Header, "typ") // upstream has none
	return t.SignedString(s.keys[0].key)
}

// signer is an environment with the keys that sign its public tokens.
type signer struct {
	env  *tenant.Environment
	keys []signingKey // the current one first, then those that were rotated out
}

type signingKey struct {
	key     []byte
	expires time.Time // zero for the current one
}

// signer reads an environment in use, with its keys, by id.
func (a *Auth) signer(ctx context.Context, envID string) (*signer, error) {
	return a.signers.get(envID, func() (s *signer, err error) {
		err = a.store.View(ctx, func(tx *store.Tx) error {
			s, err = a.loadSigner(tx, envID)
			return err
		})
		return s, err
	})
}

func (a *Auth) loadSigner(tx *store.Tx, envID string) (*signer, error) {
	env, err := tx.Environment(envID)
	if err != nil {
		return nil, err
	}
	if env.Archived() {
		return nil, fault.New(fault.NotFound, "Environment is archived")
	}
	rows, err := tx.RootKeys(env.RootID(), time.Now())
	if err != nil {
		return nil, err
	}
	s := &signer{env: env}
	for _, k := range rows {
		key, err := a.sealer.openKey(k)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, signingKey{[]byte(key), k.ExpiresAt})
	}
	return s, nil
}

// valid are the keys that verify at the given instant.
func (s *signer) valid(now time.Time) jwt.VerificationKeySet {
	var set jwt.VerificationKeySet
	for _, k := range s.keys {
		if k.expires.IsZero() || now.Before(k.expires) {
			set.Keys = append(set.Keys, k.key)
		}
	}
	return set
}

// tokenClaims is a public token as it is read.
type tokenClaims struct {
	jwt.RegisteredClaims
	Pub      bool     `json:"pub"`
	Scopes   []string `json:"scopes"`
	OneTime  bool     `json:"otu"`
	Realtime struct {
		SkipColumns []string `json:"skipColumns"`
	} `json:"realtime"`
}

// Decoding is strict because a token for one use is known by its hash: a second
// spelling of the same token would be a second use.
var (
	peeker   = jwt.NewParser()
	verifier = jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(tokenIssuer),
		jwt.WithAudience(tokenAudience), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
)

// claimed reports whether a credential says it is a public token, and of which
// environment. Nothing is verified yet.
func claimed(bearer string) (subject string, public bool) {
	if strings.Count(bearer, ".") != 2 {
		return "", false
	}
	var c tokenClaims
	if _, _, err := peeker.ParseUnverified(bearer, &c); err != nil {
		return "", false
	}
	return c.Subject, c.Pub
}

// publicToken authenticates with a public token. subject is the environment it claims.
func (a *Auth) publicToken(ctx context.Context, bearer, subject string) (tenant.Principal, error) {
	if subject == "" {
		return tenant.Principal{}, errSubject
	}
	s, err := a.signer(ctx, subject)
	if fault.Is(err, fault.NotFound) {
		return tenant.Principal{}, errSubject
	}
	if err != nil {
		return tenant.Principal{}, err
	}
	var c tokenClaims
	_, err = verifier.ParseWithClaims(bearer, &c, func(*jwt.Token) (any, error) { return s.valid(time.Now()), nil })
	if err != nil || !c.Pub {
		return tenant.Principal{}, fault.Wrap(fault.Unauthorized, err, errPublic.Msg)
	}
	p := tenant.Principal{
		Kind: tenant.KindPublic, Env: s.env, Scopes: c.Scopes, ExpiresAt: c.ExpiresAt.Time,
		SkipColumns: c.Realtime.SkipColumns,
	}
	if c.OneTime {
		p.OneTime = digest(bearer)
	}
	return p, nil
}
