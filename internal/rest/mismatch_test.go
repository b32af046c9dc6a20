package rest_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sear/internal/rest"
)

// repeated is n members or elements, made by their number, with commas between them.
func repeated(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestWrongJSONCostsWhatRightJSONCosts compares what is allocated, which is exact where time
// is not: the search for what is wrong works by decoding, and decoding allocates. It does not
// run beside other tests, whose allocations would count too.
func TestWrongJSONCostsWhatRightJSONCosts(t *testing.T) {
	const n = 2_000
	for name, c := range map[string]struct{ right, wrong, names string }{
		"unknown members": {
			`{"where":"x",` + repeated(n, `"m%d":[1,2,3]`) + `}`, `{"where":1,` + repeated(n, `"m%d":[1,2,3]`) + `}`, "where"},
		"unknown members inside": {
			`{"options":{"queue":"x",` + repeated(n, `"m%d":"x"`) + `}}`, `{"options":{"queue":1,` + repeated(n, `"m%d":"x"`) + `}}`, "options.queue"},
		"a record of wrong values": {
			`{"options":{"metadata":{` + repeated(n, `"m%d":"abcdefgh"`) + `}}}`, `{"options":{"metadata":{` + repeated(n, `"m%d":12345678`) + `}}}`, "options.metadata.m0"},
		"a record with one wrong value": {
			`{"options":{"metadata":{` + repeated(n, `"m%d":"x"`) + `,"n":"1"}}}`, `{"options":{"metadata":{` + repeated(n, `"m%d":"x"`) + `,"n":1}}}`, "options.metadata"},
		"a list of wrong values": {
			`{"options":{"tags":[` + repeated(n, `"%d"`) + `]}}`, `{"options":{"tags":[` + repeated(n, `%d`) + `]}}`, "options.tags"},
		"a wrong value beside a large right one": {
			`{"where":"x","options":{"tags":[` + repeated(n, `"%d"`) + `]}}`, `{"where":1,"options":{"tags":[` + repeated(n, `"%d"`) + `]}}`, "where"},
		"one member again and again": {
			`{` + repeated(n, `"where":"%d"`) + `}`, `{` + repeated(n, `"where":%d`) + `}`, "where"},
		"depth": {
			`{"where":"x","a":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) + `}`,
			`{"where":1,"a":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) + `}`, "where"},
	} {
		right, _ := allocated(func() error { _, err := rest.Decode[trigger](post(c.right), 1<<20); return err })
		wrong, err := allocated(func() error { _, err := rest.Decode[trigger](post(c.wrong), 1<<20); return err })
		var p rest.Problems
		if !errors.As(err, &p) || p[0].Path != c.names {
			t.Errorf("%s: %v, want %s to be named", name, err, c.names)
		}
		t.Logf("%s: right %v, wrong %v", name, right, wrong)
		const some = 400 // for the error itself, and for what does not grow with the body
		if size := uint64(len(c.wrong)); wrong.objects > 4*right.objects+some || wrong.bytes > 5*right.bytes+8*size+100*some {
			t.Errorf("%s: wrong JSON of %d bytes costs %v, right JSON of %d bytes %v", name, len(c.wrong), wrong, len(c.right), right)
		}
	}
}

// cost is what is allocated.
type cost struct{ objects, bytes uint64 }

// allocated is what a function allocates, and what it returns.
func allocated(f func() error) (cost, error) {
	_ = f() // what is made once
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := f()
	runtime.ReadMemStats(&after)
	return cost{after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc}, err
}

// TestProblemsAreBounded: what an answer says of a wrong request does not grow with it.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	var p rest.Problems
	for range 1000 {
		p.Add(strings.Repeat("é", 1000), strings.Repeat("ü", 1000))
	}
	if n := len(p.Error()); len(p) != 20 || n > 16<<10 || !strings.Contains(p.Error(), `ü…`) {
		t.Errorf("%d problems, %d bytes", len(p), n)
	}
}

// TestEachWrongValueIsNamed compares the search with the plain way to it: each value tried
// alone in an otherwise empty body, in which no other can hide it.
func TestEachWrongValueIsNamed(t *testing.T) {
	t.Parallel()
	scalar := rapid.SampledFrom([]string{`"x"`, `"bad"`, `1`, `1.5`, `300`, `-1`, `true`, `null`, `[]`, `["a"]`, `[1]`, `{}`, `{"k":"v"}`, `{"k":1,"l":[]}`})
	members := func(names ...string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			var parts []string
			for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "names") {
				parts = append(parts, `"`+name+`":`+scalar.Draw(t, name))
			}
			return strings.Join(parts, ",")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		body := `{` + members("where", "marks", "payload", "unknown").Draw(t, "outer")
		if inner := members("queue", "maxAttempts", "priority", "test", "tags", "metadata", "level", "unknown").Draw(t, "inner"); inner != "" {
			body = strings.TrimSuffix(body, ",")
			if body != "{" {
				body += ","
			}
			body += `"options":{` + inner + `}`
		}
		body += `}`
		_, err := rest.Decode[plain](post(body), 1<<20)
		var got rest.Problems
		errors.As(err, &got)
		all := alone{[]byte(body), "", func(raw json.RawMessage) []byte { return raw }}
		if d := diff.Diff(all.wrong(reflect.TypeFor[plain]()), got); d != "" {
			t.Fatalf("%s (-want +got):\n%s", body, d)
		}
	})
}

// plain is a trigger without rules.
type plain trigger

// alone is a value that is decoded in a body with nothing else in it.
type alone struct {
	raw  json.RawMessage
	path string
	body func(raw json.RawMessage) []byte // with raw in place of the value
}

func (v alone) wrong(t reflect.Type) (out rest.Problems) {
	err := json.Unmarshal(v.body(v.raw), reflect.New(t).Interface())
	var mismatch *json.UnmarshalTypeError
	var named rest.Problems
	switch isNamed := errors.As(err, &named); {
	case isNamed && v.path != "":
		return named
	case !isNamed && !errors.As(err, &mismatch):
		return nil
	}
	var members map[string]json.RawMessage
	if slices.Contains([]string{"", "options", "options.metadata"}, v.path) { // the objects of a trigger
		_ = json.Unmarshal(v.raw, &members)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		member := alone{members[name], strings.TrimPrefix(v.path+"."+name, "."), func(raw json.RawMessage) []byte {
			object, _ := json.Marshal(map[string]json.RawMessage{name: raw})
			return v.body(object)
		}}
		out = append(out, member.wrong(t)...)
	}
	if len(out) == 0 && mismatch != nil {
		return rest.Problems{{Code: "invalid_type", Message: says(mismatch), Path: v.path}}
	}
	return out
}

// says is what is said of a mismatch, for the types of a trigger.
func says(e *json.UnmarshalTypeError) string {
	got, number, _ := strings.Cut(e.Value, " ")
	want := map[reflect.Kind]string{reflect.Bool: "boolean", reflect.Slice: "array", reflect.Struct: "object", reflect.Map: "object", reflect.String: "string"}[e.Type.Kind()]
	switch {
	case want == "" && strings.Contains(number, "."):
		return "Expected integer, received float"
	case want == "" && number != "":
		return "Number out of range"
	}
	return "Expected " + cmp.Or(want, "number") + ", received " + strings.Replace(got, "bool", "boolean", 1)
}
