package store

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"sear/internal/run"
	"sear/internal/sqldb"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// Store is the database with the queries of Sear. There is no interface over it
// and no other implementation.
type Store struct{ *sqldb.DB }

// Tx is a transaction with the queries of Sear.
type Tx struct{ *sqldb.Tx }

// Open opens the store at url ("sqlite:<path>" or "postgres://…") and brings its
// schema up to date.
func Open(ctx context.Context, url string, log *slog.Logger) (*Store, error) {
	tree, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, url, sqldb.Options{Migrations: tree, Log: log})
	if err != nil {
		return nil, err
	}
	return &Store{DB: db}, nil
}

// Reader opens the store for reading only, also while a server holds it.
func Reader(ctx context.Context, url string) (*Store, error) {
	db, err := sqldb.OpenReader(ctx, url)
	if err != nil {
		return nil, err
	}
	return &Store{DB: db}, nil
}

// Update runs fn in a read-write transaction and returns once it is durable. fn
// may be called again, so it must touch nothing but tx and what it resets itself.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return fn(&Tx{tx}) })
}

// View runs fn on one read-only snapshot of the database.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return s.DB.View(ctx, func(tx *sqldb.Tx) error { return fn(&Tx{tx}) })
}

// micros is how an instant is stored; the zero time is stored as NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// orNull stores an empty text as NULL.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// opaque stores a packet's text as bytes: it may hold a NUL, which Postgres keeps out of text.
func opaque(s string) any {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// flag is how a boolean is stored.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// jsonOrNull stores v as JSON text, and an empty list as NULL.
func jsonOrNull(tags []string) any {
	if len(tags) == 0 {
		return nil
	}
	b, _ := json.Marshal(tags) // a []string always marshals
	return string(b)
}

// The scan targets below read a nullable column into a plain field.

type textColumn struct{ p *string }

func text(p *string) textColumn { return textColumn{p} }

func (c textColumn) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c.p = ""
	case string:
		*c.p = v
	case []byte:
		*c.p = string(v)
	default:
		return fmt.Errorf("store: cannot read %T as text", v)
	}
	return nil
}

type keyColumn struct{ p *run.IdempotencyKey }

// keyInto decodes the nullable column of an idempotency key, but for when it expires.
func keyInto(p *run.IdempotencyKey) keyColumn { return keyColumn{p} }

func (c keyColumn) Scan(v any) error {
	var s string
	err := text(&s).Scan(v)
	c.p.Key, c.p.Owner = run.SplitKey(s)
	return err
}

type timeColumn struct{ p *time.Time }

func instant(p *time.Time) timeColumn { return timeColumn{p} }

func (c timeColumn) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c.p = time.Time{}
	case int64:
		*c.p = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("store: cannot read %T as an instant", v)
	}
	return nil
}

type jsonColumn struct{ p any }

// jsonInto decodes a nullable JSON column into p, which keeps its zero value for NULL.
func jsonInto(p any) jsonColumn { return jsonColumn{p} }

func (c jsonColumn) Scan(v any) error {
	var s string
	if err := text(&s).Scan(v); err != nil || s == "" {
		return err
	}
	return json.Unmarshal([]byte(s), c.p)
}
