package run

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sear/internal/fault"
)

// The documents below are what applyMetadataOperations of @trigger.dev/core 4.8.3
// makes of the same input.
func TestApplyMetadata(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, doc, ops, want string
	}{
		{"nothing", `{"a":1}`, `[]`, `{"a":1}`},
		{"no document", ``, `[{"type":"set","key":"a","value":1}]`, `{"a":1}`},
		{"a document that is no object", `[1]`, `[{"type":"set","key":"a","value":1}]`, `{"a":1}`},
		{"untouched text stays", `{"n":1.50,"big":12345678901234567890,"s":"\u00e9<","o":{ "x": [ 1e2 ] }}`, `[{"type":"set","key":"z","value":"<&>"}]`,
			`{"n":1.50,"big":12345678901234567890,"s":"\u00e9<","o":{"x":[1e2]},"z":"<&>"}`},
		{"order of keys", `{"b":1,"a":2}`, `[{"type":"set","key":"c","value":3},{"type":"set","key":"b","value":4}]`, `{"b":4,"a":2,"c":3}`},
		{"of equal keys the last counts", `{"a":1,"b":2,"a":3}`, `[]`, `{"a":3,"b":2}`},

		{"set", `{}`, `[{"type":"set","key":"a","value":{"b":[null]}}]`, `{"a":{"b":[null]}}`},
		{"set null", `{"a":1}`, `[{"type":"set","key":"a","value":null}]`, `{"a":null}`},
		{"set over null", `{"a":null}`, `[{"type":"set","key":"a","value":1}]`, `{"a":1}`},
		{"set without a value", `{"a":1}`, `[{"type":"set","key":"a"},{"type":"set","key":"b","value":2}]`, `{"a":1,"b":2}`},
		{"a dot alone is no path", `{}`, `[{"type":"set","key":"a.b","value":1}]`, `{"a.b":1}`},
		{"the empty key", `{}`, `[{"type":"set","key":"","value":1}]`, `{"":1}`},

		{"delete", `{"a":1,"b":2}`, `[{"type":"delete","key":"a"},{"type":"delete","key":"x"}]`, `{"b":2}`},
		{"delete knows no paths", `{"a":{"b":1}}`, `[{"type":"delete","key":"$.a.b"}]`, `{"a":{"b":1}}`},
		{"deleted and set again", `{"a":1,"b":2}`, `[{"type":"delete","key":"a"},{"type":"set","key":"a","value":3}]`, `{"b":2,"a":3}`},

		{"append makes an array", `{}`, `[{"type":"append","key":"a","value":1},{"type":"append","key":"a","value":[2]}]`, `{"a":[1,[2]]}`},
		{"append to an array", `{"a":[1]}`, `[{"type":"append","key":"a","value":null}]`, `{"a":[1,null]}`},
		{"append to a scalar", `{"a":"x","b":null}`, `[{"type":"append","key":"a","value":1},{"type":"append","key":"b","value":2}]`, `{"a":["x",1],"b":[null,2]}`},
		{"append to an object", `{"a":{"x":1}}`, `[{"type":"append","key":"a","value":2}]`, `{"a":[{"x":1},2]}`},

		{"remove", `{"a":[1,2,1.0,1e0,"1"]}`, `[{"type":"remove","key":"a","value":1}]`, `{"a":[2,"1"]}`},
		{"remove compares deeply", `{"a":[{"x":1,"y":[2]},{"x":1},[]]}`, `[{"type":"remove","key":"a","value":{"y":[2],"x":1}}]`, `{"a":[{"x":1},[]]}`},
		{"remove null", `{"a":[null,0,false,""]}`, `[{"type":"remove","key":"a","value":null}]`, `{"a":[0,false,""]}`},
		{"remove from no array is skipped, the rest counts", `{"a":1}`, `[{"type":"remove","key":"a","value":1},{"type":"remove","key":"b","value":1},{"type":"set","key":"c","value":2}]`, `{"a":1,"c":2}`},

		{"increment", `{"a":1}`, `[{"type":"increment","key":"a","value":2},{"type":"increment","key":"b","value":-1.5}]`, `{"a":3,"b":-1.5}`},
		{"increment what is no number", `{"a":"5","b":null}`, `[{"type":"increment","key":"a","value":1},{"type":"increment","key":"b","value":1}]`, `{"a":1,"b":1}`},
		{"increment by what is no number", `{"a":1}`, `[{"type":"increment","key":"a","value":"2"}]`, `{"a":1}`},
		{"large numbers as JavaScript writes them", `{"a":1e21}`, `[{"type":"increment","key":"a","value":0},{"type":"increment","key":"b","value":1e-7}]`, `{"a":1e+21,"b":1e-7}`},
		{"a sum out of range", `{"a":1e308}`, `[{"type":"increment","key":"a","value":1e308}]`, `{"a":1e308}`},

		{"update", `{"a":1}`, `[{"type":"update","value":{"b":{}}},{"type":"set","key":"$.b.c","value":2}]`, `{"b":{"c":2}}`},
		{"update by what is no object", `{"a":1}`, `[{"type":"update","value":[1]},{"type":"update"}]`, `{"a":1}`},
		{"unknown type", `{"a":1}`, `[{"type":"stream","key":"a","value":2}]`, `{"a":1}`},

		{"path", `{"a":{"b":{"c":1}}}`, `[{"type":"set","key":"$.a.b.c","value":2},{"type":"set","key":"$.a.b.d","value":3}]`, `{"a":{"b":{"c":2,"d":3}}}`},
		{"path to a new key", `{}`, `[{"type":"set","key":"$.a","value":1}]`, `{"a":1}`},
		{"nothing is made on the way", `{}`, `[{"type":"set","key":"$.a.b","value":1}]`, `{}`},
		{"a path stops at null", `{"a":null}`, `[{"type":"set","key":"$.a","value":1},{"type":"set","key":"$.a.b","value":1}]`, `{"a":null}`},
		{"a path stops at a scalar", `{"a":"text"}`, `[{"type":"set","key":"$.a.length","value":1}]`, `{"a":"text"}`},
		{"empty steps", `{"a":{"b":1}}`, `[{"type":"increment","key":"$.a..b","value":1}]`, `{"a":{"b":2}}`},
		{"item", `{"a":[1,{"b":2}]}`, `[{"type":"increment","key":"$.a.1.b","value":1},{"type":"set","key":"$.a.2","value":9}]`, `{"a":[1,{"b":3},9]}`},
		{"no item of that name", `{"a":[1]}`, `[{"type":"set","key":"$.a.x","value":1},{"type":"set","key":"$.a.-1","value":1},{"type":"set","key":"$.a.00","value":1},{"type":"set","key":"$.a.length","value":0}]`, `{"a":[1]}`},
		{"append by path", `{"a":{"b":[1],"c":2}}`, `[{"type":"append","key":"$.a.b","value":2},{"type":"append","key":"$.a.c","value":3},{"type":"append","key":"$.a.d","value":4}]`, `{"a":{"b":[1,2],"c":[2,3],"d":[4]}}`},
		{"remove by path", `{"a":{"b":[1,2]}}`, `[{"type":"remove","key":"$.a.b","value":1},{"type":"remove","key":"$.a.x","value":1}]`, `{"a":{"b":[2]}}`},
		{"wildcard", `{"a":{"x":{"n":1},"y":{"n":1},"z":null}}`, `[{"type":"set","key":"$.a.*.n","value":5}]`, `{"a":{"x":{"n":5},"y":{"n":5},"z":null}}`},
		{"slice", `{"a":[0,1,2,3]}`, `[{"type":"set","key":"$.a.[1:3]","value":9},{"type":"increment","key":"$.a.[:-3]","value":5}]`, `{"a":[5,9,9,3]}`},
		{"open slice", `{"a":[0,1,2]}`, `[{"type":"set","key":"$.a.[1:]","value":9},{"type":"set","key":"$.a.[7:]","value":8}]`, `{"a":[0,9,9]}`},

		{"safe outside a path", `{}`, `[{"type":"set","key":"constructor","value":1},{"type":"set","key":"prototype","value":2}]`, `{"constructor":1,"prototype":2}`},
		{"the root cannot be set", `{"a":1}`, `[{"type":"set","key":"$.","value":2},{"type":"set","key":"$..","value":2}]`, `{"a":1}`},
		{"a dollar is a key", `{}`, `[{"type":"set","key":"$","value":1},{"type":"set","key":"$a","value":2}]`, `{"$":1,"$a":2}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var ops []Operation
			if err := json.Unmarshal([]byte(tt.ops), &ops); err != nil {
				t.Fatal(err)
			}
			got, err := ApplyMetadata(tt.doc, nil, ops)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each key would change the document if it were not refused, whatever the operation.
func TestApplyMetadataUnsafeKeys(t *testing.T) {
	t.Parallel()
	const doc = `{"__proto__":[1],"a":{"__proto__":[1],"constructor":[1],"prototype":[1]},"constructor":[1],"prototype":[1]}`
	for _, key := range []string{"__proto__", "$.__proto__", "$.constructor", "$.prototype", "$.a.__proto__", "$.a.constructor", "$.*.prototype",
		"$.constructor.0", "$.a.['__proto__']", `$.a.\__proto__`, `$.__proto__\.x`, "$.", "$.."} {
		for _, kind := range []string{"set", "append", "remove", "increment", "delete"} {
			op := Operation{kind, key, json.RawMessage(`1`)}
			got, err := ApplyMetadata(doc, nil, []Operation{op, {"set", "after", json.RawMessage(`2`)}})
			if want := strings.TrimSuffix(doc, "}") + `,"after":2}`; err != nil || got != want {
				t.Errorf("%s %q: %s, %v", kind, key, got, err)
			}
		}
	}
}

// Here the SDK's copy goes wrong: it fails, or mixes several places up.
func TestApplyMetadataBetterThanTheSDK(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, doc string
		op        Operation
		want      string
	}{
		{"a dot in a key", `{"a.b":1}`, Operation{"increment", `$.a\.b`, json.RawMessage(`1`)}, `{"a.b":2}`},
		{"a backslash in a key", `{"a\\b":1}`, Operation{"increment", `$.a\\b`, json.RawMessage(`1`)}, `{"a\\b":2}`},
		{"each place of a wildcard by itself", `{"a":[{"n":1},{"n":2}]}`, Operation{"increment", "$.a.*.n", json.RawMessage(`1`)}, `{"a":[{"n":2},{"n":3}]}`},
		{"two places never share an array", `{"a":{"x":1,"y":2}}`, Operation{"append", "$.a.*", json.RawMessage(`0`)}, `{"a":{"x":[1,0],"y":[2,0]}}`},
		{"no holes in arrays", `{"a":[1]}`, Operation{"set", "$.a.3", json.RawMessage(`4`)}, `{"a":[1]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ApplyMetadata(tt.doc, nil, []Operation{tt.op})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplyMetadataReplacement(t *testing.T) {
	t.Parallel()
	got, err := ApplyMetadata(`{"a":1}`, json.RawMessage(` { "b" : 2 } `), []Operation{{Type: "increment", Key: "b", Value: json.RawMessage(`1`)}})
	if err != nil || got != `{"b":3}` {
		t.Errorf("got %s, %v", got, err)
	}
	for _, bad := range []string{`null`, `[]`, `1`, `"{}"`, `{`, ``} {
		if _, err := ApplyMetadata(`{"a":1}`, json.RawMessage(bad), nil); !fault.Is(err, fault.Malformed) {
			t.Errorf("replaced by %q: %v", bad, err)
		}
	}
}

func TestApplyMetadataSize(t *testing.T) {
	t.Parallel()
	fits := `{"a":"` + strings.Repeat("x", MaxMetadata-len(`{"a":""}`)) + `"}`
	if got, err := ApplyMetadata("", json.RawMessage(fits+"  \n"), nil); err != nil || got != fits {
		t.Errorf("a document of the maximum size: %d bytes, %v", len(got), err)
	}
	_, err := ApplyMetadata(strings.Replace(fits, "x", "xx", 1), nil, []Operation{{Type: "delete", Key: "none"}})
	if !fault.Is(err, fault.TooLarge) || err.Error() != "Metadata exceeds maximum size of 262144 bytes" {
		t.Errorf("one byte more: %v", err)
	}
	// The size counts at the end: what is too large for a moment may be removed again.
	got, err := ApplyMetadata(fits, nil, []Operation{{Type: "set", Key: "b", Value: json.RawMessage(`1`)}, {Type: "delete", Key: "a"}})
	if err != nil || got != `{"b":1}` {
		t.Errorf("a document that shrinks again: %s, %v", got, err)
	}
	deep := json.RawMessage(strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999))
	if _, err = ApplyMetadata(`{"a":{}}`, nil, []Operation{{Type: "set", Key: "$.a.b", Value: deep}}); !fault.Is(err, fault.Malformed) {
		t.Errorf("a document nested too deeply: %v", err)
	}
}

var metadataKeys = []string{"a", "b", "c", "$.a", "$.a.b", "$.b.0", "$.*.a", "$.b.[0:2]", "__proto__", "$.c.constructor"}

func drawOperation(t *rapid.T) Operation {
	value := rapid.SampledFrom([]string{`1`, `-2.5`, `"x"`, `null`, `[]`, `[1]`, `{"a":1}`, `{"b":[1,{"a":2}]}`, `1e400`}).Draw(t, "value")
	op := Operation{
		Type:  rapid.SampledFrom([]string{"set", "delete", "append", "remove", "increment", "update"}).Draw(t, "type"),
		Key:   rapid.SampledFrom(metadataKeys).Draw(t, "key"),
		Value: json.RawMessage(value),
	}
	return op
}

// Operations may come in any number of calls: only their order counts.
func TestApplyMetadataComposes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := `{"keep":1.250e1,"a":{"b":[1]},"b":[{"a":1},2]}`
		first := rapid.SliceOfN(rapid.Custom(drawOperation), 0, 6).Draw(t, "first")
		second := rapid.SliceOfN(rapid.Custom(drawOperation), 0, 6).Draw(t, "second")
		once := apply(t, doc, slices.Concat(first, second))
		twice := apply(t, apply(t, doc, first), second)
		if once != twice {
			t.Fatalf("at once %s\nin two %s", once, twice)
		}
		updates := slices.ContainsFunc(slices.Concat(first, second), func(o Operation) bool { return o.Type == "update" })
		wild := slices.ContainsFunc(slices.Concat(first, second), func(o Operation) bool { return o.Key == "$.*.a" })
		if !updates && !wild && !strings.Contains(once, `"keep":1.250e1`) {
			t.Fatalf("an untouched number changed: %s", once)
		}
	})
}

