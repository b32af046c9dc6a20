package crash

import (
	"io"
	"net"
	"sync"
)

// proxy stands between a node and Postgres, so that the two can be cut apart.
type proxy struct {
	listener net.Listener
	socket   string // of Postgres
	mu       sync.Mutex
	cut      bool
	conns    map[net.Conn]bool
}

func newProxy(socket string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, socket: socket, conns: map[net.Conn]bool{}}
	go p.serve()
	return p, nil
}

// url leads to a database of the cluster by way of the proxy.
func (p *proxy) url(database string) string {
	return "postgres://postgres@" + p.listener.Addr().String() + "/" + database + "?sslmode=disable"
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // it was closed
		}
		go p.join(client)
	}
}

// join copies both ways until either side ends or the proxy is cut.
func (p *proxy) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.admit(client, server) {
		return
	}
	defer p.forget(client, server)
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // the end of a connection is no error here
			done <- struct{}{}
		}()
	}
	<-done
}

func (p *proxy) admit(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, c := range conns {
		p.conns[c] = true
	}
	return true
}

func (p *proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// set cuts all connections and lets none come about, or lets them again.
func (p *proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for c := range p.conns {
		if cut {
			c.Close()
		}
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.set(true)
}
