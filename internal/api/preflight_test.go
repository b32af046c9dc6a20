package api_test

import (
	"net/http"
	"regexp"
	"testing"

	"sear/internal/api"
)

var parameter = regexp.MustCompile(`\{[a-z]+\}|\*`)

// TestPreflight: pages of other origins may ask for the routes marked so, and no others.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	browser := map[string]bool{}
	for _, r := range api.Surface() {
		browser[r.Path] = browser[r.Path] || r.Browser
	}
	for path, allowed := range browser {
		c := headers(s.with(""), "Origin", "https://app.example", "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type")
		got := c.Call(t, http.MethodOptions, parameter.ReplaceAllString(path, "unknown"), nil)
		answered := got.Status == 200 && got.Header.Get("Access-Control-Allow-Origin") == "https://app.example" &&
			got.Header.Get("Access-Control-Allow-Headers") == "authorization,content-type" &&
			got.Header.Get("Access-Control-Expose-Headers") == "x-trigger-jwt, x-trigger-jwt-claims, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset" &&
			got.Header.Get("Access-Control-Max-Age") == "300"
		if answered != allowed {
			t.Errorf("%s: preflight answered %v (%d %v), want %v", path, answered, got.Status, got.Header, allowed)
		}
	}
}
