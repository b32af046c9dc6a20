package store

import (
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
)

// Approval is how a command line learns that its login was approved.
type Approval string

// The ways of approval.
const (
	ApprovalPoll     Approval = "poll"     // it asks until the token is there
	ApprovalPaste    Approval = "paste"    // the person copies a code from the browser
	ApprovalCallback Approval = "callback" // the browser is sent to a port of the program
)

// AuthCode is a login that a command line began.
type AuthCode struct {
	Hash         string // SHA-256 of the code in hex
	Approval     Approval
	Challenge    string // PKCE S256 challenge; "" only with ApprovalPoll
	CallbackPort int    // only with ApprovalCallback
	UserID       string // who approved it, "" so far nobody
	ApprovalHash string // SHA-256 of the approval code in hex
	Sealed       []byte // the token that was issued, so that a repeated call gets it again
	CreatedAt    time.Time
	ExpiresAt    time.Time
}

// maxAuthCodes bounds the logins under way: anybody may begin one.
const maxAuthCodes = 1000

// AddAuthCode inserts a login and removes those that have expired. It is a
// fault.Limit when too many are under way.
func (tx *Tx) AddAuthCode(c AuthCode) error {
	if _, err := tx.Exec(`DELETE FROM auth_code WHERE expires_at <= $1`, c.CreatedAt.UnixMicro()); err != nil {
		return err
	}
	var pending int
	if err := tx.QueryRow(`SELECT count(*) FROM auth_code`).Scan(&pending); err != nil {
		return err
	}
	if pending >= maxAuthCodes {
		return fault.New(fault.Limit, "Too many logins are waiting for approval. Try again in a few minutes.")
	}
	var port any
	if c.CallbackPort != 0 {
		port = c.CallbackPort
	}
	_, err := tx.Exec(`INSERT INTO auth_code (hash, approval, challenge, callback_port, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.Hash, string(c.Approval), orNull(c.Challenge), port, c.CreatedAt.UnixMicro(), c.ExpiresAt.UnixMicro())
	return err
}

// AuthCode reads a login that has not expired.
func (tx *Tx) AuthCode(hash string, now time.Time) (AuthCode, error) {
	return tx.authCode("", hash, now)
}

// LockAuthCode reads a login for update.
func (tx *Tx) LockAuthCode(hash string, now time.Time) (AuthCode, error) {
	return tx.authCode(" {{lock}}", hash, now)
}

func (tx *Tx) authCode(lock, hash string, now time.Time) (AuthCode, error) {
	var c AuthCode
	err := tx.QueryRow(`SELECT hash, approval, challenge, COALESCE(callback_port, 0), account_id, approval_hash, sealed, created_at, expires_at
		FROM auth_code WHERE hash = $1 AND expires_at > $2`+lock, hash, now.UnixMicro()).
		Scan(&c.Hash, &c.Approval, text(&c.Challenge), &c.CallbackPort, text(&c.UserID), text(&c.ApprovalHash), &c.Sealed,
			instant(&c.CreatedAt), instant(&c.ExpiresAt))
	if errors.Is(err, sqldb.ErrNoRows) {
		err = fault.New(fault.NotFound, "Authorization code not found, or expired")
	}
	return c, err
}

// SaveAuthCode writes what changes in the life of a login: who approved it, and what was issued.
func (tx *Tx) SaveAuthCode(c AuthCode) error {
	_, err := tx.Exec(`UPDATE auth_code SET account_id = $1, approval_hash = $2, sealed = $3, expires_at = $4 WHERE hash = $5`,
		orNull(c.UserID), orNull(c.ApprovalHash), blob(c.Sealed), c.ExpiresAt.UnixMicro(), c.Hash)
	return err
}
