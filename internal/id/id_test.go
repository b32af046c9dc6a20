package id_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sear/internal/id"
)

func TestSortsByTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(0, 1<<56).Draw(t, "us")
		gap := rapid.Int64Range(1, 1<<50).Draw(t, "gap")
		a, b := id.New(time.UnixMicro(us)), id.New(time.UnixMicro(us+gap))
		if a >= b || len(a) != id.Len {
			t.Fatalf("%s is not before %s", a, b)
		}
	})
}

func TestSequenceAscends(t *testing.T) {
	t.Parallel()
	now := time.UnixMicro(1795470891729_999)
	ids := id.Sequence(now, 2000)
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 2000 {
		t.Error("a sequence must ascend without repeats")
	}
	if later := id.New(now.Add(time.Microsecond)); ids[1999] >= later {
		t.Errorf("the last of the sequence %s runs into the next microsecond %s", ids[1999], later)
	}
}

func TestInternal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"run_c5g7eo9o", "c5g7eo9o", true},
		{"c5g7eo9o", "c5g7eo9o", true},
		{"batch_c5g7eo9o", "", false},
		{"run_", "", false},
		{"", "", false},
		{"run_a_b", "", false},
		{"run_A", "", false},
		{"run_" + strings.Repeat("a", 65), "", false},
	} {
		got, ok := id.Internal(id.Run, c.in)
		if got != c.want || ok != c.ok {
			t.Errorf("Internal(%q) = %q, %v; want %q, %v", c.in, got, ok, c.want, c.ok)
		}
	}
	if f := id.Friendly(id.Run, "abc"); f != "run_abc" {
		t.Errorf("Friendly = %q", f)
	}
}

func TestRandomUsesTheWholeAlphabet(t *testing.T) {
	t.Parallel()
	s := id.Random(id.Readable, 5000)
	if len(s) != 5000 {
		t.Fatalf("length %d", len(s))
	}
	for _, c := range id.Readable {
		if n := strings.Count(s, string(c)); n < 60 { // expected 147; 60 is seven deviations away
			t.Errorf("%q drawn %d times in 5000", c, n)
		}
	}
}
