package store

import (
	"encoding/json"
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

// APIKey is a key of a root environment. A root key has Sealed and no Scopes, an
// additional key Scopes and no Sealed.
type APIKey struct {
	ID, EnvID string
	Hash      string   // SHA-256 of the key in hex
	Sealed    []byte   // the key itself, sealed
	Scopes    []string // what an additional key may do; empty for nothing
	Name      string
	LastFour  string
	CreatedAt time.Time
	ExpiresAt time.Time // zero for never
}

// Root reports whether the key may do everything in its environment and signs its tokens.
func (k APIKey) Root() bool { return k.Sealed != nil }

const keyColumns = `k.id, k.env_id, k.hash, k.sealed, k.scopes, k.name, k.last_four, k.created_at, k.expires_at`

func keyTargets(k *APIKey) []any {
	return []any{&k.ID, &k.EnvID, &k.Hash, &k.Sealed, jsonInto(&k.Scopes), &k.Name, &k.LastFour, instant(&k.CreatedAt), instant(&k.ExpiresAt)}
}

// AddAPIKey inserts a key. An environment has one root key that does not expire.
func (tx *Tx) AddAPIKey(k APIKey) error {
	var scopes any
	if !k.Root() {
		b, err := json.Marshal(append([]string{}, k.Scopes...)) // no scopes are [], not null
		if err != nil {
			return err
		}
		scopes = string(b)
	}
	_, err := tx.Exec(`INSERT INTO api_key (id, env_id, hash, sealed, scopes, name, last_four, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		k.ID, k.EnvID, k.Hash, blob(k.Sealed), scopes, k.Name, k.LastFour, k.CreatedAt.UnixMicro(), micros(k.ExpiresAt))
	tx.Hint(HintTenant, "")
	return err
}

// blob stores no bytes as NULL.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// APIKeyByHash reads a key that works at the given instant, with its environment.
func (tx *Tx) APIKeyByHash(hash string, now time.Time) (APIKey, *tenant.Environment, error) {
	var k APIKey
	e, err := scanEnvironment(tx.QueryRow(`SELECT `+envColumns+`, `+keyColumns+` FROM `+envTables+` JOIN api_key k ON k.env_id = e.id
		WHERE k.hash = $1 AND (k.expires_at IS NULL OR k.expires_at > $2)`, hash, now.UnixMicro()), keyTargets(&k)...)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = fault.New(fault.NotFound, "API key not found")
	}
	return k, e, err
}

// RootKeys reads the root keys of an environment that work at the given instant, the
// current one first: before it was rotated in, the others were that.
func (tx *Tx) RootKeys(envID string, now time.Time) ([]APIKey, error) {
	rows, err := tx.Query(`SELECT `+keyColumns+` FROM api_key k WHERE k.env_id = $1 AND k.sealed IS NOT NULL
		AND (k.expires_at IS NULL OR k.expires_at > $2) ORDER BY k.expires_at IS NOT NULL, k.created_at DESC, k.id DESC`, envID, now.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []APIKey
	for rows.Next() {
		var k APIKey
		if err := rows.Scan(keyTargets(&k)...); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// ExpireAPIKey lets a key work until the given instant only.
func (tx *Tx) ExpireAPIKey(id string, at time.Time) error {
	_, err := tx.Exec(`UPDATE api_key SET expires_at = $1 WHERE id = $2`, at.UnixMicro(), id)
	tx.Hint(HintTenant, "")
	return err
}

// forgetTokens is how many expired records one use of a token deletes: more than one, so that
// they become fewer, and not all that may have expired together.
const forgetTokens = 100

// UseToken records the use of a public token that may be used once. first is false
// when it has been used before. The record lasts until the token itself expires.
func (tx *Tx) UseToken(hash string, expires, now time.Time) (first bool, err error) {
	if _, err := tx.Exec(`DELETE FROM used_token WHERE hash IN (SELECT hash FROM used_token WHERE expires_at <= $1 LIMIT $2)`, now.UnixMicro(), forgetTokens); err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO used_token (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`, hash, expires.UnixMicro())
	return n == 1, err
}
