package server

import (
	"log/slog"
	"net"
	"net/netip"
	"time"

	"sear/internal/limit"
)

// maxConns is how many connections a node holds at once. Before a request has named anybody
// it may have as much memory as its header and a form take, some 100 KB. An address has a
// share of them as [limit.Shares] has it, and so have all clients of a proxy together.
//
//limit:server Connections of a node; one address may have as many as are free | connections | 503 Too many connections
const maxConns = 10_000

// sharedListener accepts no more connections than there are places for, and turns the newest
// away when there are none for its address.
type sharedListener struct {
	*net.TCPListener
	places *limit.Shares
	log    *slog.Logger
	warned time.Time
}

func shareConns(l *net.TCPListener, n int, log *slog.Logger) *sharedListener {
	return &sharedListener{TCPListener: l, places: limit.NewShares(n), log: log}
}

// Accept waits for the next connection that there is a place for.
func (l *sharedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		network := networkOf(c.RemoteAddr())
		release, ok := l.places.Take(network)
		if ok {
			return &placedConn{c, release}, nil
		}
		if now := time.Now(); now.Sub(l.warned) > time.Minute {
			l.warned = now
			l.log.Warn("too many connections, the newest are turned away", "network", network)
		}
		turnAway(c)
	}
}

// turnAway answers a connection before it has asked for anything, and closes it. The answer
// fits into what the kernel takes at once.
func turnAway(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n" +
		"Content-Length: 32\r\nConnection: close\r\n\r\n{\"error\":\"Too many connections\"}"))
	_ = c.Close()
}

// networkOf is what connections are counted under: the address of the peer, or the /64 of an
// IPv6 address, of which one host has as many as it likes.
func networkOf(addr net.Addr) string {
	p, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return ""
	}
	a := p.Addr().Unmap().WithZone("")
	if a.Is6() {
		network, _ := a.Prefix(64) // always within an IPv6 address
		return network.String()
	}
	return a.String()
}

// placedConn gives its place back when it is closed.
type placedConn struct {
	*net.TCPConn
	release func()
}

// Close closes the connection.
func (c *placedConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}
