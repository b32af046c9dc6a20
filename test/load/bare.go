package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// bare is a database without a server: what it does a second is the ceiling of one
// that keeps runs in it. It belongs to one goroutine.
type bare interface {
	// insert commits rows of runs, the first with number from.
	insert(from, rows int) error
	// claim takes up to so many of them, oldest first, and commits.
	claim(rows int) (ids []string, err error)
	// complete finishes them in one transaction.
	complete(ids []string) error
	close()
}

// bareSchema is a run with what is needed to queue it: its key and two indexes.
const bareSchema = `CREATE TABLE run (
	id TEXT NOT NULL PRIMARY KEY, env TEXT NOT NULL, task TEXT NOT NULL, status TEXT NOT NULL,
	score BIGINT NOT NULL, due_at BIGINT, payload TEXT NOT NULL, output TEXT)`

var bareIndexes = []string{
	"CREATE INDEX run_queue ON run (env, score, id) WHERE status = 'QUEUED'",
	"CREATE INDEX run_due ON run (due_at) WHERE due_at IS NOT NULL",
}

// barePayload is as long as that of the triggers.
var barePayload = strings.Repeat("x", payloadSize)

func bareID(n int) string { return fmt.Sprintf("run_%024x01", n) }

// openBare makes an empty database of the kind that the server uses.
func (b *bench) openBare(ctx context.Context) (bare, error) {
	if b.opt.databaseURL != "" {
		return openBarePostgres(ctx, b.opt.databaseURL)
	}
	return openBareSQLite(ctx, b.dir)
}

// inserts is how many runs a second can be stored, in transactions of batchSize.
func (b *bench) inserts(ctx context.Context) (float64, error) {
	return b.rate(ctx, func(db bare, from int) error { return db.insert(from, batchSize) })
}

// cycles is how many runs a second can be stored, claimed and completed, each in
// transactions of batchSize.
func (b *bench) cycles(ctx context.Context) (float64, error) {
	return b.rate(ctx, func(db bare, from int) error {
		if err := db.insert(from, batchSize); err != nil {
			return err
		}
		ids, err := db.claim(batchSize)
		if err != nil {
			return err
		}
		if len(ids) != batchSize {
			return fmt.Errorf("bare database: claimed %d of %d", len(ids), batchSize)
		}
		return db.complete(ids)
	})
}

func (b *bench) rate(ctx context.Context, step func(db bare, from int) error) (float64, error) {
	db, err := b.openBare(ctx)
	if err != nil {
		return 0, fmt.Errorf("bare database: %w", err)
	}
	defer db.close()
	runs, begin := 0, time.Now()
	for time.Since(begin) < b.size.calibrate {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err := step(db, runs); err != nil {
			return 0, err
		}
		runs += batchSize
	}
	return float64(runs) / time.Since(begin).Seconds(), nil
}
