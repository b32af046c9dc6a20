package store

import (
	"errors"
	"strings"
	"time"

	"sear/internal/id"
	"sear/internal/sqldb"
)

// SettingPublicURL names the setting that holds the URL by which clients reach the server.
const SettingPublicURL = "public_url"

// SettingHeld names the setting of a store that was restored and not resumed since: when
// that was. While it is not "", engines start nothing.
const SettingHeld = "held"

// SettingJudging names the setting that says from when on workers that are silent are given
// up: a node that serves the store could not hear them for a while before.
const SettingJudging = "judging"

// SettingIdentity names the setting that tells a store from its copies. Servers show it, so
// that whoever has a store knows whether the server that answers somewhere runs on it.
const SettingIdentity = "identity"

// serving begins the names of the settings in which servers say when they last ran on the
// store, and where that was.
const serving = "serving/"

// servedLong is the age at which such a note of a server that died is forgotten.
const servedLong = time.Hour

// Serve notes that a server runs on the store, or that it has ended. On SQLite, which
// nobody else can write meanwhile, there is nothing to note.
func (tx *Tx) Serve(server string, now time.Time, ended bool) error {
	place, err := tx.place()
	switch {
	case err != nil || place == "":
		return err
	case ended:
		_, err := tx.Exec(`DELETE FROM setting WHERE name = $1`, serving+server)
		return err
	}
	return tx.SetSetting(serving+server, now.UTC().Format(time.RFC3339)+" "+place)
}

// Served is when a server last ran on the store that has not ended since, zero when none did.
// Those of the original of a copy that lies elsewhere do not count.
func (tx *Tx) Served() (newest time.Time, err error) {
	place, err := tx.place()
	if err != nil {
		return newest, err
	}
	notes, err := tx.texts(`SELECT value FROM setting WHERE name >= $1 AND name < $2`, serving, serving+"~")
	for _, text := range notes {
		when, where, _ := strings.Cut(text, " ")
		if at, err := time.Parse(time.RFC3339, when); err == nil && where == place && at.After(newest) {
			newest = at
		}
	}
	return newest, err
}

// ForgetServers removes the notes of servers that died long ago.
func (tx *Tx) ForgetServers(now time.Time) error {
	_, err := tx.Exec(`DELETE FROM setting WHERE name >= $1 AND name < $2 AND value < $3`, serving, serving+"~", now.Add(-servedLong).UTC().Format(time.RFC3339))
	return err
}

// place is where a store lies, as far as Postgres tells.
func (tx *Tx) place() (name string, err error) {
	if tx.Postgres() {
		err = tx.QueryRow(`SELECT d.oid || '/' || n.oid FROM pg_database AS d, pg_namespace AS n
			WHERE d.datname = current_database() AND n.nspname = current_schema()`).Scan(&name)
	}
	return name, err
}

// BecomeCopy makes a restored store one of its own: held since then, and no server's yet.
func (tx *Tx) BecomeCopy(now time.Time) error {
	return errors.Join(
		tx.ForgetServers(now),
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
