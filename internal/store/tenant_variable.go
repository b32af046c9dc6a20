package store

import (
	"time"

	"sear/internal/tenant"
)

// Variable is an environment variable of the processes that execute runs.
type Variable struct {
	EnvID   string // where it is set: the environment itself or the root of a branch
	Name    string
	Sealed  []byte
	Secret  bool // its value is not shown again
	Version int  // counts the values it has had
}

// SetVariable sets a variable of an environment, or replaces its value.
func (tx *Tx) SetVariable(v Variable, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO env_var (env_id, name, sealed, is_secret, version, updated_at) VALUES ($1, $2, $3, $4, 1, $5)
		ON CONFLICT (env_id, name) DO UPDATE SET sealed = excluded.sealed, is_secret = excluded.is_secret,
			version = env_var.version + 1, updated_at = excluded.updated_at`,
		v.EnvID, v.Name, v.Sealed, v.Secret, now.UnixMicro())
	return err
}

// DeleteVariable removes a variable and reports whether the environment had it.
func (tx *Tx) DeleteVariable(envID, name string) (existed bool, err error) {
	n, err := tx.Exec(`DELETE FROM env_var WHERE env_id = $1 AND name = $2`, envID, name)
	return n == 1, err
}

// Variables reads what a run's process in the environment sees, by name: for a branch
// its root's variables too, where the branch does not set them itself.
func (tx *Tx) Variables(env *tenant.Environment) ([]Variable, error) {
	rows, err := tx.Query(`SELECT env_id, name, sealed, is_secret, version FROM env_var
		WHERE env_id = $1 OR env_id = $2 ORDER BY name, env_id = $1`, env.ID, env.RootID())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Variable
	for rows.Next() {
		var v Variable
		if err := rows.Scan(&v.EnvID, &v.Name, &v.Sealed, &v.Secret, &v.Version); err != nil {
			return nil, err
		}
		if n := len(out); n > 0 && out[n-1].Name == v.Name {
			out[n-1] = v // the branch's own comes second
			continue
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
