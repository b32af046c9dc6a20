package sqldb

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// benchCols is about as wide as the widest table of the program.
const benchCols = 28

// benchSchema is a table like that of runs, with four indexes beside its key.
func benchSchema() []string {
	var b strings.Builder
	b.WriteString(`CREATE TABLE run (id TEXT PRIMARY KEY, friendly TEXT NOT NULL, env TEXT NOT NULL, task TEXT NOT NULL,
		queue TEXT NOT NULL, key TEXT, status TEXT NOT NULL, exec TEXT NOT NULL, seq INTEGER NOT NULL, created INTEGER NOT NULL,
		updated INTEGER NOT NULL, due_at INTEGER, score INTEGER NOT NULL, payload TEXT NOT NULL`)
	for i := 14; i < benchCols; i += 2 {
		fmt.Fprintf(&b, ", n%d INTEGER, t%d TEXT", i, i)
	}
	return []string{
		b.String() + ") STRICT",
		"CREATE INDEX run_queued ON run (env, queue, score, id) WHERE exec = 'QUEUED'",
		"CREATE INDEX run_due ON run (due_at) WHERE due_at IS NOT NULL",
		"CREATE INDEX run_created ON run (env, created)",
		"CREATE INDEX run_task ON run (env, task, created)",
	}
}

const benchInsert = "INSERT INTO run VALUES {{values}}"

var benchIDs atomic.Int64

// benchRow fills in one row and returns its id.
func benchRow(row []any) string {
	n := benchIDs.Add(1)
	id := fmt.Sprintf("%013xabcdefghijk01", n)
	now := 1700000000000000 + n
	copy(row, []any{id, "run_" + id, "env_cjld2cjxh0000qzrmn831i7rn", "hello-world", "task/hello-world", nil, "PENDING", "QUEUED",
		1, now, now, nil, now, `{"json":{"message":"hello world","list":[1,2,3,4,5,6,7,8,9,10,11,12]},"meta":{"values":{}}}`})
	for i := 14; i < benchCols; i += 2 {
		row[i] = n * int64(i)
		row[i+1] = "some text"
		if i%4 == 0 {
			row[i+1] = nil
		}
	}
	return id
}

// benchRows fills in any number of rows.
func benchRows(args []any) {
	for row := range slices.Chunk(args, benchCols) {
		benchRow(row)
	}
}

func openBench(b *testing.B) *DB {
	b.Helper()
	db, err := Open(context.Background(), "sqlite:"+filepath.Join(b.TempDir(), "core.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	mustUpdate(b, db, func(tx *Tx) error {
		for _, ddl := range benchSchema() {
			if _, err := tx.Exec(ddl); err != nil {
				return err
			}
		}
		return nil
	})
	return db
}

func mustUpdate(b *testing.B, db *DB, fn func(*Tx) error) {
	b.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		b.Fatal(err)
	}
}

func reportRate(b *testing.B, n int, unit string) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), unit+"/s")
}

