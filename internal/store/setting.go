package store

import (
	"errors"
	"time"

	"sear/internal/id"
	"sear/internal/sqldb"
)

// SettingPublicURL names the setting that holds the URL by which clients reach the server.
const SettingPublicURL = "public_url"

// SettingHeld names the setting of a store that was restored and not resumed since: when
// that was. While it is not "", engines start nothing.
const SettingHeld = "held"

// SettingIdentity names the setting that tells a store from its copies. Servers show it, so
// that whoever has a store knows whether the server that answers somewhere runs on it.
const SettingIdentity = "identity"

// BecomeCopy makes a restored store one of its own: held since then, and no server's yet.
func (tx *Tx) BecomeCopy(now time.Time) error {
	return errors.Join(
		tx.SetSetting(SettingHeld, now.UTC().Format(time.RFC3339)),
		tx.SetSetting(SettingIdentity, id.New(now)),
		tx.SetSetting(SettingPublicURL, ""),
	)
}

// SetSetting writes a setting over what it was.
func (tx *Tx) SetSetting(name, value string) error {
	_, err := tx.Exec(`INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// Setting reads a setting, "" when it was never written.
func (tx *Tx) Setting(name string) (value string, err error) {
	err = tx.QueryRow(`SELECT value FROM setting WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// LimitConcurrency sets how many runs each environment executes at once.
func (tx *Tx) LimitConcurrency(limit int) error {
	_, err := tx.Exec(`UPDATE env SET concurrency_limit = $1 WHERE concurrency_limit <> $1`, limit)
	tx.Hint(HintTenant, "")
	return err
}
