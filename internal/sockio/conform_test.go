package sockio_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"sear/internal/fault"
	"sear/internal/sockio"
)

// TestOfficialClient lets npm's socket.io-client, at the version that the official
// CLI has, go through everything it uses. It needs node; CI must have it.
func TestOfficialClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("installs npm packages")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI has no node")
		}
		t.Skip("no node here")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/client")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
		}
	}
	run("npm", "ci", "--ignore-scripts", "--prefer-offline")

	server, open := conformServer()
	srv := httptest.NewServer(server)
	defer srv.Close()
	defer server.Close()
	run("node", "conform.mjs", srv.URL)
	server.Close()
	if n := open.Load(); n != 0 {
		t.Errorf("%d sockets were never told to be gone", n)
	}
}

// conformServer has the namespaces that conform.mjs expects, and the number of
// sockets in them.
func conformServer() (*sockio.Server, *atomic.Int32) {
	server := sockio.New(sockio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: 5 * time.Second})
	open := new(atomic.Int32)
	count := sockio.Handlers{
		Connect:    func(*sockio.Socket, json.RawMessage) error { open.Add(1); return nil },
		Disconnect: func(*sockio.Socket) { open.Add(-1) },
	}
	server.Of("/worker", count)
	server.Of("/closed", sockio.Handlers{Connect: func(*sockio.Socket, json.RawMessage) error {
		return fault.New(fault.Unauthorized, "unauthorized")
	}})
	var workers *sockio.Namespace
	workers = server.Of("/dev-worker", sockio.Handlers{
		Connect: func(k *sockio.Socket, auth json.RawMessage) error {
			k.Data = auth
			return count.Connect(k, auth)
		},
		Disconnect: count.Disconnect,
		On: map[string]sockio.EventHandler{
			"whoami": func(k *sockio.Socket, _ []json.RawMessage) ([]any, error) {
				return []any{[]any{k.Request().Header.Get("Authorization"), k.Data}}, nil
			},
			"echo": func(_ *sockio.Socket, args []json.RawMessage) ([]any, error) {
				return []any{append([]json.RawMessage{}, args...)}, nil
			},
			"join": withRoom(func(k *sockio.Socket, room string) error { return k.Join(room) }),
			"leave": withRoom(func(k *sockio.Socket, room string) error {
				k.Leave(room)
				return nil
			}),
			"notify": withRoom(func(_ *sockio.Socket, room string) error {
				return workers.To(room).Emit("run:notify", map[string]any{
					"version": "1", "run": map[string]string{"friendlyId": room},
				})
			}),
			"hang up": func(k *sockio.Socket, _ []json.RawMessage) ([]any, error) {
				k.Close()
				return nil, nil
			},
		},
	})
	return server, open
}

// withRoom handles an event whose argument is the name of a room.
func withRoom(do func(k *sockio.Socket, room string) error) sockio.EventHandler {
	return func(k *sockio.Socket, args []json.RawMessage) ([]any, error) {
		var room string
		if len(args) != 1 || json.Unmarshal(args[0], &room) != nil {
			return nil, fault.New(fault.Malformed, "Invalid room")
		}
		return nil, do(k, room)
	}
}
