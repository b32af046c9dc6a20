package id_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"sear/internal/id"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "at"))
		bound, next := id.From(at), id.From(at.Add(time.Millisecond))
		for _, minted := range append(id.Sequence(at, 3), id.New(at)) {
			if minted < bound || minted >= next {
				t.Fatalf("%s is not between %s and %s", minted, bound, next)
			}
		}
	})
	now := time.Now()
	if past := id.From(time.Unix(-1, 0)); past > id.New(time.Unix(0, 0)) || past != id.From(time.Time{}) {
		t.Errorf("before 1970: %s", past)
	}
	if future := id.From(time.UnixMilli(1 << 60)); future < id.New(now) {
		t.Errorf("far future: %s", future)
	}
}
