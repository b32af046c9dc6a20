package store

import (
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

// CredentialKind is the table that a credential is in, as far as its owner cares.
type CredentialKind string

// The kinds. An id names one of them: the prefix of Credential.FriendlyID.
const (
	CredentialToken   CredentialKind = "token"   // a personal access token
	CredentialKey     CredentialKind = "key"     // a key of an environment
	CredentialSession CredentialKind = "session" // a browser that is signed in
)

// Credential is what somebody is recognised by, as its owner may see it.
type Credential struct {
	Kind       CredentialKind
	ID         string // of its row; of a session the hash
	Name       string
	Hint       string // what may be shown of the credential itself, "" for nothing
	EnvID      string // of a key
	Project    string // reference of a key's project
	Env        tenant.EnvType
	Scopes     []string // of an additional key
	Root       bool     // a key that may do everything in its environment
	BuiltIn    bool     // the token that was made with the store
	CreatedAt  time.Time
	LastUsedAt time.Time // to the minute; zero for never
	ExpiresAt  time.Time // zero for never
}

// maxListed bounds how many credentials of one kind are listed, the newest first.
//
//limit:access Credentials of a kind that are listed | credentials | the newest are listed
const maxListed = 1000

// Credentials lists what works at the given instant for a user: the personal access tokens and
// the sessions of the user, and the keys of all environments that the user is a member of.
func (tx *Tx) Credentials(userID string, now time.Time) ([]Credential, error) {
	var all []Credential
	for _, list := range []func(string, time.Time) ([]Credential, error){tx.patCredentials, tx.keyCredentials, tx.sessionCredentials} {
		some, err := list(userID, now)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (tx *Tx) patCredentials(userID string, now time.Time) ([]Credential, error) {
	rows, err := tx.Query(`SELECT id, name, obfuscated, sealed IS NOT NULL, created_at, last_used_at, revoked_at FROM pat
		WHERE account_id = $1 AND (revoked_at IS NULL OR revoked_at > $2) ORDER BY created_at DESC, id DESC LIMIT $3`, userID, now.UnixMicro(), maxListed)
	return scanCredentials(rows, err, func(c *Credential) []any {
		c.Kind = CredentialToken
		return []any{&c.ID, &c.Name, &c.Hint, &c.BuiltIn, instant(&c.CreatedAt), instant(&c.LastUsedAt), instant(&c.ExpiresAt)}
	})
}

func (tx *Tx) keyCredentials(userID string, now time.Time) ([]Credential, error) {
	rows, err := tx.Query(`SELECT k.id, k.name, k.last_four, k.sealed IS NOT NULL, k.scopes, e.id, p.ref, e.type, k.created_at, k.last_used_at, k.expires_at
		FROM api_key k JOIN env e ON e.id = k.env_id JOIN project p ON p.id = e.project_id
		WHERE e.org_id IN (SELECT org_id FROM org_member WHERE account_id = $1) AND (k.expires_at IS NULL OR k.expires_at > $2)
		ORDER BY k.created_at DESC, k.id DESC LIMIT $3`, userID, now.UnixMicro(), maxListed)
	return scanCredentials(rows, err, func(c *Credential) []any {
		c.Kind = CredentialKey
		return []any{&c.ID, &c.Name, &c.Hint, &c.Root, jsonInto(&c.Scopes), &c.EnvID, &c.Project, &c.Env,
			instant(&c.CreatedAt), instant(&c.LastUsedAt), instant(&c.ExpiresAt)}
	})
}

func (tx *Tx) sessionCredentials(userID string, now time.Time) ([]Credential, error) {
	rows, err := tx.Query(`SELECT hash, created_at, last_used_at, expires_at FROM session
		WHERE account_id = $1 AND expires_at > $2 ORDER BY created_at DESC, hash LIMIT $3`, userID, now.UnixMicro(), maxListed)
	return scanCredentials(rows, err, func(c *Credential) []any {
		c.Kind, c.Name = CredentialSession, "Signed in"
		return []any{&c.ID, instant(&c.CreatedAt), instant(&c.LastUsedAt), instant(&c.ExpiresAt)}
	})
}

func scanCredentials(rows *sqldb.Rows, err error, targets func(*Credential) []any) ([]Credential, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Credential
	for rows.Next() {
		var c Credential
		if err := rows.Scan(targets(&c)...); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Credential reads one of those that Credentials lists, fault.NotFound for others.
func (tx *Tx) Credential(userID string, kind CredentialKind, id string, now time.Time) (Credential, error) {
	all, err := tx.Credentials(userID, now)
	if err != nil {
		return Credential{}, err
	}
	for _, c := range all {
		if c.Kind == kind && c.ID == id {
			return c, nil
		}
	}
	return Credential{}, fault.New(fault.NotFound, "Credential not found")
}

// EndCredential lets a credential work until the given instant only. A session ends at once.
func (tx *Tx) EndCredential(kind CredentialKind, id string, at time.Time) error {
	switch kind {
	case CredentialToken:
		return tx.RevokePAT(id, at)
	case CredentialKey:
		return tx.ExpireAPIKey(id, at)
	}
	return tx.DeleteSession(id)
}

// EndTokensAndSessions ends every personal access token and session of a user, and says how many.
func (tx *Tx) EndTokensAndSessions(userID string, now time.Time) (ended int64, err error) {
	tokens, err := tx.Exec(`UPDATE pat SET revoked_at = $1 WHERE account_id = $2 AND (revoked_at IS NULL OR revoked_at > $1)`, now.UnixMicro(), userID)
	if err != nil {
		return 0, err
	}
	sessions, err := tx.Exec(`DELETE FROM session WHERE account_id = $1`, userID)
	tx.Hint(HintTenant, "")
	return tokens + sessions, err
}

// SetPassword replaces a user's password and ends all sessions of the user.
func (tx *Tx) SetPassword(userID, hash string) error {
	if _, err := tx.Exec(`UPDATE account SET password_hash = $1 WHERE id = $2`, hash, userID); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM session WHERE account_id = $1`, userID)
	tx.Hint(HintTenant, "")
	return err
}

// usedColumns are the columns in which the use of a credential is noted.
var usedColumns = map[CredentialKind]string{
	CredentialToken:   `UPDATE pat SET last_used_at = $1 WHERE id = $2`,
	CredentialKey:     `UPDATE api_key SET last_used_at = $1 WHERE id = $2`,
	CredentialSession: `UPDATE session SET last_used_at = $1 WHERE hash = $2`,
}

// NoteUse notes when a credential was last used.
func (tx *Tx) NoteUse(kind CredentialKind, id string, at time.Time) error {
	_, err := tx.Exec(usedColumns[kind], at.UnixMicro(), id)
	return err
}
