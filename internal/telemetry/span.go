package telemetry

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"sear/internal/run"
)

// Span is a stretch of time in the life of a run.
type Span struct {
	ID        string // 16 hexadecimal digits
	Parent    string // "" when there is none
	RunID     string
	Attempt   int // 0: the span of the run itself
	Message   string
	Start     time.Time
	End       time.Time // zero while it lasts
	Failed    bool
	Cancelled bool
	Events    []Event
}

// Event is what happened at an instant of a span.
type Event struct {
	Name       string
	Time       time.Time
	Properties map[string]any
}

// Names of events.
const (
	Exception     = "exception"
	Cancellation  = "cancellation"
	AttemptFailed = "attempt_failed"
)

// Partial reports whether the span lasts.
func (s Span) Partial() bool { return s.End.IsZero() }

// Duration is how long the span lasted, or lasts already.
func (s Span) Duration(now time.Time) time.Duration {
	end := s.End
	if end.IsZero() {
		end = now
	}
	return max(end.Sub(s.Start), 0)
}

// covers reports whether an instant is within the span.
func (s Span) covers(at time.Time) bool {
	return !at.Before(s.Start) && (s.End.IsZero() || !at.After(s.End))
}

// Step is a snapshot of a run.
type Step struct {
	Exec    run.Exec
	Status  run.Status
	Attempt int
	Note    string
	At      time.Time
}

// History is a run with all its snapshots, the newest at the end. Span is the span of
// the run itself and Parent the one that it hangs below; with neither they are derived
// from the run.
type History struct {
	Run          run.Run
	Span, Parent string
	Steps        []Step
}

// Spans are the span of the run and, below it, those of its attempts.
func (h History) Spans() []Span {
	r := h.Run
	whole := Span{ID: h.Span, Parent: h.Parent, RunID: r.ID, Message: r.Task, Start: r.CreatedAt}
	if whole.ID == "" {
		whole.ID = spanID(r.ID, 0)
	}
	attempts := h.attempts(whole.ID)
	for _, a := range attempts {
		for _, e := range a.Events {
			if e.Name == AttemptFailed {
				whole.Events = append(whole.Events, e)
			}
		}
	}
	if r.Exec == run.Finished {
		whole.End = r.CompletedAt
		whole.close(r)
	}
	return append([]Span{whole}, attempts...)
}

// attempts are the spans of the attempts that were begun.
func (h History) attempts(parent string) []Span {
	var out []Span
	var last Step
	for _, s := range h.Steps {
		open := len(out) > 0 && out[len(out)-1].Partial()
		if open {
			if a := &out[len(out)-1]; s.Exec == run.Finished {
				a.End = s.At
				a.close(h.Run)
			} else if gaveUp(last, s) {
				a.End, a.Failed = s.At, true
				a.Events = []Event{{AttemptFailed, s.At, map[string]any{"message": s.Note, "attemptNumber": a.Attempt}}}
			}
		}
		if s.Exec == run.Executing && s.Status == run.StatusExecuting && s.Attempt > last.Attempt {
			out = append(out, Span{ID: spanID(h.Run.ID, s.Attempt), Parent: parent, RunID: h.Run.ID, Attempt: s.Attempt,
				Message: "Attempt " + strconv.Itoa(s.Attempt), Start: s.At})
		}
		last = s
	}
	return out
}

// gaveUp reports whether a step ends an attempt without ending the run: it is to be
// retried, or its worker was lost. A run that was suspended queues as well, and goes on.
func gaveUp(before, s Step) bool {
	if s.Status == run.StatusRetrying {
		return true
	}
	return before.Exec != run.Suspended && (s.Exec == run.Queued || s.Exec == run.Delayed || s.Exec == run.Created)
}

// close tells how a run ended.
func (s *Span) close(r run.Run) {
	switch {
	case r.Status == run.StatusCanceled:
		s.Cancelled = true
		properties := map[string]any{}
		if r.Err != nil && text(r.Err) != "" {
			properties["reason"] = text(r.Err)
		}
		s.Events = append(s.Events, Event{Cancellation, s.End, properties})
	case r.Status != run.StatusCompleted:
		s.Failed = true
		if r.Err != nil {
			s.Events = append(s.Events, Event{Exception, s.End, map[string]any{"exception": exception(r.Err)}})
		}
	}
}

// exception is an error in the words of OpenTelemetry.
func exception(e *run.Error) map[string]any {
	out := map[string]any{"type": string(e.Type), "message": text(e)}
	if e.Name != "" {
		out["type"] = e.Name
	} else if e.Code != "" {
		out["type"] = string(e.Code)
	}
	if e.StackTrace != "" {
		out["stacktrace"] = e.StackTrace
	}
	return out
}

// text is what an error says.
func text(e *run.Error) string {
	if e.Message != "" {
		return e.Message
	}
	return e.Raw
}

// spanID derives the id of a span: always the same, and no other's.
func spanID(runID string, attempt int) string {
	sum := sha256.Sum256([]byte(runID + "/" + strconv.Itoa(attempt)))
	return hex.EncodeToString(sum[:8])
}
