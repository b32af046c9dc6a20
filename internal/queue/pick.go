package queue

import (
	"math"
	"slices"
	"time"
)

// Load is the state of one lane: a queue, or one concurrency key of it.
type Load struct {
	Lane    string
	Oldest  time.Time // when its first run began to wait
	Running int       // slots it holds
	Limit   int       // slots it may hold
}

// Grant lets a lane start up to N runs.
type Grant struct {
	Lane string
	N    int
}

// ageBias is how much more likely the lane that waits longest is to be served
// first than one that has only just begun to: upstream's default.
const ageBias = 0.75

// Pick deals free slots to lanes: in a random order that favours those whose
// first run waits longest, one slot a round, until no slot or no lane is left. A
// lane never gets more than its limit allows; how many runs stand in it is the
// caller's to find out. draw returns random numbers in [0,1).
func Pick(loads []Load, free int, now time.Time, draw func() float64) []Grant {
	open := slices.DeleteFunc(slices.Clone(loads), func(l Load) bool { return l.Running >= l.Limit })
	if free <= 0 || len(open) == 0 {
		return nil
	}
	shuffle(open, now, draw)
	grants := make([]Grant, min(len(open), free))
	for i := range grants {
		grants[i].Lane = open[i].Lane
	}
	for dealt := true; dealt && free > 0; {
		dealt = false
		for i := range grants {
			if free > 0 && open[i].Running+grants[i].N < open[i].Limit {
				grants[i].N++
				free--
				dealt = true
			}
		}
	}
	return grants
}

// shuffle orders lanes by a weighted draw without replacement: the key
// −ln(u)/weight of Efraimidis and Spirakis.
func shuffle(lanes []Load, now time.Time, draw func() float64) {
	longest := time.Duration(1)
	for _, l := range lanes {
		longest = max(longest, now.Sub(l.Oldest))
	}
	type drawn struct {
		load Load
		key  float64
	}
	order := make([]drawn, len(lanes))
	for i, l := range lanes {
		share := float64(max(now.Sub(l.Oldest), 0)) / float64(longest)
		weight := 1 + share*ageBias/(1-ageBias)
		order[i] = drawn{l, -math.Log(1-draw()) / weight}
	}
	slices.SortFunc(order, func(a, b drawn) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	for i := range order {
		lanes[i] = order[i].load
	}
}
