// Package why says why a run does not execute: a pure function of what is known of the run
// and its surroundings. It follows the rules by which the engine deals slots.
package why

import (
	"fmt"
	"strings"
	"time"

	"sear/internal/deploy"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/wire"
)

// Kind is what sort of thing holds a run up.
type Kind string

// The kinds of causes.
const (
	Held        Kind = "held" // the whole server waits to be resumed after a restore
	EnvPaused   Kind = "environment-paused"
	QueuePaused Kind = "queue-paused"
	EnvLimit    Kind = "environment-limit" // as many runs execute as the environment may execute
	QueueLimit  Kind = "queue-limit"
	KeyBusy     Kind = "key-busy" // the queue's limit holds for each concurrency key
	Delayed     Kind = "delayed"
	Retrying    Kind = "retrying" // it failed, or was lost, and is tried again later
	NoWorker    Kind = "no-worker"
	NoVersion   Kind = "no-version"
	Session     Kind = "other-session" // another command line of the environment is to take it
	Token       Kind = "token"
	Child       Kind = "child"
	Batch       Kind = "batch"
	Time        Kind = "time"
	Behind      Kind = "behind" // others of its queue go first
	Next        Kind = "next"   // nothing: the next worker that asks gets it
	Canceling   Kind = "canceling"
)

// Cause is one thing that holds a run up. Which of the optional fields are there follows
// from the kind.
type Cause struct {
	Kind    Kind     `json:"kind"`
	Message string   `json:"message"`
	Queue   string   `json:"queue,omitempty"`
	Key     string   `json:"concurrencyKey,omitempty"`
	Limit   int      `json:"limit,omitempty"`
	Running int      `json:"running,omitempty"` // runs that hold the slots
	Runs    []string `json:"runs,omitempty"`    // some of them, or the one that is waited for
	Until   string   `json:"until,omitempty"`
	Token   string   `json:"waitpoint,omitempty"`
	Batch   string   `json:"batch,omitempty"`
	Reason  string   `json:"reason,omitempty"` // code of a missing version
}

// Answer says what a run is doing and, when it does not execute, why: the first cause is
// the one that holds it up even if the others were gone.
type Answer struct {
	ID        string  `json:"id"`
	Status    string  `json:"status"`
	Executing bool    `json:"executing"`
	Sentence  string  `json:"sentence"`
	Causes    []Cause `json:"causes"`
	Position  int     `json:"position,omitempty"`       // in its queue, 1 for the next
	Start     string  `json:"estimatedStart,omitempty"` // from how long the queue's newest runs took
}

// Holders are runs that hold slots: how many, and the ids of some.
type Holders struct {
	N    int
	Runs []string
}

// Wait is a waitpoint that is not complete. One of the first four fields is set.
type Wait struct {
	Run, Token, Batch string // friendly ids
	Until             time.Time
	Timeout           time.Time // of a token; zero: none
	Done, All         int       // runs of a batch
}

// Facts are what an answer follows from.
type Facts struct {
	ID        string // friendly
	Run       run.Run
	Now       time.Time
	Held      bool
	EnvPaused bool
	Limit     int // of the environment
	Queue     queue.Settings
	Env, Lane Holders
	Missing   string          // code of the reason for which no version takes the run; "": there is one
	Dev       bool            // its environment is a development environment
	Session   string          // version of the older worker that is there for it, as the newest has not its task; "": none
	Seen      time.Time       // when a worker of the environment was last heard of; zero: never
	Waits     []Wait          // what a waiting run waits for
	Ahead     int             // runs of its lane that go before it
	Durations []time.Duration // of its queue's newest finished runs
}

