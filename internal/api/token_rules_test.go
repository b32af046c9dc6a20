package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sear/internal/id"
	"sear/internal/store"
)

// TestTokenKeys: a key leads to its token, complete or not, until it expires; then it
// makes another, and the old one can still be found by it.
func TestTokenKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		const options = `{"idempotencyKey":"k","idempotencyKeyTTL":"30s","tags":["a"]}`
		made := s.newToken(options)
		s.Call(t, "POST", tokensPath+"/"+made.ID+"/complete", `{"data":"first"}`)
		if again := s.newToken(options); !again.IsCached || again.ID != made.ID {
			t.Errorf("after its completion the key leads to %+v", again)
		}
		if elsewhere := body[waitToken](t, s.with(s.keys.SecretKeys.Prod).Call(t, "POST", tokensPath, options)); elsewhere.IsCached || elsewhere.ID == made.ID {
			t.Error("the key leads to the token of another environment")
		}
		internal, _ := id.Internal(id.Waitpoint, made.ID)
		err := s.store.Update(t.Context(), func(tx *store.Tx) error {
			p, err := tx.Waitpoint(s.env.ID, internal)
			if left := time.Until(p.Key.ExpiresAt); err == nil && (left > 30*time.Second || left < 10*time.Second) {
				t.Errorf("the key lasts for %s", left)
			}
			_, err = tx.Exec("UPDATE waitpoint SET idem_expires = 1 WHERE id = $1", internal)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		fresh := s.newToken(options)
		if fresh.IsCached || fresh.ID == made.ID {
			t.Errorf("a key that expired leads to %+v", fresh)
		}
		want := []string{made.ID, fresh.ID}
		newestFirst(want)
		if got, _ := s.walk(s.Client, tokensPath, 10, "filter[idempotencyKey]", "k"); !slices.Equal(got, want) {
			t.Errorf("the key finds %v, want %v", got, want)
		}
	})
}

// TestTokenBounds are the values that are just allowed.
func TestTokenBounds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	longest := strings.Repeat("ü", 128)
	if made := s.newToken(fmt.Sprintf(`{"tags":%q}`, longest)); s.readToken(made.ID).Tags[0] != longest {
		t.Error("a tag of 128 characters did not come back")
	}
	start := `{"x":"`
	filler := strings.Repeat("x", 10<<10-len(start)-2)
	if got := s.Call(t, "POST", tokensPath, start+filler+`"}`); got.Status != 200 {
		t.Errorf("a body of 10 KiB: %d %s", got.Status, got.Body)
	}
	if got := s.Call(t, "POST", tokensPath, start+filler+`x"}`); got.Status != 413 {
		t.Errorf("a byte more: %d %s", got.Status, got.Body)
	}
	for text, from := range map[string]time.Duration{"30s": 30 * time.Second, "2h": 2 * time.Hour, "1d": 24 * time.Hour, "1w": 7 * 24 * time.Hour} {
		made := s.newToken(`{"timeout":"` + text + `"}`)
		at, err := time.Parse(time.RFC3339, s.readToken(made.ID).TimeoutAt)
		if left := time.Until(at); err != nil || left > from || left < from-20*time.Second {
			t.Errorf("%s: times out at %s: %v", text, at, err)
		}
	}
	got := s.Call(t, "POST", tokensPath, `{}`)
	p, err := s.auth.Environment(t.Context(), got.Header.Get("X-Trigger-Jwt"), "")
	if left := time.Until(p.ExpiresAt); err != nil || left > 24*time.Hour || left < 23*time.Hour {
		t.Errorf("the public token lasts for %s: %v", left, err)
	}
	data := strings.Repeat("x", 3<<20-len(`{"data":""}`))
	if got := s.Call(t, "POST", tokensPath+"/"+s.newToken(`{}`).ID+"/complete", `{"data":"`+data+`"}`); got.Status != 200 {
		t.Errorf("data of 3 MiB: %d %.100s", got.Status, got.Body)
	}
}

// TestTokenPages: 25 tokens make a page unless the caller says otherwise, and the cursor
// for newer ones wins.
func TestTokenPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var all []string
	for range 27 {
		all = append(all, s.newToken(`{}`).ID)
	}
	newestFirst(all)
	first := s.list(s.Client, tokensPath)
	if !slices.Equal(first.ids(), all[:25]) || first.Pagination.Next == "" || first.Pagination.Previous != "" {
		t.Errorf("first page: %d, %+v", len(first.Data), first.Pagination)
	}
	both := s.list(s.Client, tokensPath, "page[size]", "3", "page[after]", all[10], "page[before]", all[20])
	if !slices.Equal(both.ids(), all[17:20]) {
		t.Errorf("with both cursors: %v", both.ids())
	}
	for query, path := range map[string]string{"page[size]=0": "page[size]", "page[size]=101": "page[size]", "page[size]=x": "page[size]",
		"page[before]=run_1": "page[before]", "filter[createdAt][from]=soon": "filter[createdAt][from]", "filter[createdAt][to]=x": "filter[createdAt][to]"} {
		got := s.Call(t, "GET", tokensPath+"?"+query, nil)
		if got.Status != 422 || !strings.Contains(string(got.Body), `"path":["`+path+`"]`) {
			t.Errorf("%s: %d %s", query, got.Status, got.Body)
		}
	}
}

// TestTokensFromPages: a page of another origin may complete a token, and do nothing else with it.
func TestTokensFromPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	made := s.newToken(`{}`)
	page := headers(s.with(""), "Origin", "https://example.com", "Access-Control-Request-Method", http.MethodPost)
	if got := page.Call(t, "OPTIONS", tokensPath+"/"+made.ID+"/complete", nil); got.Status != 200 || got.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
	if got := page.Call(t, "OPTIONS", tokensPath, nil); got.Status != 405 {
		t.Errorf("creation: %d", got.Status)
	}
}
