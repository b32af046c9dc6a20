package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Env names the variable that holds the URL of a running private cluster, so
// that many test binaries can use one. Its schemas are left behind.
const Env = "SEAR_TEST_POSTGRES"

// cluster is this process's own, started by the first URL.
var cluster struct {
	once sync.Once
	*Cluster
	dir string
	err error
}

// Main runs the tests of a package and then stops the cluster they started. A
// package whose tests call URL wants:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
func Main(m interface{ Run() int }) {
	code := m.Run()
	if cluster.Cluster != nil {
		if err := cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			code = 1
		}
	}
	if cluster.dir != "" {
		os.RemoveAll(cluster.dir)
	}
	os.Exit(code)
}

// URL returns the URL of an empty schema that no other test uses. Where
// PostgreSQL is not installed it skips the test, unless CI=true: then the test
// fails.
func URL(t testing.TB) string {
	t.Helper()
	base := os.Getenv(Env)
	if base == "" {
		cluster.once.Do(startCluster)
		if errors.Is(cluster.err, ErrNotInstalled) && os.Getenv("CI") != "true" {
			t.Skip(cluster.err)
		}
		if cluster.err != nil {
			t.Fatal(cluster.err)
		}
		base = cluster.URL
	}
	schemaURL, err := newSchema(context.Background(), base)
	if err != nil {
		t.Fatal(err)
	}
	return schemaURL
}

// Own starts a cluster that one test has for itself, to restart it. It skips as URL does.
func Own(t testing.TB) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c, err := Start(dir)
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func startCluster() {
	// Not t.TempDir: it ends with one test, and its path is too long for a socket.
	cluster.dir, cluster.err = os.MkdirTemp("", "pgtest")
	if cluster.err != nil {
		return
	}
	cluster.Cluster, cluster.err = Start(filepath.Clean(cluster.dir))
}

// newSchema creates a schema and returns base with a search_path of it alone.
func newSchema(ctx context.Context, base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	schema := "test_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), nil
}
