package api

import (
	"net/http"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/wire"
)

// shownBatch is a batch as the API shows it. The document's older form names the
// counts and errors at the top, the SDK reads them below processing; both are there.
type shownBatch struct {
	ID                 string       `json:"id"`
	Status             string       `json:"status"`
	IdempotencyKey     string       `json:"idempotencyKey,omitempty"`
	CreatedAt          string       `json:"createdAt"`
	UpdatedAt          string       `json:"updatedAt"`
	RunCount           int          `json:"runCount"`
	Runs               []string     `json:"runs"`
	SuccessfulRunCount int          `json:"successfulRunCount"`
	FailedRunCount     int          `json:"failedRunCount"`
	Errors             []batchError `json:"errors,omitempty"`
	Processing         processing   `json:"processing"`
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

// batchContents is a batch with the runs that answer its items.
type batchContents struct {
	store.Batch
	items []store.BatchItem
	runs  map[string]run.Run
}

// readBatch reads the batch that a path names.
func (a *API) readBatch(r *http.Request) (b batchContents, err error) {
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
		b.runs, err = tx.RunsByID(ids)
		return err
	})
	return b, err
}

// show derives the status of a batch: it is complete once it is sealed and none of
// its runs goes on. Runs that an item found by its key do not count.
func (b batchContents) show() shownBatch {
	out := shownBatch{ID: id.Friendly(id.Batch, b.ID), Status: string(b.Status), IdempotencyKey: b.Key.Key,
		CreatedAt: wire.ISO(b.CreatedAt), UpdatedAt: wire.ISO(b.UpdatedAt), RunCount: b.RunCount,
		Runs: []string{}, Processing: processing{CompletedAt: wire.ISO(b.SealedAt), Errors: []batchError{}}}
	if b.KeyOptions != nil && out.IdempotencyKey != "" {
		out.IdempotencyKey = b.KeyOptions.Key
	}
	unfinished, last := 0, b.UpdatedAt
	for _, i := range b.items {
		r := b.runs[i.RunID]
		if i.RunID != "" {
			out.Runs = append(out.Runs, id.Friendly(id.Run, i.RunID))
		}
		switch {
		case i.Own && r.Exec != run.Finished:
			unfinished++
		case i.Own && r.CompletedAt.After(last):
			last = r.CompletedAt
		}
		if e := untriggered(i, r); e != nil {
			out.Errors = append(out.Errors, *e)
			out.FailedRunCount++
		} else {
			out.SuccessfulRunCount++
		}
	}
	out.Processing.Errors = append(out.Processing.Errors, out.Errors...)
	if b.Status == store.BatchProcessing && unfinished == 0 {
		out.Status, out.UpdatedAt = "COMPLETED", wire.ISO(last)
		if len(out.Errors) == b.RunCount {
			out.Status = string(store.BatchAborted)
		} else if len(out.Errors) > 0 {
			out.Status = "PARTIAL_FAILED"
		}
	}
	return out
}

// untriggered is the error of an item for which a run that failed from the start stands in.
func untriggered(i store.BatchItem, r run.Run) *batchError {
	if r.Err == nil || r.Err.Code != run.CodeItemUntriggered && r.Err.Code != run.CodePayloadTooLarge {
		return nil
	}
	return &batchError{Index: i.Index, TaskIdentifier: i.Task, Error: r.Err.Message, ErrorCode: string(r.Err.Code)}
}

// getBatch serves GET /api/v2/batches/{batch}, and v1 of it.
func (a *API) getBatch(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readBatch(r)
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
	b, err := a.readBatch(r)
	if err != nil {
		return err
	}
	out := struct {
		ID    string                 `json:"id"`
		Items []wire.ExecutionResult `json:"items"`
	}{id.Friendly(id.Batch, b.ID), []wire.ExecutionResult{}}
	for _, i := range b.items {
		if item, ok := b.runs[i.RunID]; ok && item.Exec == run.Finished {
			out.Items = append(out.Items, wire.ResultOf(item))
		}
	}
	return rest.JSON(w, http.StatusOK, out)
}
