package rest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/rest"
)

type place struct {
	Where string `json:"where"`
}

// marks say themselves what is wrong with them.
type marks string

func (*marks) UnmarshalJSON(b []byte) error {
	if b[0] != '"' {
		return rest.Problems{{Code: "invalid_type", Message: "Expected marks", Path: "marks"}}.Err()
	}
	return nil
}

type trigger struct {
	place
	Marks   marks           `json:"marks"`
	Payload json.RawMessage `json:"payload"`
	Options struct {
		Queue       string            `json:"queue"`
		MaxAttempts int8              `json:"maxAttempts"`
		Priority    float64           `json:"priority"`
		Test        bool              `json:"test"`
		Tags        []string          `json:"tags"`
		Metadata    map[string]string `json:"metadata"`
		Delay       *time.Time        `json:"delay"`
		Level       level             `json:"level"`
		Machine     machine           `json:"machine"`
	} `json:"options"`
}

// Validate refuses what the schema cannot say.
func (t *trigger) Validate() error {
	var p rest.Problems
	if t.Options.Queue == "bad" {
		p.Add("options.queue", "Invalid queue")
	}
	if len(t.Options.Tags) > 2 {
		p.Add("options.tags", "Too many tags")
	}
	if t.Options.Priority < 0 {
		p.Add("", "Everything is wrong")
	}
	return p.Err()
}

type level string

func (l *level) UnmarshalText(b []byte) error { *l = level(b); return nil }

type machine struct{}

func (*machine) UnmarshalJSON([]byte) error { return fault.New(fault.Invalid, "No such machine") }

func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	return r
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, body string
		kind       fault.Kind
		want       string
	}{
		{"empty", "", fault.Malformed, "Request body is empty"},
		{"blank", " \n", fault.Malformed, "Invalid JSON"},
		{"not JSON", "{", fault.Malformed, "Invalid JSON"},
		{"trailing data", "{} {}", fault.Malformed, "Invalid JSON"},
		{"trailing rubbish", "{}x", fault.Malformed, "Invalid JSON"},
		{"null", " null ", fault.Malformed, "Invalid JSON"},
		{"zero", "0", fault.Malformed, "Invalid JSON"},
		{"minus zero", "-0.0e5", fault.Malformed, "Invalid JSON"},
		{"empty string", `""`, fault.Malformed, "Invalid JSON"},
		{"false", "false", fault.Malformed, "Invalid JSON"},
		{"invalid UTF-8", "{\"payload\":\"\xff\"}", fault.Malformed, "Invalid JSON"},
		{"bottomless", strings.Repeat("[", 20000), fault.Malformed, "Invalid JSON"},
		{"truthy but no object", "1", fault.Malformed, "Validation error: Expected object, received number"},
		{"array", "[]", fault.Malformed, "Validation error: Expected object, received array"},
		{"string", `{"options":{"queue":1}}`, fault.Malformed, `Validation error: Expected string, received number at "options.queue"`},
		{"integer", `{"options":{"maxAttempts":"1"}}`, fault.Malformed, `Validation error: Expected number, received string at "options.maxAttempts"`},
		{"fraction", `{"options":{"maxAttempts":1.5}}`, fault.Malformed, `Validation error: Expected integer, received float at "options.maxAttempts"`},
		{"overflow", `{"options":{"maxAttempts":300}}`, fault.Malformed, `Validation error: Number out of range at "options.maxAttempts"`},
		{"number", `{"options":{"priority":true}}`, fault.Malformed, `Validation error: Expected number, received boolean at "options.priority"`},
		{"boolean", `{"options":{"test":"yes"}}`, fault.Malformed, `Validation error: Expected boolean, received string at "options.test"`},
		{"list", `{"options":{"tags":{}}}`, fault.Malformed, `Validation error: Expected array, received object at "options.tags"`},
		{"record", `{"options":{"metadata":[]}}`, fault.Malformed, `Validation error: Expected object, received array at "options.metadata"`},
		{"text", `{"options":{"level":7}}`, fault.Malformed, `Validation error: Expected string, received number at "options.level"`},
		{"date", `{"options":{"delay":"tomorrow"}}`, fault.Malformed, "Validation error: Invalid input"},
		{"several, with the rules", `{"payload":1,"options":{"queue":"bad","tags":[7],"test":"yes","priority":-1}}`, fault.Malformed,
			`Validation error: Expected string, received number at "options.tags"; Expected boolean, received string at "options.test"; Invalid queue at "options.queue"`},
		{"of an embedded struct", `{"where":1,"options":{"level":[]}}`, fault.Malformed,
			`Validation error: Expected string, received array at "options.level"; Expected string, received number at "where"`},
		{"own words of a member", `{"options":{"queue":"bad"},"marks":7,"where":1}`, fault.Malformed,
			`Validation error: Expected marks at "marks"; Expected string, received number at "where"; Invalid queue at "options.queue"`},
		{"own words", `{"options":{"machine":"tiny"}}`, fault.Invalid, "No such machine"},
		{"rules, all named", `{"options":{"queue":"bad","tags":["a","b","c"],"priority":-1}}`, fault.Malformed,
			`Validation error: Invalid queue at "options.queue"; Too many tags at "options.tags"; Everything is wrong`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := rest.Decode[trigger](post(c.body), 1<<20)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != c.kind || f.Msg != c.want {
				t.Errorf("got %v, want %v: %s", err, c.kind, c.want)
			}
			if d := cmp.Diff(trigger{}, got, cmp.AllowUnexported(trigger{})); d != "" {
				t.Errorf("half a value came back with the error:\n%s", d)
			}
		})
	}
}

