package store

import (
	"errors"
	"io/fs"
	"time"

	"sear/internal/id"
	"sear/internal/sqldb"
)

// Health is what a database says of itself.
type Health struct {
	Version    string
	Migrations int // the newest that it has
	Known      int // that this program has
	settings   map[string]string
	number     int // of Postgres's version
}

// oldestPostgres is the oldest version that Sear is tested with.
const oldestPostgres = 150000

// Health asks the database.
func (tx *Tx) Health() (h Health, err error) {
	list, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil {
		return h, err
	}
	h.Known = len(list)
	if err := tx.QueryRow(`SELECT coalesce(max(version), 0) FROM schema_migration`).Scan(&h.Migrations); err != nil {
		return h, err
	}
	if !tx.Postgres() {
		err := tx.QueryRow(`SELECT sqlite_version()`).Scan(&h.Version)
		h.Version = "SQLite " + h.Version
		return h, err
	}
	h.settings = map[string]string{}
	for _, name := range []string{"server_version", "fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := tx.QueryRow(`SELECT current_setting($1)`, name).Scan(&value); err != nil {
			return h, err
		}
		h.settings[name] = value
	}
	h.Version = "PostgreSQL " + h.settings["server_version"]
	return h, tx.QueryRow(`SELECT current_setting('server_version_num')::BIGINT`).Scan(&h.number)
}

// Problem says what is wrong with the database and what to do; "" when nothing is.
func (h Health) Problem() (problem, fix string) {
	switch {
	case h.settings == nil: // SQLite is inside
	case h.number < oldestPostgres:
		return "Sear needs PostgreSQL 15 or newer", "upgrade the database"
	case h.settings["fsync"] == "off":
		return "fsync is off: what was acknowledged is lost when the machine crashes", "set fsync = on"
	case h.settings["full_page_writes"] == "off":
		return "full_page_writes is off: a crash of the machine can damage the database", "set full_page_writes = on"
	case h.settings["synchronous_commit"] == "off":
		return "synchronous_commit is off: what was acknowledged is lost when the database crashes", "set synchronous_commit = on"
	}
	return "", ""
}

// Clock is the database's time, zero on SQLite, which has this process's, and when the
// newest run was made.
func (tx *Tx) Clock() (theirs, newest time.Time, err error) {
	if tx.Postgres() {
		err := tx.QueryRow(`SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT`).Scan(instant(&theirs))
		if err != nil {
			return theirs, newest, err
		}
	}
	err = tx.QueryRow(`SELECT created_at FROM run ORDER BY id DESC LIMIT 1`).Scan(instant(&newest))
	if errors.Is(err, sqldb.ErrNoRows) {
		err = nil
	}
	return theirs, newest, err
}

// RunsSince counts all runs and those made since an instant.
func (tx *Tx) RunsSince(at time.Time) (all, since int64, err error) {
	err = tx.QueryRow(`SELECT count(*), count(*) FILTER (WHERE id >= $1) FROM run`, id.From(at)).Scan(&all, &since)
	return all, since, err
}
