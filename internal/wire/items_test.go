package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/wire"
)

// read reads all items of a stream, up to its first error.
func read(r io.Reader) ([]wire.Item, error) {
	var out []wire.Item
	for s := wire.NewItems(r); ; {
		item, err := s.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, item)
	}
}

// show is an item in short: index, task, payload, and the code of its failure.
func show(items []wire.Item) []string {
	var out []string
	for _, i := range items {
		t, _ := i.Trigger(noon)
		s := fmt.Sprintf("%d %s %s", i.Index, i.Task, t.Payload.Data)
		if i.Failed != nil {
			s = fmt.Sprintf("%d %s %s", i.Index, i.Task, i.Failed.Code)
		}
		out = append(out, s)
	}
	return out
}

func TestItems(t *testing.T) {
	t.Parallel()
	huge := `"payload":"` + strings.Repeat("x", wire.MaxItem) + `"`
	big := strings.Repeat("y", 200<<10) // more than the reader's buffer
	for _, c := range []struct {
		name, stream string
		want         []string
		problem      string
		kind         fault.Kind
	}{
		{name: "nothing"},
		{name: "blank lines", stream: "\n \r\n\n"},
		{name: "two", stream: `{"index":0,"task":"a","payload":1}` + "\r\n\n" + `{"payload":"2","task":"b","index":1}`, want: []string{"0 a 1", `1 b "2"`}},
		{name: "a long line", stream: `{"index":0,"task":"a","payload":"` + big + "\"}\n" + `{"index":1,"task":"a"}`,
			want: []string{`0 a "` + big + `"`, "1 a "}},
		{name: "lines too long", want: []string{"0 a 1", "7 b PAYLOAD_TOO_LARGE", "9 unknown PAYLOAD_TOO_LARGE", "4 c PAYLOAD_TOO_LARGE", "10 d "},
			stream: `{"index":0,"task":"a","payload":1}` + "\n" + `{"index":7,"task":"b",` + huge + "}\n" + `{"index":9,` + huge + `,"task":"x"}` + "\n" +
				`{"options":{"x":[]},"task":"c","index":4,` + huge + "}\n" + `{"index":10,"task":"d"}`},
		{name: "a line too long without an index before", stream: `{"index":0,"task":"a"}` + "\n{" + huge + `,"index":2}`, want: []string{"0 a "},
			problem: "Line 2 is too large (3072.0 KB), and no index stands before its payload: which item it is cannot be told", kind: fault.Invalid},
		{name: "a line too long that is not even JSON", stream: strings.Repeat("z", wire.MaxItem+1),
			problem: "Line 1 is too large (3072.0 KB), and no index stands before its payload: which item it is cannot be told", kind: fault.Invalid},
		{name: "not JSON", stream: `{"index":0,"task":"a"}` + "\n\n" + `{"index":1,`, want: []string{"0 a "},
			problem: "Invalid JSON at line 3: unexpected end of JSON input", kind: fault.Malformed},
		{name: "two values", stream: `{} {}`, problem: "Invalid JSON at line 1: invalid character '{' after top-level value", kind: fault.Malformed},
		{name: "not text", stream: "{\"index\":0,\"task\":\"\xff\"}", problem: "Invalid JSON at line 1: invalid UTF-8", kind: fault.Malformed},
		{name: "no object", stream: `{"index":4,"task":"a"}` + "\n[]", want: []string{"4 a "},
			problem: "Invalid item at index 5: Expected object, received array", kind: fault.Invalid},
		{name: "no index, no task", stream: `{"options":{"test":1}}`, kind: fault.Invalid,
			problem: `Invalid item at index 0: Expected boolean, received number at "options.test"; Required at "index"; Required at "task"`},
		{name: "wrong index and task", stream: `{"index":-1,"task":""}`, kind: fault.Invalid,
			problem: `Invalid item at index 0: Number must be greater than or equal to 0 at "index"; A task id must have between 1 and 512 bytes at "task"`},
		{name: "wrong types", stream: `{"index":"0","task":0}`, kind: fault.Invalid,
			problem: `Invalid item at index 0: Expected number, received string at "index"; Expected string, received number at "task"`},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.stream), iotest.HalfReader(strings.NewReader(c.stream))} {
			got, err := read(r)
			if d := cmp.Diff(c.want, show(got)); d != "" {
				t.Errorf("%s: %.500s", c.name, d)
			}
			var f *fault.Error
			if c.problem == "" && err != nil || c.problem != "" && (!errors.As(err, &f) || f.Msg != c.problem || f.Kind != c.kind) {
				t.Errorf("%s: %v, want %s", c.name, err, c.problem)
			}
		}
	}
}

