package wire

import (
	"math"

	"sear/internal/rest"
)

// BatchBody is a batch that comes in one piece. The indexes of its items are their
// places.
type BatchBody struct {
	Items        []Item // no more than MaxBatch of them
	Size         int    // how many there are
	ParentID     string // internal id
	ResumeParent bool
}

// UnmarshalJSON decodes a body and names everything that is wrong with it in one
// error, a [fault.Malformed].
func (b *BatchBody) UnmarshalJSON(body []byte) error { return b.read(body, true) }

// TaskBatchBody is a BatchBody whose items are all of the task that the path names.
type TaskBatchBody struct{ BatchBody }

// UnmarshalJSON is that of [BatchBody].
func (b *TaskBatchBody) UnmarshalJSON(body []byte) error { return b.read(body, false) }

func (b *BatchBody) read(body []byte, named bool) error {
	var problems rest.Problems
	f, ok := formOf(body, &problems)
	if !ok {
		return problems.Err()
	}
	listed := false
	for k, v := range members(body) {
		switch k := string(k); k {
		case "items":
			listed = true
			b.Items, b.Size = f.items(k, v, named)
		case "parentRunId":
			b.ParentID = ParentID(f.text(k, v))
		case "resumeParentOnCompletion":
			b.ResumeParent = f.boolean(k, v)
		case "dependentAttempt": // attempts of the engine before this one, of which there are none
			f.text(k, v)
		}
	}
	if !listed {
		f.required("items")
	}
	return problems.Err()
}

// items reads a list of items; what is beyond MaxBatch is only counted.
func (f form) items(key string, v []byte, named bool) (out []Item, size int) {
	for f, v := range f.list(key, v, math.MaxInt) {
		if size++; size > MaxBatch {
			continue
		}
		item := Item{}
		if g, ok := f.object(key, v); ok {
			item = g.item(v, false, named)
		}
		item.Index = size - 1
		out = append(out, item)
	}
	return out, size
}

// TriggeredBatch answers a batch that came in one piece: with the ids of its runs, as the
// document has it, or for SDKs before the batches of two phases with more of each.
type TriggeredBatch[Member string | BatchMember] struct {
	ID             string   `json:"id"`
	BatchID        string   `json:"batchId"`
	IsCached       bool     `json:"isCached"`
	IdempotencyKey string   `json:"idempotencyKey,omitempty"`
	Runs           []Member `json:"runs"`
}

// BatchMember is a run of a TriggeredBatch.
type BatchMember struct {
	ID             string `json:"id"`
	TaskIdentifier string `json:"taskIdentifier"`
	IsCached       bool   `json:"isCached"`
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
}
