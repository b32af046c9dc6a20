package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sear/internal/fault"
	"sear/internal/run"
)

// Manifest is what the CLI registers: the metadata of POST …/background-workers.
type Manifest struct {
	PackageVersion string       `json:"packageVersion"`
	CLIVersion     string       `json:"cliPackageVersion,omitempty"`
	ContentHash    string       `json:"contentHash"`
	Tasks          []Task       `json:"tasks"`
	Queues         []Queue      `json:"queues,omitempty"`
	SourceFiles    []SourceFile `json:"sourceFiles,omitempty"`
	Runtime        string       `json:"runtime,omitempty"`
	RuntimeVersion string       `json:"runtimeVersion,omitempty"`

	text  string // as it is stored, once it is packed
	index names  // once it is made
}

// Limits of a manifest. Storing one and declaring what is in it is one transaction, so each
// is refused before that.
const (
	// MaxTasks is how many tasks a manifest may have: fault.Malformed.
	//
	//limit:builds Tasks of a build | tasks | 400 tasks: … are too many, a build can have {}
	MaxTasks = 3000
	// MaxQueues is how many queues a manifest may declare beside its tasks': fault.Malformed.
	//
	//limit:builds Queues that a build declares beside those of its tasks | queues | 400 queues: … are too many, a build can have {}
	MaxQueues = 3000
	// MaxSchedules is how many tasks of a manifest may declare a schedule: fault.Malformed.
	//
	//limit:builds Tasks of a build that declare a schedule | tasks | 400 schedules of tasks: … are too many, a build can have {}
	MaxSchedules = 1000
	// MaxManifest is how many bytes a manifest may have without its source files, which
	// nothing needs: fault.TooLarge.
	//
	//limit:builds What a build declares, without its source files | bytes | 413 tasks and queues have … bytes: a build can have {} beside its source files
	MaxManifest = 4 << 20
)

// Task is one task of a worker.
type Task struct {
	ID            string          `json:"id"`
	FilePath      string          `json:"filePath"`
	EntryPoint    string          `json:"entryPoint,omitempty"`
	ExportName    string          `json:"exportName,omitempty"`
	Description   string          `json:"description,omitempty"`
	Queue         *Queue          `json:"queue,omitempty"`
	Retry         *run.Policy     `json:"retry,omitempty"`
	Machine       *Machine        `json:"machine,omitempty"`
	MaxDuration   float64         `json:"maxDuration,omitempty"` // seconds
	TTL           json.RawMessage `json:"ttl,omitempty"`         // duration text or seconds
	TriggerSource string          `json:"triggerSource,omitempty"`
	Schedule      *Schedule       `json:"schedule,omitempty"`
	PayloadSchema json.RawMessage `json:"payloadSchema,omitempty"`
}

// Queue is a queue a worker declares. A nil limit is none.
type Queue struct {
	Name  string `json:"name,omitempty"`
	Limit *int   `json:"concurrencyLimit,omitempty"`
}

// Machine is the machine a task asks for.
type Machine struct {
	Preset string `json:"preset,omitempty"`
}

// Schedule is a declarative schedule.
type Schedule struct {
	Cron         string          `json:"cron"`
	Timezone     string          `json:"timezone,omitempty"`
	Environments []string        `json:"environments,omitempty"`
	Window       json.RawMessage `json:"window,omitempty"`
}

// SourceFile is a file of the build, deflated and base64 encoded as the CLI sends it.
type SourceFile struct {
	Contents    string   `json:"contents"`
	FilePath    string   `json:"filePath"`
	ContentHash string   `json:"contentHash"`
	TaskIDs     []string `json:"taskIds,omitempty"`
}

// maxQueueLimit is the largest concurrency limit a queue may declare.
//
//limit:queues The concurrency limit of a queue, as declared | runs | 400 queue …: concurrencyLimit must be between 0 and {}
const maxQueueLimit = 100_000

