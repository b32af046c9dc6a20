package run

import (
	"math"
	"time"
)

// warmRetry: a shorter wait than this is spent on the same worker process.
const warmRetry = 30 * time.Second

// stallRetry is the wait before a run of a vanished worker is tried again.
const stallRetry = 250 * time.Millisecond

// Retry is the SDK's own decision to try again after a delay.
type Retry struct{ Delay time.Duration }

// Policy is a task's retry settings, in the manifest's words. Absent values have upstream's defaults.
type Policy struct {
	MaxAttempts *int     `json:"maxAttempts,omitempty"`
	Factor      *float64 `json:"factor,omitempty"`
	MinTimeout  *float64 `json:"minTimeoutInMs,omitempty"`
	MaxTimeout  *float64 `json:"maxTimeoutInMs,omitempty"`
	Randomize   *bool    `json:"randomize,omitempty"`
	OutOfMemory *struct {
		Machine string `json:"machine,omitempty"`
	} `json:"outOfMemory,omitempty"`
}

// Delay is the wait after the given attempt; ok is false when the policy allows no further one.
func (p *Policy) Delay(attempt int, jitter float64) (d time.Duration, ok bool) {
	if attempt >= value(p.MaxAttempts, 3) {
		return 0, false
	}
	ms := value(p.MinTimeout, 1000) * math.Pow(value(p.Factor, 2), float64(attempt-1))
	if value(p.Randomize, true) {
		ms *= 1 + jitter
	}
	ms = math.Round(min(ms, value(p.MaxTimeout, 60_000)))
	return time.Duration(max(ms, 0)) * time.Millisecond, true
}

func (p *Policy) biggerMachine() string {
	if p == nil || p.OutOfMemory == nil {
		return ""
	}
	return p.OutOfMemory.Machine
}

func value[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

// again is how the next attempt comes about.
type again struct {
	after   time.Duration
	requeue bool
	machine string
}

// nextAttempt decides, in upstream's order, whether a failed run gets another attempt.
func nextAttempt(r Run, c Fail, x Ctx) (again, bool) {
	stalled := c.Err.Code == CodeStalled || c.Err.Code == CodeStalledWaiting
	if c.Err.outOfMemory() {
		machine := c.Policy.biggerMachine()
		if machine == "" || r.Machine == "" || r.Machine == machine {
			return again{}, false
		}
		after, ok := c.Policy.Delay(r.Attempt, x.Jitter)
		return again{after, true, machine}, ok
	}
	switch {
	case c.Err.Type == Internal && finalCodes[c.Err.Code],
		r.Attempt >= MaxAttempts,
		r.Attempt >= r.MaxAttempts, // also when no attempts are allowed at all
		stalled && x.Dev:
		return again{}, false
	case stalled:
		return again{stallRetry, true, r.Machine}, true
	case c.Retry != nil:
		return again{max(c.Retry.Delay, 0), c.Requeue, r.Machine}, true
	case c.Err.Type == Internal && silentCodes[c.Err.Code] && c.Policy != nil:
		after, ok := c.Policy.Delay(r.Attempt, x.Jitter)
		return again{after, true, r.Machine}, ok
	}
	return again{}, false
}

// Attempts is how many attempts the policy allows.
func (p *Policy) Attempts() int { return value(p.MaxAttempts, 3) }
