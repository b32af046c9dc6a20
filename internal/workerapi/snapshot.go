package workerapi

import (
	"net/http"
	"time"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/wire"
)

// protocolVersion marks the messages that describe a run.
const protocolVersion = "1"

// identity is something known by both its ids.
type identity struct {
	ID       string `json:"id"`
	Friendly string `json:"friendlyId"`
}

func identify(prefix, internal string) identity {
	return identity{internal, id.Friendly(prefix, internal)}
}

// snapshot is a state of a run's execution.
type snapshot struct {
	identity
	Status      run.Exec `json:"executionStatus"`
	Description string   `json:"description"`
	CreatedAt   string   `json:"createdAt"`
}

// snapshotOf is the newest snapshot of a run.
func snapshotOf(r run.Run) snapshot { return snapshotShape(store.SnapshotOf(r)) }

func snapshotShape(s store.Snapshot) snapshot {
	return snapshot{identify(id.Snapshot, id.NewSnapshot(s.RunID, s.Seq)), s.Exec, s.Note, wire.ISO(s.At)}
}

// runState is what goes with a snapshot. The attempt must be that of the worker
// which reads this: it gives the run up when it is not.
type runState struct {
	identity
	Status  run.Status `json:"status"`
	Attempt int        `json:"attemptNumber,omitempty"`
}

// stateOf goes with the newest snapshot of a run.
func stateOf(r run.Run) runState {
	return runState{identify(id.Run, r.ID), r.Status, r.Attempt}
}

// execution is a snapshot with what it delivers.
type execution struct {
	Version   string      `json:"version"`
	Snapshot  snapshot    `json:"snapshot"`
	Run       runState    `json:"run"`
	Batch     *identity   `json:"batch,omitempty"`
	Completed []waitpoint `json:"completedWaitpoints"`
}

func executionOf(s engine.State) execution {
	e := execution{
		Version:   protocolVersion,
		Snapshot:  snapshotShape(s.Snapshot),
		Run:       runState{identify(id.Run, s.Run.ID), s.Status, s.Attempt},
		Completed: waitpoints(s.Completed, s.At),
	}
	if s.WaitFor != "" {
		batch := identify(id.Batch, s.WaitFor)
		e.Batch = &batch
	}
	return e
}

// latestSnapshot says what a worker is to do with a run it holds.
func (a *API) latestSnapshot(w http.ResponseWriter, r *http.Request) error {
	internal, err := runID(r)
	if err != nil {
		return err
	}
	s, err := a.engine.Latest(r.Context(), environment(r), internal)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]any{"execution": executionOf(s)})
}

// snapshotsSince lists what happened to a run after a snapshot.
func (a *API) snapshotsSince(w http.ResponseWriter, r *http.Request) error {
	internal, c, err := call(r)
	if err != nil {
		return err
	}
	if c.Seq == 0 {
		return fault.New(fault.NotFound, "Snapshot not found")
	}
	list, err := a.engine.Since(r.Context(), environment(r), internal, c.Seq)
	if err != nil {
		return err
	}
	out := make([]execution, len(list))
	for i, s := range list {
		out[i] = executionOf(s)
	}
	return rest.JSON(w, http.StatusOK, map[string]any{"snapshots": out})
}

// waitpoint is a completed waitpoint. What a waiting process finds it by: the
// friendly id, or the run with its batch and index.
type waitpoint struct {
	identity
	Index          *int           `json:"index,omitempty"`
	Type           store.WaitKind `json:"type"`
	CompletedAt    string         `json:"completedAt"`
	IdempotencyKey string         `json:"idempotencyKey,omitempty"`
	ByRun          *completingRun `json:"completedByTaskRun,omitempty"`
	CompletedAfter string         `json:"completedAfter,omitempty"`
	ByBatch        *identity      `json:"completedByBatch,omitempty"`
	Output         *string        `json:"output,omitempty"`
	OutputType     string         `json:"outputType,omitempty"`
	OutputIsError  bool           `json:"outputIsError"`
}

type completingRun struct {
	identity
	Batch *identity `json:"batch,omitempty"`
}

// waitpoints are the completed waitpoints of a snapshot written at the given instant.
func waitpoints(list []store.Completed, at time.Time) []waitpoint {
	out := make([]waitpoint, len(list))
	for i, c := range list {
		out[i] = waitpointShape(c, at)
	}
	return out
}

func waitpointShape(c store.Completed, at time.Time) waitpoint {
	p := waitpoint{identity: identify(id.Waitpoint, c.WaitpointID), Type: c.Kind, OutputIsError: c.IsError}
	if c.Index >= 0 {
		p.Index = &c.Index
	}
	if c.Output != (run.Packet{}) {
		p.Output, p.OutputType = &c.Output.Data, c.Output.Type
	}
	switch c.Kind {
	case store.WaitRun:
		at = c.Run.CompletedAt
		p.ByRun = &completingRun{identity: identify(id.Run, c.WaitpointID)}
		if c.BatchID != "" {
			batch := identify(id.Batch, c.BatchID)
			p.ByRun.Batch = &batch
		}
	case store.WaitBatch: // complete as soon as it is waited for
		batch := identify(id.Batch, c.WaitpointID)
		p.ByBatch = &batch
	case store.WaitDatetime, store.WaitManual:
		at = c.Kept.CompletedAt
		p.IdempotencyKey = c.Kept.Key.Key
		p.CompletedAfter = wire.ISO(c.Kept.Due)
	}
	p.CompletedAt = wire.ISO(at)
	return p
}
