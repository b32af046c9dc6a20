package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// maxBatchBody bounds the body of a batch's first phase, in bytes.
//
//limit:batches Body that creates a batch | bytes | 413 Request body too large
const maxBatchBody = 128 << 10

// batchKeyTTL is how long the idempotency key of a batch leads to it.
//
//limit:batches Time that the idempotency key of a batch holds |  | it is free again
const batchKeyTTL = 24 * time.Hour

// createBatch serves POST /api/v3/batches, the first phase of a batch trigger.
func (a *API) createBatch(w http.ResponseWriter, r *http.Request) error {
	if err := checkLength(r, maxBatchBody); err != nil {
		return err
	}
	h, err := readHeaders(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[wire.CreateBatchBody](r, maxBatchBody)
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	if !mayBatch(p, body.Tasks) {
		return errForbidden
	}
	if err := mayParent(p, body.ParentID); err != nil {
		return err
	}
	if body.RunCount > wire.MaxBatch {
		return fault.Newf(fault.Malformed, "Batch runCount of %d exceeds maximum allowed of %d.", body.RunCount, wire.MaxBatch)
	}
	if err := a.takeItems(w, p.Env, body.RunCount); err != nil {
		return err
	}
	b, cached, err := a.engine.CreateBatch(r.Context(), p.Env, engine.NewBatch{
		RunCount: body.RunCount, Tasks: body.Tasks, ParentID: body.ParentID, ResumeParent: body.ResumeParent && body.ParentID != "",
		Key:     keyOf(p, wire.Key{Text: body.Key.Text, TTL: batchKeyTTL, Options: body.Key.Options}),
		Request: run.OwnKey(h.request, p.KeyOwner()), OneTime: engine.OneTime{Token: p.OneTime, ExpiresAt: p.ExpiresAt}, Maker: p.Maker,
	})
	if err != nil {
		return err
	}
	friendly := id.Friendly(id.Batch, b.ID)
	scopes := []string{"read:batch:" + friendly}
	if r.Header.Get(clientHeader) == "browser" && p.Can("batchTrigger", "tasks", "") {
		scopes = append(scopes, "write:batch:"+friendly) // a page sends the items with this token
	}
	if err := a.sendToken(w, r, scopes...); err != nil {
		return err
	}
	status := http.StatusAccepted
	if cached {
		status = http.StatusOK
	}
	return rest.JSON(w, status, wire.CreatedBatch{ID: friendly, RunCount: b.RunCount, IsCached: cached, IdempotencyKey: b.Key.Key})
}

// mayBatch reports whether a credential may trigger the tasks in batches, or, when
// the client does not name them, any task.
func mayBatch(p tenant.Principal, tasks []string) bool {
	if len(tasks) == 0 {
		return p.Can("batchTrigger", "tasks", "")
	}
	for _, task := range tasks {
		if !p.Can("batchTrigger", "tasks", task) {
			return false
		}
	}
	return true
}

// streamItemsGet serves GET where only POST makes sense.
func (a *API) streamItemsGet(http.ResponseWriter, *http.Request) error {
	err := fault.New(fault.Method, "Method not allowed. Use POST to stream batch items.")
	return rest.WithHeader(err, "Allow", http.MethodPost)
}

// streamBatchItems serves POST /api/v3/batches/{batch}/items, the second phase. What
// has been taken in when something goes wrong stays: the client sends everything
// again, and items are recognised by their index.
func (a *API) streamBatchItems(w http.ResponseWriter, r *http.Request) error {
	if t := r.Header.Get("Content-Type"); !strings.Contains(t, "application/x-ndjson") && !strings.Contains(t, "application/ndjson") {
		return fault.New(fault.MediaType, "Content-Type must be application/x-ndjson or application/ndjson")
	}
	h, err := readHeaders(r)
	if err != nil {
		return err
	}
	friendly, err := param(r, "batch")
	if err != nil {
		return err
	}
	s := &itemStream{api: a, w: w, p: auth.From(r.Context()), headers: h, friendly: friendly}
	s.whole = s.p.Can("write", "batch", friendly)
	answer, err := s.read(r.Context(), wire.NewItems(r.Body))
	if err != nil {
		// A client that is still sending would take a closed connection for a network
		// error and try again, rather than read what is wrong.
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
		return err
	}
	return rest.JSON(w, http.StatusOK, answer)
}

// maxDrain is how much of a refused stream is read all the same, in bytes.
//
//limit:inside how much of a refused stream is read, so that the client reads why
const maxDrain = 16 << 20

// Bounds of what one transaction takes in.
const (
	chunkItems = 500
	chunkBytes = 4 << 20
)

// repeats is how often a stream may have each item.
//
//limit:batches Times that one stream may have each item | times | 422 Too many items: batch … has a runCount of …, and one stream may repeat each item once
const repeats = 2

// chunkTime is how long the next chunk of a stream may take to arrive.
//
//limit:batches Time for the next 500 items, or 4 MB, of a stream to arrive |  | the connection is closed; what has arrived stays
const chunkTime = time.Minute

// itemStream is the second phase of a batch while it arrives.
type itemStream struct {
	api      *API
	w        http.ResponseWriter
	p        tenant.Principal
	headers  headers
	friendly string // the batch as the path names it
	whole    bool   // the credential covers the batch, whatever its tasks

	batch store.Batch // loaded once an item showed that the credential has any business here
	items int
	chunk []engine.Item
	bytes int // of the payloads of the chunk
	sum   engine.Progress
}

// read takes in the stream and seals the batch.
func (s *itemStream) read(ctx context.Context, items *wire.Items) (wire.StreamedItems, error) {
	for {
		item, err := items.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = s.add(ctx, item)
		}
		if err != nil {
			if lost := s.flush(ctx); lost != nil {
				err = lost
			}
			return wire.StreamedItems{}, err
		}
	}
	if s.batch.ID == "" {
		if !s.whole {
			return wire.StreamedItems{}, errForbidden
		}
		if err := s.load(ctx); err != nil {
			return wire.StreamedItems{}, err
		}
	}
	if err := s.flush(ctx); err != nil {
		return wire.StreamedItems{}, err
	}
	return s.seal(ctx)
}

