package store

import (
	"errors"
	"time"

	"sear/internal/sqldb"
)

// Lease takes or keeps a lease until an instant; ok is false when somebody else holds it.
// Called first in each transaction of what only one node may do, it is the fence too: a
// node that was away for longer than its lease, and comes back after another took over,
// writes nothing. The token counts the changes of hands. Clocks that differ make a lease
// change hands too early or too late, and never held twice.
func (tx *Tx) Lease(name, holder string, now, until time.Time) (token int64, ok bool, err error) {
	err = tx.QueryRow(`INSERT INTO lease (name, holder, token, expires_at) VALUES ($1, $2, 1, $3)
		ON CONFLICT (name) DO UPDATE SET token = lease.token + CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END,
		holder = excluded.holder, expires_at = excluded.expires_at
		WHERE lease.holder = excluded.holder OR lease.expires_at <= $4 RETURNING token`,
		name, holder, until.UnixMicro(), now.UnixMicro()).Scan(&token)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, false, nil
	}
	return token, err == nil, err
}

// Release gives a lease back, if it is still the holder's.
func (tx *Tx) Release(name, holder string) error {
	_, err := tx.Exec(`UPDATE lease SET expires_at = 0 WHERE name = $1 AND holder = $2`, name, holder)
	return err
}
