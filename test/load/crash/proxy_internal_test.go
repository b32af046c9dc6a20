package crash

import (
	"net"
	"testing"
)

// TestAdmit: a proxy that is cut remembers no connection, however many are tried.
func TestAdmit(t *testing.T) {
	t.Parallel()
	p := &proxy{conns: map[net.Conn]bool{}}
	one, two := net.Pipe()
	p.set(true)
	if p.admit(one, two) || len(p.conns) != 0 {
		t.Errorf("while it was cut: %d connections", len(p.conns))
	}
	p.set(false)
	if !p.admit(one, two) || len(p.conns) != 2 {
		t.Errorf("afterwards: %d connections", len(p.conns))
	}
	p.forget(one, two)
	if len(p.conns) != 0 {
		t.Errorf("%d connections are not forgotten", len(p.conns))
	}
}
