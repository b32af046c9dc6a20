package store

import (
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

// AddUser inserts a user. passwordHash "" is a user who cannot sign in with a password.
func (tx *Tx) AddUser(u tenant.User, passwordHash string) error {
	_, err := tx.Exec(`INSERT INTO account (id, email, name, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)`,
		u.ID, u.Email, u.Name, orNull(passwordHash), u.CreatedAt.UnixMicro())
	return err
}

// AddMember makes a user a member of an organisation.
func (tx *Tx) AddMember(orgID, userID string, role tenant.Role, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO org_member (org_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)`,
		orgID, userID, string(role), now.UnixMicro())
	return err
}

const userColumns = `a.id, a.email, a.name, a.created_at`

func (tx *Tx) oneUser(query string, arg any, extra ...any) (u tenant.User, err error) {
	err = tx.QueryRow(query, arg).Scan(append([]any{&u.ID, &u.Email, &u.Name, instant(&u.CreatedAt)}, extra...)...)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = fault.New(fault.NotFound, "User not found")
	}
	return u, err
}

// User reads a user by id.
func (tx *Tx) User(id string) (tenant.User, error) {
	return tx.oneUser(`SELECT `+userColumns+` FROM account a WHERE a.id = $1`, id)
}

// UserByEmail reads a user with the hash of the password, "" when there is none.
func (tx *Tx) UserByEmail(email string) (u tenant.User, passwordHash string, err error) {
	u, err = tx.oneUser(`SELECT `+userColumns+`, a.password_hash FROM account a WHERE a.email = $1`, email, text(&passwordHash))
	return u, passwordHash, err
}

// UserByPAT reads the owner of a personal access token that works at the given instant, and the
// id of the token.
func (tx *Tx) UserByPAT(hash string, now time.Time) (u tenant.User, tokenID string, err error) {
	var revoked time.Time
	u, err = tx.oneUser(`SELECT `+userColumns+`, t.id, t.revoked_at FROM pat t JOIN account a ON a.id = t.account_id WHERE t.hash = $1`,
		hash, &tokenID, instant(&revoked))
	if err == nil && !revoked.IsZero() && !revoked.After(now) {
		err = fault.New(fault.NotFound, "Token revoked")
	}
	return u, tokenID, err
}

// NameUser gives a user without a name one. named is false when there is one already.
func (tx *Tx) NameUser(id, name string) (named bool, err error) {
	n, err := tx.Exec(`UPDATE account SET name = $1 WHERE id = $2 AND name = ''`, name, id)
	return n == 1, err
}

// PAT is a personal access token.
type PAT struct {
	ID, UserID string
	Name       string
	Hash       string // SHA-256 of the token in hex
	Obfuscated string // what may be shown of it
	Sealed     []byte // the token itself, for one that can be shown again; else nil
	CreatedAt  time.Time
}

// AddPAT inserts a personal access token.
func (tx *Tx) AddPAT(p PAT) error {
	_, err := tx.Exec(`INSERT INTO pat (id, account_id, name, hash, obfuscated, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.ID, p.UserID, p.Name, p.Hash, p.Obfuscated, blob(p.Sealed), p.CreatedAt.UnixMicro())
	return err
}

// ShowablePAT reads the token that was made with the store, or what it was replaced with.
func (tx *Tx) ShowablePAT() (PAT, error) {
	var p PAT
	err := tx.QueryRow(`SELECT id, account_id, name, hash, obfuscated, sealed, created_at FROM pat
		WHERE sealed IS NOT NULL AND revoked_at IS NULL ORDER BY created_at, id LIMIT 1`).
		Scan(&p.ID, &p.UserID, &p.Name, &p.Hash, &p.Obfuscated, &p.Sealed, instant(&p.CreatedAt))
	if errors.Is(err, sqldb.ErrNoRows) {
		err = fault.New(fault.NotFound, "Token not found")
	}
	return p, err
}

// RevokePAT lets a token work until the given instant only.
func (tx *Tx) RevokePAT(id string, at time.Time) error {
	_, err := tx.Exec(`UPDATE pat SET revoked_at = $1 WHERE id = $2`, at.UnixMicro(), id)
	tx.Hint(HintTenant, "")
	return err
}

// AddSession inserts a browser session under the hash of its id, and removes those
// that have expired.
func (tx *Tx) AddSession(hash, userID string, now, expires time.Time) error {
	if _, err := tx.Exec(`DELETE FROM session WHERE expires_at <= $1`, now.UnixMicro()); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO session (hash, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4)`,
		hash, userID, now.UnixMicro(), expires.UnixMicro())
	return err
}

// UserBySession reads who a session belongs to, fault.NotFound when it has expired.
func (tx *Tx) UserBySession(hash string, now time.Time) (u tenant.User, err error) {
	var expires time.Time
	u, err = tx.oneUser(`SELECT `+userColumns+`, s.expires_at FROM session s JOIN account a ON a.id = s.account_id WHERE s.hash = $1`,
		hash, instant(&expires))
	if err == nil && !expires.After(now) {
		err = fault.New(fault.NotFound, "Session expired")
	}
	return u, err
}

// DeleteSession ends a session.
func (tx *Tx) DeleteSession(hash string) error {
	_, err := tx.Exec(`DELETE FROM session WHERE hash = $1`, hash)
	tx.Hint(HintTenant, "")
	return err
}
