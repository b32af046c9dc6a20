package api

import (
	"net/http"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/wire"
)

// shownBatch is a batch as the API shows it. The document names the counts and errors at
// the top, the SDK reads errors below processing; both are there, each in its own words.
type shownBatch struct {
	ID                 string        `json:"id"`
	Status             string        `json:"status"`
	IdempotencyKey     string        `json:"idempotencyKey,omitempty"`
	CreatedAt          string        `json:"createdAt"`
	UpdatedAt          string        `json:"updatedAt"`
	RunCount           int           `json:"runCount"`
	Runs               []string      `json:"runs"`
	SuccessfulRunCount *int          `json:"successfulRunCount,omitempty"` // once the batch is over
	FailedRunCount     *int          `json:"failedRunCount,omitempty"`     // likewise
	Errors             []statedError `json:"errors,omitempty"`
	Processing         processing    `json:"processing"`
}

// processing is how far the items of a batch have come to be runs.
type processing struct {
	CompletedAt string       `json:"completedAt,omitempty"`
	Errors      []batchError `json:"errors"`
}

// batchError is an item that could not be triggered.
type batchError struct {
	Index          int    `json:"index"`
	TaskIdentifier string `json:"taskIdentifier"`
	Error          string `json:"error"`
	ErrorCode      string `json:"errorCode,omitempty"`
}

// statedError is a batchError in the words of the document, where the error is an object.
type statedError struct {
	Index          int          `json:"index"`
	TaskIdentifier string       `json:"taskIdentifier"`
	Error          errorMessage `json:"error"`
	ErrorCode      string       `json:"errorCode,omitempty"`
}

// errorMessage is what an error says.
type errorMessage struct {
	Message string `json:"message"`
}

// batchContents is a batch with the runs that answer its items.
type batchContents struct {
	store.Batch
	items []store.BatchItem
	runs  map[string]run.Run
}

// readRuns reads runs by their ids; which reader depends on whether outputs are shown.
type readRuns func(tx *store.Tx, ids []string) (map[string]run.Run, error)

// readBatch reads the batch that a path names.
func (a *API) readBatch(r *http.Request, read readRuns) (b batchContents, err error) {
	friendly, err := param(r, "batch")
	if err != nil {
		return b, err
	}
	batchID, ok := id.Internal(id.Batch, friendly)
	if !ok {
		return b, fault.New(fault.NotFound, "Batch not found")
	}
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		if b.Batch, err = tx.Batch(environment(r).ID, batchID); err != nil {
			return err
		}
		if b.items, err = tx.BatchItems(batchID); err != nil {
			return err
		}
		var ids []string
		for _, i := range b.items {
			if i.RunID != "" {
				ids = append(ids, i.RunID)
			}
		}
		b.runs, err = read(tx, ids)
		return err
	})
	return b, err
}

// show is the batch in the API's words.
func (b batchContents) show() shownBatch {
	out := shownBatch{ID: id.Friendly(id.Batch, b.ID), IdempotencyKey: b.Key.Key,
		CreatedAt: wire.ISO(b.CreatedAt), RunCount: b.RunCount, Runs: []string{},
		Processing: processing{CompletedAt: wire.ISO(b.SealedAt), Errors: []batchError{}}}
	if b.KeyOptions != nil && out.IdempotencyKey != "" {
		out.IdempotencyKey = b.KeyOptions.Key
	}
	for _, i := range b.items {
		if i.RunID != "" {
			out.Runs = append(out.Runs, id.Friendly(id.Run, i.RunID))
		}
	}
	for _, e := range b.errors() {
		out.Processing.Errors = append(out.Processing.Errors, e)
		out.Errors = append(out.Errors, statedError{e.Index, e.TaskIdentifier, errorMessage{e.Error}, e.ErrorCode})
	}
	over, at := b.over()
	failed := len(out.Errors)
	out.Status, out.UpdatedAt = b.status(over, failed), wire.ISO(at)
	if over {
		successful := len(b.items) - failed
		out.SuccessfulRunCount, out.FailedRunCount = &successful, &failed
	}
	return out
}

// over reports whether a batch is sealed and none of its runs goes on, and when it
// last changed. Runs that an item found by its key do not count: they belong elsewhere.
func (b batchContents) over() (over bool, at time.Time) {
	over, at = b.Status == store.BatchProcessing, b.UpdatedAt
	for _, i := range b.items {
		r := b.runs[i.RunID]
		if !i.Own {
			continue
		}
		over = over && r.Status.Final()
		if r.CompletedAt.After(at) {
			at = r.CompletedAt
		}
	}
	return over, at
}

// status is the stored status or, of a batch that is over, what became of its items.
func (b batchContents) status(over bool, failed int) string {
	switch {
	case !over:
		return string(b.Status)
	case failed == 0:
		return "COMPLETED"
	case failed == b.RunCount:
		return string(store.BatchAborted)
	}
	return "PARTIAL_FAILED"
}

// errors are the items that made no run: those that were refused, and those for which
// a run that failed from the start stands in.
func (b batchContents) errors() []batchError {
	var out []batchError
	for _, i := range b.items {
		e := batchError{Index: i.Index, TaskIdentifier: i.Task, Error: i.Error, ErrorCode: i.Code}
		if r := b.runs[i.RunID]; i.Own && r.Err != nil && (r.Err.Code == run.CodeItemUntriggered || r.Err.Code == run.CodePayloadTooLarge) {
			e.Error, e.ErrorCode = r.Err.Message, string(r.Err.Code)
		} else if i.RunID != "" {
			continue
		}
		out = append(out, e)
	}
	return out
}

// getBatch serves GET /api/v2/batches/{batch}, and v1 of it.
func (a *API) getBatch(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readBatch(r, (*store.Tx).Outcomes)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Not found")
	}
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	if !p.Can("read", "batch", id.Friendly(id.Batch, b.ID)) && !p.Can("read", "runs", "") {
		return errForbidden
	}
	return rest.JSON(w, http.StatusOK, b.show())
}

// batchResults serves GET /api/v1/batches/{batch}/results: the runs that have
// finished, in the order of their items.
func (a *API) batchResults(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readBatch(r, (*store.Tx).RunsByID)
	if err != nil {
		return err
	}
	out := struct {
		ID    string                 `json:"id"`
		Items []wire.ExecutionResult `json:"items"`
	}{id.Friendly(id.Batch, b.ID), []wire.ExecutionResult{}}
	for _, i := range b.items {
		if item, ok := b.runs[i.RunID]; ok && item.Status.Final() {
			out.Items = append(out.Items, wire.ResultOf(item))
		}
	}
	return rest.JSON(w, http.StatusOK, out)
}