// checkAmounts refuses lists that are too long.
func (m *Manifest) checkAmounts() error {
	schedules := 0
	for i := range m.Tasks {
		if m.Tasks[i].Schedule != nil {
			schedules++
		}
	}
	for _, list := range []struct {
		name    string
		n, most int
	}{{"tasks", len(m.Tasks), MaxTasks}, {"queues", len(m.Queues), MaxQueues}, {"schedules of tasks", schedules, MaxSchedules}} {
		if list.n > list.most {
			return fault.Newf(fault.Malformed, "%s: %d are too many, a build can have %d", list.name, list.n, list.most)
		}
	}
	return nil
}

// Pack lets go of the source files and makes the text that is stored. Nothing may change
// the manifest afterwards. fault.TooLarge: it has more than MaxManifest bytes.
func (m *Manifest) Pack() error {
	if m.text != "" {
		return nil
	}
	m.SourceFiles = nil
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(text) > MaxManifest {
		return fault.Newf(fault.TooLarge, "tasks and queues have %d bytes: a build can have %d beside its source files", len(text), MaxManifest)
	}
	m.text = string(text)
	m.Index()
	return nil
}

// Packed is the text of a manifest that Pack was called for.
func (m *Manifest) Packed() string { return m.text }

// maxProblems is how many problems of a manifest are named.
//
//limit:builds Problems of a build that are named | problems | further ones are not named
const maxProblems = 20

// Validate says what is wrong with a manifest, naming every problem, up to a bound. Of lists
// that are too long it names the first.
func (m *Manifest) Validate() error {
	if err := m.checkAmounts(); err != nil {
		return err
	}
	var problems []string
	seen := map[string]bool{}
	for i, t := range m.Tasks {
		switch {
		case t.ID == "":
			problems = append(problems, fmt.Sprintf("tasks[%d]: id is required", i))
		case !ValidTaskID(t.ID):
			problems = append(problems, fmt.Sprintf("tasks[%d]: id must have at most %d bytes and no null characters", i, MaxTaskID))
		case seen[t.ID]:
			problems = append(problems, fmt.Sprintf("Duplicate task id: %s", t.ID))
		case t.FilePath == "":
			problems = append(problems, fmt.Sprintf("task %s: filePath is required", t.ID))
		}
		seen[t.ID] = true
		if t.Schedule != nil && strings.TrimSpace(t.Schedule.Cron) == "" {
			problems = append(problems, fmt.Sprintf("task %s: CRON expression is required", t.ID))
		}
		if _, _, err := t.timeToLive(); err != nil {
			problems = append(problems, err.Error())
		}
	}
	for _, q := range m.AllQueues() {
		if q.Limit != nil && (*q.Limit < 0 || *q.Limit > maxQueueLimit) {
			problems = append(problems, fmt.Sprintf("queue %s: concurrencyLimit must be between 0 and %d", q.Name, maxQueueLimit))
		}
	}
	if m.ContentHash == "" {
		problems = append(problems, "contentHash is required")
	}
	for _, text := range []struct{ name, value string }{{"contentHash", m.ContentHash}, {"packageVersion", m.PackageVersion},
		{"cliPackageVersion", m.CLIVersion}, {"runtime", m.Runtime}, {"runtimeVersion", m.RuntimeVersion}} {
		if strings.IndexByte(text.value, 0) >= 0 {
			problems = append(problems, text.name+" must have no null characters")
		}
	}
	if len(problems) > 0 {
		return fault.New(fault.Malformed, strings.Join(problems[:min(len(problems), maxProblems)], "; "))
	}
	return nil
}

// ReadManifest decodes a manifest and checks it.
func ReadManifest(text []byte) (m Manifest, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		var mismatch *json.UnmarshalTypeError
		if errors.As(err, &mismatch) {
			return m, fault.Newf(fault.Malformed, "metadata.%s: a %s is not what belongs there", mismatch.Field, mismatch.Value)
		}
		return m, fault.Wrap(fault.Malformed, err, "metadata is not valid JSON")
	}
	return m, m.Validate()
}

