package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sear/internal/run"
	"sear/internal/wire"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   run.Packet
		want string
	}{
		{"nothing", run.Packet{}, ""},
		{"a type without a value", run.Packet{Type: run.TypeJSON}, ""},
		{"json", run.Packet{Data: `{"a": [1, 2]}`, Type: run.TypeJSON}, `{"a": [1, 2]}`},
		{"json null", run.Packet{Data: "null", Type: run.TypeJSON}, "null"},
		{"json that is none", run.Packet{Data: "{oops", Type: run.TypeJSON}, `"{oops"`},
		{"super json", run.Packet{Data: ` {"json":{"d":"1970-01-01T00:00:00.000Z","b":"10"},"meta":{"values":{"d":["Date"],"b":["bigint"]}}}`,
			Type: run.TypeSuper}, `{"d":"1970-01-01T00:00:00.000Z","b":"10"}`},
		{"super json null", run.Packet{Data: `{"json":null}`, Type: run.TypeSuper}, "null"},
		{"super json without json", run.Packet{Data: `{"meta":{}}`, Type: run.TypeSuper}, ""},
		{"super json that is no object", run.Packet{Data: `[1]`, Type: run.TypeSuper}, `[1]`},
		{"text", run.Packet{Data: `say "hi"`, Type: run.TypeText}, `"say \"hi\""`},
		{"empty text", run.Packet{Type: run.TypeText}, `""`},
		{"stored", run.Packet{Data: "a/b", Type: run.TypeStore}, ""},
		{"unknown type", run.Packet{Data: "x", Type: "image/png"}, `"x"`},
	} {
		if d := cmp.Diff(c.want, string(wire.Plain(c.in))); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add(`{"json":1}`, run.TypeSuper)
	f.Add(`{"meta":{"json":1}}`, run.TypeSuper)
	f.Add(" \n", run.TypeJSON)
	f.Fuzz(func(t *testing.T, data, mediaType string) {
		if v := wire.Plain(run.Packet{Data: data, Type: mediaType}); v != nil && !json.Valid(v) {
			t.Errorf("%q of %q is shown as %q, which is not JSON", data, mediaType, v)
		}
	})
}

func TestResultsAndErrors(t *testing.T) {
	t.Parallel()
	const id = "0da1ccbsl68g00000000000001"
	cause := &run.Error{Type: run.BuiltIn, Name: "TypeError", Message: "no", StackTrace: "TypeError: no\n  at x"}
	for _, c := range []struct {
		name          string
		run           run.Run
		result, error string
	}{
		{"completed", run.Run{ID: id, Task: "t", Status: run.StatusCompleted, Output: run.Packet{Data: `{"json":1}`, Type: run.TypeSuper}},
			`{"ok":true,"id":"run_` + id + `","taskIdentifier":"t","output":"{\"json\":1}","outputType":"application/super+json"}`, "null"},
		{"completed with nothing", run.Run{ID: id, Task: "t", Status: run.StatusCompleted},
			`{"ok":true,"id":"run_` + id + `","taskIdentifier":"t","outputType":"application/json"}`, "null"},
		{"failed", run.Run{ID: id, Task: "t", Status: run.StatusFailed, Err: cause},
			`{"ok":false,"id":"run_` + id + `","taskIdentifier":"t","error":{"type":"BUILT_IN_ERROR","name":"TypeError","message":"no","stackTrace":"TypeError: no\n  at x"}}`,
			`{"message":"no","name":"TypeError","stackTrace":"TypeError: no\n  at x"}`},
		{"canceled", run.Run{ID: id, Task: "t", Status: run.StatusCanceled, Err: run.Canceled("why")},
			`{"ok":false,"id":"run_` + id + `","taskIdentifier":"t","error":{"type":"INTERNAL_ERROR","code":"TASK_RUN_CANCELLED"}}`,
			`{"message":"why"}`},
		{"crashed", run.Run{ID: id, Task: "t", Status: run.StatusCrashed, Err: &run.Error{Type: run.Internal, Code: run.CodeOOM, Message: "m"}},
			`{"ok":false,"id":"run_` + id + `","taskIdentifier":"t","error":{"type":"INTERNAL_ERROR","code":"TASK_PROCESS_OOM_KILLED","message":"m"}}`,
			`{"message":"trigger.dev internal error (TASK_PROCESS_OOM_KILLED)"}`},
		{"custom", run.Run{ID: id, Task: "t", Status: run.StatusFailed, Err: &run.Error{Type: run.Custom, Raw: `{"a":1}`}},
			`{"ok":false,"id":"run_` + id + `","taskIdentifier":"t","error":{"type":"CUSTOM_ERROR","raw":"{\"a\":1}"}}`,
			`{"message":"{\"a\":1}"}`},
	} {
		if d := cmp.Diff(c.result, marshal(t, wire.ResultOf(c.run))); d != "" {
			t.Errorf("result of a run that %s: %s", c.name, d)
		}
		if d := cmp.Diff(c.error, marshal(t, wire.ErrorOf(c.run.Err))); d != "" {
			t.Errorf("error of a run that %s: %s", c.name, d)
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
