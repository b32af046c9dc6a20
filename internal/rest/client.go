package rest

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
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

// Proxies are networks of proxies: what they add to X-Forwarded-For is believed. This machine is
// one without being named.
type Proxies []netip.Prefix

// Set reads networks or single addresses, separated by commas.
func (p *Proxies) Set(text string) error {
	var all Proxies
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		network, err := netip.ParsePrefix(part)
		if err != nil {
			a, err := netip.ParseAddr(part)
			if err != nil {
				return fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", part)
			}
			network = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, network.Masked())
	}
	*p = all
	return nil
}

// String is what Set reads.
func (p *Proxies) String() string {
	parts := make([]string, len(*p))
	for i, network := range *p {
		parts[i] = network.String()
	}
	return strings.Join(parts, ",")
}

// Handler is the middleware by which requests that a proxy passes on come from its client's address.
func (p Proxies) Handler(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := parseAddress(r.RemoteAddr)
		if slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(peer) }) {
			if a := lastForwarded(r); a.IsValid() {
				r.RemoteAddr = netip.AddrPortFrom(a, 0).String()
			}
		}
		next.ServeHTTP(w, r)
	})
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
	if a := lastForwarded(r); a.IsValid() {
		return a
	}
	return peer
}

// lastForwarded is the address that the last proxy says it was called from.
func lastForwarded(r *http.Request) netip.Addr {
	lines := r.Header.Values("X-Forwarded-For")
	if len(lines) == 0 {
		return netip.Addr{}
	}
	last := lines[len(lines)-1]
	return parseAddress(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]))
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
