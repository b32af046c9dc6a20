package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// migration is one file that moves the schema a version forward.
type migration struct {
	version  int
	name     string
	checksum string
	script   string
}

// migrate applies the migrations the database lacks, each in a transaction of
// its own. There is no way back: a newer database, and one whose history was
// edited, is refused.
func migrate(ctx context.Context, b backend, postgres bool, o Options) error {
	if o.Migrations == nil {
		return nil
	}
	known, err := loadMigrations(o.Migrations, postgres)
	if err != nil {
		return err
	}
	applied := 0
	_, err = b.update(ctx, func(tx *Tx) (err error) {
		if _, err := tx.Exec(createTable(postgres)); err != nil {
			return err
		}
		applied, err = countApplied(tx, known)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range known[applied:] {
		if _, err := b.update(ctx, m.apply); err != nil {
			return fmt.Errorf("migration %04d_%s: %w", m.version, m.name, err)
		}
		o.Log.Info("migrated the database", "version", m.version, "name", m.name)
	}
	return nil
}

func createTable(postgres bool) string {
	ddl := `CREATE TABLE IF NOT EXISTS schema_migration (
		version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`
	if postgres {
		return ddl
	}
	return strings.ReplaceAll(ddl, "BIGINT", "INTEGER") + " STRICT"
}

// loadMigrations reads sqlite/ or postgres/ in order of version, which must run 1, 2, 3….
func loadMigrations(fsys fs.FS, postgres bool) ([]migration, error) {
	folder := "sqlite"
	if postgres {
		folder = "postgres"
	}
	files, err := fs.Glob(fsys, folder+"/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var known []migration
	for i, file := range files {
		number, name, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: the number of this file should be %04d", file, i+1)
		}
		script, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(script)
		known = append(known, migration{version, name, hex.EncodeToString(sum[:]), string(script)})
	}
	return known, nil
}

// countApplied returns how many migrations the database has, and an error when
// they are not the first ones of known.
func countApplied(tx *Tx, known []migration) (int, error) {
	rows, err := tx.Query("SELECT version, name, checksum FROM schema_migration ORDER BY version")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.version, &m.name, &m.checksum); err != nil {
			return 0, err
		}
		switch {
		case n >= len(known):
			return 0, fmt.Errorf("the database is at version %d (%s) or later, this program knows versions up to %d: use a newer program", m.version, m.name, len(known))
		case known[n].version != m.version || known[n].checksum != m.checksum:
			return 0, fmt.Errorf("migration %04d_%s was changed after it was applied to this database", m.version, m.name)
		}
		n++
	}
	return n, rows.Err()
}

func (m migration) apply(tx *Tx) error {
	if _, err := tx.Exec(m.script); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
		m.version, m.name, m.checksum, time.Now().UnixMicro())
	return err
}
