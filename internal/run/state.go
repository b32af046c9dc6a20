package run

import (
	"encoding/json"
	"strings"
	"time"
)

// Exec is the execution status of a run's newest snapshot: where the run
// physically is. The names are on the wire of the worker protocol.
type Exec string

// The execution statuses.
const (
	Created          Exec = "RUN_CREATED" // parked until a worker version has the task
	Delayed          Exec = "DELAYED"
	Queued           Exec = "QUEUED"
	QueuedExecuting  Exec = "QUEUED_EXECUTING" // alive, its waits are over, waiting for its slot back
	PendingExecuting Exec = "PENDING_EXECUTING"
	Executing        Exec = "EXECUTING"
	Waiting          Exec = "EXECUTING_WITH_WAITPOINTS" // alive, blocked by at least one waitpoint
	Suspended        Exec = "SUSPENDED"                 // checkpointed away, blocked
	PendingCancel    Exec = "PENDING_CANCEL"
	Finished         Exec = "FINISHED"
)

// Execs lists every execution status in the order a run usually meets them.
var Execs = []Exec{Created, Delayed, Queued, PendingExecuting, Executing, Waiting, QueuedExecuting, Suspended, PendingCancel, Finished}

// Live reports whether a worker process holds the run in this state.
func (e Exec) Live() bool {
	return e == Executing || e == Waiting || e == QueuedExecuting
}

// WithWorker reports whether a worker answers for the run in this state: its deadline says
// until when the worker may be silent.
func (e Exec) WithWorker() bool {
	return e == PendingExecuting || e == PendingCancel || e.Live()
}

// Status is what the API shows, in upstream's internal vocabulary.
type Status string

// The statuses Sear writes.
const (
	StatusDelayed        Status = "DELAYED"
	StatusPending        Status = "PENDING"
	StatusPendingVersion Status = "PENDING_VERSION"
	StatusDequeued       Status = "DEQUEUED"
	StatusExecuting      Status = "EXECUTING"
	StatusRetrying       Status = "RETRYING_AFTER_FAILURE"
	StatusWaiting        Status = "WAITING_TO_RESUME"
	StatusCompleted      Status = "COMPLETED_SUCCESSFULLY"
	StatusFailed         Status = "COMPLETED_WITH_ERRORS"
	StatusCanceled       Status = "CANCELED"
	StatusCrashed        Status = "CRASHED"
	StatusSystemFailure  Status = "SYSTEM_FAILURE"
	StatusExpired        Status = "EXPIRED"
	StatusTimedOut       Status = "TIMED_OUT"
)

// Final reports whether a run of this status will never change again.
func (s Status) Final() bool {
	switch s {
	case StatusCompleted, StatusFailed, StatusCanceled, StatusCrashed, StatusSystemFailure, StatusExpired, StatusTimedOut:
		return true
	}
	return false
}

// ReleasesKey reports whether a run that ended like this gives up its
// idempotency key, so that the next trigger makes a new run.
func (s Status) ReleasesKey() bool {
	return s.Final() && s != StatusCompleted && s != StatusCanceled
}

// Packet is a payload or an output exactly as the client encoded it. It is
// never decoded here. The zero Packet means "no value".
type Packet struct {
	Data string // the encoded text, or a storage path when Type is TypeStore
	Type string // media type; "" with no data
}

// Media types of packets.
const (
	TypeJSON  = "application/json"
	TypeSuper = "application/super+json"
	TypeText  = "text/plain"
	TypeStore = "application/store" // Data is a path in the object store
)

// Lane is the line a run stands in: its queue and, when given, its concurrency
// key. Each lane has the whole limit of its queue.
type Lane struct{ Queue, Key string }

// String joins the lane for the database: the first colon separates.
func (l Lane) String() string {
	if l.Key == "" {
		return laneEscapes.Replace(l.Queue)
	}
	return laneEscapes.Replace(l.Queue) + ":" + l.Key
}

// A task's name, and so that of its queue, may have a colon in it.
var (
	laneEscapes   = strings.NewReplacer("%", "%25", ":", "%3A")
	laneUnescapes = strings.NewReplacer("%25", "%", "%3A", ":")
)

// ParseLane undoes String.
func ParseLane(s string) Lane {
	queue, key, _ := strings.Cut(s, ":")
	return Lane{Queue: laneUnescapes.Replace(queue), Key: key}
}

// TaskQueue is the implicit queue of a task that names none.
func TaskQueue(task string) string { return "task/" + task }

