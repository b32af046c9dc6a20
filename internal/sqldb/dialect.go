package sqldb

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNoRows is what Row.Scan returns when there is no row.
var ErrNoRows = sql.ErrNoRows

// IsUnique reports whether err says that a row with the same key exists already.
func IsUnique(err error) bool {
	if code, ok := sqliteCode(err); ok {
		return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return pgCode(err) == "23505"
}

// sqliteCode returns SQLite's extended result code.
func sqliteCode(err error) (int, bool) {
	if e, ok := errors.AsType[*modernc.Error](err); ok {
		return e.Code(), true
	}
	return 0, false
}

// pgCode returns the SQLSTATE, "" when err is not Postgres's.
func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// List encodes ids as the argument of {{in $n}}. An empty list matches nothing.
func List(ids []string) string {
	if len(ids) == 0 {
		return "[]"
	}
	b, err := json.Marshal(ids)
	if err != nil {
		panic(err) // a []string always has a JSON form
	}
	return string(b)
}

// statement is SQL as callers write it, with tokens; of rows × cols values when
// it comes from InsertRows, otherwise rows is 0.
type statement struct {
	text       string
	cols, rows int
}

// maxTexts bounds the cache of rendered statements. Sear's SQL is literal, so the
// bound is met only by a program that composes it; then the cache starts afresh.
//
//limit:inside texts of statements kept in memory
const maxTexts = 4096

// dialect renders statements for one of the databases.
type dialect struct {
	postgres bool

	mu    sync.RWMutex
	texts map[statement]rendered
}

// rendered is a statement in the words of one database.
type rendered struct {
	text  string
	order []int // SQLite: which argument each question mark takes; nil: as they come
}

func newDialect(postgres bool) *dialect {
	return &dialect{postgres: postgres, texts: map[statement]rendered{}}
}

// sql returns st in the words of the database.
func (d *dialect) sql(st statement) (rendered, error) {
	d.mu.RLock()
	out, ok := d.texts[st]
	d.mu.RUnlock()
	if ok {
		return out, nil
	}
	text, err := d.render(st)
	if err != nil {
		return rendered{}, err
	}
	out = rendered{text: text}
	if !d.postgres {
		out = positional(text)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.texts) >= maxTexts {
		clear(d.texts)
	}
	d.texts[st] = out
	return out, nil
}

// positional turns $1, $2… into question marks and remembers their order. SQLite
// looks up the name of every named parameter by walking a list: an update of
// thirty columns spends a seventh of its time there.
func positional(text string) rendered {
	var b strings.Builder
	var order []int
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return rendered{b.String(), order}
		}
		digits := len(after) - len(strings.TrimLeft(after, "0123456789"))
		if n, err := strconv.Atoi(after[:digits]); err == nil {
			b.WriteByte('?')
			order = append(order, n)
		} else {
			b.WriteByte('$') // a JSON path
		}
		text = after[digits:]
	}
}

func (d *dialect) render(st statement) (string, error) {
	if n := strings.Count(st.text, "{{values}}"); (n == 1) != (st.rows > 0) || n > 1 {
		return "", fmt.Errorf("{{values}} belongs once into the SQL of InsertRows: %s", st.text)
	}
	var b strings.Builder
	for rest := st.text; rest != ""; {
		before, after, found := strings.Cut(rest, "{{")
		b.WriteString(before)
		if !found {
			break
		}
		token, tail, _ := strings.Cut(after, "}}")
		text, ok := d.token(token, st)
		if !ok {
			return "", fmt.Errorf("unknown token {{%s}} in SQL: %s", token, st.text)
		}
		b.WriteString(text)
		rest = tail
	}
	return b.String(), nil
}

// token returns what a token stands for.
func (d *dialect) token(token string, st statement) (text string, ok bool) {
	if arg, ok := strings.CutPrefix(token, "in "); ok {
		if d.postgres {
			return "= ANY(ARRAY(SELECT jsonb_array_elements_text(" + arg + "::jsonb)))", true
		}
		return "IN (SELECT value FROM json_each(" + arg + "))", true
	}
	switch token {
	case "values":
		return d.values(st.cols, st.rows), true
	case "lock":
		return d.onPostgres("FOR UPDATE"), true
	case "skip locked":
		return d.onPostgres("FOR UPDATE SKIP LOCKED"), true
	case "share":
		return d.onPostgres("FOR SHARE"), true
	}
	return "", false
}

func (d *dialect) onPostgres(text string) string {
	if d.postgres {
		return text
	}
	return ""
}

// values returns "($1,$2),($3,$4)" for two rows of two columns, with bare question
// marks for SQLite: see positional. There 64 rows of 28 columns go from 12,000
// rows a second to 75,000.
func (d *dialect) values(cols, rows int) string {
	var b strings.Builder
	for i := range rows * cols {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i%cols == 0:
			b.WriteString("),(")
		default:
			b.WriteByte(',')
		}
		if d.postgres {
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(i + 1))
		} else {
			b.WriteByte('?')
		}
	}
	b.WriteByte(')')
	return b.String()
}
