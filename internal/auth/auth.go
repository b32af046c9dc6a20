package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sear/internal/fault"
	"sear/internal/limit"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// Auth checks and makes credentials against the store. It is safe for concurrent use.
type Auth struct {
	store     *store.Store
	sealer    *Sealer
	log       *slog.Logger
	keys      *cache[presented, grant]
	signers   *cache[string, *signer]
	hashing   *comparisons
	anonymous *limit.Buckets // by client
	uses      uses
}

// New makes an Auth. log receives what goes wrong while a request is authenticated.
func New(st *store.Store, sealer *Sealer, log *slog.Logger) *Auth {
	return &Auth{
		store:     st,
		sealer:    sealer,
		log:       log,
		keys:      newCache[presented, grant](st.Watch(store.HintTenant, "")),
		signers:   newCache[string, *signer](st.Watch(store.HintTenant, "")),
		hashing:   newComparisons(),
		anonymous: limit.NewBuckets(anonymousRate),
		uses:      uses{m: map[used]time.Time{}},
	}
}

// What a request is told that has no usable credential. The texts are upstream's.
var (
	errMissing   = fault.New(fault.Unauthorized, "Invalid or Missing API key")
	errKey       = fault.New(fault.Unauthorized, "Invalid API key")
	errPublic    = fault.New(fault.Unauthorized, "Public Access Token is invalid")
	errSubject   = fault.New(fault.Unauthorized, "Invalid Public Access Token")
	errPAT       = fault.New(fault.Unauthorized, "Invalid or Missing Access Token")
	errNeeded    = fault.New(fault.Unauthorized, "x-trigger-branch header required for preview env")
	errNoBranch  = fault.New(fault.Unauthorized, "No matching branch env")
	errForbidden = fault.New(fault.Forbidden, "Unauthorized")
)

// Environment authenticates a request to an environment: with its root key, an
// additional key, or a public token. branch is the header that selects one of its
// branches; a public token names its branch itself.
func (a *Auth) Environment(ctx context.Context, bearer, branch string) (tenant.Principal, error) {
	if bearer == "" {
		return tenant.Principal{}, errMissing
	}
	if subject, public := claimed(bearer); public {
		return a.publicToken(ctx, bearer, subject)
	}
	return a.key(ctx, bearer, branch)
}

// presented is what an environment is recognised by. The key itself is not kept.
type presented struct {
	hash   [sha256.Size]byte
	branch string
}

// grant is what a key gives, and until when.
type grant struct {
	principal tenant.Principal
	keyID     string
	expires   time.Time
}

// key authenticates with a root or additional key.
func (a *Auth) key(ctx context.Context, bearer, branch string) (tenant.Principal, error) {
	who := presented{sha256.Sum256([]byte(bearer)), branch}
	g, err := a.keys.get(who, func() (g grant, err error) {
		err = a.store.View(ctx, func(tx *store.Tx) error {
			g, err = lookUp(tx, hex.EncodeToString(who.hash[:]), branch, time.Now())
			return err
		})
		return g, err
	})
	if err != nil {
		return tenant.Principal{}, err
	}
	if !g.expires.IsZero() && !time.Now().Before(g.expires) {
		return tenant.Principal{}, errKey
	}
	a.uses.note(store.CredentialKey, g.keyID, time.Now())
	return g.principal, nil
}

func lookUp(tx *store.Tx, hash, branch string, now time.Time) (grant, error) {
	k, root, err := tx.APIKeyByHash(hash, now)
	if fault.Is(err, fault.NotFound) {
		return grant{}, errKey
	}
	if err != nil {
		return grant{}, err
	}
	env, err := branchOf(tx, root, branch)
	if err != nil {
		return grant{}, err
	}
	p := tenant.Principal{Kind: tenant.KindSecretKey, Env: env, Credential: hash, ExpiresAt: k.ExpiresAt}
	if !k.Root() {
		p.Kind, p.Scopes, p.Maker = tenant.KindScopedKey, k.Scopes, maker(k.Hash)
	}
	return grant{p, k.ID, k.ExpiresAt}, nil
}

// branchOf is the environment that a key of root and a branch header mean together.
// Staging and production have no branches; clients on a build host send the header anyway.
func branchOf(tx *store.Tx, root *tenant.Environment, branch string) (*tenant.Environment, error) {
	switch {
	case !root.Type.Branches():
		return root, nil
	case root.Type == tenant.Preview && branch == "":
		return nil, errNeeded
	case root.Type == tenant.Development && (branch == "" || branch == tenant.DefaultBranch):
		return root, nil
	}
	env, err := tx.Branch(root.ID, branch)
	if fault.Is(err, fault.NotFound) {
		return nil, errNoBranch
	}
	return env, err
}

// PAT authenticates a request of a user with a personal access token.
func (a *Auth) PAT(ctx context.Context, bearer string) (tenant.Principal, error) {
	if !strings.HasPrefix(bearer, tenant.PATPrefix) {
		return tenant.Principal{}, errPAT
	}
	now := time.Now()
	var u tenant.User
	var tokenID string
	hash := digest(bearer)
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		u, tokenID, err = tx.UserByPAT(hash, now)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return tenant.Principal{}, errPAT
	}
	if err != nil {
		return tenant.Principal{}, fmt.Errorf("look up access token: %w", err)
	}
	a.uses.note(store.CredentialToken, tokenID, now)
	return tenant.Principal{Kind: tenant.KindPAT, UserID: u.ID, Credential: hash}, nil
}

// maker is the part of a credential's digest that stands for it in keys: enough that no two
// are the same.
func maker(digest string) string { return digest[:run.OwnerLen] }

// isMaker is the form of what maker returns, which a token that we did not write may not have.
var isMaker = regexp.MustCompile(`^[0-9a-f]{` + strconv.Itoa(run.OwnerLen) + `}$`)

// digest is how a credential that need not be given back is stored. They are long and
// random, so a plain hash is enough.
func digest(credential string) string {
	sum := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(sum[:])
}