// names find what a manifest has by its name.
type names struct {
	tasks  map[string]int
	queues map[string]int
	all    []Queue
}

// Index prepares a manifest for being asked often. Nothing may change it afterwards.
func (m *Manifest) Index() {
	n := names{tasks: make(map[string]int, len(m.Tasks))}
	for i := range m.Tasks {
		if _, twice := n.tasks[m.Tasks[i].ID]; !twice {
			n.tasks[m.Tasks[i].ID] = i
		}
	}
	n.all, n.queues = m.allQueues()
	m.index = n
}

// Task finds a task by its id; nil when the worker does not have it.
func (m *Manifest) Task(id string) *Task {
	if m.index.tasks != nil {
		i, ok := m.index.tasks[id]
		if !ok {
			return nil
		}
		return &m.Tasks[i]
	}
	i := slices.IndexFunc(m.Tasks, func(t Task) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return &m.Tasks[i]
}

// Scheduled reports whether schedules may trigger the task.
func (t *Task) Scheduled() bool { return t.TriggerSource == "schedule" }

// QueueName is the queue a task's runs go to when the trigger names none.
func (t *Task) QueueName() string {
	if t.Queue != nil {
		if name := CleanQueueName(t.Queue.Name); name != "" {
			return name
		}
	}
	return implicitQueue + t.ID
}

// implicitQueue begins the name of the queue of a task that names none.
const implicitQueue = "task/"

// Implicit reports whether a queue exists only because its task does.
func Implicit(queue string) bool { return strings.HasPrefix(queue, implicitQueue) }

// AllQueues is every queue the worker knows: the declared ones and one per task, each once.
func (m *Manifest) AllQueues() []Queue {
	if m.index.queues != nil {
		return m.index.all
	}
	all, _ := m.allQueues()
	return all
}

// allQueues is AllQueues, and the place of each in it.
func (m *Manifest) allQueues() (out []Queue, at map[string]int) {
	at = make(map[string]int, len(m.Queues)+len(m.Tasks))
	add := func(name string, limit *int) {
		if i, ok := at[name]; !ok {
			at[name] = len(out)
			out = append(out, Queue{Name: name, Limit: limit})
		} else if out[i].Limit == nil {
			out[i].Limit = limit
		}
	}
	for _, q := range m.Queues {
		if name := CleanQueueName(q.Name); name != "" {
			add(name, q.Limit)
		}
	}
	for _, t := range m.Tasks {
		var limit *int
		if t.Queue != nil {
			limit = t.Queue.Limit
		}
		add(t.QueueName(), limit)
	}
	return out, at
}

// HasQueue reports whether a queue is one of AllQueues.
func (m *Manifest) HasQueue(name string) bool {
	at := m.index.queues
	if at == nil {
		_, at = m.allQueues()
	}
	_, ok := at[name]
	return ok
}

// maxQueueName is the length a queue name is cut to.
//
//limit:queues The name of a queue | characters | it is cut
const maxQueueName = 128

// MaxTaskID is the length of a task's id in bytes.
//
//limit:runs The id of a task | bytes | 400 A task id must have between 1 and {} bytes
const MaxTaskID = 512

// ValidTaskID reports whether a text can be the id of a task.
func ValidTaskID(s string) bool {
	return s != "" && len(s) <= MaxTaskID && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// CleanQueueName drops the characters a queue name may not have, as upstream does. The name
// of a task's own queue is the task's to choose.
func CleanQueueName(name string) string {
	if task, own := strings.CutPrefix(name, implicitQueue); own && ValidTaskID(task) {
		return name
	}
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '/':
			return c
		}
		return -1
	}, name)
	return clean[:min(len(clean), maxQueueName)]
}
