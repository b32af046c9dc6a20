package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sear/internal/fault"
	"sear/internal/id"
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
//
//limit:access Life of a public token, when nobody says |  | 401
const DefaultTokenTTL = 15 * time.Minute

// Claims are what a public token needs beside times and names, as the clients that
// sign for themselves expect to be told.
type Claims struct {
	Sub    string   `json:"sub"`
	Pub    bool     `json:"pub"`
	Scopes []string `json:"scopes,omitempty"`
	ID     string   `json:"jti,omitempty"`
}

// ClaimsFor are the claims of a public token of the environment.
func ClaimsFor(env *tenant.Environment, scopes ...string) Claims {
	return Claims{Sub: env.ID, Pub: true, Scopes: scopes}
}

// ClaimsToSign are the claims of one token that the client signs itself. A token for one use
// is known by its text, and times are whole seconds: only the id keeps two tokens of the
// same second apart. The SDK copies every claim of the answer, so it signs the id as well.
func ClaimsToSign(env *tenant.Environment) Claims {
	c := ClaimsFor(env)
	c.ID = rand.Text()
	return c
}

// Grant is what a public token is to allow.
type Grant struct {
	Scopes      []string
	Expires     time.Time // zero for DefaultTokenTTL from now
	OneTime     bool      // it may trigger once
	SkipColumns []string  // run columns that realtime leaves out
	Maker       string    // see tenant.Principal; "" for a token that acts for nobody else
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
	c := mintedClaims{
		Scopes: g.Scopes, OneTime: g.OneTime, Issuer: tokenIssuer, Audience: tokenAudience,
		Subject: env.ID, Pub: true, IssuedAt: now.Unix(), Expires: g.Expires.Unix(), Maker: g.Maker,
	}
	if g.OneTime { // or two of one second would be one text, and so one use
		c.ID = rand.Text()
	}
	if g.SkipColumns != nil {
		c.Realtime = &realtimeClaims{g.SkipColumns}
	}
	return mint(c, s.keys[0].key)
}

// mintedClaims is a public token as it is written.
type mintedClaims struct {
	Scopes   []string        `json:"scopes,omitempty"`
	OneTime  bool            `json:"otu,omitempty"`
	Realtime *realtimeClaims `json:"realtime,omitempty"`
	Issuer   string          `json:"iss"`
	Audience string          `json:"aud"`
	Subject  string          `json:"sub"`
	Pub      bool            `json:"pub"`
	IssuedAt int64           `json:"iat"`
	Expires  int64           `json:"exp"`
	Maker    string          `json:"maker,omitempty"`
	ID       string          `json:"jti,omitempty"`
}

type realtimeClaims struct {
	SkipColumns []string `json:"skipColumns"`
}

// tokenHeader is {"alg":"HS256"}, as upstream writes it.
var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`))

// mint signs by hand: each trigger answers with a token, and the library's way takes
// five times as long (BenchmarkPublicToken).
func mint(c mintedClaims, key []byte) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	b := make([]byte, 0, len(tokenHeader)+enc.EncodedLen(len(payload))+enc.EncodedLen(sha256.Size)+2)
	b = append(b, tokenHeader...)
	b = enc.AppendEncode(append(b, '.'), payload)
	mac := hmac.New(sha256.New, key)
	mac.Write(b)
	b = enc.AppendEncode(append(b, '.'), mac.Sum(nil))
	return string(b), nil
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

// until is when the key ends that signed a token which was verified, zero for the current one.
func (s *signer) until(token *jwt.Token) time.Time {
	signed := token.Raw[:strings.LastIndexByte(token.Raw, '.')]
	for _, k := range s.keys {
		if !k.expires.IsZero() && token.Method.Verify(signed, token.Signature, k.key) == nil {
			return k.expires
		}
	}
	return time.Time{}
}

// tokenClaims is a public token as it is read.
type tokenClaims struct {
	jwt.RegisteredClaims
	Pub      bool           `json:"pub"`
	Scopes   []string       `json:"scopes"`
	OneTime  bool           `json:"otu"`
	Realtime realtimeClaims `json:"realtime"`
	Maker    string         `json:"maker"`
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
	if _, ok := id.Internal("", subject); !ok { // whatever it is, it goes no further
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
	token, err := verifier.ParseWithClaims(bearer, &c, func(*jwt.Token) (any, error) { return s.valid(time.Now()), nil })
	if err != nil || !c.Pub {
		return tenant.Principal{}, fault.Wrap(fault.Unauthorized, err, errPublic.Msg)
	}
	p := tenant.Principal{
		Kind: tenant.KindPublic, Env: s.env, Scopes: c.Scopes, Credential: digest(bearer),
		ExpiresAt: c.ExpiresAt.Time, SkipColumns: c.Realtime.SkipColumns, Maker: c.Maker,
	}
	if until := s.until(token); !until.IsZero() && until.Before(p.ExpiresAt) {
		p.ExpiresAt = until
	}
	if !isMaker.MatchString(p.Maker) { // it acts for itself
		p.Maker = maker(p.Credential)
	}
	if c.OneTime {
		p.OneTime = p.Credential
	}
	return p, nil
}
