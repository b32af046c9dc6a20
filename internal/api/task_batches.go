package api

import (
	"cmp"
	"net/http"
	"slices"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/wire"
)

// The routes of this file take a batch in one piece. All its items are durable before
// the answer, or none; an item that a rule refuses becomes a run that has failed from
// the start, and the others run.

// Bounds of a batch in one piece.
const (
	//limit:batches Items of a batch in one piece, unless all are of one task | items | 400 Batch size of … is too large. Maximum allowed batch size is {}.
	maxWholeBatch = 500 // items, unless they are all of one task
	//limit:batches Body of a batch in one piece | bytes | 413 Request body too large
	maxWholeBody = 1_000_000 // bytes
)

// batchTasks serves POST /api/v2/tasks/batch, which SDKs before 4.3 call.
func (a *API) batchTasks(w http.ResponseWriter, r *http.Request) error {
	body, err := decodeWhole[wire.BatchBody](r)
	if err != nil {
		return err
	}
	c, err := a.wholeBatch(w, r, body, maxWholeBatch)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusAccepted, wire.CreatedBatch{
		ID: id.Friendly(id.Batch, c.batch.ID), RunCount: c.batch.RunCount, IsCached: c.cached, IdempotencyKey: c.batch.Key.Key,
	})
}

// batchTasksV1 serves POST /api/v1/tasks/batch. SDKs of its time want each run described,
// the document has ids only; what tells them apart is the header in which every SDK
// says its version.
func (a *API) batchTasksV1(w http.ResponseWriter, r *http.Request) error {
	body, err := decodeWhole[wire.BatchBody](r)
	if err != nil {
		return err
	}
	c, err := a.wholeBatch(w, r, body, maxWholeBatch)
	if err != nil {
		return unrepeatable(r, err)
	}
	if r.Header.Get(sdkHeader) == "" {
		return rest.JSON(w, http.StatusOK, answerBatch(c, c.runs()))
	}
	members, err := a.batchMembers(r, c)
	if err != nil {
		return unrepeatable(r, err)
	}
	return rest.JSON(w, http.StatusAccepted, answerBatch(c, members))
}

func answerBatch[M string | wire.BatchMember](c triggeredBatch, runs []M) wire.TriggeredBatch[M] {
	friendly := id.Friendly(id.Batch, c.batch.ID)
	return wire.TriggeredBatch[M]{ID: friendly, BatchID: friendly, IsCached: c.cached, IdempotencyKey: c.batch.Key.Key, Runs: runs}
}

// sdkHeader is the version of the SDK that sends a request.
const sdkHeader = "Trigger-Version"

// batchTask serves POST /api/v1/tasks/{task}/batch. What a rule refuses is answered 400.
func (a *API) batchTask(w http.ResponseWriter, r *http.Request) error {
	task, err := taskParam(r)
	if err != nil {
		return err
	}
	body, err := decodeWhole[wire.TaskBatchBody](r)
	if err != nil {
		return err
	}
	for i := range body.Items {
		body.Items[i].Task = task
	}
	if body.Size > wire.MaxBatch {
		return fault.Newf(fault.Malformed, "Too many items. Maximum allowed batch size is %d.", wire.MaxBatch)
	}
	c, err := a.wholeBatch(w, r, body.BatchBody, wire.MaxBatch)
	if fault.Is(err, fault.Invalid) {
		err = rest.WithStatus(err, http.StatusBadRequest)
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		BatchID string   `json:"batchId"`
		Runs    []string `json:"runs"`
	}{id.Friendly(id.Batch, c.batch.ID), c.runs()})
}

// decodeWhole reads the body of a batch in one piece.
func decodeWhole[T any](r *http.Request) (T, error) {
	if err := checkLength(r, maxWholeBody); err != nil {
		var zero T
		return zero, err
	}
	return rest.Decode[T](r, maxWholeBody)
}

// triggeredBatch is a batch that came in one piece.
type triggeredBatch struct {
	batch  store.Batch
	items  []store.BatchItem
	keys   []string // of the items as they were sent
	cached bool     // a key led to an earlier batch
}

