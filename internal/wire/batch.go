package wire

import (
	"sear/internal/deploy"
	"sear/internal/rest"
)

// MaxBatch is how many items a batch may have.
//
//limit:batches Items of a batch, and tasks that it names | items | 400 Batch runCount of … exceeds maximum allowed of {}.
const MaxBatch = 1000

// CreateBatchBody is the first phase of a batch trigger.
type CreateBatchBody struct {
	RunCount     int
	Tasks        []string // the task ids of the items, if the client says
	ParentID     string   // internal id
	ResumeParent bool
	Key          Key
}

// UnmarshalJSON decodes a body and names everything that is wrong with it in one
// error, a [fault.Malformed].
func (b *CreateBatchBody) UnmarshalJSON(body []byte) error {
	var problems rest.Problems
	f, ok := formOf(body, &problems)
	if !ok {
		return problems.Err()
	}
	counted := false
	for k, v := range members(body) {
		switch string(k) {
		case "runCount":
			counted = true
			b.RunCount = f.count("runCount", v, 1)
		case "taskIdentifiers":
			b.Tasks = f.tasks("taskIdentifiers", v)
		case "parentRunId":
			b.ParentID = ParentID(f.text("parentRunId", v))
		case "resumeParentOnCompletion":
			b.ResumeParent = f.boolean("resumeParentOnCompletion", v)
		case "idempotencyKey":
			b.Key.Text = f.key("idempotencyKey", v)
		case "idempotencyKeyOptions":
			b.Key.Options = f.keyOptions("idempotencyKeyOptions", v)
		}
	}
	if !counted {
		f.required("runCount")
	}
	return problems.Err()
}

// tasks reads a list of at least one task id, of which there may be as many as items.
func (f form) tasks(key string, v []byte) []string {
	var out []string
	for f, v := range f.list(key, v, MaxBatch) {
		out = append(out, f.task(key, v))
	}
	if v[0] == '[' && len(out) == 0 {
		f.add(key, "Array must contain at least 1 element(s)")
	}
	return out
}

// CreatedBatch answers the first phase.
type CreatedBatch struct {
	ID             string `json:"id"`
	RunCount       int    `json:"runCount"`
	IsCached       bool   `json:"isCached"`
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
}

// StreamedItems answers the second phase. With Sealed false the client sends
// everything again.
type StreamedItems struct {
	ID                string `json:"id"`
	ItemsAccepted     int    `json:"itemsAccepted"`
	ItemsDeduplicated int    `json:"itemsDeduplicated"`
	Sealed            bool   `json:"sealed"`
	EnqueuedCount     *int   `json:"enqueuedCount,omitempty"`
	ExpectedCount     *int   `json:"expectedCount,omitempty"`
	RunCount          int    `json:"runCount"`
}

// Triggered answers a trigger call.
type Triggered struct {
	ID       string `json:"id"`
	IsCached bool   `json:"isCached"`
}

// ResetKeyBody is the body of an idempotency key's reset.
type ResetKeyBody struct {
	TaskIdentifier string `json:"taskIdentifier"`
}

// Validate demands the task.
func (b *ResetKeyBody) Validate() error {
	var problems rest.Problems
	if !deploy.ValidTaskID(b.TaskIdentifier) {
		problems.Add("taskIdentifier", "Task identifier is required")
	}
	return problems.Err()
}
