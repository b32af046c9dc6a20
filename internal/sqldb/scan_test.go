package sqldb_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sear/internal/sqldb"
)

type word string

type number uint8

func ptr[T any](v T) *T { return &v }

// TestScan holds SQLite's own scanning to that of database/sql on Postgres.
func TestScan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query string
		dest  any // a pointer to the wanted type
		want  any // nil when scanning must fail
	}{
		{"SELECT 'a'", new(string), ptr("a")},
		{"SELECT ''", ptr("x"), ptr("")},
		{"SELECT 'a'", new(word), ptr(word("a"))},
		{"SELECT 'a'", new(*string), ptr(ptr("a"))},
		{"SELECT 'a'", new(*word), ptr(ptr(word("a")))},
		{"SELECT '[1]'", new([]byte), ptr([]byte("[1]"))},
		{"SELECT '[1]'", new(json.RawMessage), nil},
		{"SELECT 'a'", new(any), ptr(any("a"))},
		{"SELECT 'a'", new(sql.NullString), &sql.NullString{String: "a", Valid: true}},
		{"SELECT 'a'", new(int), nil},
		{"SELECT 'a'", "not a pointer", nil},
		{"SELECT CAST(7 AS BIGINT)", new(int64), ptr(int64(7))},
		{"SELECT CAST(7 AS BIGINT)", new(*int64), ptr(ptr(int64(7)))},
		{"SELECT CAST(7 AS BIGINT)", new(int), ptr(7)},
		{"SELECT CAST(7 AS BIGINT)", new(*int), ptr(ptr(7))},
		{"SELECT CAST(7 AS BIGINT)", new(number), ptr(number(7))},
		{"SELECT CAST(7 AS BIGINT)", new(float64), ptr(7.0)},
		{"SELECT CAST(7 AS BIGINT)", new(any), ptr(any(int64(7)))},
		{"SELECT CAST(7 AS BIGINT)", new(sql.NullInt64), &sql.NullInt64{Int64: 7, Valid: true}},
		{"SELECT CAST(300 AS BIGINT)", new(number), nil},
		{"SELECT CAST(-1 AS BIGINT)", new(number), nil},
		{"SELECT 1 = 1", new(bool), ptr(true)},
		{"SELECT 1 = 2", ptr(true), ptr(false)},
		{"SELECT 1 = 1", new(*bool), ptr(ptr(true))},
		{"SELECT CAST(1.5 AS DOUBLE PRECISION)", new(float64), ptr(1.5)},
		{"SELECT CAST(1.5 AS DOUBLE PRECISION)", new(*float64), ptr(ptr(1.5))},
		{"SELECT CAST(1.5 AS DOUBLE PRECISION)", new(int), nil},
		{"SELECT NULL", ptr(ptr("x")), new(*string)},
		{"SELECT NULL", ptr(ptr(word("x"))), new(*word)},
		{"SELECT NULL", ptr(ptr(1)), new(*int)},
		{"SELECT NULL", ptr([]byte("x")), new([]byte)},
		{"SELECT NULL", ptr(any("x")), new(any)},
		{"SELECT NULL", &sql.NullString{String: "x", Valid: true}, new(sql.NullString)},
		{"SELECT NULL", new(string), nil},
		{"SELECT NULL", new(int), nil},
		{"SELECT NULL", new(bool), nil},
	}
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			db := open(t, b.url(t), nil)
			for _, tt := range tests {
				dest := clone(tt.dest)
				err := db.View(context.Background(), func(tx *sqldb.Tx) error {
					return tx.QueryRow(tt.query).Scan(dest)
				})
				if (err == nil) != (tt.want != nil) {
					t.Errorf("%s into %T: %v", tt.query, dest, err)
				} else if diff := cmp.Diff(tt.want, dest); err == nil && diff != "" {
					t.Errorf("%s into %T: %s", tt.query, dest, diff)
				}
			}
		})
	}
}

func TestScanWantsAsManyDestinationsAsColumns(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db *sqldb.DB) {
		err := db.View(context.Background(), func(tx *sqldb.Tx) error {
			return tx.QueryRow("SELECT 1, 2").Scan(new(int))
		})
		if err == nil {
			t.Error("two columns went into one destination")
		}
	})
}

// TestArguments sends values there and back.
func TestArguments(t *testing.T) {
	t.Parallel()
	m := migrations("CREATE TABLE v (t TEXT, i BIGINT, r DOUBLE PRECISION)")
	tests := []struct{ column, arg, dest, want any }{
		{"t", "a", new(string), ptr("a")},
		{"t", word("a"), new(string), ptr("a")},
		{"t", ptr("a"), new(string), ptr("a")},
		{"t", (*string)(nil), new(*string), new(*string)},
		{"t", nil, new(*string), new(*string)},
		{"t", sql.NullString{}, new(*string), new(*string)},
		{"i", 7, new(int), ptr(7)},
		{"i", int64(7), new(int), ptr(7)},
		{"i", int32(7), new(int), ptr(7)},
		{"i", ptr(int64(7)), new(int), ptr(7)},
		{"i", (*int64)(nil), new(*int), new(*int)},
		{"r", 1.5, new(float64), ptr(1.5)},
	}
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			db := open(t, b.url(t), m)
			for _, tt := range tests {
				dest := clone(tt.dest)
				err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
					query := "INSERT INTO v (" + tt.column.(string) + ") VALUES ($1) RETURNING " + tt.column.(string)
					return tx.QueryRow(query, tt.arg).Scan(dest)
				})
				if err != nil {
					t.Errorf("%T: %v", tt.arg, err)
				} else if diff := cmp.Diff(tt.want, dest); diff != "" {
					t.Errorf("%T: %s", tt.arg, diff)
				}
			}
		})
	}
}

// clone copies what dest points to, because both databases scan into it at once.
func clone(dest any) any {
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer {
		return dest
	}
	c := reflect.New(p.Type().Elem())
	c.Elem().Set(p.Elem())
	return c.Interface()
}
