package auth

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/sqldb"
)

// hinted is a cache with the database that hints it.
func hinted(t *testing.T) (*cache[string, int], func()) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite::memory:", sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	hint := func() {
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { tx.Hint("x", ""); return nil }); err != nil {
			t.Error(err)
		}
	}
	return newCache[string, int](db.Watch("x", "")), hint
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, hint := hinted(t)
		loads := 0
		get := func() int {
			v, err := c.get("k", func() (int, error) { loads++; return loads, nil })
			if err != nil {
				t.Error(err)
			}
			return v
		}
		if a, b := get(), get(); a != 1 || b != 1 {
			t.Errorf("loaded for each call: %d, %d", a, b)
		}
		time.Sleep(cacheTTL)
		if v := get(); v != 1 {
			t.Errorf("at the end of its life: %d", v)
		}
		time.Sleep(time.Nanosecond)
		if v := get(); v != 2 {
			t.Errorf("after its life: %d", v)
		}
		hint()
		if v := get(); v != 3 {
			t.Errorf("after a hint: %d", v)
		}
	})
}

func TestCacheDoesNotKeepWhatWasLoadedBeforeAHint(t *testing.T) {
	t.Parallel()
	c, hint := hinted(t)
	old, err := c.get("k", func() (int, error) { hint(); return 1, nil })
	if err != nil || old != 1 {
		t.Fatal(old, err)
	}
	if v, err := c.get("k", func() (int, error) { return 2, nil }); err != nil || v != 2 {
		t.Errorf("%d, %v: the value from before the hint was kept", v, err)
	}
}

func TestCacheIsBoundedAndKeepsNoFailures(t *testing.T) {
	t.Parallel()
	c, _ := hinted(t)
	boom := errors.New("boom")
	if _, err := c.get("k", func() (int, error) { return 1, boom }); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if v, err := c.get("k", func() (int, error) { return 2, nil }); err != nil || v != 2 {
		t.Errorf("%d, %v", v, err)
	}
	for i := range cacheSize * 2 {
		if _, err := c.get(strconv.Itoa(i), func() (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.m) > cacheSize {
		t.Errorf("%d entries", len(c.m))
	}
}
