package api_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/limit"
	"sear/internal/servertest"
)

// newTightSite lets an environment make three requests an hour, a public token two, and
// create four items.
func newTightSite(t *testing.T) *site {
	perHour := func(n int) limit.Rate { return limit.Rate{N: n, Per: time.Hour, Burst: n} }
	return newLimitedSite(t, "sqlite:"+filepath.Join(t.TempDir(), "core.db"), api.Limits{Key: perHour(3), Public: perHour(2), Items: perHour(4)})
}

// checkLimit checks what the headers of an answer say of a bucket, and returns when it resets.
func checkLimit(t *testing.T, name string, got servertest.Response, limit, remaining int) time.Time {
	t.Helper()
	ms, err := strconv.ParseInt(got.Header.Get("X-Ratelimit-Reset"), 10, 64)
	if got.Header.Get("X-Ratelimit-Limit") != strconv.Itoa(limit) || got.Header.Get("X-Ratelimit-Remaining") != strconv.Itoa(remaining) || err != nil {
		t.Errorf("%s: %v, want %d of %d", name, got.Header, remaining, limit)
	}
	return time.UnixMilli(ms)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := newTightSite(t)
	for left := 2; left >= 0; left-- {
		got := s.Call(t, "GET", "/api/v1/runs", nil)
		if got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		if reset := checkLimit(t, "served", got, 3, left); !reset.After(time.Now()) {
			t.Errorf("reset at %v", reset)
		}
	}

	before := time.Now()
	got := s.Call(t, "POST", "/api/v1/tasks/a/trigger", map[string]any{})
	reset := checkLimit(t, "refused", got, 3, 0)
	if wait := reset.Sub(before); wait < 15*time.Minute || wait > 25*time.Minute { // a third of an hour, less what has passed
		t.Errorf("a token is there after %v", wait)
	}
	if ct := got.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	problem := body[struct {
		Detail, Error string
		Reset         int64
	}](t, servertest.Response{Status: 200, Body: got.Body})
	if problem.Detail != problem.Error || !strings.HasPrefix(problem.Error, "Rate limit exceeded 0/3 requests remaining. Retry in ") || problem.Reset != reset.UnixMilli() {
		t.Errorf("%s", got.Body)
	}
	for _, member := range []string{`"title":"Rate Limit Exceeded"`, `"status":429`, `"type":"https:`, `"limit":3`, `"remaining":0`, `"secondsUntilReset":`} {
		if !strings.Contains(string(got.Body), member) {
			t.Errorf("%s has no %s", got.Body, member)
		}
	}
	if got.Status != http.StatusTooManyRequests {
		t.Errorf("status %d", got.Status)
	}

	if other := s.with(s.keys.SecretKeys.Prod).Call(t, "GET", "/api/v1/runs", nil); other.Status != http.StatusOK {
		t.Errorf("another environment: %d %s", other.Status, other.Body)
	}
	for _, free := range []struct{ method, path string }{
		{"POST", "/api/v1/auth/jwt/claims"},
		{"PUT", "/api/v2/packets/a"},
	} {
		got := s.Call(t, free.method, free.path, nil)
		if got.Status != http.StatusOK || got.Header.Get("X-Ratelimit-Limit") != "" {
			t.Errorf("%s: %d %v", free.path, got.Status, got.Header)
		}
	}
}

// TestPublicTokensHaveTheirOwnBuckets: a page that polls does not use up what its
// server has, nor what another page has.
func TestPublicTokensHaveTheirOwnBuckets(t *testing.T) {
	t.Parallel()
	s := newTightSite(t)
	one, two := s.token("read:runs"), s.token("read:runs", "read:tags")
	for i, status := range []int{200, 200, 429} {
		if got := one.Call(t, "GET", "/api/v1/runs", nil); got.Status != status {
			t.Errorf("request %d: %d %s", i, got.Status, got.Body)
		}
	}
	checkLimit(t, "another token", two.Call(t, "GET", "/api/v1/runs", nil), 2, 1)
	checkLimit(t, "the key", s.Call(t, "GET", "/api/v1/runs", nil), 3, 2)
}

