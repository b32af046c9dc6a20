package main

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// barePostgres uses one statement per transaction, which is the least there can be.
type barePostgres struct {
	ctx  context.Context
	db   *database
	conn *pgx.Conn
}

func openBarePostgres(ctx context.Context, cluster string) (*barePostgres, error) {
	db, err := createDatabase(ctx, cluster)
	if err != nil {
		return nil, err
	}
	p := &barePostgres{ctx: ctx, db: db}
	if p.conn, err = pgx.Connect(ctx, db.url); err == nil {
		err = p.prepare()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *barePostgres) prepare() error {
	for _, text := range append([]string{bareSchema}, bareIndexes...) {
		if _, err := p.conn.Exec(p.ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func (p *barePostgres) insert(from, rows int) error {
	ids, scores := make([]string, rows), make([]int64, rows)
	for i := range rows {
		ids[i], scores[i] = bareID(from+i), int64(from+i)
	}
	_, err := p.conn.Exec(p.ctx, `INSERT INTO run SELECT id, 'env', 'load', 'QUEUED', score, score, $3, NULL
		FROM unnest($1::text[], $2::bigint[]) AS new (id, score)`, ids, scores, barePayload)
	return err
}

func (p *barePostgres) claim(rows int) ([]string, error) {
	found, err := p.conn.Query(p.ctx, `UPDATE run SET status = 'EXECUTING', due_at = 1 WHERE id IN (
		SELECT id FROM run WHERE env = 'env' AND status = 'QUEUED' ORDER BY score, id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id`, rows)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

func (p *barePostgres) complete(ids []string) error {
	_, err := p.conn.Exec(p.ctx, "UPDATE run SET status = 'COMPLETED', due_at = NULL, output = $2 WHERE id = ANY($1)", ids, output)
	return err
}

func (p *barePostgres) close() {
	if p.conn != nil {
		_ = p.conn.Close(p.ctx) // what it had not committed goes with the database
	}
	_ = p.db.drop(p.ctx) // one that stays is in nobody's way
}
