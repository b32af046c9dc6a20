package wire_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/wire"
)

// dotenv reads a file into a map: the last of several counts.
func dotenv(text string) map[string]string {
	all := map[string]string{}
	entries, _ := wire.ParseDotenv(text)
	for _, e := range entries {
		all[e.Name] = e.Value
	}
	return all
}

// TestDotenvGolden compares with what the npm package reads: see testdata/dotenv/record.mjs.
func TestDotenvGolden(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/dotenv/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded []struct {
		Text string
		Want map[string]string
	}
	if err := json.Unmarshal(text, &recorded); err != nil || len(recorded) < 200 {
		t.Fatalf("%d files were recorded: %v", len(recorded), err)
	}
	for _, c := range recorded {
		if d := cmp.Diff(c.Want, dotenv(c.Text)); d != "" {
			t.Errorf("%q\n%s", c.Text, d)
		}
	}
}

func TestDotenvLines(t *testing.T) {
	t.Parallel()
	entries, skipped := wire.ParseDotenv("\uFEFFA=1\r\n# c\nnothing\n\nB=\"x\ny\"\n=2\n!\nC=3")
	want := []wire.DotenvEntry{{Line: 1, Name: "A", Value: "1"}, {Line: 5, Name: "B", Value: "x\ny"}, {Line: 9, Name: "C", Value: "3"}}
	if d := cmp.Diff(want, entries); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{3, 7, 8}, skipped); d != "" {
		t.Error(d)
	}
}

// TestDotenvIsLinear: quotes that never close do not make each line search the rest of the file.
func TestDotenvIsLinear(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	for _, line := range []string{`A="\"` + "\n", "A='\n", "A=`\nB=\"\nC='\n", "A=\"x\\\" y\n"} {
		dotenv(strings.Repeat(line, 2<<20/len(line)))
	}
	if took := time.Since(begin); took > 20*time.Second { // a tenth of a second on an idle machine
		t.Errorf("reading took %s", took)
	}
}

func FuzzDotenv(f *testing.F) {
	for _, s := range []string{"A=1", "export A='b'\n", "A=\"x\\\n\" #", "A: 'b\r\n'", "\uFEFF\x00=`", "A='\\'"} {
		f.Add(s, "value")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		entries, skipped := wire.ParseDotenv(text)
		last := 0
		for _, e := range entries {
			if e.Name == "" || e.Line <= last {
				t.Fatalf("%+v in %q", entries, text)
			}
			last = e.Line
		}
		if lines := 1 + strings.Count(text, "\n") + strings.Count(text, "\r"); last > lines || len(entries)+len(skipped) > lines {
			t.Fatalf("%+v and %v in %d lines: %q", entries, skipped, lines, text)
		}
		if strings.ContainsAny(value, "'\r") || strings.HasSuffix(value, `\`) {
			return
		}
		// In single quotes a value stands for itself, whatever is around it.
		if got := dotenv("\nX='" + value + "' # " + strconv.Itoa(last) + "\n")["X"]; got != value {
			t.Fatalf("%q was read as %q", value, got)
		}
	})
}
