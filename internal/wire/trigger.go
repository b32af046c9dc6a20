package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
)

// TriggerBody is the body of a trigger call, {payload?, context?, options?}, checked
// as far as its types go.
type TriggerBody struct {
	payload  run.Packet
	context  json.RawMessage
	metadata string // a JSON object
	options
}

// UnmarshalJSON decodes a body. Everything that is wrong with it is named in one
// error, a [fault.Malformed].
func (b *TriggerBody) UnmarshalJSON(body []byte) error {
	var problems rest.Problems
	if f, ok := formOf(body, &problems); ok {
		var payload []byte
		for k, v := range members(body) {
			b.read(f, string(k), v, &payload)
		}
		b.finish(f, payload)
	}
	return problems.Err()
}

// read notes a member. The payload can only be understood once its type is known.
func (b *TriggerBody) read(f form, name string, v []byte, payload *[]byte) {
	switch name {
	case "payload":
		*payload = v
	case "context":
		b.context = bytes.Clone(v)
	case "options":
		if g, ok := f.object(name, v); ok {
			for k, v := range members(v) {
				b.options.read(g, string(k), v)
			}
		}
	}
}

// finish makes packets of the raw texts, which belong to the request's buffer.
func (b *TriggerBody) finish(f form, payload []byte) {
	b.payload = f.packet(payload, b.payloadType)
	b.metadata = f.document("options.metadata", b.options.metadata, b.metadataType)
	b.options.metadata = nil
}

// packet is the payload as it is stored. A string that says it is encoded is taken
// as it is; any other value, as people who speak plain HTTP send it, is kept as its
// JSON text.
func (f form) packet(v []byte, mediaType string) run.Packet {
	if mediaType == "" {
		mediaType = run.TypeJSON
	}
	p := run.Packet{Type: mediaType}
	switch {
	case len(v) == 0:
	case v[0] == '"' && mediaType != run.TypeJSON:
		p.Data = unquote(v)
	default:
		p.Data = string(v)
	}
	if mediaType == run.TypeStore && (len(v) == 0 || v[0] != '"' || strings.TrimSpace(p.Data) == "") {
		f.add("payload", "payload must be a non-empty storage path when payloadType is application/store")
	}
	return p
}

// document is a metadata document. Older SDKs send it encoded in a string.
func (f form) document(key string, v []byte, mediaType string) string {
	if isNull(v) {
		return ""
	}
	text := v
	if v[0] == '"' {
		p := run.Packet{Data: unquote(v), Type: mediaType}
		if mediaType == "" {
			p.Type = run.TypeJSON
		}
		text = Plain(p)
	}
	if len(text) == 0 || text[0] != '{' {
		f.expected("object", key, v)
		return ""
	}
	return string(text)
}

// Key is the idempotency key that the options name.
func (b *TriggerBody) Key() string { return b.key.Text }

// Trigger is what a client wants to be triggered. Its fields mean what those of
// engine.Trigger of the same name do.
type Trigger struct {
	Payload        run.Packet
	Metadata       run.Packet
	Context        json.RawMessage
	Queue          string
	ConcurrencyKey string
	DelayUntil     time.Time
	TTL            *time.Duration // nil: the client does not say; 0: none
	TTLText        string         // as the client wrote it
	Tags           []string
	Test           bool
	Key            Key
	Machine        string
	MaxAttempts    int
	MaxDuration    int
	PriorityMS     int64
	Region         string
	Version        string
	External       string // the deployment it belongs to, by its external id
	Debounce       *Debounce
	ParentID       string // internal id
	ResumeParent   bool
}

// Key is an idempotency key. TTL 0 means the default.
type Key struct {
	Text    string
	TTL     time.Duration
	Options *run.KeyOptions
}

// Debounce folds triggers with the same key into one delayed run.
type Debounce struct {
	Key      string
	Delay    time.Duration
	Trailing bool
	MaxDelay time.Duration // 0: none
}

