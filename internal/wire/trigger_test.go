package wire_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files")

// trigger decodes a body at noon.
func trigger(body string) (wire.Trigger, error) {
	var b wire.TriggerBody
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		return wire.Trigger{}, err
	}
	return b.Trigger(noon)
}

// withOptions is a body with these options.
func withOptions(options string) string { return `{"options":{` + options + `}}` }

// TestGolden shows what the bodies that the official SDK sends become.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/trigger/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files:", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := trigger(string(body))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := strings.TrimSuffix(file, ".json") + ".golden"
		if *update {
			if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(text)+"\n"); d != "" {
			t.Errorf("%s: %s", file, d)
		}
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body string
		want run.Packet
	}{
		{`{}`, run.Packet{Type: run.TypeJSON}},
		{`{"options":{"payloadType":"application/json","payloadSize":0}}`, run.Packet{Type: run.TypeJSON}},
		{`{"payload":null}`, run.Packet{Data: "null", Type: run.TypeJSON}},
		{`{"payload":{"a": 1.0 , "b":"\u00e4"}}`, run.Packet{Data: `{"a": 1.0 , "b":"\u00e4"}`, Type: run.TypeJSON}},
		{`{"payload":"text"}`, run.Packet{Data: `"text"`, Type: run.TypeJSON}},
		{`{"payload":12345678901234567890}`, run.Packet{Data: `12345678901234567890`, Type: run.TypeJSON}},
		{`{"payload":"{\"json\":1}","options":{"payloadType":"application/super+json"}}`, run.Packet{Data: `{"json":1}`, Type: run.TypeSuper}},
		{`{"options":{"payloadType":"application/super+json"},"payload":{"json":1}}`, run.Packet{Data: `{"json":1}`, Type: run.TypeSuper}},
		{`{"payload":"hi\n\u0000","options":{"payloadType":"text/plain"}}`, run.Packet{Data: "hi\n\x00", Type: run.TypeText}},
		{`{"payload":"","options":{"payloadType":"text/plain"}}`, run.Packet{Type: run.TypeText}},
		{`{"payload":"a/b.json","options":{"payloadType":"application/store"}}`, run.Packet{Data: "a/b.json", Type: run.TypeStore}},
	} {
		got, err := trigger(c.body)
		if err != nil || got.Payload != c.want {
			t.Errorf("%s: payload %+v, %v, want %+v", c.body, got.Payload, err, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	none := time.Duration(0)
	minutes := 10 * time.Minute
	for _, c := range []struct {
		options string
		want    wire.Trigger
	}{
		{`"queue":{"name":"q","concurrencyLimit":"nonsense"}`, wire.Trigger{Queue: "q"}},
		{`"concurrencyKey":"k"`, wire.Trigger{ConcurrencyKey: "k"}},
		{`"concurrencyKey":12`, wire.Trigger{ConcurrencyKey: "12"}},
		{`"concurrencyKey":1.50`, wire.Trigger{ConcurrencyKey: "1.5"}},
		{`"concurrencyKey":1e21`, wire.Trigger{ConcurrencyKey: "1e+21"}},
		{`"concurrency":["a","b_1"],"gates":[{"queue":"q","concurrencyKey":"k"}]`, wire.Trigger{}},
		{`"delay":"1h"`, wire.Trigger{DelayUntil: noon.Add(time.Hour)}},
		{`"delay":"2026-11-24T12:00:01.500Z"`, wire.Trigger{DelayUntil: noon.Add(1500 * time.Millisecond)}},
		{`"delay":1795525200000`, wire.Trigger{DelayUntil: time.UnixMilli(1795525200000).UTC()}},
		{`"delay":"2020-01-01T00:00:00Z"`, wire.Trigger{}},
		{`"delay":"2026-11-24T14:00:00+0100"`, wire.Trigger{DelayUntil: noon.Add(time.Hour)}},
		{`"delay":"Tue, 24 Nov 2026 13:00:00 GMT"`, wire.Trigger{DelayUntil: noon.Add(time.Hour)}},
		{`"delay":"2036"`, wire.Trigger{DelayUntil: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{`"delay":"99999d"`, wire.Trigger{DelayUntil: noon.Add(100 * 365 * 24 * time.Hour)}},
		{`"delay":""`, wire.Trigger{}},
		{`"delay":null`, wire.Trigger{}},
		{`"ttl":"10m"`, wire.Trigger{TTL: &minutes, TTLText: "10m"}},
		{`"ttl":600`, wire.Trigger{TTL: &minutes, TTLText: "10m"}},
		{`"ttl":0`, wire.Trigger{TTL: &none}},
		{`"ttl":""`, wire.Trigger{TTL: &none}},
		{`"tags":"one"`, wire.Trigger{Tags: []string{"one"}}},
		{`"tags":["a"," ","","b"]`, wire.Trigger{Tags: []string{"a", "b"}}},
		{`"tags":" "`, wire.Trigger{}},
		{`"idempotencyKey":"k","idempotencyKeyTTL":"60s","idempotencyKeyOptions":{"key":"orig","scope":"global"}`,
			wire.Trigger{Key: wire.Key{Text: "k", TTL: time.Minute, Options: &run.KeyOptions{Key: "orig", Scope: "global"}}}},
		{`"idempotencyKey":"k","idempotencyKeyTTL":"1w"`, wire.Trigger{Key: wire.Key{Text: "k", TTL: 7 * 24 * time.Hour}}},
		{`"machine":"large-2x"`, wire.Trigger{Machine: "large-2x"}},
		{`"maxAttempts":3`, wire.Trigger{MaxAttempts: 3}},
		{`"maxAttempts":0`, wire.Trigger{MaxAttempts: 1}},
		{`"maxAttempts":1e9`, wire.Trigger{MaxAttempts: run.MaxAttempts}},
		{`"maxDuration":60.7`, wire.Trigger{MaxDuration: 60}},
		{`"maxDuration":1`, wire.Trigger{MaxDuration: 5}},
		{`"maxDuration":1e12`, wire.Trigger{MaxDuration: run.Unlimited}},
		{`"priority":10`, wire.Trigger{PriorityMS: 10_000}},
		{`"priority":-0.0004`, wire.Trigger{}},
		{`"priority":0.0015`, wire.Trigger{PriorityMS: 2}},
		{`"priority":-1e300`, wire.Trigger{PriorityMS: -2147483648}},
		{`"priority":1e999`, wire.Trigger{PriorityMS: 2147483647}},
		{`"region":"eu"`, wire.Trigger{Region: "eu"}},
		{`"lockToVersion":"20261124.1"`, wire.Trigger{Version: "20261124.1"}},
		{`"externalDeploymentId":null`, wire.Trigger{}},
		{`"externalDeploymentId":"  "`, wire.Trigger{}},
		{`"externalDeploymentId":" dpl_1 "`, wire.Trigger{External: "dpl_1"}},
		{`"debounce":{"key":"k","delay":"5s"}`,
			wire.Trigger{Debounce: &wire.Debounce{Key: "k", Delay: 5 * time.Second}, DelayUntil: noon.Add(5 * time.Second)}},
		{`"delay":"1m","debounce":{"key":"k","delay":"5s","mode":"trailing","maxDelay":"1h"}`,
			wire.Trigger{Debounce: &wire.Debounce{Key: "k", Delay: 5 * time.Second, Trailing: true, MaxDelay: time.Hour}, DelayUntil: noon.Add(time.Minute)}},
		{`"metadata":{"a": 1}`, wire.Trigger{Metadata: run.Packet{Data: `{"a": 1}`, Type: run.TypeJSON}}},
		{`"metadata":null`, wire.Trigger{}},
		{`"metadata":"{\"a\":1}"`, wire.Trigger{Metadata: run.Packet{Data: `{"a":1}`, Type: run.TypeJSON}}},
		{`"metadata":"{\"json\":{\"a\":1}}","metadataType":"application/super+json"`, wire.Trigger{Metadata: run.Packet{Data: `{"a":1}`, Type: run.TypeJSON}}},
		{`"parentRunId":"run_0da1ccbsl68g00000000000001","resumeParentOnCompletion":true`, wire.Trigger{ParentID: "0da1ccbsl68g00000000000001", ResumeParent: true}},
		{`"parentRunId":"batch_1"`, wire.Trigger{ParentID: "batch_1"}},
		{`"test":true`, wire.Trigger{Test: true}},
		{`"bulkActionId":"b","parentBatch":"x","something":{"new":[1]}`, wire.Trigger{}},
	} {
		got, err := trigger(withOptions(c.options))
		if err != nil {
			t.Errorf("%s: %v", c.options, err)
			continue
		}
		c.want.Payload = run.Packet{Type: run.TypeJSON}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.options, d)
		}
	}
}

func TestContextIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	got, err := trigger(`{"context":{"user": [1, 2]}}`)
	if err != nil || string(got.Context) != `{"user": [1, 2]}` {
		t.Errorf("context %s, %v", got.Context, err)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	for _, c := range []struct{ body, want string }{
		{`[]`, "Expected object, received array"},
		{`"x"`, "Expected object, received string"},
		{`{"options":null}`, `Expected object, received null at "options"`},
		{withOptions(`"queue":"q"`), `Expected object, received string at "options.queue"`},
		{withOptions(`"queue":{}`), `Required at "options.queue.name"`},
		{withOptions(`"queue":{"name":1}`), `Expected string, received number at "options.queue.name"`},
		{withOptions(`"concurrencyKey":true`), `Expected string, received boolean at "options.concurrencyKey"`},
		{withOptions(`"concurrencyKey":"` + long + `"`), `concurrencyKey must be 512 characters or less at "options.concurrencyKey"`},
		{withOptions(`"concurrency":["a","b","c"]`), `Array must contain at most 2 element(s) at "options.concurrency"`},
		{withOptions(`"concurrency":["a b"]`), `Invalid concurrency limit name at "options.concurrency[0]"`},
		{withOptions(`"gates":[{"concurrencyKey":""}]`), `String must contain between 1 and 128 characters at "options.gates[0].concurrencyKey"; Required at "options.gates[0].queue"`},
		{withOptions(`"gates":{}`), `Expected array, received object at "options.gates"`},
		{withOptions(`"gates":[1]`), `Expected object, received number at "options.gates[0]"`},
		{withOptions(`"delay":true`), `Expected string, received boolean at "options.delay"`},
		{withOptions(`"ttl":-1`), `Number must be greater than or equal to 0 at "options.ttl"`},
		{withOptions(`"ttl":1.5`), `Expected integer, received float at "options.ttl"`},
		{withOptions(`"tags":{}`), `Expected array, received object at "options.tags"`},
		{withOptions(`"tags":["ok",1]`), `Expected string, received number at "options.tags[1]"`},
		{withOptions(`"tags":"` + long[:129] + `"`), `Tags must be less than 128 characters at "options.tags"`},
		{withOptions(`"tags":["a\u0000"]`), `Null characters are not allowed at "options.tags[0]"`},
		{withOptions(`"idempotencyKey":"` + long + `"`), `idempotencyKey must be 2048 characters or less at "options.idempotencyKey"`},
		{withOptions(`"idempotencyKeyTTL":60`), `Expected string, received number at "options.idempotencyKeyTTL"`},
		{withOptions(`"idempotencyKeyOptions":{"key":"k","scope":"x"}`),
			`Invalid enum value. Expected 'run' | 'attempt' | 'global', received 'x' at "options.idempotencyKeyOptions.scope"`},
		{withOptions(`"machine":"huge"`),
			`Invalid enum value. Expected 'micro' | 'small-1x' | 'small-2x' | 'medium-1x' | 'medium-2x' | 'large-1x' | 'large-2x', received 'huge' at "options.machine"`},
		{withOptions(`"machine":5`), `Expected string, received number at "options.machine"`},
		{withOptions(`"maxAttempts":1.5`), `Expected integer, received float at "options.maxAttempts"`},
		{withOptions(`"maxDuration":"5"`), `Expected number, received string at "options.maxDuration"`},
		{withOptions(`"priority":"high"`), `Expected number, received string at "options.priority"`},
		{withOptions(`"payloadSize":-1`), `Number must be greater than or equal to 0 at "options.payloadSize"`},
		{withOptions(`"payloadType":1`), `Expected string, received number at "options.payloadType"`},
		{withOptions(`"externalDeploymentId":1`), `Expected string, received number at "options.externalDeploymentId"`},
		{withOptions(`"externalDeploymentId":"` + strings.Repeat("x", 129) + `"`), `externalId must be at most 128 characters at "options.externalDeploymentId"`},
		{withOptions(`"debounce":{"key":"` + long + `","delay":"1s","mode":"x"}`),
			`Debounce key must be 512 characters or less at "options.debounce.key"; Invalid enum value. Expected 'leading' | 'trailing', received 'x' at "options.debounce.mode"`},
		{withOptions(`"debounce":{}`), `Required at "options.debounce.key"; Required at "options.debounce.delay"`},
		{withOptions(`"metadata":[1]`), `Expected object, received array at "options.metadata"`},
		{withOptions(`"metadata":"nonsense"`), `Expected object, received string at "options.metadata"`},
		{withOptions(`"test":"yes"`), `Expected boolean, received string at "options.test"`},
		{withOptions(`"resumeParentOnCompletion":1`), `Expected boolean, received number at "options.resumeParentOnCompletion"`},
		{withOptions(`"payloadType":"application/store"`), `payload must be a non-empty storage path when payloadType is application/store at "payload"`},
		{`{"payload":"","options":{"payloadType":"application/store"}}`, `payload must be a non-empty storage path when payloadType is application/store at "payload"`},
		{`{"payload":{},"options":{"payloadType":"application/store"}}`, `payload must be a non-empty storage path when payloadType is application/store at "payload"`},
		{withOptions(`"test":1,"machine":2,"queue":{"name":3}`), // all at once
			`Expected boolean, received number at "options.test"; Expected string, received number at "options.machine"; Expected string, received number at "options.queue.name"`},
	} {
		_, err := trigger(c.body)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Malformed || f.Msg != "Validation error: "+c.want {
			t.Errorf("%.80s: %v, want %s", c.body, err, c.want)
		}
	}
}

// TestTimesNotUnderstoodAreRefused: none of them is none, which would be at once or for ever.
func TestTimesNotUnderstoodAreRefused(t *testing.T) {
	t.Parallel()
	const duration, date = ". Give a duration such as 30s, 1h30m or 2w", ", or a date such as 2036-12-24T18:00:00Z"
	for _, text := range []string{"10 minutes", "soon", "300ms", "-1h", "1h 30m", " ", "30.11.2036", "2036-13-01"} {
		for field, want := range map[string]string{"delay": duration + date, "ttl": duration, "idempotencyKeyTTL": duration} {
			_, err := trigger(withOptions(fmt.Sprintf("%q:%q", field, text)))
			var f *fault.Error
			if want := "Invalid " + field + ": " + text + want; !errors.As(err, &f) || f.Kind != fault.Invalid || f.Msg != want {
				t.Errorf("%s %q: %v, want %s", field, text, err, want)
			}
		}
	}
	long := strings.Repeat("x", 1<<20)
	if _, err := trigger(withOptions(`"delay":"` + long + `"`)); err == nil || len(err.Error()) > 300 {
		t.Errorf("of a long text the refusal quotes %.400v", err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options, want string
		kind          fault.Kind
	}{
		{`"tags":["1","2","3","4","5","6","7","8","9","10",""]`, "Runs can only have 10 tags, you're trying to set 11.", fault.Invalid},
		{`"debounce":{"key":"k","delay":"300ms"}`,
			"Invalid debounce delay: 300ms. Supported formats: {number}s, {number}m, {number}h, {number}d, {number}w", fault.Invalid},
		{`"debounce":{"key":"k","delay":"0s"}`,
			"Invalid debounce delay: 0s. Supported formats: {number}s, {number}m, {number}h, {number}d, {number}w", fault.Invalid},
		{`"debounce":{"key":"k","delay":"5s","maxDelay":"x"}`,
			"Invalid debounce maxDelay: x. Supported formats: {number}s, {number}m, {number}h, {number}d, {number}w", fault.Invalid},
		{`"debounce":{"key":"k","delay":"5s","maxDelay":"5s"}`,
			"Invalid debounce maxDelay: 5s. It must be longer than the delay of 5s.", fault.Invalid},
		{fmt.Sprintf(`"metadata":{"a":%q}`, strings.Repeat("x", wire.MaxMetadata)), "Metadata exceeds maximum size of 262144 bytes", fault.TooLarge},
	} {
		_, err := trigger(withOptions(c.options))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != c.kind || f.Msg != c.want {
			t.Errorf("%.80s: %v, want %s", c.options, err, c.want)
		}
	}
}

// TestLengthIsJavaScripts: a tag of 128 characters may hold fewer runes and more bytes.
func TestLengthIsJavaScripts(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{
		strings.Repeat("ä", 128): true, strings.Repeat("ä", 129): false,
		strings.Repeat("😀", 64): true, strings.Repeat("😀", 65): false,
	} {
		if _, err := trigger(withOptions(`"tags":"` + tag + `"`)); (err == nil) != want {
			t.Errorf("a tag of %d bytes: %v", len(tag), err)
		}
	}
}

// FuzzTrigger: whatever is decoded is decoded the same again, and an opaque payload
// is kept as it came.
func FuzzTrigger(f *testing.F) {
	f.Add(`{"payload":{"a":[1,"\u00e4"]},"options":{"tags":["a"],"delay":"1h","ttl":5}}`)
	f.Add(`{"payload":"x","context":null,"options":{"payloadType":"text/plain","debounce":{"key":"a","delay":"1s"}}}`)
	f.Add(`{"options":{"metadata":"{\"json\":{}}","metadataType":"application/super+json","concurrencyKey":1e400}}`)
	f.Fuzz(func(t *testing.T, body string) {
		got, err := trigger(body)
		again, errAgain := trigger(body)
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || cmp.Diff(got, again) != "" {
			t.Fatalf("%q is decoded in two ways", body)
		}
		if err != nil {
			return
		}
		var plain map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &plain); err != nil {
			t.Fatal(err)
		}
		if got.Payload.Type == run.TypeJSON && got.Payload.Data != string(plain["payload"]) {
			t.Errorf("the payload of %q is %q", body, got.Payload.Data)
		}
		if got.Metadata.Data != "" && !json.Valid([]byte(got.Metadata.Data)) {
			t.Errorf("the metadata of %q is not JSON: %q", body, got.Metadata.Data)
		}
	})
}
