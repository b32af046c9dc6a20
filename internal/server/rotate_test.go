package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"sear/internal/server"
	"sear/internal/servertest"
	"sear/internal/sqldb/pgtest"
	"sear/internal/tenant"
)

// status is how a server meets a key.
func status(t testing.TB, url, key string) int {
	t.Helper()
	return servertest.Client{URL: url, Key: key}.Call(t, http.MethodGet, "/api/v1/runs", nil).Status
}

// TestRotationOnTwoNodes: a key that one node replaces is done with on the other too,
// long before it would look again by itself.
func TestRotationOnTwoNodes(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.DatabaseURL = pgtest.URL(t)
	cfg.SecretKey = strings.Repeat("00", 32)
	first := run(t, cfg)
	cfg.Data = config(t).Data
	second := run(t, cfg) // its URL is what the keys lead to
	set, err := server.Keys(t.Context(), cfg)
	if err != nil || set.APIURL != second.url {
		t.Fatalf("%+v, %v", set, err)
	}
	old := set.SecretKeys.Dev
	token := servertest.Post[struct{ Token string }](t, servertest.Client{URL: first.url, Key: old}, "/api/v1/auth/jwt",
		map[string]any{"claims": map[string]any{"scopes": []string{"read:runs"}}}).Token
	for _, url := range []string{first.url, second.url} {
		for _, credential := range []string{old, token} {
			if got := status(t, url, credential); got != http.StatusOK {
				t.Fatalf("before: %d", got)
			}
		}
	}
	begin := time.Now()
	made, err := server.RotateKey(t.Context(), cfg, server.Rotation{Env: tenant.Development}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{first.url, second.url} {
		if got := status(t, url, made.APIKey); got != http.StatusOK {
			t.Errorf("the new key: %d", got)
		}
	}
	for _, credential := range []string{old, token} {
		if got := status(t, second.url, credential); got != http.StatusUnauthorized {
			t.Errorf("where it was replaced: %d", got)
		}
		for status(t, first.url, credential) != http.StatusUnauthorized {
			if time.Since(begin) > 4*time.Second {
				t.Fatal("the other node has not noticed")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// TestRotationEndsWhatIsOpenOnOtherNodes: a dequeue and a presence stream that wait at one
// node end when another replaces their key.
func TestRotationEndsWhatIsOpenOnOtherNodes(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.DatabaseURL = pgtest.URL(t)
	cfg.SecretKey = strings.Repeat("00", 32)
	first := run(t, cfg)
	cfg.Data = config(t).Data
	run(t, cfg) // where the key is replaced
	set, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	old := servertest.Client{URL: first.url, Key: set.SecretKeys.Dev}
	socket := servertest.Dial(t, old, "/dev-worker")
	answered := make(chan servertest.Response, 2)
	for method, path := range map[string]string{http.MethodPost: "/engine/v1/dev/dequeue", http.MethodGet: "/engine/v1/dev/presence"} {
		go func() {
			got, err := old.Send(t.Context(), method, path, nil)
			if err != nil {
				t.Error(err)
			}
			answered <- got
		}()
	}
	time.Sleep(100 * time.Millisecond) // for both to arrive; should they not, the test proves less but does not fail
	begin := time.Now()
	if _, err := server.RotateKey(t.Context(), cfg, server.Rotation{Env: tenant.Development}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if e, ok := socket.Next(); ok {
		t.Errorf("the socket hears of %s", e.Name)
	}
	for range 2 {
		<-answered
	}
	if took := time.Since(begin); took > 4*time.Second { // sooner than they would look again by themselves
		t.Errorf("they ended after %s", took)
	}
}

// TestRotationBesideASilentServer: the data of a server that cannot be asked is left alone.
func TestRotationBesideASilentServer(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.PublicURL = "http://127.0.0.1:1"
	r := run(t, cfg)
	log := slog.New(slog.DiscardHandler)
	what := server.Rotation{Env: tenant.Development, Grace: time.Hour}
	if _, err := server.RotateKey(t.Context(), cfg, what, log); err == nil || !strings.Contains(err.Error(), "cannot be asked") {
		t.Errorf("beside a server that cannot be reached: %v", err)
	}
	before, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.end(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := server.RotateKey(ctx, cfg, what, log); err == nil {
		t.Error("a rotation went on after its end")
	}
	made, err := server.RotateKey(t.Context(), cfg, what, log)
	if err != nil || made.APIKey == before.SecretKeys.Dev {
		t.Fatalf("%+v, %v", made, err)
	}
	if after, err := server.Keys(t.Context(), cfg); err != nil || after.SecretKeys.Dev != made.APIKey {
		t.Errorf("%+v, %v", after, err)
	}
}