// BenchmarkInsertRows inserts batches of 500, each durable, with InsertRows as
// it is and with one size of chunk at a time.
func BenchmarkInsertRows(b *testing.B) {
	const batch = 500
	run := func(name string, insert func(tx *Tx, args []any) error) {
		b.Run(name, func(b *testing.B) {
			db := openBench(b)
			args := make([]any, batch*benchCols)
			rows := 0
			for b.Loop() {
				benchRows(args)
				mustUpdate(b, db, func(tx *Tx) error { return insert(tx, args) })
				rows += batch
			}
			reportRate(b, rows, "rows")
		})
	}
	run("as is", func(tx *Tx, args []any) error {
		_, err := tx.InsertRows(benchInsert, benchCols, args)
		return err
	})
	for _, rows := range []int{1, 2, 4, 8, 16, 32, 64, 125, 250, 500} {
		run(fmt.Sprintf("chunk=%d", rows), func(tx *Tx, args []any) error {
			for chunk := range slices.Chunk(args, rows*benchCols) {
				st := statement{text: benchInsert, cols: benchCols, rows: len(chunk) / benchCols}
				if _, err := tx.exec(st, chunk); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// benchUpdate is a transition: an insert, and an update that returns what it did.
func benchUpdate(tx *Tx, row []any) error {
	id := benchRow(row)
	if _, err := tx.InsertRows(benchInsert, benchCols, row); err != nil {
		return err
	}
	return tx.QueryRow(`UPDATE run SET status = $2, exec = $3, seq = seq + 1, updated = $4 WHERE id = $1 AND seq = $5
		RETURNING seq`, id, "EXECUTING", "EXECUTING", 1, 1).Scan(new(int))
}

// BenchmarkUpdate has 64 callers of Update, and beside it one loop that does the
// same work, 32 to a commit, without callers, savepoints or hints.
func BenchmarkUpdate(b *testing.B) {
	b.Run("callers=64", func(b *testing.B) {
		db := openBench(b)
		var wg sync.WaitGroup
		work := make(chan struct{})
		for range 64 {
			wg.Go(func() {
				row := make([]any, benchCols)
				for range work {
					mustUpdate(b, db, func(tx *Tx) error { return benchUpdate(tx, row) })
				}
			})
		}
		for b.Loop() {
			work <- struct{}{}
		}
		close(work)
		wg.Wait()
		reportRate(b, b.N, "updates")
	})
	b.Run("bare loop", func(b *testing.B) {
		db := openBench(b)
		row := make([]any, benchCols)
		n := 0
		for b.Loop() {
			mustUpdate(b, db, func(tx *Tx) error {
				for range 32 {
					if err := benchUpdate(tx, row); err != nil {
						return err
					}
				}
				return nil
			})
			n += 32
		}
		reportRate(b, n, "updates")
	})
	b.Run("callers=1", func(b *testing.B) {
		db := openBench(b)
		row := make([]any, benchCols)
		for b.Loop() {
			mustUpdate(b, db, func(tx *Tx) error { return benchUpdate(tx, row) })
		}
		reportRate(b, b.N, "updates")
	})
}

// fillBench inserts n rows and returns their ids.
func fillBench(b *testing.B, db *DB, n int) []string {
	b.Helper()
	var ids []string
	mustUpdate(b, db, func(tx *Tx) error {
		row := make([]any, benchCols)
		for range n {
			ids = append(ids, benchRow(row))
			if _, err := tx.InsertRows(benchInsert, benchCols, row); err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}

// BenchmarkStatement measures single statements within one large transaction.
func BenchmarkStatement(b *testing.B) {
	db := openBench(b)
	ids := fillBench(b, db, 20_000)
	statements := map[string]func(tx *Tx, i int, id string) error{
		"update by key": func(tx *Tx, i int, id string) error {
			n, err := tx.Exec("UPDATE run SET status = $1, seq = $2, updated = $3, n14 = $4, t14 = $5 WHERE id = $6 AND seq = $7",
				"PENDING", 1, i, i, "text", id, 1)
			if err == nil && n != 1 {
				err = fmt.Errorf("%d rows", n)
			}
			return err
		},
		"update of an index": func(tx *Tx, i int, id string) error {
			_, err := tx.Exec("UPDATE run SET due_at = $1 WHERE id = $2", i, id)
			return err
		},
		"select row": func(tx *Tx, _ int, id string) error {
			dest := make([]any, benchCols)
			for i := range dest {
				dest[i] = new(any)
			}
			return tx.QueryRow("SELECT * FROM run WHERE id = $1", id).Scan(dest...)
		},
		"select 1": func(tx *Tx, _ int, _ string) error { return tx.QueryRow("SELECT 1").Scan(new(int)) },
	}
	for name, run := range statements {
		b.Run(name, func(b *testing.B) {
			mustUpdate(b, db, func(tx *Tx) error {
				i := 0
				for b.Loop() {
					i += 7919
					if err := run(tx, i, ids[i%len(ids)]); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// BenchmarkView reads one row, and 500 rows, in a snapshot of their own.
func BenchmarkView(b *testing.B) {
	db := openBench(b)
	ids := fillBench(b, db, 20_000)
	ctx, cancel := context.WithCancel(context.Background()) // requests have one that can end
	defer cancel()
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				i += 7919
				err := db.View(ctx, func(tx *Tx) error {
					rows, err := tx.Query("SELECT id, friendly, env, task, queue, key, status, exec, seq, created, updated, due_at, score, payload FROM run WHERE id >= $1 LIMIT $2", ids[i%(len(ids)-500)], n)
					if err != nil {
						return err
					}
					for rows.Next() {
						var s [9]string
						var key *string
						var n [4]int64
						var due *int64
						if err := rows.Scan(&s[0], &s[1], &s[2], &s[3], &s[4], &key, &s[5], &s[6], &n[0], &n[1], &n[2], &due, &n[3], &s[7]); err != nil {
							return err
						}
					}
					return rows.Err()
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			reportRate(b, n*b.N, "rows")
		})
	}
}

// BenchmarkDrain finishes runs in commits of 100 while others come in, for long
// enough to checkpoint many times, and reports the slowest commits beside the rate.
func BenchmarkDrain(b *testing.B) {
	for _, pages := range []int{1000, 2000, 4096, 8192, 16384} {
		b.Run(fmt.Sprintf("wal_autocheckpoint=%d", pages), func(b *testing.B) {
			db := openBench(b)
			mustUpdate(b, db, func(tx *Tx) error {
				return tx.QueryRow(fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", pages)).Scan(new(int))
			})
			old := fillBench(b, db, 100_000)
			var took []time.Duration
			args := make([]any, 100*benchCols)
			for b.Loop() {
				benchRows(args)
				start := time.Now()
				mustUpdate(b, db, func(tx *Tx) error {
					for i := range 100 {
						at := (100*len(took) + i) * 7919 % len(old) // scattered over the whole table
						if _, err := tx.Exec("UPDATE run SET exec = 'FINISHED', status = 'COMPLETED', seq = seq + 1 WHERE id = $1", old[at]); err != nil {
							return err
						}
					}
					_, err := tx.InsertRows(benchInsert, benchCols, args)
					return err
				})
				took = append(took, time.Since(start))
			}
			reportRate(b, 100*len(took), "runs")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
			size, err := db.Size(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(size)/1e6, "MB")
		})
	}
}
