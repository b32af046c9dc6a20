package wire_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/tenant"
	"sear/internal/wire"
)

func TestEnvVarImport(t *testing.T) {
	t.Parallel()
	var got wire.EnvVarImport
	const text = `{"variables":[{"name":"A","value":"1"},{"name":"B","value":"x"},{"name":"B","value":" "}],
		"parentVariables":{"C":"\u00e9","TRIGGER_JWT":"x"},"override":true,"isSecret":false,"else":null}`
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := wire.EnvVarSet{
		Variables: map[string]string{"A": "1"}, Parent: map[string]string{"C": "é"},
		Secret: new(false), Override: true, Ignored: []string{"B", "TRIGGER_JWT"},
	}
	if d := cmp.Diff(want, got.EnvVarSet); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"A", "C"}, got.Names()); d != "" {
		t.Error(d)
	}
}

// TestEnvVarProblemsAreWhereTheyWereSent: a value that is too long is no problem of its name.
func TestEnvVarProblemsAreWhereTheyWereSent(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	for body, want := range map[string]string{
		`{"name":"A","value":"` + long + `"}`:                            `at "value"`,
		`{"name":"A-B","value":"x"}`:                                     `at "name"`,
		`{"variables":[{"name":"A","value":"` + long + `"}]}`:            `at "variables[0].value"`,
		`{"variables":{"name":"` + long + `"}}`:                          `at "variables.name"`,
		`{"variables":{"A":"1"},"parentVariables":{"B":"` + long + `"}}`: `at "parentVariables.B"`,
	} {
		var into json.Unmarshaler = &wire.EnvVarImport{}
		if strings.HasPrefix(body, `{"name"`) {
			into = &wire.EnvVarBody{}
		}
		if err := json.Unmarshal([]byte(body), into); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", body, err, want)
		}
	}
}

// FuzzEnvVars: whatever is sent, by JSON or as a file, only what may be set is set.
func FuzzEnvVars(f *testing.F) {
	for _, s := range []string{
		`{"variables":{"A":"1"}}`, `{"variables":[{"name":"A","value":"1","isSecret":true}],"override":true}`,
		`{"name":"A","value":"\u0000"}`, `{"variables":{"A-B":1},"parentVariables":[]}`, "A=1\nB='x'", "A-B=\"", `[]`, `{"value":" "}`,
	} {
		f.Add([]byte(s))
	}
	word := regexp.MustCompile(`^\w+$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		check := func(s wire.EnvVarSet, err error) {
			if err != nil {
				if json.Valid(text) && !fault.Is(err, fault.Malformed) {
					t.Fatalf("%q: %v", text, err)
				}
				return
			}
			if len(s.Variables)+len(s.Parent) == 0 {
				t.Fatalf("%q sets nothing", text)
			}
			for _, values := range []map[string]string{s.Variables, s.Parent} {
				for name, value := range values {
					if !word.MatchString(name) || tenant.ReservedVariable(name) || strings.TrimSpace(value) == "" || strings.Contains(value, "\x00") {
						t.Fatalf("%q sets %q to %q", text, name, value)
					}
				}
			}
		}
		var many wire.EnvVarImport
		err := json.Unmarshal(text, &many)
		check(many.EnvVarSet, err)
		var one wire.EnvVarBody
		err = json.Unmarshal(text, &one)
		check(one.EnvVarSet, err)
		var value wire.EnvVarValueBody
		if json.Unmarshal(text, &value) == nil && strings.TrimSpace(value.Value) == "" {
			t.Fatalf("%q is a blank value", text)
		}
		check(wire.EnvFile(text))
	})
}