// Run is a run as decisions see it. Texts that no decision reads (payload,
// metadata, tags, trigger options) are in [Definition].
type Run struct {
	ID, EnvID, Task string

	// The newest snapshot. Seq grows by one with each; callers name it, so a
	// late caller is recognised.
	Exec    Exec
	Seq     int64
	Attempt int    // number of the newest attempt, 0 before the first
	Began   int64  // snapshot with which a worker process began, or went on with, that attempt
	Note    string // why the snapshot was written, in a short sentence
	WaitFor string // id of the batch the run waits for, while it does
	MovedAt time.Time

	Status  Status
	Reason  string // why the run is PENDING_VERSION
	Request string // idempotency key of the worker call that made the newest snapshot, to recognise its repetition

	Lane  Lane
	Score int64 // milliseconds; lowest first, and not before this instant
	Slot  bool  // counts against the limits of environment and lane
	Nacks int   // deliveries that failed for reasons outside the task

	Due time.Time // when [Deadline] must be decided; zero: never

	WorkerID, Version string // worker the run is locked to, from its first delivery or by option
	MaxAttempts       int    // 0: the task's
	MaxDuration       int    // seconds of execution; 0: the task's; Unlimited: none
	Machine           string // preset; "": the task's

	TTL time.Duration // how long it may stand in the queue before its first delivery; 0: for ever

	ParentID, RootID, BatchID string
	BatchIndex, Depth         int
	ResumeParent              bool // the parent waits for this run

	Usage time.Duration // time executing, without waits

	CreatedAt, UpdatedAt time.Time
	DelayUntil           time.Time
	QueuedAt             time.Time // first entry in the queue
	StartedAt            time.Time // first delivery to a worker
	ExecutedAt           time.Time // first attempt
	CompletedAt          time.Time
	ExpiredAt            time.Time

	Output Packet // set once, by success
	Err    *Error // set by failure, cancellation and expiry
}

// Unlimited is the maxDuration that means "no limit".
const Unlimited = 1<<31 - 1

// MaxAttempts is the number of attempts no run may exceed.
//
//limit:runs Attempts of a run, whatever its policy and its trigger say | attempts | it fails
const MaxAttempts = 250

// Definition is the part of a run that no decision reads.
type Definition struct {
	Payload  Packet
	Metadata Packet
	Seed     Packet // metadata as triggered, for replays
	Tags     []string
	Test     bool
	Key      IdempotencyKey
	CallKey  string // transport idempotency key of the trigger call
	Extra    Extra
}

// IdempotencyKey makes a second trigger of the same task answer with the first run.
type IdempotencyKey struct {
	Key       string
	Owner     string // whose key it is: a credential that does not share the environment's; "" for these
	ExpiresAt time.Time
}

// Text is the key as it is unique, and as OwnKey writes it.
func (k IdempotencyKey) Text() string { return OwnKey(k.Key, k.Owner) }

// OwnerLen is the length of an owner of keys, and KeyMark what parts a key from its owner.
const (
	OwnerLen = 32
	KeyMark  = "\x1f"
)

// OwnKey is a key by which whoever made a thing finds it again, as it is unique in its
// environment: an owner's key is none of the environment's, nor of another owner's. "" is no
// key, and an owner "" is the environment.
func OwnKey(key, owner string) string {
	if key == "" || owner == "" {
		return key
	}
	return key + KeyMark + owner
}

// SplitKey takes apart what OwnKey has put together.
func SplitKey(text string) (key, owner string) {
	if i := len(text) - OwnerLen - len(KeyMark); i > 0 && text[i:i+len(KeyMark)] == KeyMark {
		return text[:i], text[i+len(KeyMark):]
	}
	return text, ""
}

// Extra holds what is stored with a run only to be shown or handed on.
type Extra struct {
	Context      json.RawMessage   `json:"context,omitempty"`
	Trace        map[string]string `json:"trace,omitempty"` // W3C trace context of the run's root span
	ParentSpan   string            `json:"parentSpan,omitempty"`
	KeyOptions   *KeyOptions       `json:"keyOptions,omitempty"`
	Debounce     string            `json:"debounce,omitempty"`
	ReplayedFrom string            `json:"replayedFrom,omitempty"` // friendly run id
	Source       string            `json:"source,omitempty"`       // sdk, cli, api, schedule, …
	Region       string            `json:"region,omitempty"`
	TTL          string            `json:"ttl,omitempty"` // as the user wrote it
	PriorityMS   int64             `json:"priorityMs,omitempty"`
	ScheduleID   string            `json:"scheduleId,omitempty"`
	Streams      string            `json:"streams,omitempty"` // realtime streams version the SDK asked for

	ExternalDeployment string `json:"externalDeployment,omitempty"` // external id of the deployment the run belongs to, which a parked one waits for
}

// KeyOptions is the idempotency key as the user wrote it, for display.
type KeyOptions struct {
	Key   string `json:"key"`
	Scope string `json:"scope"`
}
