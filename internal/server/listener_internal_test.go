package server

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestConnectionsTooManyAreTurnedAway: an address has half of them, who comes too late is
// told so, and who leaves makes room.
func TestConnectionsTooManyAreTurnedAway(t *testing.T) {
	t.Parallel()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	shared := shareConns(l, 4, slog.New(slog.DiscardHandler))
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	done := make(chan error, 1)
	go func() { done <- s.Serve(shared) }()
	t.Cleanup(func() { _ = s.Close(); <-done })

	dial := func() (net.Conn, int) {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: sear.test\r\n\r\n"))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return c, 0 // the answer is lost when the request arrives after the end
		}
		return c, res.StatusCode
	}
	first, status := dial()
	if _, again := dial(); status != http.StatusNoContent || again != http.StatusNoContent {
		t.Fatalf("the first two: %d and %d", status, again)
	}
	if _, status := dial(); status != http.StatusServiceUnavailable && status != 0 {
		t.Errorf("the third: %d", status)
	}
	if _, ok := shared.places.Take("192.0.2.1"); !ok {
		t.Error("another address finds no place")
	}
	_ = first.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, status := dial(); status == http.StatusNoContent {
			break
		}
		if time.Now().After(end) {
			t.Fatal("there is no room for one that has left")
		}
	}
}

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"203.0.113.7:4000": "203.0.113.7", "[::ffff:203.0.113.7]:4000": "203.0.113.7",
		"[2001:db8:1:2:3::4%eth0]:4000": "2001:db8:1:2::/64", "[::1]:4000": "::/64",
	} {
		if got := networkOf(namedAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

type namedAddr string

func (namedAddr) Network() string  { return "tcp" }
func (a namedAddr) String() string { return string(a) }
