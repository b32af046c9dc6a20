package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"sear/internal/sqldb/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestSchemasAreApart(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for range 2 {
		conn, err := pgx.Connect(ctx, pgtest.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "CREATE TABLE only_here (id BIGINT)"); err != nil {
			t.Error(err)
		}
	}
}
