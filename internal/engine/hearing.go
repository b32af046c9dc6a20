package engine

import (
	"sync"
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/store"
)

// hush is how much longer than it meant to a node may not have looked at its deadlines, and
// for how long the store may have taken nothing, before it counts as having been deaf.
const hush = 5 * time.Second

// hearing is since when this node could hear workers without a gap: it ran, its clock did not
// jump, and the store took what they said. Deadlines are told by the wall clock, which goes on
// while a process is stopped, a machine sleeps or a database is away; whoever was deaf must
// not judge who was silent.
type hearing struct {
	mu     sync.Mutex
	since  time.Time
	looked time.Time // when the timers last looked; zero: never
	refuse time.Time // since when the store has taken nothing; zero: it takes what comes
	noted  bool      // since is in the store
	began  bool      // something was noted before
}

// look notes that the timers look at their deadlines now, having meant to pause for at most
// pause. It returns since when workers could be heard, and whether the store knows.
func (h *hearing) look(now time.Time, pause time.Duration) (since time.Time, noted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gap := now.Sub(h.looked); gap > pause+hush || gap < -hush || h.refused(now) {
		h.since, h.noted = now, false
	}
	h.looked = now
	return h.since, h.noted
}

// took notes whether the store took a command.
func (h *hearing) took(now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		if h.refused(now) {
			h.since, h.noted = now, false
		}
		h.refuse = time.Time{}
	case fault.Is(err, fault.Unavailable) && !sqldb.IsBlocked(err) && h.refuse.IsZero():
		h.refuse = now
	}
}

func (h *hearing) refused(now time.Time) bool {
	return !h.refuse.IsZero() && now.Sub(h.refuse) > hush
}

// note remembers that the store knows since when workers could be heard. again says that
// they could be before, too.
func (h *hearing) note(since time.Time) (again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	again, h.began = h.began, true
	h.noted = h.since.Equal(since)
	return again
}

// withholding is what is not judged yet, and when that may change next; zero: nothing is withheld.
type withholding struct {
	store.Withheld
	until time.Time
}

// withhold says what may not be judged at an instant: workers and command lines get the
// time in which they report anyway, since they could. A command line that has reported is there.
func (e *Engine) withhold(now, since time.Time) withholding {
	workers, sessions := since.Add(e.opt.Timeouts.Grace()), since.Add(presentFor)
	var h withholding
	if h.Workers = workers.After(now); h.Workers {
		h.until = workers
	}
	if sessions.After(now) {
		h.Sessions = since
		if h.until.IsZero() || sessions.Before(h.until) {
			h.until = sessions
		}
	}
	return h
}

// listen looks whether this node could hear of late, and says what it may not judge. That it
// could not is noted in the store, for those who wonder what is overdue there.
func (w *work) listen() (h withholding, since time.Time, err error) {
	e := w.e
	since, noted := e.hearing.look(w.now, e.patience())
	h = e.withhold(w.now, since)
	if noted {
		return h, since, nil
	}
	judging := since.Add(e.opt.Timeouts.Grace())
	w.tx.AfterCommit(func() {
		if e.hearing.note(since) {
			e.log.Warn("workers could not be heard for a while: this process or machine was stopped, its clock jumped, or the database was away",
				"workersReportBy", judging)
		}
	})
	return h, since, w.tx.SetSetting(store.SettingJudging, judging.UTC().Format(time.RFC3339Nano))
}
