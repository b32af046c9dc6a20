package sqldb

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestAwayCodes: what Postgres says when it cannot serve anybody, and not that it was asked
// something wrong.
func TestAwayCodes(t *testing.T) {
	t.Parallel()
	for code, away := range map[string]bool{"08006": true, "57P01": true, "53100": true, "53200": true, "53300": true, "25006": true, "25P03": true, "55P03": true,
		"40P01": true, "23505": false, "22021": false, "57014": false} {
		if got := isAway(t.Context(), &pgconn.PgError{Code: code}); got != away {
			t.Errorf("%s: %v", code, got)
		}
	}
}

// TestConnectTimeoutIsAway: a Postgres that does not answer within the URL's
// connect_timeout is away; that the caller's own time is over is something else.
func TestConnectTimeoutIsAway(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	url := "postgres://u@" + silent.Addr().String() + "/d?sslmode=disable&connect_timeout="
	o := Options{Log: slog.New(slog.DiscardHandler)}
	if _, err := connectPostgres(t.Context(), url+"1", o); !isAway(t.Context(), err) {
		t.Errorf("connect_timeout: %v is not away", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := connectPostgres(ctx, url+"60", o); err == nil || isAway(ctx, err) {
		t.Errorf("the caller's deadline: %v", err)
	}
}
