package wire

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"regexp"
	"strings"
	"time"

	"sear/internal/deploy"
	"sear/internal/run"
)

// Limits of what a trigger may say. Lengths are in JavaScript's characters, sizes in bytes.
const (
	//limit:runs Tags of a run | tags | 422 Runs can only have {} tags, you're trying to set …
	MaxTags = 10
	//limit:runs A tag | characters | 400 Tags must be less than {} characters
	maxTag = 128
	//limit:runs An idempotency key, and a text of a schedule | bytes | 400 idempotencyKey must be {} characters or less
	MaxKey = 2048 // an idempotency key, in bytes: Postgres has to keep it in an index
	//limit:runs A concurrency key | characters | 400 concurrencyKey must be {} characters or less
	maxLane = 512 // a concurrency key
	//limit:runs A debounce key | characters | 400 Debounce key must be {} characters or less
	maxDebounce = 512 // a debounce key
	//limit:inside the same as that of a change
	MaxMetadata = 262_144
)

// errKeyTooLong is what upstream says of an idempotency key.
const errKeyTooLong = "idempotencyKey must be 2048 characters or less"

// machines are the presets a run may ask for.
var machines = []string{"micro", "small-1x", "small-2x", "medium-1x", "medium-2x", "large-1x", "large-2x"}

// options are the options of a trigger as they were sent, each of the right type.
// What depends on the present or is refused by a rule rather than by its type is
// seen to in TriggerBody.Trigger.
type options struct {
	payloadType    string
	metadata       []byte // JSON text; a part of the request
	metadataType   string
	queue          string
	concurrencyKey string
	delay          delay
	ttl            timeToLive
	tags           []string
	key            Key // without its time to live
	keyTTL         string
	machine        string
	maxAttempts    int
	maxDuration    int
	priorityMS     int64
	region         string
	version        string
	external       string
	debounce       *debounce
	parentRun      string
	resumeParent   bool
	test           bool
}

// delay is a duration or a date as text, or a date as a number.
type delay struct {
	text string
	at   time.Time
}

// timeToLive is a duration as text, else a number, nil when neither was sent.
type timeToLive struct {
	text   string
	number *time.Duration
}

type debounce struct{ key, delay, mode, maxDelay string }

// read notes one option. Options of engines long gone and those nobody knows are ignored.
func (o *options) read(f form, name string, v []byte) {
	switch name {
	case "payloadType":
		o.payloadType = f.text(name, v)
	case "metadata":
		o.metadata = v
	case "metadataType":
		o.metadataType = f.text(name, v)
	case "queue":
		o.queue = f.queue(name, v)
	case "concurrencyKey":
		o.concurrencyKey = f.label(name, v)
	case "concurrency":
		f.limits(name, v)
	case "gates":
		f.gates(name, v)
	case "delay":
		o.delay = f.delay(name, v)
	case "ttl":
		o.ttl = f.ttl(name, v)
	case "tags":
		o.tags = f.tags(name, v)
	case "idempotencyKey":
		o.key.Text = f.key(name, v)
	case "idempotencyKeyTTL":
		o.keyTTL = f.text(name, v)
	case "idempotencyKeyOptions":
		o.key.Options = f.keyOptions(name, v)
	case "machine":
		o.machine = f.oneOf(name, v, machines...)
	case "maxAttempts":
		n, _ := f.whole(name, v)
		o.maxAttempts = clamp(n, 1, run.MaxAttempts)
	case "maxDuration":
		o.maxDuration = clamp(f.number(name, v), minDuration, run.Unlimited)
	case "priority":
		o.priorityMS = priority(f.number(name, v))
	default:
		o.readRest(f, name, v)
	}
}

// readRest is the second half of read: where the run belongs.
func (o *options) readRest(f form, name string, v []byte) {
	switch name {
	case "payloadSize":
		f.count(name, v, 0)
	case "region":
		o.region = f.text(name, v)
	case "lockToVersion":
		o.version = f.text(name, v)
	case "externalDeploymentId":
		o.external = f.external(name, v)
	case "debounce":
		o.debounce = f.debounce(name, v)
	case "parentRunId":
		o.parentRun = f.text(name, v)
	case "resumeParentOnCompletion":
		o.resumeParent = f.boolean(name, v)
	case "test":
		o.test = f.boolean(name, v)
	}
}

// external reads an external deployment id. Null and blank text are as good as absent.
func (f form) external(key string, v []byte) string {
	if isNull(v) {
		return ""
	}
	s := strings.TrimSpace(f.text(key, v))
	if length(s) > deploy.MaxExternalID {
		f.add(key, fmt.Sprintf("externalId must be at most %d characters", deploy.MaxExternalID))
	}
	return s
}

// minDuration is the least maxDuration, in seconds.
//
//limit:inside smaller ones are raised to it
const minDuration = 5

// priority turns seconds into the offset in the queue.
func priority(seconds float64) int64 {
	return int64(clamp(math.Floor(seconds*1000+0.5), math.MinInt32, math.MaxInt32))
}