// TestSpellingsOfATokenShareItsBucket: what a request says beside a token makes it no other
// token. Spaces and tabs are no part of it; whatever else is added is refused.
func TestSpellingsOfATokenShareItsBucket(t *testing.T) {
	t.Parallel()
	s := newTightSite(t)
	token := s.token("read:runs").Key
	for i, c := range []struct {
		header string
		status int
	}{
		{"Bearer " + token + "\u00a0", 401},
		{"Bearer " + token + "\u2003\u00a0", 401},
		{"Bearer \u2003" + token, 401},
		{"Bearer " + token + "\xa0", 401},
		{"Bearer " + token + ".x", 401},
		{"Bearer " + token + "=", 401},
		{"Bearer " + token, 200},
		{"bearer \t " + token + "\t", 200},
		{"BEARER " + token, 429},
		{"Bearer " + token, 429},
	} {
		client := servertest.Client{URL: s.URL, Header: http.Header{"Authorization": {c.header}}}
		if got := client.Call(t, "GET", "/api/v1/runs", nil); got.Status != c.status {
			t.Errorf("request %d, %q: %d %s, want %d", i, c.header, got.Status, got.Body, c.status)
		}
	}
}

// TestWrongKeysAreNotCounted: who is not let in takes nothing from who is.
func TestWrongKeysAreNotCounted(t *testing.T) {
	t.Parallel()
	s := newTightSite(t)
	for range 5 {
		if got := s.with("tr_dev_unknown").Call(t, "GET", "/api/v1/runs", nil); got.Status != http.StatusUnauthorized {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	checkLimit(t, "the key", s.Call(t, "GET", "/api/v1/runs", nil), 3, 2)
}

func TestBatchLimitCountsItems(t *testing.T) {
	t.Parallel()
	s := newTightSite(t)
	create := func(n int) servertest.Response {
		return s.Call(t, "POST", "/api/v3/batches", map[string]any{"runCount": n})
	}
	if got := create(3); got.Status != http.StatusAccepted {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	before := time.Now()
	got := create(2)
	if got.Status != http.StatusTooManyRequests || !strings.Contains(string(got.Body), `"error":"Batch rate limit exceeded. Limit resets at 20`) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	reset := checkLimit(t, "refused", got, 4, 1)
	if wait := reset.Sub(before); wait < 10*time.Minute || wait > 20*time.Minute {
		t.Errorf("two tokens are there after %v", wait)
	}
	if after, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || after < 600 || after > 1200 {
		t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
	}
	if got := create(1); got.Status != http.StatusAccepted {
		t.Errorf("what is left: %d %s", got.Status, got.Body)
	}
}

// TestItemStreamsAreCounted: a stream is a request as others are, and items that are sent again
// count as those of a batch that is created.
func TestItemStreamsAreCounted(t *testing.T) {
	t.Parallel()
	s := newTightSite(t) // three requests, four items
	batch := s.newBatch(3)
	checkLimit(t, "the first time", s.sendItems(s.Client, batch, items(0, 1)), 3, 1)
	again := s.sendItems(s.Client, batch, items(0, 1, 2))
	if again.Status != http.StatusTooManyRequests || !strings.Contains(string(again.Body), `"error":"Batch rate limit exceeded. Limit resets at 20`) {
		t.Errorf("again: %d %s", again.Status, again.Body)
	}
	if n := len(s.batchRuns(batch)); n != 2 {
		t.Errorf("%d items are there, want those of the first time", n)
	}
	checkLimit(t, "a request too many", s.sendItems(s.Client, batch, ""), 3, 0)
}

// TestAccessTokensHaveABucket: a personal access token is counted for its user.
func TestAccessTokensHaveABucket(t *testing.T) {
	t.Parallel()
	s := newTightSite(t)
	user := s.with(s.keys.PersonalAccessToken)
	path := "/api/v1/projects/" + s.keys.ProjectRef + "/runs"
	checkLimit(t, "first", user.Call(t, "GET", path, nil), 3, 2)
	checkLimit(t, "second", user.Call(t, "GET", path, nil), 3, 1)
	checkLimit(t, "the key", s.Call(t, "GET", "/api/v1/runs", nil), 3, 2)
}

// TestNoLimits: without limits nothing is counted and nothing said of it.
func TestNoLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := headers(s.Client, auth.BranchHeader, "default").Call(t, "GET", "/api/v1/runs", nil)
	if got.Status != http.StatusOK || got.Header.Get("X-Ratelimit-Limit") != "" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
}
