package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"sear/internal/fault"
)

// TestOrigin: what a client is told about the server is what that client has found, TLS that a
// proxy ends included.
func TestOrigin(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ public, forwarded, want string }{
		"direct":                  {"", "", "http://sear.test"},
		"through a TLS proxy":     {"", "https", "https://sear.test"},
		"in capitals":             {"", "HTTPS", "https://sear.test"},
		"through two proxies":     {"", "https, http", "https://sear.test"},
		"through a plain proxy":   {"", "http", "http://sear.test"},
		"what is no scheme":       {"", "javascript", "http://sear.test"},
		"the configuration wins":  {"https://sear.example.com", "http", "https://sear.example.com"},
		"also when it says plain": {"http://sear.example.com", "https", "http://sear.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "http://sear.test/", nil)
			if tc.forwarded != "" {
				r.Header.Set("X-Forwarded-Proto", tc.forwarded)
			}
			if got := originOf(tc.public)(r); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// TestPagesOfOtherSitesReachNoLoopbackServer: a name that leads to 127.0.0.1 opens nothing,
// unless a proxy or the configuration vouches for it.
func TestPagesOfOtherSitesReachNoLoopbackServer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		host   string
		header map[string]string
		want   int
	}{
		"an address":                         {"127.0.0.1:3030", nil, 200},
		"an address of IPv6":                 {"[::1]:3030", nil, 200},
		"IPv6 without a port":                {"[::1]", nil, 200},
		"localhost":                          {"LocalHost:3030", nil, 200},
		"a name below localhost":             {"sear.localhost", nil, 200},
		"the public name":                    {"Sear.example.com", nil, 200},
		"a page on this machine":             {"localhost:3030", map[string]string{"Origin": "http://localhost:5173"}, 200},
		"another name":                       {"rebound.example:3030", nil, 403},
		"a name that ends alike":             {"notlocalhost", nil, 403},
		"an address of others":               {"192.0.2.1", nil, 403},
		"no name":                            {"", nil, 403},
		"a client through a proxy":           {"sear.test", map[string]string{"X-Forwarded-For": "192.0.2.1"}, 200},
		"a browser through a TLS proxy":      {"sear.test", map[string]string{"X-Forwarded-Proto": "https", "Origin": "https://app.test", "Sec-Fetch-Site": "cross-site"}, 200},
		"a script that pretends to be there": {"rebound.example", map[string]string{"X-Forwarded-Proto": "https", "Origin": "http://rebound.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := handler{log: slog.New(slog.DiscardHandler)}
			served := h.knownHost("https://sear.example.com")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r := httptest.NewRequest(http.MethodPost, "/api/v1/authorization-code", nil)
			r.Host = tc.host
			for name, value := range tc.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			served.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tc.want)
			}
		})
	}
}

// TestMetricsBehindAProxy: with a public URL and without a token nobody reads metrics, for a
// proxy may pass on requests of others as if they were its own.
func TestMetricsBehindAProxy(t *testing.T) {
	t.Parallel()
	metrics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:3030/metrics", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if err := metricsOf(metrics, "", false)(httptest.NewRecorder(), r); err != nil {
		t.Errorf("without a public URL: %v", err)
	}
	if err := metricsOf(metrics, "", true)(httptest.NewRecorder(), r); !fault.Is(err, fault.Forbidden) {
		t.Errorf("with one: %v", err)
	}
}