// runs are the runs that answer the items.
func (c triggeredBatch) runs() []string {
	out := []string{}
	for _, i := range c.items {
		if i.RunID != "" {
			out = append(out, id.Friendly(id.Run, i.RunID))
		}
	}
	return out
}

// wholeBatch triggers a batch, if the caller may, and sends a token that reads it.
func (a *API) wholeBatch(w http.ResponseWriter, r *http.Request, body wire.BatchBody, limit int) (c triggeredBatch, err error) {
	h, err := readBatchHeaders(r)
	if err != nil {
		return c, err
	}
	p := auth.From(r.Context())
	var tasks []string
	for _, i := range body.Items {
		tasks = append(tasks, i.Task)
		c.keys = append(c.keys, i.Key())
	}
	slices.Sort(tasks)
	if !mayBatch(p, slices.Compact(tasks)) {
		return c, errForbidden
	}
	if err := mayParent(p, body.ParentID); err != nil {
		return c, err
	}
	switch n := body.Size; {
	case n == 0:
		return c, fault.New(fault.Malformed, "Batch cannot be triggered with no items")
	case n > limit:
		return c, fault.Newf(fault.Malformed, "Batch size of %d is too large. Maximum allowed batch size is %d.", n, limit)
	}
	if err := a.takeItems(w, p.Env, body.Size); err != nil {
		return c, err
	}
	items := make([]engine.Item, len(body.Items))
	for i, item := range body.Items {
		if items[i], err = a.engineItem(r.Context(), p, h, item); err != nil {
			return c, err
		}
	}
	c.batch, c.items, c.cached, err = a.engine.TriggerBatch(r.Context(), p.Env, engine.NewBatch{
		ParentID: body.ParentID, ResumeParent: body.ResumeParent && body.ParentID != "", Key: keyOf(p, h.key),
		Request: run.OwnKey(h.request, p.KeyOwner()), OneTime: engine.OneTime{Token: p.OneTime, ExpiresAt: p.ExpiresAt},
	}, items)
	if err != nil {
		return c, err
	}
	return c, a.sendToken(w, r, "read:batch:"+id.Friendly(id.Batch, c.batch.ID))
}

// readBatchHeaders is readHeaders for batches in one piece, whose items may be wanted
// one after the other. As all are triggered in one commit and in their order, both
// strategies come to the same.
func readBatchHeaders(r *http.Request) (headers, error) {
	h, err := readHeaders(r)
	if err != nil {
		return h, err
	}
	var problems rest.Problems
	if v := r.Header.Get("Batch-Processing-Strategy"); v != "" && v != "parallel" && v != "sequential" {
		problems.Add("batch-processing-strategy", "Invalid enum value. Expected 'parallel' | 'sequential'")
	}
	return h, rest.HeadersError(problems)
}

// batchMembers describes the runs of a batch. Those of an earlier batch have the keys
// that they were made with, as what has been sent now need not be the same.
func (a *API) batchMembers(r *http.Request, c triggeredBatch) ([]wire.BatchMember, error) {
	var stored map[string]store.Detail
	if c.cached {
		var ids []string
		for _, i := range c.items {
			ids = append(ids, i.RunID)
		}
		err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
			stored, err = tx.Summaries(ids)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	out := []wire.BatchMember{}
	for _, i := range c.items {
		if i.RunID == "" {
			continue
		}
		m := wire.BatchMember{ID: id.Friendly(id.Run, i.RunID), TaskIdentifier: i.Task, IsCached: c.cached || !i.Own, IdempotencyKey: stored[i.RunID].Key.Key}
		if !c.cached && i.Index < len(c.keys) { // the same call again may have brought less
			m.IdempotencyKey = c.keys[i.Index]
		}
		out = append(out, m)
	}
	return out, nil
}

// unrepeatable keeps a client from trying again after trouble of the server's, unless
// it sent a key by which a repetition is recognised.
func unrepeatable(r *http.Request, err error) error {
	if k := fault.KindOf(err); k != fault.Internal && k != fault.Unavailable {
		return err
	}
	if cmp.Or(r.Header.Get("Idempotency-Key"), r.Header.Get(requestKeyHeader)) != "" {
		return err
	}
	return rest.WithHeader(err, "X-Should-Retry", "false")
}