// Explain says why a run does not execute. version is that of the API whose names of
// statuses are used.
func Explain(f Facts, version string) Answer {
	a := Answer{ID: f.ID, Status: wire.StatusName(f.Run.Status, version), Causes: []Cause{}}
	switch r := f.Run; r.Exec {
	case run.Finished:
		a.Sentence = "It is over: " + a.Status + end(r) + "."
	case run.PendingExecuting:
		a.Executing = true
		a.Sentence = "A worker has it since " + stamp(r.MovedAt) + " and is about to start attempt " + fmt.Sprint(r.Attempt+1) + "."
	case run.Executing:
		a.Executing = true
		a.Sentence = fmt.Sprintf("It executes: attempt %d, since %s, in version %s.", r.Attempt, stamp(r.MovedAt), r.Version)
	case run.PendingCancel:
		a.Causes = []Cause{{Kind: Canceling, Message: "it is being canceled: its worker has until " + stamp(r.Due) + " to confirm", Until: stamp(r.Due)}}
	case run.Delayed:
		a.Causes = []Cause{{Kind: Delayed, Message: "it is delayed until " + stamp(r.DelayUntil), Until: stamp(r.DelayUntil)}}
	case run.Created:
		a.Causes = []Cause{f.missing(r.Reason)}
	case run.Waiting, run.Suspended:
		a.Causes = waiting(f)
	case run.QueuedExecuting:
		a.Causes = f.slots()
		if len(a.Causes) == 0 {
			a.Causes = []Cause{{Kind: Next, Message: "what it waited for is over and it gets its slot back at any moment"}}
		}
	default:
		a.Causes = f.queued()
		a.Position = f.Ahead + 1
		a.Start = f.estimate(a.Causes)
	}
	if a.Sentence == "" {
		a.Sentence = sentence(a.Causes)
	}
	return a
}

// sentence joins causes.
func sentence(causes []Cause) string {
	texts := make([]string, len(causes))
	for i, c := range causes {
		texts[i] = c.Message
	}
	return "It does not execute because " + strings.Join(texts, "; and ") + "."
}

func end(r run.Run) string {
	at := r.CompletedAt
	if at.IsZero() {
		at = r.ExpiredAt
	}
	if at.IsZero() {
		return ""
	}
	return " at " + stamp(at)
}

// queued are the causes of a run that stands in its queue, in the order in which they
// would have to go.
func (f Facts) queued() []Cause {
	var list []Cause
	r := f.Run
	if f.Held {
		list = append(list, Cause{Kind: Held, Message: "the server was restored from a backup and waits for `sear resume`"})
	}
	if ready := time.UnixMilli(r.Score); ready.After(f.Now) {
		what := Cause{Kind: Retrying, Until: stamp(ready), Message: fmt.Sprintf("attempt %d failed and the next one begins at %s", r.Attempt, stamp(ready))}
		if r.Nacks > 0 {
			what.Message = fmt.Sprintf("%d workers took it and did not start it; it is handed out again at %s", r.Nacks, stamp(ready))
		} else if r.Attempt == 0 {
			what = Cause{Kind: Delayed, Until: stamp(ready), Message: "it may not go before " + stamp(ready)}
		}
		list = append(list, what)
	}
	if f.EnvPaused {
		list = append(list, Cause{Kind: EnvPaused, Message: "its environment is paused"})
	}
	if f.Queue.Paused {
		list = append(list, Cause{Kind: QueuePaused, Message: "its queue " + r.Lane.Queue + " is paused", Queue: r.Lane.Queue})
	}
	if f.Missing != "" {
		list = append(list, f.missing(f.Missing))
	}
	if f.Now.Sub(f.Seen) > deploy.PresentFor {
		c := Cause{Kind: NoWorker, Message: "no worker of its environment is connected"}
		if !f.Seen.IsZero() {
			c.Message += ": the last one was heard of at " + stamp(f.Seen)
		}
		list = append(list, c)
	}
	if f.Session != "" {
		list = append(list, Cause{Kind: Session, Message: fmt.Sprintf("the newest version of its environment has no task %s: an older session is connected that has it, "+
			"version %s, and gets it when it asks; `trigger.dev dev --branch NAME` gives each session an environment of its own", r.Task, f.Session)})
	}
	list = append(list, f.slots()...)
	if f.Ahead > 0 {
		list = append(list, Cause{Kind: Behind, Message: count(f.Ahead, "run") + " of its queue " + verb(f.Ahead, "goes", "go") + " before it", Queue: r.Lane.Queue, Key: r.Lane.Key})
	}
	if len(list) == 0 {
		list = append(list, Cause{Kind: Next, Message: "it is the next of its queue and no worker has asked for it yet"})
	}
	return list
}

