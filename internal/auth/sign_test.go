package auth_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/fault"
)

func TestWaitpointHash(t *testing.T) {
	t.Parallel()
	w := setup(t)
	hash := w.WaitpointHash("env1", "w1")
	if len(hash) != 64 || !w.CheckWaitpointHash("env1", "w1", hash) {
		t.Errorf("hash %q does not check", hash)
	}
	for _, c := range []struct{ env, id, hash string }{
		{"env1", "w2", hash}, {"env2", "w1", hash}, {"env1w", "1", hash}, {"env1", "w1", hash[:62]}, {"env1", "w1", ""},
		{"env1", "w1", "x" + hash[1:]},
	} {
		if w.CheckWaitpointHash(c.env, c.id, c.hash) {
			t.Errorf("%+v passes", c)
		}
	}
}

func TestSignedPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		signed := w.SignPath("PUT", "/packets/a%2Fb.json", time.Now().Add(time.Minute))
		path, query, _ := strings.Cut(signed, "?")
		if path != "/packets/a%2Fb.json" {
			t.Fatalf("signed %s", signed)
		}
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		with := func(key, value string) url.Values {
			c := url.Values{}
			for k, v := range q {
				c[k] = v
			}
			c.Set(key, value)
			return c
		}
		if err := w.CheckPath("PUT", path, q); err != nil {
			t.Errorf("as signed: %v", err)
		}
		for name, err := range map[string]error{
			"another method":    w.CheckPath("GET", path, q),
			"another path":      w.CheckPath("PUT", path+"x", q),
			"a later end":       w.CheckPath("PUT", path, with("expires", "99999999999")),
			"no end":            w.CheckPath("PUT", path, with("expires", "")),
			"another signature": w.CheckPath("PUT", path, with("signature", strings.Repeat("0", 64))),
			"no signature":      w.CheckPath("PUT", path, with("signature", "")),
			"a waitpoint's":     w.CheckPath("PUT", path, with("signature", w.WaitpointHash("PUT", path))),
			"nothing":           w.CheckPath("PUT", path, nil),
		} {
			if !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: %v", name, err)
			}
		}
		time.Sleep(time.Minute - 1)
		if err := w.CheckPath("PUT", path, q); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := w.CheckPath("PUT", path, q); !fault.Is(err, fault.Forbidden) {
			t.Errorf("at its end: %v", err)
		}
	})
}