// Trigger is what the body asks for at the given instant. Its errors are refusals
// by a rule, not by the schema: [fault.Invalid], or [fault.TooLarge] for metadata.
func (b *TriggerBody) Trigger(now time.Time) (Trigger, error) {
	if n := len(b.tags); n > MaxTags {
		return Trigger{}, fault.Newf(fault.Invalid, "Runs can only have %d tags, you're trying to set %d.", MaxTags, n)
	}
	until, err := b.delay.until(now)
	if err != nil {
		return Trigger{}, err
	}
	debounce, err := b.debounce.checked()
	if err != nil {
		return Trigger{}, err
	}
	if debounce != nil && until.IsZero() {
		until = now.Add(debounce.Delay)
	}
	if len(b.metadata) > MaxMetadata {
		return Trigger{}, fault.Newf(fault.TooLarge, "Metadata exceeds maximum size of %d bytes", MaxMetadata)
	}
	ttl, ttlText, err := b.ttl.checked()
	if err != nil {
		return Trigger{}, err
	}
	key := b.key
	var ok bool
	if key.TTL, ok = ParseKeyTTL(b.keyTTL); !ok {
		return Trigger{}, fault.New(fault.Invalid, NotADuration("idempotencyKeyTTL", b.keyTTL))
	}
	t := Trigger{
		Payload: b.payload, Context: b.context, Queue: b.queue, ConcurrencyKey: b.concurrencyKey,
		DelayUntil: until, TTL: ttl, TTLText: ttlText, Tags: filled(b.tags), Test: b.test, Key: key,
		Machine: b.machine, MaxAttempts: b.maxAttempts, MaxDuration: b.maxDuration, PriorityMS: b.priorityMS,
		Region: b.region, Version: b.version, External: b.external, Debounce: debounce,
		ParentID: ParentID(b.parentRun), ResumeParent: b.resumeParent,
	}
	if b.metadata != "" {
		t.Metadata = run.Packet{Data: b.metadata, Type: run.TypeJSON}
	}
	return t, nil
}

// ParentID is the internal id of a run that a client names as parent. Text that is
// no id at all stays as it is, and leads to no run.
func ParentID(friendly string) string {
	if internal, ok := id.Internal(id.Run, friendly); ok {
		return internal
	}
	return friendly
}

// filled drops blank tags.
func filled(tags []string) []string {
	var out []string
	for _, t := range tags {
		if strings.TrimSpace(t) != "" {
			out = append(out, t)
		}
	}
	return out
}

// until is the instant a delay ends: none when it is over.
func (d delay) until(now time.Time) (time.Time, error) {
	at := d.at
	if d.text != "" {
		var ok bool
		if at, ok = ParseWhen(d.text, now); !ok {
			return at, fault.New(fault.Invalid, NotAnInstant("delay", d.text))
		}
	}
	if !at.After(now) {
		return time.Time{}, nil
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// checked reads a time to live; text is how the run is shown to have it.
func (t timeToLive) checked() (d *time.Duration, text string, err error) {
	if t.text == "" {
		return t.number, t.shown(), nil
	}
	read, ok := deploy.ParseDuration(t.text)
	if !ok {
		return nil, "", fault.New(fault.Invalid, NotADuration("ttl", t.text))
	}
	return &read, t.text, nil
}

func (t timeToLive) shown() string {
	if t.number == nil || *t.number == 0 {
		return ""
	}
	return run.FormatTTL(*t.number)
}

// checked reads the durations of a debounce.
func (d *debounce) checked() (*Debounce, error) {
	if d == nil {
		return nil, nil
	}
	out := Debounce{Key: d.key, Trailing: d.mode == "trailing"}
	var ok bool
	if out.Delay, ok = deploy.ParseDuration(d.delay); !ok || out.Delay <= 0 {
		return nil, badDuration("delay", d.delay)
	}
	if d.maxDelay == "" {
		return &out, nil
	}
	if out.MaxDelay, ok = deploy.ParseDuration(d.maxDelay); !ok {
		return nil, badDuration("maxDelay", d.maxDelay)
	}
	if out.MaxDelay <= out.Delay {
		return nil, fault.Newf(fault.Invalid, "Invalid debounce maxDelay: %s. It must be longer than the delay of %s.", d.maxDelay, d.delay)
	}
	return &out, nil
}

func badDuration(name, text string) error {
	return fault.New(fault.Invalid, fmt.Sprintf("Invalid debounce %s: %s. ", name, text)+
		"Supported formats: {number}s, {number}m, {number}h, {number}d, {number}w")
}
