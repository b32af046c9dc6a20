package wire

import "sear/internal/run"

// CurrentVersion is the value of the header x-trigger-api-version of SDKs that know
// the current names of statuses.
const CurrentVersion = "2025-07-16"

// VersionHeader says which names of statuses a caller knows.
const VersionHeader = "X-Trigger-Api-Version"

// statusNames are the names of each status: for callers of the current version, and
// for all others.
var statusNames = map[run.Status][2]string{
	run.StatusDelayed:        {"DELAYED", "DELAYED"},
	run.StatusPending:        {"QUEUED", "QUEUED"},
	run.StatusPendingVersion: {"PENDING_VERSION", "PENDING_VERSION"},
	run.StatusDequeued:       {"DEQUEUED", "EXECUTING"},
	run.StatusExecuting:      {"EXECUTING", "EXECUTING"},
	run.StatusRetrying:       {"EXECUTING", "REATTEMPTING"},
	run.StatusWaiting:        {"WAITING", "FROZEN"},
	run.StatusCompleted:      {"COMPLETED", "COMPLETED"},
	run.StatusFailed:         {"FAILED", "FAILED"},
	run.StatusCanceled:       {"CANCELED", "CANCELED"},
	run.StatusCrashed:        {"CRASHED", "CRASHED"},
	run.StatusSystemFailure:  {"SYSTEM_FAILURE", "SYSTEM_FAILURE"},
	run.StatusExpired:        {"EXPIRED", "EXPIRED"},
	run.StatusTimedOut:       {"TIMED_OUT", "TIMED_OUT"},
}

// StatusName is what the API calls a status. version is the caller's [VersionHeader];
// without the current one the caller gets the names of before.
func StatusName(s run.Status, version string) string {
	names := statusNames[s]
	if version == CurrentVersion {
		return names[0]
	}
	return names[1]
}

// statusFilters are the statuses that a name in a filter means, in either vocabulary.
var statusFilters = map[string][]run.Status{
	"DELAYED":            {run.StatusDelayed},
	"QUEUED":             {run.StatusPending},
	"PENDING_VERSION":    {run.StatusPendingVersion},
	"WAITING_FOR_DEPLOY": {run.StatusPendingVersion},
	"DEQUEUED":           {run.StatusDequeued},
	"EXECUTING":          {run.StatusExecuting},
	"REATTEMPTING":       {run.StatusRetrying},
	"WAITING":            {run.StatusWaiting},
	"FROZEN":             {run.StatusWaiting},
	"COMPLETED":          {run.StatusCompleted},
	"FAILED":             {run.StatusFailed},
	"INTERRUPTED":        {}, // nothing is interrupted any more
	"CANCELED":           {run.StatusCanceled},
	"CRASHED":            {run.StatusCrashed},
	"SYSTEM_FAILURE":     {run.StatusSystemFailure},
	"EXPIRED":            {run.StatusExpired},
	"TIMED_OUT":          {run.StatusTimedOut},
}

// StatusFilter is the statuses that the API's name for one selects; ok is false for
// a name of neither vocabulary.
func StatusFilter(name string) (statuses []run.Status, ok bool) {
	statuses, ok = statusFilters[name]
	return statuses, ok
}

// Flags are the helpers that each run carries beside its status.
type Flags struct {
	IsQueued    bool `json:"isQueued"`
	IsExecuting bool `json:"isExecuting"`
	IsWaiting   bool `json:"isWaiting"`
	IsCompleted bool `json:"isCompleted"`
	IsSuccess   bool `json:"isSuccess"`
	IsFailed    bool `json:"isFailed"`
	IsCancelled bool `json:"isCancelled"`
}

// FlagsOf are the helpers of a status by its name in the caller's vocabulary.
// Upstream forgets EXPIRED and TIMED_OUT among the completed, which lets its own
// client poll such runs for ever.
func FlagsOf(name string) Flags {
	var f Flags
	switch name {
	case "QUEUED", "DELAYED", "PENDING_VERSION":
		f.IsQueued = true
	case "DEQUEUED", "EXECUTING", "REATTEMPTING", "FROZEN":
		f.IsExecuting = true
	case "WAITING":
		f.IsWaiting = true
	case "COMPLETED":
		f.IsCompleted, f.IsSuccess = true, true
	default:
		f.IsCompleted, f.IsFailed = true, true
		f.IsCancelled = name == string(run.StatusCanceled)
	}
	return f
}
