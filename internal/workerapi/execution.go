package workerapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// taskExecution is all that the process of an attempt needs. User code sees most of
// it as ctx.
type taskExecution struct {
	Attempt      executionAttempt `json:"attempt"`
	Run          executionRun     `json:"run"`
	Task         executionTask    `json:"task"`
	Queue        executionQueue   `json:"queue"`
	Environment  executionEnv     `json:"environment"`
	Organization executionOrg     `json:"organization"`
	Project      executionProject `json:"project"`
	Machine      preset           `json:"machine"`
	Batch        *reference       `json:"batch,omitempty"`
}

type executionAttempt struct {
	Number    int    `json:"number"`
	StartedAt string `json:"startedAt"`
}

// executionRun is the run by its friendly id, with payload and metadata.
type executionRun struct {
	ID                  string            `json:"id"`
	Payload             string            `json:"payload"`
	PayloadType         string            `json:"payloadType"`
	Tags                []string          `json:"tags"`
	Test                bool              `json:"isTest"`
	Replay              bool              `json:"isReplay"`
	CreatedAt           string            `json:"createdAt"`
	StartedAt           string            `json:"startedAt"`
	IdempotencyKey      string            `json:"idempotencyKey,omitempty"`
	IdempotencyKeyScope string            `json:"idempotencyKeyScope,omitempty"`
	MaxAttempts         int               `json:"maxAttempts,omitempty"`
	Version             string            `json:"version"`
	Metadata            json.RawMessage   `json:"metadata,omitempty"`
	MaxDuration         int               `json:"maxDuration,omitempty"` // seconds; absent: no limit
	Priority            float64           `json:"priority,omitempty"`    // seconds
	ParentID            string            `json:"parentTaskRunId,omitempty"`
	RootID              string            `json:"rootTaskRunId,omitempty"` // absent on a root
	Region              string            `json:"region,omitempty"`
	DurationMS          int64             `json:"durationMs"`
	CostInCents         float64           `json:"costInCents"`
	BaseCostInCents     float64           `json:"baseCostInCents"`
	Trace               map[string]string `json:"traceContext"`
	Streams             string            `json:"realtimeStreamsVersion,omitempty"`
}

type executionTask struct {
	ID         string `json:"id"`
	FilePath   string `json:"filePath"`
	ExportName string `json:"exportName,omitempty"`
}

type executionQueue struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type executionEnv struct {
	ID     string         `json:"id"`
	Slug   string         `json:"slug"`
	Type   tenant.EnvType `json:"type"`
	Branch string         `json:"branchName,omitempty"`
}

type executionOrg struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

type executionProject struct {
	ID   string `json:"id"`
	Ref  string `json:"ref"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

func executionOfTask(env *tenant.Environment, a engine.Attempt) taskExecution {
	e := taskExecution{
		Attempt:      executionAttempt{a.Run.Attempt, wire.ISO(a.Run.MovedAt)},
		Run:          runOf(a),
		Task:         executionTask{ID: a.Run.Task},
		Queue:        executionQueue{queueID(env, a), a.Run.Lane.Queue},
		Environment:  executionEnv{env.ID, env.Slug, env.Type, env.Branch},
		Organization: executionOrg{env.Org.ID, env.Org.Slug, env.Org.Title},
		Project:      executionProject{env.Project.ID, env.Project.Ref, env.Project.Slug, env.Project.Name},
		Machine:      presetOf(a.Run.Machine),
	}
	if task := a.Worker.Manifest.Task(a.Run.Task); task != nil {
		e.Task.FilePath, e.Task.ExportName = task.FilePath, task.ExportName
	}
	if a.Run.BatchID != "" {
		e.Batch = &reference{id.Friendly(id.Batch, a.Run.BatchID)}
	}
	return e
}

func runOf(a engine.Attempt) executionRun {
	r, d := a.Run, a.Definition
	out := executionRun{
		ID:      id.Friendly(id.Run, r.ID),
		Payload: d.Payload.Data, PayloadType: cmp.Or(d.Payload.Type, run.TypeJSON),
		Tags: append([]string{}, d.Tags...), // never null
		Test: d.Test, Replay: d.Extra.ReplayedFrom != "",
		CreatedAt: wire.ISO(r.CreatedAt), StartedAt: wire.ISO(r.StartedAt),
		IdempotencyKey: d.Key.Key,
		MaxAttempts:    r.MaxAttempts,
		Version:        r.Version,
		Metadata:       json.RawMessage(d.Metadata.Data),
		Priority:       float64(d.Extra.PriorityMS) / 1000,
		Region:         d.Extra.Region,
		DurationMS:     r.Usage.Milliseconds(),
		Trace:          traceOf(d.Extra),
		Streams:        d.Extra.Streams,
	}
	if o := d.Extra.KeyOptions; o != nil {
		out.IdempotencyKey = o.Key
		if o.Scope == "run" || o.Scope == "attempt" || o.Scope == "global" { // another would make the answer unreadable
			out.IdempotencyKeyScope = o.Scope
		}
	}
	if r.MaxDuration != run.Unlimited {
		out.MaxDuration = r.MaxDuration
	}
	if r.ParentID != "" {
		out.ParentID = id.Friendly(id.Run, r.ParentID)
	}
	if r.RootID != r.ID {
		out.RootID = id.Friendly(id.Run, r.RootID)
	}
	return out
}

// traceOf is a run's trace context, which must be there even when it is empty.
func traceOf(x run.Extra) map[string]string {
	if x.Trace == nil {
		return map[string]string{}
	}
	return x.Trace
}

// queueID is the friendly id of a run's queue. A queue that no worker has declared
// gets one that depends on nothing but its name, so that it stays the same.
func queueID(env *tenant.Environment, a engine.Attempt) string {
	const prefix, length = "queue", 26
	if a.QueueID != "" {
		return id.Friendly(prefix, a.QueueID)
	}
	sum := sha256.Sum256([]byte(env.ID + "\x00" + a.Run.Lane.Queue))
	return id.Friendly(prefix, hex.EncodeToString(sum[:])[:length])
}
