package store

import "time"

// Standing is what a node finds when it starts.
type Standing struct {
	Executing, Waiting int64 // runs in the hands of workers, and runs that wait
	Queued, Delayed    int64
	Overdue            int64     // deadlines that passed while nobody was there
	Wakes              int64     // what a commit left to do after it
	FirstLease         time.Time // when the first worker that does not report is given up
}

// Standing counts by index what is not finished.
func (tx *Tx) Standing(now time.Time) (s Standing, err error) {
	err = tx.QueryRow(`SELECT (SELECT count(*) FROM run WHERE slot = 1),
		(SELECT count(DISTINCT run_id) FROM edge WHERE done = 0),
		(SELECT count(*) FROM run WHERE queued > 0),
		(SELECT count(*) FROM run WHERE due_at IS NOT NULL AND exec = 'DELAYED'),
		(SELECT count(*) FROM run WHERE due_at IS NOT NULL AND due_at < $1) + (SELECT count(*) FROM waitpoint WHERE due_at IS NOT NULL AND done = 0 AND due_at < $1)
			+ (SELECT count(*) FROM schedule_instance WHERE next_at IS NOT NULL AND next_at < $1),
		(SELECT count(*) FROM wake),
		(SELECT min(due_at) FROM run WHERE slot = 1)`, now.UnixMicro()).
		Scan(&s.Executing, &s.Waiting, &s.Queued, &s.Delayed, &s.Overdue, &s.Wakes, instant(&s.FirstLease))
	return s, err
}
