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
	ApprovalPaste    Approval = "paste"    // the person copies a code from the browser
	ApprovalCallback Approval = "callback" // the browser is sent to a port of the program
)

// AuthCode is a login of a command line that somebody has approved. One that nobody has
// approved is no row.
type AuthCode struct {
	Hash         string // SHA-256 of the code in hex
	Approval     Approval
	UserID       string // who approved it
	ApprovalHash string // SHA-256 of the approval code in hex
	Sealed       []byte // the token that was issued, so that a repeated call gets it again
	BeganAt      time.Time
	ExpiresAt    time.Time // until when the token can be fetched, for the first time or again
}

// maxApproved bounds the approved logins of one user that wait for their program.
//
//limit:access Approved logins of a user that nobody has fetched | logins | the oldest are forgotten
const maxApproved = 20

// ApproveAuthCode inserts an approved login, or replaces the approval of one that was approved
// before. It is a fault.Conflict when its token was issued already. Rows of logins that began
// before the time forgotten, whose codes are good for nothing any more, are removed once they
// have expired, and those of the user's oldest logins whose token nobody has fetched beyond a few.
func (tx *Tx) ApproveAuthCode(c AuthCode, now, forgotten time.Time) error {
	if _, err := tx.Exec(`DELETE FROM auth_code WHERE expires_at <= $1 AND created_at <= $2`, now.UnixMicro(), forgotten.UnixMicro()); err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO auth_code (hash, approval, account_id, approval_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (hash) DO UPDATE SET account_id = excluded.account_id, approval_hash = excluded.approval_hash WHERE auth_code.sealed IS NULL`,
		c.Hash, string(c.Approval), c.UserID, c.ApprovalHash, c.BeganAt.UnixMicro(), c.ExpiresAt.UnixMicro())
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "This login has been completed already")
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM auth_code WHERE hash IN (SELECT hash FROM auth_code
		WHERE account_id = $1 AND sealed IS NULL AND hash <> $2 ORDER BY created_at DESC, hash LIMIT 1000 OFFSET $3)`, c.UserID, c.Hash, maxApproved-1)
	return err
}

// AuthCode reads an approved login, fault.NotFound when it was not approved. It may have expired.
func (tx *Tx) AuthCode(hash string) (AuthCode, error) { return tx.authCode("", hash) }

// LockAuthCode reads an approved login for update.
func (tx *Tx) LockAuthCode(hash string) (AuthCode, error) { return tx.authCode(" {{lock}}", hash) }

func (tx *Tx) authCode(lock, hash string) (AuthCode, error) {
	var c AuthCode
	err := tx.QueryRow(`SELECT hash, approval, account_id, approval_hash, sealed, created_at, expires_at FROM auth_code WHERE hash = $1`+lock, hash).
		Scan(&c.Hash, &c.Approval, text(&c.UserID), text(&c.ApprovalHash), &c.Sealed, instant(&c.BeganAt), instant(&c.ExpiresAt))
	if errors.Is(err, sqldb.ErrNoRows) {
		err = fault.New(fault.NotFound, "Login not found")
	}
	return c, err
}

// IssueAuthCode notes the token that was issued for an approved login, sealed, and until when it is given again.
func (tx *Tx) IssueAuthCode(hash string, sealed []byte, until time.Time) error {
	_, err := tx.Exec(`UPDATE auth_code SET sealed = $1, expires_at = $2 WHERE hash = $3`, blob(sealed), until.UnixMicro(), hash)
	return err
}
