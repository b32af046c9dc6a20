package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/store"
)

// ApprovalPath begins the path of the page on which a login of the command line is
// approved; the code of the login follows.
const ApprovalPath = "/account/authorization-code/"

// LoginTTL is how long a login of the command line may wait for approval. The official
// program gives up after as long.
const LoginTTL = 10 * time.Minute

// repeatTTL is how long a token can be fetched again after it was issued, for a client
// that did not receive the first answer.
const repeatTTL = time.Minute

// LoginRequest is how a command line begins a login. Without a challenge, as older ones
// do, whoever knows the code gets the token; otherwise the verifier is needed too.
type LoginRequest struct {
	Challenge    string // base64url of the SHA-256 of the verifier
	CallbackPort int    // where the program listens on the approving machine, 0 for nowhere
}

// approval chooses how the program learns of its approval. A code that travels through
// the browser shows that who began the login is who approved it; polling cannot.
func (r LoginRequest) approval() store.Approval {
	switch {
	case r.Challenge == "":
		return store.ApprovalPoll
	case r.CallbackPort != 0:
		return store.ApprovalCallback
	default:
		return store.ApprovalPaste
	}
}

// BeginLogin opens a login and returns the code by which the program and the approval
// page know it.
func (a *Auth) BeginLogin(ctx context.Context, r LoginRequest) (code string, approval store.Approval, err error) {
	code = id.Random(id.Alnum, 40)
	now := time.Now()
	row := store.AuthCode{Hash: digest(code), Approval: r.approval(), Challenge: r.Challenge, CreatedAt: now, ExpiresAt: now.Add(LoginTTL)}
	if row.Approval == store.ApprovalCallback {
		row.CallbackPort = r.CallbackPort
	}
	err = a.store.Update(ctx, func(tx *store.Tx) error { return tx.AddAuthCode(row) })
	return code, row.Approval, err
}

// PendingLogin reads a login for the approval page, fault.NotFound when it has expired.
func (a *Auth) PendingLogin(ctx context.Context, code string) (c store.AuthCode, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.AuthCode(digest(code), time.Now())
		return err
	})
	return c, err
}

// Approved is what the approval page needs to finish a login.
type Approved struct {
	Approval     store.Approval
	Code         string // to be shown, or sent to the program; "" when it polls
	CallbackPort int
}

// ApproveLogin lets the program act for the user. Approving again replaces the code.
func (a *Auth) ApproveLogin(ctx context.Context, code, userID string) (Approved, error) {
	fresh := newApprovalCode()
	var out Approved
	err := a.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockAuthCode(digest(code), time.Now())
		if err != nil {
			return err
		}
		if c.Sealed != nil {
			return fault.New(fault.Conflict, "This login has been completed already")
		}
		out = Approved{Approval: c.Approval, CallbackPort: c.CallbackPort}
		c.UserID = userID
		if c.Approval != store.ApprovalPoll {
			out.Code, c.ApprovalHash = fresh, digest(plainApproval(fresh))
		}
		return tx.SaveAuthCode(c)
	})
	return out, err
}

// approvalAlphabet is easy to read off a screen: it has no letters that look like digits.
const approvalAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

// newApprovalCode draws a code of 60 bits such as ABCD-EFGH-JKLM.
func newApprovalCode() string {
	s := id.Random(approvalAlphabet, 12)
	return s[:4] + "-" + s[4:8] + "-" + s[8:]
}

// plainApproval forgives how people type a code.
func plainApproval(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
}

// ExchangeLogin gives the program its token, "" while nobody has approved the login.
// verifier and approvalCode are "" for a program that polls. The kinds of its errors
// decide what the official program does: after fault.Malformed it asks for the code
// again, after others it gives up.
func (a *Auth) ExchangeLogin(ctx context.Context, code, verifier, approvalCode string) (token string, err error) {
	hash := digest(code)
	ready := false
	err = a.store.View(ctx, func(tx *store.Tx) error {
		c, err := tx.AuthCode(hash, time.Now())
		if err != nil {
			return err
		}
		ready, err = mayExchange(c, verifier, approvalCode)
		return err
	})
	if err != nil || !ready {
		return "", err
	}
	now, fresh := time.Now(), newPAT()
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockAuthCode(hash, now)
		if err != nil {
			return err
		}
		if ready, err = mayExchange(c, verifier, approvalCode); err != nil || !ready {
			return err
		}
		token, err = a.issue(tx, c, fresh, now)
		return err
	})
	if err != nil || !ready {
		return "", err
	}
	return token, nil
}

const loginTable = "auth_code"

// issue makes a token for an approved login, or gives the one it made before.
func (a *Auth) issue(tx *store.Tx, c store.AuthCode, fresh string, now time.Time) (string, error) {
	if c.Sealed != nil {
		plain, err := a.sealer.Open(c.Sealed, loginTable, c.Hash)
		return string(plain), err
	}
	if err := tx.AddPAT(a.sealer.patRow(c.UserID, "Command line login", fresh, false, now)); err != nil {
		return "", err
	}
	c.Sealed, c.ExpiresAt = a.sealer.Seal([]byte(fresh), loginTable, c.Hash), now.Add(repeatTTL)
	return fresh, tx.SaveAuthCode(c)
}

// mayExchange checks the proofs of a program that asks for its token. ready is false
// while the login is not approved.
func mayExchange(c store.AuthCode, verifier, approvalCode string) (ready bool, err error) {
	if c.Approval == store.ApprovalPoll {
		return c.UserID != "", nil
	}
	sum := sha256.Sum256([]byte(verifier))
	if !SameText(base64.RawURLEncoding.EncodeToString(sum[:]), c.Challenge) {
		return false, fault.New(fault.Forbidden, "This login was begun by another program")
	}
	if c.UserID == "" {
		return false, nil
	}
	if !SameText(digest(plainApproval(approvalCode)), c.ApprovalHash) {
		return false, fault.New(fault.Malformed, "Approval code is not valid")
	}
	return true, nil
}

// same compares texts in constant time.
// SameText compares what a caller gave with a secret, in a time that does not tell how
// much of it is right.
func SameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
