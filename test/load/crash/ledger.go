package crash

import (
	"fmt"
	"sync"
)

// ledger is what clients and workers know. Runs are known by the name in their payload,
// which no other run has.
type ledger struct {
	mu       sync.Mutex
	tried    map[string]bool            // names that a trigger was sent with
	accepted map[string]string          // ids by name of those that were acknowledged; "": not told
	reports  map[string]map[string]bool // by run, what completions said, and whether they were told that the run is finished
	fires    map[fire]map[string]bool   // runs of each occurrence of a schedule that a worker was given
	tokens   map[string]string          // outputs by token
	canceled map[string]bool            // names of runs whose cancellation was acknowledged
	holders  map[string]int             // attempts that execute now, by lane and, under "", in all
	most     map[string]int             // most there were at once
	findings []string
}

// fire is an occurrence of a schedule.
type fire struct{ schedule, at string }

func newLedger() *ledger {
	return &ledger{tried: map[string]bool{}, accepted: map[string]string{}, reports: map[string]map[string]bool{}, fires: map[fire]map[string]bool{},
		tokens: map[string]string{}, canceled: map[string]bool{}, holders: map[string]int{}, most: map[string]int{}}
}

// try notes that a trigger is about to be sent.
func (l *ledger) try(names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range names {
		l.tried[n] = true
	}
}

// accept notes that the server has promised a run. Whoever is told another id for the
// same name has found a doubled run.
func (l *ledger) accept(name, runID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was := l.accepted[name]; was != "" && runID != "" && was != runID {
		l.findings = append(l.findings, fmt.Sprintf("doubled: %s was acknowledged as %s and as %s", name, was, runID))
	}
	if l.accepted[name] == "" {
		l.accepted[name] = runID
	}
}

// report notes what a completion said before it is sent, and after it whether the answer
// was that the run is finished.
func (l *ledger) report(runID, said string, finished bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.reports[runID]
	if m == nil {
		m = map[string]bool{}
		l.reports[runID] = m
	}
	m[said] = m[said] || finished
}

// fired notes that a run of an occurrence is executed.
func (l *ledger) fired(f fire, runID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fires[f] == nil {
		l.fires[f] = map[string]bool{}
	}
	l.fires[f][runID] = true
}

// hold notes that an attempt executes in a lane, until the function it returns is called.
func (l *ledger) hold(lane string) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range []string{"", lane} {
		l.holders[name]++
		l.most[name] = max(l.most[name], l.holders[name])
	}
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.holders[""]--
		l.holders[lane]--
	})
}

// find notes something that must not be.
func (l *ledger) find(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.findings = append(l.findings, fmt.Sprintf(format, args...))
}

// count says how many runs were acknowledged.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// with runs fn while nothing changes.
func (l *ledger) with(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}