// queue reads {name}. The limit that older SDKs send along is that of the task's own definition.
func (f form) queue(key string, v []byte) string {
	q, ok := f.object(key, v)
	if !ok {
		return ""
	}
	name, found := "", false
	for k, v := range members(v) {
		if string(k) == "name" {
			name, found = q.text("name", v), true
		}
	}
	if !found {
		q.required("name")
	}
	return name
}

// label reads a concurrency key, which may be a number.
func (f form) label(key string, v []byte) string {
	if kindOf(v) == "number" {
		return numeral(f.number(key, v))
	}
	return f.short(key, v, maxLane, fmt.Sprintf("concurrencyKey must be %d characters or less", maxLane))
}

// limitName is the name of a concurrency limit.
var limitName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,122}$`)

// limits checks the names of concurrency limits.
func (f form) limits(key string, v []byte) {
	for f, v := range f.list(key, v, 2) {
		if s := f.text(key, v); v[0] == '"' && !limitName.MatchString(s) {
			f.add(key, "Invalid concurrency limit name")
		}
	}
}

// gates checks the gates of a run.
func (f form) gates(key string, v []byte) {
	for f, v := range f.list(key, v, 3) {
		g, ok := f.object(key, v)
		if !ok {
			continue
		}
		named := false
		for k, v := range members(v) {
			switch k := string(k); k {
			case "queue", "concurrencyKey":
				named = named || k == "queue"
				if s := g.text(k, v); v[0] == '"' && (s == "" || length(s) > 128) {
					g.add(k, "String must contain between 1 and 128 characters")
				}
			}
		}
		if !named {
			g.required("queue")
		}
	}
}

// list yields the text of each element of an array, with the form to read it by. It ends
// early when so much is wrong that no more will be named.
func (f form) list(key string, v []byte, limit int) iter.Seq2[form, []byte] {
	return func(yield func(f form, v []byte) bool) {
		if v[0] != '[' {
			f.expected("array", key, v)
			return
		}
		g := f
		for v := range elements(v) {
			if g.element == limit {
				f.add(key, fmt.Sprintf("Array must contain at most %d element(s)", limit))
				return
			}
			g.element++
			if f.problems.Full() || !yield(g, v) {
				return
			}
		}
	}
}

func (f form) delay(key string, v []byte) delay {
	switch kindOf(v) {
	case "null": // what JavaScript makes of it is the year 1970
		return delay{}
	case "number":
		return delay{at: time.UnixMilli(int64(clamp(f.number(key, v), 0, maxDate)))}
	}
	return delay{text: f.text(key, v)}
}

// maxDate is the last instant that JavaScript knows.
//
//limit:inside the last instant that JavaScript knows
const maxDate = 8_640_000_000_000_000

// ttl reads a time to live. An empty text is none, as upstream has it.
func (f form) ttl(key string, v []byte) timeToLive {
	var d time.Duration
	if kindOf(v) == "number" {
		d = time.Duration(f.count(key, v, 0)) * time.Second
		return timeToLive{number: &d}
	}
	return timeToLive{number: &d, text: f.text(key, v)}
}

// tags reads one tag or several. How many there may be is for later.
func (f form) tags(key string, v []byte) []string {
	const tooLong = "Tags must be less than 128 characters"
	if v[0] == '"' {
		return []string{f.short(key, v, maxTag, tooLong)}
	}
	tags := []string{}
	for f, v := range f.list(key, v, math.MaxInt) {
		tags = append(tags, f.short(key, v, maxTag, tooLong))
	}
	return tags
}

func (f form) key(key string, v []byte) string {
	s := f.text(key, v)
	if len(s) > MaxKey {
		f.add(key, errKeyTooLong)
		return ""
	}
	return s
}

// task reads the id of a task.
func (f form) task(key string, v []byte) string {
	s := f.text(key, v)
	if v[0] == '"' && !deploy.ValidTaskID(s) {
		f.add(key, fmt.Sprintf("A task id must have between 1 and %d bytes", deploy.MaxTaskID))
	}
	return s
}

func (f form) keyOptions(key string, v []byte) *run.KeyOptions {
	g, ok := f.object(key, v)
	if !ok {
		return nil
	}
	var o run.KeyOptions
	for k, v := range members(v) {
		switch string(k) {
		case "key":
			o.Key = g.text("key", v)
		case "scope":
			o.Scope = g.oneOf("scope", v, "run", "attempt", "global")
		}
	}
	return &o
}

func (f form) debounce(key string, v []byte) *debounce {
	g, ok := f.object(key, v)
	if !ok {
		return nil
	}
	var d debounce
	var hasKey, hasDelay bool
	for k, v := range members(v) {
		switch string(k) {
		case "key":
			hasKey = true
			d.key = g.short("key", v, maxDebounce, fmt.Sprintf("Debounce key must be %d characters or less", maxDebounce))
		case "delay":
			hasDelay = true
			d.delay = g.text("delay", v)
		case "mode":
			d.mode = g.oneOf("mode", v, "leading", "trailing")
		case "maxDelay":
			d.maxDelay = g.text("maxDelay", v)
		}
	}
	if !hasKey {
		g.required("key")
	}
	if !hasDelay {
		g.required("delay")
	}
	return &d
}

// isNull reports whether a value is absent or null.
func isNull(v []byte) bool { return len(v) == 0 || bytes.Equal(v, []byte("null")) }
