package store

import (
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// WaitKind is the kind of a waitpoint, in the protocol's words.
type WaitKind string

// The kinds of waitpoints.
const (
	WaitRun      WaitKind = "RUN"
	WaitBatch    WaitKind = "BATCH"
	WaitDatetime WaitKind = "DATETIME"
	WaitManual   WaitKind = "MANUAL"
)

// NoIndex is the index of an edge outside a batch.
const NoIndex = -1

// Edge says that a run is blocked by a waitpoint. WaitpointID is the internal
// id of a run, a batch or a waitpoint, as Kind says.
type Edge struct {
	RunID       string
	Kind        WaitKind
	WaitpointID string
	Index       int    // position in the batch, NoIndex outside one
	BatchID     string // "" outside a batch
	Done        bool   // the waitpoint was complete already
}

// AddEdges blocks runs; edges that exist stay as they are. Of runs that wait for what is
// complete already it leaves a wake: nobody will complete it for them.
func (tx *Tx) AddEdges(edges []Edge) error {
	args := make([]any, 0, 7*len(edges))
	var free []string
	for _, e := range edges {
		if e.Done {
			free = append(free, e.RunID)
		}
		args = append(args, e.RunID, string(e.Kind), e.WaitpointID, e.Index, orNull(e.BatchID), flag(e.Done), 0)
	}
	_, err := tx.InsertRows(`INSERT INTO edge (run_id, kind, waitpoint_id, idx, batch_id, done, seq) VALUES {{values}}
		ON CONFLICT DO NOTHING`, 7, args)
	if err != nil {
		return err
	}
	return tx.AddWakes(wakeUnblock, "", free...)
}

// CompleteEdges marks every edge of these waitpoints done and leaves a wake for
// each run they blocked, whose ids are returned (with repeats). The wakes are
// rows of their own, so that of two completions at the same time at least one
// sees the other.
func (tx *Tx) CompleteEdges(waitpoints []string) ([]string, error) {
	if len(waitpoints) == 0 {
		return nil, nil
	}
	blocked, err := tx.texts(`UPDATE edge SET done = 1 WHERE waitpoint_id {{in $1}} AND done = 0 RETURNING run_id`, sqldb.List(waitpoints))
	if err != nil {
		return nil, err
	}
	return blocked, tx.AddWakes(wakeUnblock, "", blocked...)
}

// PendingEdges counts the waitpoints that still block a run.
func (tx *Tx) PendingEdges(runID string) (n int, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM (SELECT 1 FROM edge WHERE run_id = $1 AND done = 0 LIMIT 1) AS e`, runID).Scan(&n)
	return n, err
}

// DeliverEdges ties a run's completed waitpoints to the snapshot that hands them to the worker.
func (tx *Tx) DeliverEdges(runID string, seq int64) error {
	_, err := tx.Exec(`UPDATE edge SET seq = $2 WHERE run_id = $1 AND seq = 0 AND done = 1`, runID, seq)
	return err
}

// DropEdges forgets what a run waited for.
func (tx *Tx) DropEdges(runIDs []string) error {
	if len(runIDs) == 0 {
		return nil
	}
	_, err := tx.Exec(`DELETE FROM edge WHERE run_id {{in $1}} AND seq = 0`, sqldb.List(runIDs))
	return err
}

// Completed is a completed waitpoint as it is delivered to a worker.
type Completed struct {
	Edge
	Output  run.Packet
	IsError bool
	Kept    Waitpoint // DATETIME and MANUAL only: the waitpoint itself
	Run     run.Run   // RUN only: the run that completed it
}

// CompletedEdges are the waitpoints delivered with snapshot seq of a run, in the order of their batch.
func (tx *Tx) CompletedEdges(runID string, seq int64) ([]Completed, error) {
	rows, err := tx.Query(`SELECT kind, waitpoint_id, idx, batch_id FROM edge WHERE run_id = $1 AND seq = $2 ORDER BY idx, waitpoint_id`, runID, seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Completed
	var runIDs, waitIDs []string
	for rows.Next() {
		c := Completed{Edge: Edge{RunID: runID, Done: true}}
		var kind string
		if err := rows.Scan(&kind, &c.WaitpointID, &c.Index, text(&c.BatchID)); err != nil {
			return nil, err
		}
		switch c.Kind = WaitKind(kind); c.Kind {
		case WaitRun:
			runIDs = append(runIDs, c.WaitpointID)
		case WaitDatetime, WaitManual:
			waitIDs = append(waitIDs, c.WaitpointID)
		}
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out, tx.completeWith(out, runIDs, waitIDs)
}

// completeWith looks up what completed each waitpoint of the list.
func (tx *Tx) completeWith(list []Completed, runIDs, waitIDs []string) error {
	runs, err := tx.RunsByID(runIDs)
	if err != nil {
		return err
	}
	waits, err := tx.waitpointsByID(waitIDs)
	if err != nil {
		return err
	}
	for i := range list {
		c := &list[i]
		switch c.Kind {
		case WaitRun:
			c.Run = runs[c.WaitpointID]
			c.Output, c.IsError = Result(c.Run)
		case WaitDatetime, WaitManual:
			c.Kept = waits[c.WaitpointID]
			c.Output, c.IsError = c.Kept.Output, c.Kept.IsError
		}
	}
	return nil
}

// RunsByID reads runs by their ids.
func (tx *Tx) RunsByID(ids []string) (map[string]run.Run, error) {
	out := make(map[string]run.Run, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	list, err := tx.queryRuns(`SELECT `+runColumns+` FROM run WHERE id {{in $1}}`, sqldb.List(ids))
	for _, r := range list {
		out[r.ID] = r
	}
	return out, err
}

// The kinds of work a commit leaves behind.
const (
	wakeUnblock = "unblock" // see whether the run can go on
	wakeCancel  = "cancel"  // cancel the run's children
	wakeRelease = "release" // of an environment: let go the runs that waited for its newest worker
)

// AddWakes leaves work for after the commit.
func (tx *Tx) AddWakes(kind, note string, runIDs ...string) error {
	args := make([]any, 0, 4*len(runIDs))
	for _, r := range runIDs {
		args = append(args, id.Random(id.Readable, 20), kind, r, orNull(note))
	}
	_, err := tx.InsertRows(`INSERT INTO wake (id, kind, run_id, note) VALUES {{values}}`, 4, args)
	return err
}

// CancelChildren leaves the cancellation of a run's children for after the commit.
func (tx *Tx) CancelChildren(runID, reason string) error {
	return tx.AddWakes(wakeCancel, reason, runID)
}

// TakeUnblocks removes the wakes of these runs. It comes before looking at what
// still blocks them, so that a completion in between leaves its own wake.
func (tx *Tx) TakeUnblocks(runIDs []string) error {
	_, err := tx.Exec(`DELETE FROM wake WHERE kind = 'unblock' AND run_id {{in $1}}`, sqldb.List(runIDs))
	return err
}

// WaitingUnblocks are up to n runs with a wake that nobody has taken.
func (tx *Tx) WaitingUnblocks(n int) ([]string, error) {
	return tx.texts(`SELECT DISTINCT run_id FROM wake WHERE kind = 'unblock' LIMIT $1`, n)
}

// Order is work on more than one run that a commit left behind.
type Order struct {
	ID      string
	Release bool // let go the parked runs of environment Subject; else cancel the children of run Subject
	Subject string
	Reason  string // of a cancellation
}

// OrderRelease leaves the release of an environment's parked runs for after the commit.
func (tx *Tx) OrderRelease(envID string) error { return tx.AddWakes(wakeRelease, "", envID) }

// Orders are the orders nobody has carried out yet.
func (tx *Tx) Orders() ([]Order, error) {
	rows, err := tx.Query(`SELECT id, kind = 'release', run_id, note FROM wake WHERE kind <> 'unblock' ORDER BY id LIMIT 1000`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Order
	for rows.Next() {
		var o Order
		if err := rows.Scan(&o.ID, &o.Release, &o.Subject, text(&o.Reason)); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// TakeOrder removes an order that has been carried out.
func (tx *Tx) TakeOrder(id string) error {
	_, err := tx.Exec(`DELETE FROM wake WHERE id = $1`, id)
	return err
}
