package sqldb

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"
)

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