// slots are the limits that are reached, the narrower one first.
func (f Facts) slots() []Cause {
	var list []Cause
	lane := f.Run.Lane
	if limit := f.Queue.Limit(f.Limit); limit != nil && f.Lane.N >= *limit {
		c := Cause{Kind: QueueLimit, Queue: lane.Queue, Limit: *limit, Running: f.Lane.N, Runs: f.Lane.Runs,
			Message: fmt.Sprintf("its queue %s executes %d of at most %s: %s", lane.Queue, f.Lane.N, count(*limit, "run"), some(f.Lane))}
		if lane.Key != "" {
			c.Kind, c.Key = KeyBusy, lane.Key
			c.Message = fmt.Sprintf("its concurrency key %q is busy: %d of at most %s: %s", lane.Key, f.Lane.N, count(*limit, "run"), some(f.Lane))
		}
		list = append(list, c)
	}
	if f.Env.N >= f.Limit {
		list = append(list, Cause{Kind: EnvLimit, Limit: f.Limit, Running: f.Env.N, Runs: f.Env.Runs,
			Message: fmt.Sprintf("its environment executes %d of at most %s: %s", f.Env.N, count(f.Limit, "run"), some(f.Env))})
	}
	return list
}

// waiting are the waitpoints of a run that waits.
func waiting(f Facts) []Cause {
	var list []Cause
	for _, w := range f.Waits {
		switch {
		case w.Run != "":
			list = append(list, Cause{Kind: Child, Message: "it waits for its child " + w.Run, Runs: []string{w.Run}})
		case w.Batch != "":
			list = append(list, Cause{Kind: Batch, Message: fmt.Sprintf("it waits for batch %s, of which %d of %s are over", w.Batch, w.Done, count(w.All, "run")), Batch: w.Batch})
		case w.Token != "":
			c := Cause{Kind: Token, Message: "it waits for token " + w.Token + " to be completed", Token: w.Token, Until: stamp(w.Timeout)}
			if c.Until != "" {
				c.Message += " or to time out at " + c.Until
			}
			list = append(list, c)
		default:
			list = append(list, Cause{Kind: Time, Message: "it waits until " + stamp(w.Until), Until: stamp(w.Until)})
		}
	}
	if len(list) == 0 {
		list = append(list, Cause{Kind: Next, Message: "what it waited for is over and it goes on at any moment"})
	}
	return list
}

// missing is the cause of a run that no version takes.
func (f Facts) missing(reason string) Cause {
	r := f.Run
	c := Cause{Kind: NoVersion, Reason: reason, Message: "no version of its environment can take it (" + reason + ")"}
	switch reason {
	case run.ExternalPending:
		c.Message = "it belongs to a deployment that does not exist yet"
		if c.Until = stamp(r.Due); c.Until != "" {
			c.Message += " and is waited for until " + c.Until
		}
	case run.NoWorker:
		c.Message = "its environment has no version: start the dev command or deploy"
	case "TASK_NOT_IN_LATEST":
		c.Message = "the newest version of its environment has no task " + r.Task
		if f.Dev {
			c.Message += ", nor has any session that is connected; `trigger.dev dev --branch NAME` gives the session of another project an environment of its own"
		}
	case "QUEUE_NOT_FOUND":
		c.Message = "no version of its environment declares the queue " + r.Lane.Queue
	}
	return c
}

// estimate is when a run starts if those before it take as long as the queue's newest
// runs did: its lane works on as many at once as it may, so it is served in the round
// after those that fit before it. Nothing is said while something else than others holds it up.
func (f Facts) estimate(causes []Cause) string {
	for _, c := range causes {
		switch c.Kind {
		case EnvLimit, QueueLimit, KeyBusy, Behind, Next:
		default:
			return ""
		}
	}
	if len(f.Durations) == 0 {
		return ""
	}
	slots := f.Limit
	if l := f.Queue.Limit(f.Limit); l != nil {
		slots = *l
	}
	if slots <= 0 {
		return ""
	}
	var sum time.Duration
	for _, d := range f.Durations {
		sum += d
	}
	mean := sum / time.Duration(len(f.Durations))
	rounds := (f.Ahead + f.Lane.N) / slots
	if f.Limit > 0 && f.Env.N >= f.Limit { // nor before those of other queues
		rounds = max(rounds, (f.Ahead+f.Env.N)/f.Limit)
	}
	return stamp(f.Now.Add(time.Duration(rounds) * mean))
}

// some names the holders of slots.
func some(h Holders) string {
	text := strings.Join(h.Runs, ", ")
	if rest := h.N - len(h.Runs); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

func count(n int, what string) string {
	return fmt.Sprintf("%d %s", n, verb(n, what, what+"s"))
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// stamp writes an instant as the API does; "" for none.
func stamp(t time.Time) string { return wire.ISO(t) }
