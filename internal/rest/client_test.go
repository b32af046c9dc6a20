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

// TestTrustedProxies: who is behind a proxy that was named is told apart, and nobody else's word counts.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	var proxies rest.Proxies
	if err := proxies.Set("10.0.0.0/8, 2001:db8::1"); err != nil || proxies.String() != "10.0.0.0/8,2001:db8::1/128" {
		t.Fatalf("%s, %v", &proxies, err)
	}
	if err := new(rest.Proxies).Set("10.0.0.0/8,proxy"); err == nil {
		t.Error("a name is no network")
	}
	for name, tc := range map[string]struct{ peer, forwarded, want string }{
		"a client of a proxy":      {"10.1.2.3:1000", "192.0.2.9", "192.0.2.9"},
		"the last proxy's word":    {"10.1.2.3:1000", "198.51.100.1, 192.0.2.9", "192.0.2.9"},
		"a proxy of IPv6":          {"[2001:db8::1]:1000", "2001:db8:5::9", "2001:db8:5::9"},
		"the proxy itself":         {"10.1.2.3:1000", "", "10.1.2.3"},
		"what is no address":       {"10.1.2.3:1000", "unknown", "10.1.2.3"},
		"somebody who pretends":    {"198.51.100.7:1000", "192.0.2.9", "198.51.100.7"},
		"another address of IPv6":  {"[2001:db8::2]:1000", "192.0.2.9", "2001:db8::2"},
		"a proxy on this machine":  {"127.0.0.1:1000", "192.0.2.9", "192.0.2.9"},
		"a client on this machine": {"127.0.0.1:1000", "", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.peer
			if tc.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tc.forwarded)
			}
			got := ""
			proxies.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = rest.ClientAddress(r) })).ServeHTTP(httptest.NewRecorder(), r)
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}