// add takes in one item, together with others of its chunk.
func (s *itemStream) add(ctx context.Context, item wire.Item) error {
	if !s.whole && !s.p.Can("batchTrigger", "tasks", item.Task) {
		return errForbidden
	}
	if s.batch.ID == "" {
		if err := s.load(ctx); err != nil {
			return err
		}
	}
	if s.items++; s.items > repeats*s.batch.RunCount {
		return fault.Newf(fault.Invalid, "Too many items: batch %s has a runCount of %d, and one stream may repeat each item once", s.friendly, s.batch.RunCount)
	}
	if item.Index >= s.batch.RunCount {
		return fault.Newf(fault.Invalid, "Item index %d exceeds batch runCount %d", item.Index, s.batch.RunCount)
	}
	wanted, err := s.api.engineItem(ctx, s.p, s.headers, item)
	if err != nil {
		return err
	}
	s.chunk = append(s.chunk, wanted)
	s.bytes += len(wanted.Payload.Data) + len(wanted.Metadata.Data)
	if len(s.chunk) < chunkItems && s.bytes < chunkBytes {
		return nil
	}
	return s.flush(ctx)
}

// engineItem puts an item into the engine's words. What a rule refuses becomes a run
// that has failed from the start; what breaks the schema is an error, and so is what the
// caller may not do, or what may work later.
func (a *API) engineItem(ctx context.Context, p tenant.Principal, h headers, item wire.Item) (engine.Item, error) {
	out := engine.Item{Index: item.Index, Trigger: engine.Trigger{Task: item.Task, Traceparent: h.traceparent}, Failed: item.Failed}
	if out.Failed != nil {
		return out, nil
	}
	wanted, err := item.Trigger(time.Now())
	var t engine.Trigger
	if err == nil {
		t, err = a.engineTrigger(ctx, p, h, item.Task, wanted)
	}
	if err == nil {
		out.Trigger = t
		return out, nil
	}
	var refused *fault.Error
	switch {
	case errors.As(err, &refused) && refused.Kind == fault.Malformed:
		return out, fault.Newf(fault.Invalid, "Invalid item at index %d: %s", item.Index, refused.Msg)
	case refused != nil && refused.Kind == fault.Forbidden:
		return out, err
	case refused != nil && refused.Kind != fault.Internal && refused.Kind != fault.Unavailable:
		out.Failed = &run.Error{Type: run.Internal, Code: run.CodeItemUntriggered, Message: refused.Msg}
		return out, nil
	}
	return out, err
}

// load looks up the batch. A credential that does not cover the batch must have made it. The
// items were counted when the batch was created; once some are there, they are sent again,
// which counts too.
func (s *itemStream) load(ctx context.Context) error {
	internal, ok := id.Internal(id.Batch, s.friendly)
	if !ok {
		return s.unknown()
	}
	var b store.Batch
	var arrived int
	err := s.api.store.View(ctx, func(tx *store.Tx) (err error) {
		if b, err = tx.Batch(s.p.Env.ID, internal); err == nil {
			arrived, _, err = tx.BatchProgress(b.ID)
		}
		return err
	})
	switch {
	case fault.Is(err, fault.NotFound):
		return s.unknown()
	case err != nil:
		return err
	case !s.whole && (b.Maker == "" || b.Maker != s.p.Maker):
		return errForbidden
	case arrived > 0:
		if err := s.api.takeItems(s.w, s.p.Env, b.RunCount); err != nil {
			return err
		}
	}
	s.batch = b
	return nil
}

// unknown says that there is no such batch to a credential that covers it. To others it would
// tell of batches.
func (s *itemStream) unknown() error {
	if !s.whole {
		return errForbidden
	}
	return fault.Newf(fault.Invalid, "Batch %s not found", s.friendly)
}

// flush makes the chunk durable, and gives the next one its time to arrive. The credential
// may have ended since the stream began.
func (s *itemStream) flush(ctx context.Context) error {
	if len(s.chunk) == 0 {
		return nil
	}
	if err := s.api.auth.Check(ctx); err != nil {
		return err
	}
	p, err := s.api.engine.AddItems(ctx, s.p.Env, s.batch.ID, s.chunk)
	s.chunk, s.bytes = s.chunk[:0], 0
	s.sum.Accepted += p.Accepted
	s.sum.Repeated += p.Repeated
	_ = http.NewResponseController(s.w).SetReadDeadline(time.Now().Add(chunkTime)) // test recorders have none
	rest.Hold(s.w, 2*chunkTime)
	return err
}

// seal ends the batch if all its items are there, and says how far it is.
func (s *itemStream) seal(ctx context.Context) (wire.StreamedItems, error) {
	p, err := s.api.engine.SealBatch(ctx, s.p.Env, s.batch.ID)
	if err != nil {
		return wire.StreamedItems{}, err
	}
	out := wire.StreamedItems{
		ID: id.Friendly(id.Batch, s.batch.ID), ItemsAccepted: s.sum.Accepted, ItemsDeduplicated: s.sum.Repeated,
		Sealed: p.Sealed, RunCount: s.batch.RunCount,
	}
	if !p.Sealed {
		out.EnqueuedCount, out.ExpectedCount = &p.Arrived, &s.batch.RunCount
	}
	return out, nil
}