func apply(t *rapid.T, doc string, ops []Operation) string {
	got, err := ApplyMetadata(doc, nil, ops)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func FuzzApplyMetadata(f *testing.F) {
	f.Add(`{"a":[1,{"b":2}]}`, "append", "$.a.1.b", `{"x":1}`)
	f.Add(`{"a":{"b":[1,1]}}`, "remove", "$.a.*", `1`)
	f.Add(`{}`, "update", "", `{"a":1,"a":2}`)
	f.Add(`{"a":[0,1,2]}`, "increment", "$.a.[1:-1]", `1e308`)
	f.Add(`not json`, "set", `$.a\.b\\`, `"\ud800"`)
	f.Add(`{"":null}`, "delete", "", ``)
	f.Fuzz(func(t *testing.T, doc, kind, key, value string) {
		if !utf8.ValidString(doc + " " + key + " " + value) {
			t.Skip("a request with other than UTF-8 is refused")
		}
		op := Operation{kind, key, json.RawMessage(value)}
		got, err := ApplyMetadata(doc, nil, []Operation{op, op})
		if err != nil {
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(got), &object); err != nil || object == nil || len(got) > MaxMetadata {
			t.Fatalf("not a document: %s: %v", got, err)
		}
		if again, err := ApplyMetadata(got, nil, nil); err != nil || again != got {
			t.Fatalf("not stable: %s became %s, %v", got, again, err)
		}
	})
}
