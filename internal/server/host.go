package server

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sear/internal/fault"
	"sear/internal/rest"
)

// originOf tells where the server is for whoever sends a request: at its public URL or, when
// it has none, where that client found it. A proxy that ends TLS says so in X-Forwarded-Proto;
// its word counts as much as the Host header, for both only change what that client is told.
func originOf(public string) func(*http.Request) string {
	return func(r *http.Request) string {
		scheme := "http://"
		first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",") // the proxy that the client spoke to
		switch {
		case public != "":
			return public
		case r.TLS != nil, strings.EqualFold(strings.TrimSpace(first), "https"):
			scheme = "https://"
		}
		return scheme + r.Host
	}
}

// knownHost is the middleware that keeps pages of other sites away from a server that
// listens on loopback. Such a page can have its own name resolve to 127.0.0.1, and so be of
// one origin with the server ("DNS rebinding"); what gives it away is that name in Host.
//
// A proxy on this machine passes the name on that its clients use. It is told from such a page
// by the headers that it adds. A script can add them as well, but not Sec-Fetch-Site, which
// browsers send where they came by TLS, nor can it leave out Origin when it sends a POST.
func (h *handler) knownHost(public string) func(http.Handler) http.Handler {
	name := ""
	if u, err := url.Parse(public); err == nil {
		name = u.Hostname()
	}
	return func(next http.Handler) http.Handler {
		refuse := rest.Wrap(h.log, func(http.ResponseWriter, *http.Request) error {
			return fault.New(fault.Forbidden, "This server listens for its own machine and does not know the name in the Host header. "+
				"If it should be reached by that name, start it with --public-url")
		})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			byScript := r.Header.Get("Origin") != "" && r.Header.Get("Sec-Fetch-Site") == ""
			if ofThisMachine(r) || strings.EqualFold(hostname(r), name) || proxied(r) && !byScript {
				next.ServeHTTP(w, r)
				return
			}
			refuse(w, r)
		})
	}
}

// proxyHeaders are those that proxies add.
var proxyHeaders = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}

// proxied reports whether a request has a header that proxies add.
func proxied(r *http.Request) bool {
	return slices.ContainsFunc(proxyHeaders, func(name string) bool { return r.Header.Get(name) != "" })
}

// ofThisMachine reports whether a request was sent to an address that only this machine has,
// or to its name, which no other site can take.
func ofThisMachine(r *http.Request) bool {
	name := strings.ToLower(hostname(r))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(name).IsLoopback()
}

// hostname is the Host of a request without the port.
func hostname(r *http.Request) string {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	return strings.Trim(name, "[]")
}