// TestDecodeNamesNotTooMuch: a record of many wrong values makes no answer of that size.
func TestDecodeNamesNotTooMuch(t *testing.T) {
	t.Parallel()
	numbers := map[string]int{}
	for i := range 1000 {
		numbers[strconv.Itoa(i)] = i
	}
	record, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rest.Decode[trigger](post(`{"options":{"metadata":`+string(record)+`,"test":1}}`), 1<<20)
	var p rest.Problems
	if !errors.As(err, &p) || len(p) != 20 || p[0].Path != "options.metadata.0" {
		t.Errorf("%d problems: %v", len(p), err)
	}
}

func TestDecodeAccepts(t *testing.T) {
	t.Parallel()
	got, err := rest.Decode[trigger](post(` {"payload": {"a" : "<\u00e9>"} , "unknown":[1], "options":{"queue":"q","maxAttempts":3}} `), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Payload) != `{"a" : "<\u00e9>"}` || got.Options.Queue != "q" || got.Options.MaxAttempts != 3 {
		t.Errorf("got %+v", got)
	}
	if got, err := rest.Decode[trigger](post(""), 1<<20, rest.AllowEmpty); err != nil || got.Payload != nil {
		t.Errorf("allowed empty: %+v, %v", got, err)
	}
	if got, err := rest.Decode[[]int](post("[1,2]"), 1<<20); err != nil || len(got) != 2 {
		t.Errorf("list: %v, %v", got, err)
	}
}

// TestDecodedValuesDoNotShareTheBuffer guards the pooled body buffer.
func TestDecodedValuesDoNotShareTheBuffer(t *testing.T) {
	t.Parallel()
	var all []trigger
	for i := range 50 {
		v, err := rest.Decode[trigger](post(`{"payload":"`+strings.Repeat(string(rune('a'+i%26)), 100)+`"}`), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	for i, v := range all {
		if want := `"` + strings.Repeat(string(rune('a'+i%26)), 100) + `"`; string(v.Payload) != want {
			t.Fatalf("payload %d became %s", i, v.Payload)
		}
	}
}

func TestOlderRoutesAnswerWithIssues(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, body string
		want       map[string]any
	}{
		{"type", `{"options":{"queue":1}}`, map[string]any{"error": "Invalid request body", "issues": []any{
			map[string]any{"code": "invalid_type", "message": "Expected string, received number", "path": []any{"options", "queue"}},
		}}},
		{"rule on the whole", `{"options":{"priority":-1}}`, map[string]any{"error": "Invalid request body", "issues": []any{
			map[string]any{"code": "custom", "message": "Everything is wrong", "path": []any{}},
		}}},
		{"not JSON", `{`, map[string]any{"error": "Invalid JSON"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := rest.Decode[trigger](post(c.body), 1<<20)
			w := answer(t, quiet, failWith(rest.BodyIssues(err)))
			if d := cmp.Diff(c.want, body(t, w)); d != "" || w.Code != 400 {
				t.Errorf("status %d, body (-want +got):\n%s", w.Code, d)
			}
		})
	}
}

func TestReadBodyLimit(t *testing.T) {
	t.Parallel()
	const limit = 100_000 // beyond the size that is allocated in advance
	cases := []struct {
		name      string
		size      int
		announced int64
		want      fault.Kind // Internal: none
	}{
		{"empty", 0, 0, fault.Internal},
		{"at the limit", limit, limit, fault.Internal},
		{"at the limit, chunked", limit, -1, fault.Internal},
		{"over the limit", limit + 1, limit + 1, fault.TooLarge},
		{"over the limit, chunked", limit + 1, -1, fault.TooLarge},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sent := bytes.Repeat([]byte("x"), c.size)
			r := httptest.NewRequest(http.MethodPost, "/", struct{ io.Reader }{bytes.NewReader(sent)})
			r.ContentLength = c.announced
			got, err := rest.ReadBody(r, limit)
			if c.want != fault.Internal {
				if !fault.Is(err, c.want) || !strings.Contains(err.Error(), "Request body too large") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestAnnouncedTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(failing{t}))
	r.ContentLength = 101
	if _, err := rest.ReadBody(r, 100); !fault.Is(err, fault.TooLarge) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ t *testing.T }

func (f failing) Read([]byte) (int, error) {
	f.t.Error("the body was read")
	return 0, io.EOF
}

func TestBrokenBody(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(`{"a":`), broken{}))
	if _, err := rest.Decode[trigger](r, 100); !fault.Is(err, fault.Malformed) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"options":{"queue":1}}`, `{"payload":[{}]}`, "0", "-0", "\xff", `{"options":{"delay":"x"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(sent))
		v, err := rest.Decode[trigger](r, 1<<20)
		switch {
		case err != nil && fault.KindOf(err) == fault.Internal:
			t.Errorf("a bad body is called our fault: %v", err)
		case err == nil && !json.Valid(sent):
			t.Errorf("accepted %q", sent)
		case err == nil && v.Payload != nil && !bytes.Contains(sent, v.Payload):
			t.Errorf("payload %q is not a part of %q", v.Payload, sent)
		}
	})
}
