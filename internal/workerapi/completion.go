package workerapi

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"sear/internal/engine"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// completionRequest is how a worker says that an attempt ended.
type completionRequest struct {
	Completion completion `json:"completion"`
	Requeue    bool       `json:"forceRequeue"`
}

type completion struct {
	OK         *bool      `json:"ok"`
	Output     *string    `json:"output"`
	OutputType string     `json:"outputType"`
	Err        *run.Error `json:"error"`
	Retry      *struct {
		Delay float64 `json:"delay"` // milliseconds
	} `json:"retry"`
	Usage struct {
		Duration float64 `json:"durationMs"`
	} `json:"usage"`
	Metadata struct {
		Data json.RawMessage `json:"data"` // a string, when there is anything to say
		Type string          `json:"dataType"`
	} `json:"flushedMetadata"`
}

// Validate checks that the completion says how the attempt ended.
func (q *completionRequest) Validate() error {
	var p rest.Problems
	switch c := q.Completion; {
	case c.OK == nil:
		p.Add("completion.ok", "Required")
	case *c.OK:
	case c.Err == nil:
		p.Add("completion.error", "Required")
	default:
		checkError(&p, c.Err)
	}
	return p.Err()
}

// checkError refuses errors that those who wait for the run could not read.
func checkError(p *rest.Problems, e *run.Error) {
	switch e.Type {
	case run.BuiltIn, run.Custom, run.StringError:
	case run.Internal:
		if e.Code == "" {
			p.Add("completion.error.code", "Required")
		}
	default:
		p.Add("completion.error.type", "Invalid discriminator value. Expected 'BUILT_IN_ERROR' | 'CUSTOM_ERROR' | 'STRING_ERROR' | 'INTERNAL_ERROR'")
	}
	var causes []json.RawMessage
	if e.Causes != nil && json.Unmarshal(e.Causes, &causes) != nil {
		p.Add("completion.error.causes", "Expected array")
	}
}

// completion puts a request into the engine's words. A large output is stored
// before the attempt ends with it.
func (a *API) completion(ctx context.Context, env *tenant.Environment, runID string, q completionRequest) (done engine.Completion, err error) {
	c := q.Completion
	done.Requeue, done.Usage = q.Requeue, millis(c.Usage.Duration)
	edit, unreadable := metadataEdit(run.Packet{Data: text(c.Metadata.Data), Type: c.Metadata.Type})
	if unreadable != nil {
		a.log.Warn("metadata of a completed attempt cannot be read", "run", runID, "error", unreadable) // a result must not be lost over it
	}
	done.Metadata = edit
	if !*c.OK {
		done.Err = c.Err
		if c.Retry != nil {
			done.Retry = &run.Retry{Delay: millis(c.Retry.Delay)}
		}
		return done, nil
	}
	if c.Output != nil {
		output := run.Packet{Data: *c.Output, Type: cmp.Or(c.OutputType, run.TypeJSON)}
		done.Output, err = a.blobs.Offload(ctx, env.ID, output, a.engine.ExpectPacket)
	}
	return done, err
}

// mostMillis keeps durations far from overflow: a hundred years.
//
//limit:inside larger delays and durations of attempts are taken for it: a hundred years
const mostMillis = 100 * 365 * 24 * 3600 * 1000

// millis is a duration that a client gave in milliseconds.
func millis(ms float64) time.Duration {
	return time.Duration(min(max(ms, 0), mostMillis) * float64(time.Millisecond))
}

// text is what a JSON string says, "" for any other value.
func text(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

// metadataEdit reads the operations that a worker had not sent when its attempt ended.
func metadataEdit(p run.Packet) (run.MetadataEdit, error) {
	if p.Data == "" {
		return run.MetadataEdit{}, nil
	}
	var ops struct {
		Own    []run.Operation `json:"operations"`
		Parent []run.Operation `json:"parentOperations"`
		Root   []run.Operation `json:"rootOperations"`
	}
	err := json.Unmarshal(wire.Plain(p), &ops)
	return run.MetadataEdit{Own: ops.Own, Parent: ops.Parent, Root: ops.Root}, err
}
