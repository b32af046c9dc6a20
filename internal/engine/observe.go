package engine

import (
	"time"

	"sear/internal/run"
)

// Observer is told what was committed. It is called often and must be quick.
type Observer interface {
	Created(runs int)
	Finished(status run.Status, took time.Duration)
	Dequeued(waited time.Duration) // since the run might go
	Committed(commands int, took time.Duration)
	Late(by time.Duration) // a deadline of a run was carried out
}

// nobody is who observes when nobody does.
type nobody struct{}

func (nobody) Created(int)                        {}
func (nobody) Finished(run.Status, time.Duration) {}
func (nobody) Dequeued(time.Duration)             {}
func (nobody) Committed(int, time.Duration)       {}
func (nobody) Late(time.Duration)                 {}

// report tells an observer what this transaction did.
func (w *work) report(o Observer) {
	if len(w.created) > 0 {
		o.Created(len(w.created))
	}
	for i := range w.created {
		if r := &w.created[i].Run; r.Exec == run.Finished { // it failed from the start
			o.Finished(r.Status, 0)
		}
	}
	for _, h := range w.runs {
		if !h.dirty || h.run.Seq == h.was {
			continue
		}
		switch r := h.run; r.Exec {
		case run.Finished:
			o.Finished(r.Status, w.now.Sub(r.CreatedAt))
		case run.PendingExecuting:
			waited := min(w.now.Sub(time.UnixMilli(r.Score)), w.now.Sub(h.since)) // a score may be moved back, by a priority or to a parent's
			o.Dequeued(max(0, waited))
		}
	}
}
