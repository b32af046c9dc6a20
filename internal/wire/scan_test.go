package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var seeds = []string{
	`{}`, ` { } `, `{"a":1}`, "{\"a\" :\t[ 1 , {\"b\":\"]}\"} ] ,\r\n\"c\": null }", `{"a":"\\","b":"\"","":{}}`,
	`{"a":{"a":{"a":[]}},"a":-1.5e+3}`, `{"\u0061\n":true,"ä":"😀"}`, `{"x":[[],[[]],"["]}`, `[]`, `[1,"a",null,{"b":[2]}, false ]`,
}

// FuzzScan holds the scanner to what encoding/json makes of the same text.
func FuzzScan(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		switch trimmed := strings.TrimLeft(text, " \t\r\n"); trimmed[0] {
		case '{':
			checkMembers(t, text)
		case '[':
			checkElements(t, text)
		}
	})
}

func checkMembers(t *testing.T, text string) {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	got := map[string]json.RawMessage{}
	for k, v := range members([]byte(text)) {
		got[strings.ToValidUTF8(string(k), "\uFFFD")] = json.RawMessage(v)
	}
	if len(got) != len(want) && bytes.ContainsRune([]byte(text), '\uFFFD') {
		return // keys that only differ in bytes that are no text
	}
	for k, v := range want {
		if g, ok := got[k]; ok && cmp.Diff(string(v), string(g)) != "" {
			t.Errorf("%q of %q is %q, want %q", k, text, g, v)
		} else if !ok && strings.ToValidUTF8(k, "") == k && !strings.ContainsRune(k, '\uFFFD') {
			t.Errorf("%q has no %q", text, k)
		}
	}
}

func checkElements(t *testing.T, text string) {
	t.Helper()
	var want []json.RawMessage
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	var got []json.RawMessage
	for v := range elements([]byte(text)) {
		got = append(got, v)
	}
	if len(got) != len(want) {
		t.Fatalf("%q has %d elements, want %d", text, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("element %d of %q is %q, want %q", i, text, got[i], want[i])
		}
	}
}

func TestMembersStop(t *testing.T) {
	t.Parallel()
	var keys []string
	for k := range members([]byte(`{"a":1,"b":2,"c":3}`)) {
		keys = append(keys, string(k))
		if string(k) == "b" {
			break
		}
	}
	for v := range elements([]byte(`[1,2]`)) {
		keys = append(keys, string(v))
		break
	}
	if d := cmp.Diff([]string{"a", "b", "1"}, keys); d != "" {
		t.Error(d)
	}
}
