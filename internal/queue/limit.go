package queue

import "math"

// MaxLimit is the largest concurrency limit a queue may have.
//
//limit:queues The concurrency limit of a queue, as an override | runs | 400 Number must be between 0 and {}
const MaxLimit = 100_000

// Override is a limit that stands above the declared one: a number of runs or, when
// Percent is not zero, that share of the environment's limit.
type Override struct {
	Runs    int
	Percent float64 // in (0, 100]
}

// Limit is the override in runs where the environment's limit is env.
func (o Override) Limit(env int) int {
	if o.Percent == 0 {
		return o.Runs
	}
	return max(1, int(math.Floor(o.Percent*float64(env)/100)))
}

// Settings are what is known of the limits of a queue. The zero value has none.
type Settings struct {
	Paused   bool
	Declared *int      // in code; nil: none
	Override *Override // nil: none
}

// Limit is how many runs each lane of the queue may hold, paused or not, where the
// environment's limit is env; nil when only that one holds.
func (s Settings) Limit(env int) *int {
	var limit int
	switch {
	case s.Override != nil:
		limit = s.Override.Limit(env)
	case s.Declared != nil:
		limit = *s.Declared
	default:
		return nil
	}
	limit = min(limit, env)
	return &limit
}
