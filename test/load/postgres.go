package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// dropTime bounds the end of a database.
const dropTime = 30 * time.Second

// database is one of ours in a Postgres cluster.
type database struct {
	cluster string // URL that leads to the cluster
	name    string
	url     string
}

// createDatabase makes an empty database in a cluster.
func createDatabase(ctx context.Context, cluster string) (*database, error) {
	u, err := url.Parse(cluster)
	if err != nil {
		return nil, err
	}
	d := &database{cluster: cluster, name: "sear_load_" + strings.ToLower(rand.Text())}
	if err := d.command(ctx, "CREATE DATABASE "+d.name); err != nil {
		return nil, fmt.Errorf("create a database: %w", err)
	}
	q := u.Query()
	q.Del("search_path")
	u.Path, u.RawQuery = "/"+d.name, q.Encode()
	d.url = u.String()
	return d, nil
}

func (d *database) command(ctx context.Context, text string) error {
	conn, err := pgx.Connect(ctx, d.cluster)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, text)
	return err
}

// drop removes the database and throws out whoever still uses it, also when ctx is
// over: it is the last that is done with it.
func (d *database) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
	defer cancel()
	return d.command(ctx, "DROP DATABASE IF EXISTS "+d.name+" WITH (FORCE)")
}

// size is what the database takes on disk.
func (d *database) size(ctx context.Context) (size int64, err error) {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("size of database: %w", err)
	}
	return size, nil
}
