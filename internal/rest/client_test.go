package rest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"sear/internal/rest"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, peer    string
		forwarded     []string
		want, network string
	}{
		{"a connection", "203.0.113.7:4000", nil, "203.0.113.7", "203.0.113.7"},
		{"one that says it is a proxy's", "203.0.113.7:4000", []string{"198.51.100.1"}, "203.0.113.7", "203.0.113.7"},
		{"a proxy on this machine", "127.0.0.1:4000", []string{"198.51.100.1"}, "198.51.100.1", "198.51.100.1"},
		{"what the client wrote before the proxy", "[::1]:4000", []string{"10.0.0.1, 198.51.100.1"}, "198.51.100.1", "198.51.100.1"},
		{"in two headers", "127.0.0.1:4000", []string{"10.0.0.1", "10.0.0.2,198.51.100.1"}, "198.51.100.1", "198.51.100.1"},
		{"with a port", "127.0.0.1:4000", []string{"198.51.100.1:99"}, "198.51.100.1", "198.51.100.1"},
		{"no address", "127.0.0.1:4000", []string{"unknown"}, "127.0.0.1", "127.0.0.1"},
		{"IPv6", "[2001:db8:1:2:3::4%eth0]:4000", nil, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", "[::ffff:203.0.113.7]:4000", nil, "203.0.113.7", "203.0.113.7"},
		{"a socket in the file system", "@", nil, "", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		for _, line := range c.forwarded {
			r.Header.Add("X-Forwarded-For", line)
		}
		if got, network := rest.ClientAddress(r), rest.ClientNetwork(r); got != c.want || network != c.network {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, got, network, c.want, c.network)
		}
	}
}
