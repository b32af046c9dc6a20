package run

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sear/internal/fault"
)

// adverse are edits that cost as much as the limits allow, or would cost more. Each fits a
// request of 2 MB.
func adverse() map[string]struct {
	doc string
	ops []Operation
} {
	type edit = struct {
		doc string
		ops []Operation
	}
	list := func(item string, bytes int) string {
		n := bytes / (len(item) + 1)
		return "[" + strings.Repeat(item+",", n-1) + item + "]"
	}
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%x":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	times := func(n int, o Operation) (ops []Operation) {
		for range n {
			ops = append(ops, o)
		}
		return ops
	}
	const large = MaxMetadata - 100
	deletes, sets := []Operation{}, []Operation{}
	for i := range MaxMetadataOperations {
		deletes = append(deletes, Operation{Type: "delete", Key: fmt.Sprintf("%x", i)})
		sets = append(sets, Operation{"set", fmt.Sprintf("$.%x", i), json.RawMessage(`"` + strings.Repeat("x", 150) + `"`)})
	}
	one := json.RawMessage(`1`)
	deep := strings.Repeat(`{"a":`, 9_000) + list("1", 190_000) + strings.Repeat("}", 9_000)
	return map[string]edit{
		"remove of a number":         {`{"a":` + list("1", large) + `}`, times(MaxMetadataOperations, Operation{"remove", "a", json.RawMessage(`2`)})},
		"remove of a text":           {`{"a":` + list(`"a\n"`, large) + `}`, times(MaxMetadataOperations, Operation{"remove", "a", json.RawMessage(`"b"`)})},
		"remove of an object":        {`{"a":` + list(`{"a":1}`, large) + `}`, times(MaxMetadataOperations, Operation{"remove", "a", json.RawMessage(`{"b":1}`)})},
		"remove of an empty object":  {`{"a":` + list(`{}`, large) + `}`, times(MaxMetadataOperations, Operation{"remove", "a", json.RawMessage(`{"b":1}`)})},
		"remove of a large array":    {`{"a":` + list(list("1", 2000), large) + `}`, times(MaxMetadataOperations, Operation{"remove", "a", json.RawMessage(`[2]`)})},
		"set of every key":           {keys(25_000), times(MaxMetadataOperations, Operation{"set", "$.*", one})},
		"set of every key to much":   {keys(25_000), times(2, Operation{"set", "$.*", json.RawMessage(`"` + strings.Repeat("x", 900_000) + `"`)})},
		"set of every item":          {`{"a":` + list("1", large) + `}`, times(MaxMetadataOperations, Operation{"set", "$.a.[0:]", one})},
		"increment of every item":    {`{"a":` + list("1", large) + `}`, times(MaxMetadataOperations, Operation{"increment", "$.a.*", one})},
		"append to every item":       {`{"a":` + list("1", large) + `}`, times(MaxMetadataOperations, Operation{"append", "$.a.*", one})},
		"delete of every key":        {keys(25_000), deletes},
		"sets":                       {keys(10_000), sets},
		"appends":                    {`{}`, times(MaxMetadataOperations, Operation{"append", "a", json.RawMessage(`"0123456789"`)})},
		"updates":                    {`{}`, times(8, Operation{Type: "update", Value: json.RawMessage(keys(25_000))})},
		"a deep path":                {deep, times(50, Operation{"set", "$." + strings.Repeat("a.", 9_000) + "1", one})},
		"a path of a million steps":  {keys(25_000), times(2, Operation{"set", "$." + strings.Repeat("a.", 450_000), one})},
		"a key of escapes":           {`{}`, times(2, Operation{"set", strings.Repeat("\x01", 900_000), one})},
		"a path of escapes":          {`{}`, times(2, Operation{"set", "$." + strings.Repeat(`\.`, 450_000), one})},
		"objects in every place":     {keys(25_000), times(MaxMetadataOperations, Operation{"set", "$.*", json.RawMessage(`{"a":{}}`)})},
		"a key in every object":      {`{"a":` + list(`{"a":1}`, large) + `}`, times(MaxMetadataOperations, Operation{"set", "$.a.*.a", one})},
		"a new key in every object":  {`{"a":` + list(`{}`, large) + `}`, times(MaxMetadataOperations, Operation{"increment", "$.a.*.b", one})},
		"growth and shrinkage":       {`{"a":1,"b":` + list("1", large-1000) + `}`, times(4, Operation{"set", "a", json.RawMessage(`"` + strings.Repeat("x", 240_000) + `"`)})},
		"measured after every op":    {`{"a":` + list("1", large) + `}`, append([]Operation{{"set", "b", json.RawMessage(`"` + strings.Repeat("x", 261_000) + `"`)}, {"set", "$.a.0", one}}, times(MaxMetadataOperations-2, Operation{"set", "b", json.RawMessage(`"` + strings.Repeat("y", 150) + `"`)})...)},
		"every kind of a wide array": {`{"a":` + list(list("{}", 20), large) + `}`, times(MaxMetadataOperations, Operation{"remove", "$.a.*", json.RawMessage(`{"b":1}`)})},
	}
}

// TestMetadataWorkIsBounded: an edit that fits a request is either applied or refused by
// name, and in both cases after a bounded amount of work.
func TestMetadataWorkIsBounded(t *testing.T) {
	t.Parallel()
	for name, e := range adverse() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ed Editor
			_, err := ed.Apply(e.doc, nil, "parentOperations", e.ops)
			switch {
			case err == nil, fault.Is(err, fault.TooLarge):
			case fault.Is(err, fault.Malformed) && strings.HasPrefix(err.Error(), "parentOperations."):
			default:
				t.Error(err)
			}
			if ed.steps > 2*MaxMetadataSteps {
				t.Errorf("%d steps", ed.steps)
			}
		})
	}
}

// TestMetadataEditIsBounded: what an edit may hold is known before anything is applied.
func TestMetadataEditIsBounded(t *testing.T) {
	t.Parallel()
	op := Operation{Type: "increment", Key: "n", Value: json.RawMessage(`1`)}
	third := slices.Repeat([]Operation{op}, MaxMetadataOperations/3)
	full := MetadataEdit{Own: third, Parent: third, Root: slices.Repeat([]Operation{op}, MaxMetadataOperations-2*len(third))}
	if err := full.Check(); err != nil {
		t.Error(err)
	}
	full.Root = append(full.Root, op)
	if err := full.Check(); !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), "parentOperations") {
		t.Errorf("one operation too many: %v", err)
	}
	large := json.RawMessage(`{ "a":"` + strings.Repeat("x", MaxMetadata-len(`{"a":""}`)) + `"}`)
	if err := (MetadataEdit{Replace: large}).Check(); err != nil {
		t.Errorf("a document of the maximum size: %v", err)
	}
	if err := (MetadataEdit{Replace: append(large[:len(large)-2:len(large)-2], `y"}`...)}).Check(); !fault.Is(err, fault.TooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

func BenchmarkAdverseMetadata(b *testing.B) {
	for name, e := range adverse() {
		b.Run(name, func(b *testing.B) {
			var ed Editor
			for b.Loop() {
				ed = Editor{}
				_, _ = ed.Apply(e.doc, nil, "operations", e.ops)
			}
			b.ReportMetric(float64(ed.steps), "steps")
		})
	}
}
