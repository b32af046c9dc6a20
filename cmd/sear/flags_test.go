package main

import (
	"bytes"
	"errors"
	"flag"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()

	type result struct {
		Name    string
		Count   int
		On      bool
		Operand string
	}
	defaults := result{Name: "default", Count: 1}
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		want result
		err  string
	}{
		"defaults":           {want: defaults},
		"flag":               {args: []string{"--the-name", "a", "--count=2", "--on"}, want: result{"a", 2, true, ""}},
		"environment":        {env: map[string]string{"SEAR_THE_NAME": "b", "SEAR_COUNT": "3", "SEAR_ON": "true"}, want: result{"b", 3, true, ""}},
		"flag wins":          {args: []string{"--count", "1"}, env: map[string]string{"SEAR_COUNT": "3"}, want: defaults},
		"flag hides bad env": {args: []string{"--count", "1"}, env: map[string]string{"SEAR_COUNT": "x"}, want: defaults},
		"empty environment":  {env: map[string]string{"SEAR_THE_NAME": "", "SEAR_COUNT": ""}, want: defaults},
		"operand first":      {args: []string{"dir", "--count", "2"}, want: result{"default", 2, false, "dir"}},
		"operand last":       {args: []string{"--on", "dir"}, want: result{"default", 1, true, "dir"}},
		"two operands":       {args: []string{"a", "--on", "b"}, err: `unexpected argument "b"`},
		"unknown flag":       {args: []string{"--x"}, err: "flag provided but not defined: -x"},
		"unknown after":      {args: []string{"dir", "--x"}, err: "flag provided but not defined: -x"},
		"bad flag":           {args: []string{"--count", "x"}, err: `invalid value "x" for flag -count: parse error`},
		"bad environment":    {env: map[string]string{"SEAR_COUNT": "x"}, err: `invalid value "x" for SEAR_COUNT: parse error`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := program{lookup: func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok }}
			f := newFlags(p, "test", "DIR", "")
			var got result
			f.StringVar(&got.Name, "the-name", "default", "")
			f.IntVar(&got.Count, "count", 1, "")
			f.BoolVar(&got.On, "on", false, "")

			var err error
			got.Operand, err = f.parse(tc.args)
			if tc.err != "" {
				var misused *usageError
				if !errors.As(err, &misused) || misused.message != tc.err {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	p := program{stdout: &out, lookup: func(string) (string, bool) { return "x", true }}
	f := newFlags(p, "test", "DIR", "Does a thing.")
	f.Int("max-count", 3, "at most `n` things")
	f.Bool("on", false, "do it")
	f.String("name", "", "the name")
	if _, err := f.parse([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("error %v, want flag.ErrHelp", err)
	}

	want := `Usage: sear test [DIR] [flags]

Does a thing.

  --max-count n
      at most n things (default 3, environment SEAR_MAX_COUNT)

  --name string
      the name (environment SEAR_NAME)

  --on
      do it (default false, environment SEAR_ON)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestURLOf(t *testing.T) {
	t.Parallel()

	for addr, want := range map[string]string{
		"127.0.0.1:3030": "http://127.0.0.1:3030",
		"localhost:80":   "http://localhost:80",
		":3030":          "http://127.0.0.1:3030",
		"0.0.0.0:3030":   "http://127.0.0.1:3030",
		"[::]:3030":      "http://127.0.0.1:3030",
		"[::1]:3030":     "http://[::1]:3030",
		"127.0.0.1:0":    "",
	} {
		if got, err := urlOf(addr); got != want || err != nil {
			t.Errorf("urlOf(%q) = %q, %v; want %q", addr, got, err, want)
		}
	}
	if _, err := urlOf("3030"); err == nil {
		t.Error("no error for an address without a host")
	}
}
