package engine_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// TestUncertainCommit: a connection that breaks after Postgres got the COMMIT and before
// it could answer leaves a command done or not. It is not done again: that is for the
// caller, who is told to.
func TestUncertainCommit(t *testing.T) {
	t.Parallel()
	direct, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	breaker := newBreaker(t, filepath.Join(direct.Query().Get("host"), ".s.PGSQL.5432"))
	q := direct.Query()
	q.Del("host")
	q.Set("sslmode", "disable")
	direct.Host, direct.RawQuery = breaker.addr, q.Encode()
	r := newRig(t, direct.String(), tenant.Production)

	breaker.armed.Store(true)
	_, err = r.Trigger(r.ctx, r.env, engine.Trigger{Task: "hello"})
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("trigger: %v", err)
	}
	if breaker.armed.Load() {
		t.Fatal("no commit of a run was seen")
	}
	var runs int
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) error { return tx.QueryRow("SELECT count(*) FROM run").Scan(&runs) }))
	if runs != 1 {
		t.Errorf("%d runs, want the one that was committed", runs)
	}
}

// breaker stands before Postgres and breaks the connection of the next COMMIT of a run once it is armed.
type breaker struct {
	addr  string
	armed atomic.Bool
}

func newBreaker(t *testing.T, socket string) *breaker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &breaker{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				t.Error(err)
				return
			}
			gone := make(chan struct{})
			go func() { _, _ = io.Copy(server, &watched{Conn: client, b: b, gone: gone}); server.Close() }()
			go func() { _, _ = io.Copy(&muted{client, gone}, server); client.Close() }()
		}
	}()
	return b
}

// watched is what a client sends.
type watched struct {
	net.Conn
	b        *breaker
	gone     chan struct{} // closed once the answer is not to reach the client
	makesRun bool          // it sent the statement that does
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.makesRun = w.makesRun || bytes.Contains(p[:n], []byte("INSERT INTO run "))
	if w.makesRun && bytes.Contains(p[:n], []byte("Q\x00\x00\x00\x0bcommit\x00")) && w.b.armed.CompareAndSwap(true, false) {
		close(w.gone)
	}
	return n, err
}

// muted passes on what the server sends until the client is gone, and ends then.
type muted struct {
	net.Conn
	gone chan struct{}
}

func (m *muted) Write(p []byte) (int, error) {
	select {
	case <-m.gone:
		return 0, net.ErrClosed
	default:
		return m.Conn.Write(p)
	}
}
