package rest

import (
	"net/http"
	"net/netip"
	"strings"
)

// ClientAddress is the IP address that a request comes from: that of the connection or, when a
// proxy on this machine has it, the last in X-Forwarded-For, which that proxy wrote. What
// stands before it, anybody may have written. It is "" when there is no address.
func ClientAddress(r *http.Request) string {
	if a := client(r); a.IsValid() {
		return a.String()
	}
	return ""
}

// ClientNetwork is what requests of one client are counted under: ClientAddress, or the /64 of
// an IPv6 address, of which one client has as many as it likes.
func ClientNetwork(r *http.Request) string {
	a := client(r)
	if !a.Is6() {
		return ClientAddress(r)
	}
	p, _ := a.Prefix(64) // always within an IPv6 address
	return p.String()
}

func client(r *http.Request) netip.Addr {
	peer := parseAddress(r.RemoteAddr)
	if !peer.IsLoopback() {
		return peer
	}
	if lines := r.Header.Values("X-Forwarded-For"); len(lines) > 0 {
		last := lines[len(lines)-1]
		if a := parseAddress(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])); a.IsValid() {
			return a
		}
	}
	return peer
}

// parseAddress reads an address with or without a port; the zero Addr when there is none.
func parseAddress(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		p, _ := netip.ParseAddrPort(text)
		a = p.Addr()
	}
	return a.Unmap().WithZone("")
}
