package devrun

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrefixer(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("x", maxLine)
	for name, tc := range map[string]struct {
		writes []string
		want   string
	}{
		"nothing":            {nil, ""},
		"one line":           {[]string{"a\n"}, "p      │ a\n"},
		"an empty line":      {[]string{"\n"}, "p      │ \n"},
		"lines in a write":   {[]string{"a\nb\n"}, "p      │ a\np      │ b\n"},
		"a line in pieces":   {[]string{"a", "b", "c\nd"}, "p      │ abc\np      │ d\n"},
		"carriage return":    {[]string{"a\r\n"}, "p      │ a\n"},
		"a line without end": {[]string{long, "y\n"}, "p      │ " + long + "\np      │ y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var got bytes.Buffer
			p := newOutput(&got, false).prefixed("p", nil)
			for _, text := range tc.writes {
				n, err := p.Write([]byte(text))
				if n != len(text) || err != nil {
					t.Fatalf("Write returned %d, %v for %d bytes", n, err, len(text))
				}
			}
			p.flush()
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrefixerColor(t *testing.T) {
	t.Parallel()

	var got bytes.Buffer
	out := newOutput(&got, true)
	fmt.Fprintln(out.prefixed("server", nil), "a")
	fmt.Fprintln(out.prefixed("worker", nil), "b")

	want := "\x1b[36mserver │ \x1b[0ma\n\x1b[35mworker │ \x1b[0mb\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPrefixerSeen(t *testing.T) {
	t.Parallel()

	var got []string
	p := newOutput(&bytes.Buffer{}, true).prefixed("p", func(line []byte) { got = append(got, string(line)) })
	fmt.Fprint(p, "one\ntw", "o\nthree")
	p.flush()
	if diff := cmp.Diff([]string{"one", "two", "three"}, got); diff != "" {
		t.Error(diff)
	}
}

// Two processes write at once: their lines may come in any order but are never mixed.
func TestPrefixerConcurrent(t *testing.T) {
	t.Parallel()

	const lines = 500
	var got bytes.Buffer
	out := newOutput(&got, false)
	var writers sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		p := out.prefixed(name, nil)
		writers.Go(func() {
			for range lines {
				for _, piece := range []string{name, name, "\n"} {
					fmt.Fprint(p, piece)
				}
			}
		})
	}
	writers.Wait()

	for name, want := range map[string]string{"a": "a      │ aa\n", "b": "b      │ bb\n"} {
		if n := strings.Count(got.String(), want); n != lines {
			t.Errorf("%d whole lines of %s, want %d", n, name, lines)
		}
	}
}
