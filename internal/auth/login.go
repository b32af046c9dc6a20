package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
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
//
//limit:access Time for a login of the command line to be approved |  | it has to begin again
const LoginTTL = 10 * time.Minute

// repeatTTL is how long a token can be fetched again after it was issued, for a client
// that did not receive the first answer.
const repeatTTL = time.Minute

// BeginLogin returns the code by which a program and the approval page know a login that
// begins now. Nothing is kept of it: anybody may begin any number.
func (a *Auth) BeginLogin(l Login) (code string) {
	l.Began, l.Client = time.Now(), clientName(l.Client)
	return a.sealer.loginCode(id.Random(approvalAlphabet, wordLen), l)
}

// PendingLogin reads a login for the approval page: fault.NotFound when it has expired,
// fault.Conflict when its program has its token.
func (a *Auth) PendingLogin(ctx context.Context, code string) (Login, error) {
	_, l, err := a.sealer.openLogin(code)
	if err != nil {
		return Login{}, err
	}
	var c store.AuthCode
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.AuthCode(digest(code))
		return err
	})
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return Login{}, err
	case c.Sealed != nil:
		return Login{}, fault.New(fault.Conflict, "This login has been completed already")
	case l.expired(time.Now()):
		return Login{}, errNoLogin
	}
	return l, nil
}

func (l Login) expired(now time.Time) bool { return !now.Before(l.Began.Add(LoginTTL)) }

// ApproveLogin lets the program act for the user, and returns the code that proves it: to be
// shown, or sent to the program. Approving again replaces that code. typed are the characters
// with which the login's code begins, as a person has read them where the login was begun; it
// is a fault.Malformed when they are others.
func (a *Auth) ApproveLogin(ctx context.Context, code, typed, userID string) (l Login, approvalCode string, err error) {
	word, l, err := a.sealer.openLogin(code)
	now := time.Now()
	switch {
	case err != nil:
		return Login{}, "", err
	case l.expired(now):
		return Login{}, "", errNoLogin
	case !SameText(plainApproval(typed), word):
		return Login{}, "", fault.New(fault.Malformed, "These are not the first four characters of the code")
	}
	approvalCode = newApprovalCode()
	row := store.AuthCode{
		Hash: digest(code), Approval: l.Approval(), UserID: userID, ApprovalHash: digest(plainApproval(approvalCode)),
		BeganAt: l.Began, ExpiresAt: l.Began.Add(LoginTTL),
	}
	err = a.store.Update(ctx, func(tx *store.Tx) error { return tx.ApproveAuthCode(row, now, now.Add(-LoginTTL)) })
	return l, approvalCode, err
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

// ExchangeLogin gives the program its token, "" while nobody has approved the login. The
// kinds of its errors decide what the official program does: after fault.Malformed it asks
// for the code again, after others it gives up.
func (a *Auth) ExchangeLogin(ctx context.Context, code, verifier, approvalCode string) (token string, err error) {
	_, l, err := a.sealer.openLogin(code)
	if err != nil {
		return "", err
	}
	if sum := sha256.Sum256([]byte(verifier)); subtle.ConstantTimeCompare(sum[:], l.Challenge[:]) != 1 {
		return "", fault.New(fault.Forbidden, "This login was begun by another program")
	}
	now, hash, fresh := time.Now(), digest(code), newPAT()
	ready := false
	check := func(c store.AuthCode, err error) error {
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		ready, err = l.mayExchange(c, approvalCode, now)
		return err
	}
	err = a.store.View(ctx, func(tx *store.Tx) error { return check(tx.AuthCode(hash)) })
	if err != nil || !ready {
		return "", err
	}
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockAuthCode(hash)
		if err := check(c, err); err != nil || !ready {
			return err
		}
		token, err = a.issue(tx, l, c, fresh, now)
		return err
	})
	if err != nil || !ready {
		return "", err
	}
	return token, nil
}

// mayExchange checks what the browser has brought. c is zero while the login is not
// approved, and ready is false then.
func (l Login) mayExchange(c store.AuthCode, approvalCode string, now time.Time) (ready bool, err error) {
	switch {
	case c.Sealed == nil && l.expired(now), c.Sealed != nil && !now.Before(c.ExpiresAt):
		return false, errNoLogin
	case c.UserID == "":
		return false, nil
	case !SameText(digest(plainApproval(approvalCode)), c.ApprovalHash):
		return false, fault.New(fault.Malformed, "Approval code is not valid")
	}
	return true, nil
}

const loginTable = "auth_code"

// issue makes a token for an approved login, or gives the one it made before. The row stays
// for as long as the code is good, so that nobody approves it once more.
func (a *Auth) issue(tx *store.Tx, l Login, c store.AuthCode, fresh string, now time.Time) (string, error) {
	if c.Sealed != nil {
		plain, err := a.sealer.Open(c.Sealed, loginTable, c.Hash)
		return string(plain), err
	}
	if err := tx.AddPAT(a.sealer.patRow(c.UserID, l.tokenName(), fresh, false, now)); err != nil {
		return "", err
	}
	return fresh, tx.IssueAuthCode(c.Hash, a.sealer.Seal([]byte(fresh), loginTable, c.Hash), now.Add(repeatTTL))
}

// tokenName is what the login's token is called where tokens are listed.
func (l Login) tokenName() string {
	name := "Command line login"
	if l.Address != "" {
		name += " from " + l.Address
	}
	if l.Client != "" {
		name += " (" + l.Client + ")"
	}
	return name
}

// SameText compares what a caller gave with a secret, in a time that does not tell how
// much of it is right.
func SameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