func TestTooLargeSaysHowLarge(t *testing.T) {
	t.Parallel()
	got, err := read(strings.NewReader(`{"index":3,"task":"a",` + strings.Repeat("z", wire.MaxItem+1024-22)))
	if err != nil {
		t.Fatal(err)
	}
	want := &run.Error{Type: run.Internal, Code: run.CodePayloadTooLarge,
		Message: "Batch item payload is too large (3073.0 KB). Maximum allowed size is 3072.0 KB. Reduce the payload size or offload large data to external storage."}
	if d := cmp.Diff(want, got[0].Failed); d != "" {
		t.Error(d)
	}
}

func TestBrokenStream(t *testing.T) {
	t.Parallel()
	r := io.MultiReader(strings.NewReader("{\"index\":0,\"task\":\"a\"}\n{\"index\""), iotest.ErrReader(errors.New("gone")))
	got, err := read(r)
	if len(got) != 1 || !fault.Is(err, fault.Malformed) {
		t.Errorf("%d items, %v", len(got), err)
	}
}

// FuzzItems: a stream never yields more items than it has lines, and how it arrives
// makes no difference.
func FuzzItems(f *testing.F) {
	f.Add([]byte(`{"index":0,"task":"a","payload":"{\"json\":1}","options":{"payloadType":"application/super+json"}}` + "\n"))
	f.Add([]byte("{\"index\":0,\"task\":\"a\"}\n\n{\"index\":1}"))
	f.Add([]byte("[]\n{"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, err := read(bytes.NewReader(stream))
		again, errAgain := read(iotest.OneByteReader(bytes.NewReader(stream)))
		if d := cmp.Diff(show(got), show(again)); d != "" || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Errorf("%q is read in two ways: %s, %v and %v", stream, d, err, errAgain)
		}
		if lines := bytes.Count(stream, []byte("\n")) + 1; len(got) > lines {
			t.Errorf("%d items of %d lines", len(got), lines)
		}
		if err != nil && !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v is not the client's fault", stream, err)
		}
	})
}

func TestCreateBatchBody(t *testing.T) {
	t.Parallel()
	var got wire.CreateBatchBody
	body := `{"runCount":2,"taskIdentifiers":["my-task","b"],"idempotencyKey":"k","idempotencyKeyOptions":{"key":"bk","scope":"run"},
		"parentRunId":"run_0da1ccbsl68g00000000000001","resumeParentOnCompletion":true,"other":1}`
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := wire.CreateBatchBody{RunCount: 2, Tasks: []string{"my-task", "b"}, ParentID: "0da1ccbsl68g00000000000001", ResumeParent: true,
		Key: wire.Key{Text: "k", Options: &run.KeyOptions{Key: "bk", Scope: "run"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for body, want := range map[string]string{
		`[]`:                                   "Expected object, received array",
		`{}`:                                   `Required at "runCount"`,
		`{"runCount":0}`:                       `Number must be greater than or equal to 1 at "runCount"`,
		`{"runCount":1.5}`:                     `Expected integer, received float at "runCount"`,
		`{"runCount":"1"}`:                     `Expected number, received string at "runCount"`,
		`{"runCount":1,"taskIdentifiers":[]}`:  `Array must contain at least 1 element(s) at "taskIdentifiers"`,
		`{"runCount":1,"taskIdentifiers":"a"}`: `Expected array, received string at "taskIdentifiers"`,
		`{"runCount":1,"taskIdentifiers":[""],"resumeParentOnCompletion":"x"}`: `A task id must have between 1 and 512 bytes at "taskIdentifiers[0]"; ` +
			`Expected boolean, received string at "resumeParentOnCompletion"`,
		`{"runCount":1,"idempotencyKey":5}`: `Expected string, received number at "idempotencyKey"`,
	} {
		err := json.Unmarshal([]byte(body), &wire.CreateBatchBody{})
		var f *fault.Error
		if !errors.As(err, &f) || f.Msg != "Validation error: "+want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// TestManyWrongValuesAreAFewProblems: an answer does not grow with what is wrong with an item,
// nor does it repeat the texts in it.
func TestManyWrongValuesAreAFewProblems(t *testing.T) {
	t.Parallel()
	for name, item := range map[string]string{
		"list":   `{"index":0,"task":"t","options":{"tags":[` + strings.Repeat("1,", 500_000) + `1]}}`,
		"repeat": `{"index":0,"task":"t","options":{` + strings.Repeat(`"test":1,`, 100_000) + `"test":1}}`,
		"text":   `{"index":0,"task":"t","options":{"machine":"` + strings.Repeat("x", 1_000_000) + `"}}`,
	} {
		_, err := read(strings.NewReader(item))
		if !fault.Is(err, fault.Invalid) || len(err.Error()) > 16<<10 || strings.Count(err.Error(), ` at "options.`) > 20 {
			t.Errorf("%s: %d bytes: %.200s", name, len(fmt.Sprint(err)), err)
		}
	}
}
