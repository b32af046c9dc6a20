package store_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
)

// TestSchemasAgree compares what both migration folders make: tables, columns,
// nullability and indexes. Types differ on purpose.
func TestSchemasAgree(t *testing.T) {
	t.Parallel()
	lite := describe(t, "sqlite:"+filepath.Join(t.TempDir(), "core.db"), `
		SELECT m.name || '.' || c.name || CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN ' not null' ELSE '' END
		FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`,
		`SELECT m.name || ' ' || CASE WHEN il."unique" = 1 THEN 'unique ' ELSE '' END || m.sql
		FROM sqlite_schema m, pragma_index_list(m.tbl_name) il WHERE m.type = 'index' AND il.name = m.name AND m.sql IS NOT NULL`)
	pg := describe(t, pgtest.URL(t), `
		SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END
		FROM information_schema.columns WHERE table_schema = current_schema()`,
		`SELECT indexname || ' ' || CASE WHEN indexdef LIKE 'CREATE UNIQUE%' THEN 'unique ' ELSE '' END || indexdef
		FROM pg_indexes WHERE schemaname = current_schema() AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE '%_key' AND indexname NOT LIKE '%_key_'`)
	if d := cmp.Diff(lite, pg); d != "" {
		t.Errorf("the schemas differ (- SQLite, + Postgres):\n%s", d)
	}
}

func describe(t *testing.T, url, columns, indexes string) []string {
	t.Helper()
	st, err := store.Open(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	var out []string
	err = st.View(t.Context(), func(tx *store.Tx) error {
		for _, q := range []string{columns, indexes} {
			rows, err := tx.Query(q)
			if err != nil {
				return err
			}
			for rows.Next() {
				var s string
				if err := rows.Scan(&s); err != nil {
					return err
				}
				out = append(out, plain(s))
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

var indexText = regexp.MustCompile(`(?is)^(\S+ (?:unique )?)CREATE .*? ON (?:\S+\.)?(\S+?)(?: USING btree)? ?\(([^)]*)\)(?: WHERE (.*))?$`)

// plain strips what the databases write differently about the same index.
func plain(s string) string {
	m := indexText.FindStringSubmatch(s)
	if m == nil {
		return s
	}
	where := strings.NewReplacer("(", "", ")", "", "::text", "", "::bigint", "", `"`, "").Replace(m[4])
	return fmt.Sprintf("%s %s (%s) where %s", strings.TrimSpace(m[1]), m[2], m[3], strings.Join(strings.Fields(where), " "))
}
