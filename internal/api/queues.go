package api

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sear/internal/auth"
	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/queue"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/wire"
)

// shownQueue is a queue. It has no version: the client takes that for "V1", which is
// the version whose limits are one number for the queue, as they are here.
type shownQueue struct {
	ID               string           `json:"id"`
	Name             string           `json:"name"`
	Type             string           `json:"type"`
	Running          int              `json:"running"`
	Queued           int              `json:"queued"`
	Paused           bool             `json:"paused"`
	ConcurrencyLimit *int             `json:"concurrencyLimit"`
	Concurrency      shownConcurrency `json:"concurrency"`
}

// shownConcurrency is where the limit of a queue comes from. All of it may be null.
type shownConcurrency struct {
	Current      *int    `json:"current"`
	Base         *int    `json:"base"`
	Override     *int    `json:"override"`
	OverriddenAt *string `json:"overriddenAt"`
	OverriddenBy *string `json:"overriddenBy"` // a user; null for what was done with a key, as all is so far
}

// showQueue shows a queue of an environment with this limit.
func showQueue(q store.Queue, limit int) shownQueue {
	current := q.Settings.Limit(limit)
	out := shownQueue{ID: id.Friendly(id.Queue, q.ID), Name: q.Name, Type: customQueue, Running: q.Running, Queued: q.Queued,
		Paused: q.Settings.Paused, ConcurrencyLimit: current, Concurrency: shownConcurrency{Current: current, Base: q.Settings.Declared}}
	if deploy.Implicit(q.Name) {
		out.Type, out.Name = taskQueue, strings.TrimPrefix(q.Name, run.TaskQueue(""))
	}
	if q.Settings.Override != nil {
		at := wire.ISO(q.OverriddenAt)
		out.Concurrency.Override, out.Concurrency.OverriddenAt = current, &at
	}
	return out
}

// How a path may name a queue.
const (
	queueByID   = "id"
	taskQueue   = "task"
	customQueue = "custom"
)

// queueTypes are the ways in which a path may name a queue.
var queueTypes = []string{queueByID, taskQueue, customQueue}

// badEnum says that a value is none of those allowed, in zod's words.
func badEnum(allowed []string, got string) string {
	return "Invalid enum value. Expected '" + strings.Join(allowed, "' | '") + "', received '" + got + "'"
}

// errNoQueue answers those who read or pause a queue that does not exist.
var errNoQueue = fault.New(fault.NotFound, "queue-not-found")

// errNothingToLimit answers those who want to limit a queue that does not exist.
var errNothingToLimit = fault.New(fault.NotFound, "Queue not found")

// queueParam is the queue that a path names in the way of the type. The client writes
// a slash as %2F and then encodes the whole, so that one more round is to be undone.
func queueParam(r *http.Request, kind string, missing error) (ref store.QueueRef, shown string, err error) {
	shown, err = param(r, "queue")
	if err != nil {
		return ref, "", err
	}
	if kind == "" || kind == queueByID {
		internal, ok := id.Internal(id.Queue, shown)
		if !ok {
			return ref, shown, missing
		}
		return store.QueueRef{ID: internal}, id.Friendly(id.Queue, internal), nil
	}
	if once, err := url.PathUnescape(shown); err == nil {
		shown = once
	}
	if shown == "" || !storable(shown) {
		return ref, shown, missing
	}
	if kind == taskQueue {
		return store.QueueRef{Name: run.TaskQueue(shown)}, shown, nil
	}
	return store.QueueRef{Name: shown}, shown, nil
}

// readQueue reads a queue with its counts, and the limit of its environment now.
func (a *API) readQueue(r *http.Request, ref store.QueueRef, missing error) (shownQueue, error) {
	envID := environment(r).ID
	var out shownQueue
	err := a.store.View(r.Context(), func(tx *store.Tx) error {
		q, err := tx.Queue(envID, ref)
		if err != nil {
			return err
		}
		if err := tx.CountQueue(envID, &q); err != nil {
			return err
		}
		limit, err := tx.ConcurrencyLimit(envID)
		out = showQueue(q, limit)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return out, missing
	}
	return out, err
}

// listQueues serves GET /api/v1/queues.
func (a *API) listQueues(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	current, size := q.positive("page", 1), min(q.positive("perPage", defaultPage), maxPage)
	if err := rest.QueryError(q.problems); err != nil {
		return err
	}
	out := numbered[shownQueue]{Data: []shownQueue{}}
	envID := environment(r).ID
	err := a.store.View(r.Context(), func(tx *store.Tx) error {
		limit, err := tx.ConcurrencyLimit(envID)
		if err != nil {
			return err
		}
		list, total, err := tx.ListQueues(envID, int64(current-1)*int64(size), size)
		for _, each := range list {
			out.Data = append(out.Data, showQueue(each, limit))
		}
		out.Pagination = pageNumbersOf(current, size, total)
		return err
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// getQueue serves GET /api/v1/queues/{queue}. Who may not read a queue does not learn
// whether there is one.
func (a *API) getQueue(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	kind := q.values.Get("type")
	if kind != "" && !slices.Contains(queueTypes, kind) {
		q.problems.Add("type", badEnum(queueTypes, kind))
	}
	if err := rest.QueryError(q.problems); err != nil {
		return err
	}
	p := auth.From(r.Context())
	ref, shown, err := queueParam(r, kind, errNoQueue)
	var out shownQueue
	if err == nil {
		out, err = a.readQueue(r, ref, errNoQueue)
	}
	if !p.Can("read", "queues", shown) && (err != nil || !p.Can("read", "queues", out.ID) && !p.Can("read", "queues", out.Name)) {
		return errForbidden
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// queueBody says how the path names the queue.
type queueBody struct {
	Type *string `json:"type"`
}

// kind is the way of naming, "" for the usual.
func (b queueBody) kind() string {
	if b.Type == nil {
		return ""
	}
	return *b.Type
}

func (b queueBody) check(p *rest.Problems) {
	if b.Type != nil && !slices.Contains(queueTypes, *b.Type) {
		p.Add("type", badEnum(queueTypes, *b.Type))
	}
}

// pauseBody says whether a queue is to pause.
type pauseBody struct {
	queueBody
	Action *string `json:"action"`
}

// pauseActions are what may be done to the pause of a queue.
var pauseActions = []string{"pause", "resume"}

// Validate names everything that is wrong.
func (b pauseBody) Validate() error {
	var p rest.Problems
	b.check(&p)
	switch {
	case b.Action == nil:
		p.Put(rest.Problem{Code: "invalid_type", Message: "Required", Path: "action"})
	case !slices.Contains(pauseActions, *b.Action):
		p.Add("action", badEnum(pauseActions, *b.Action))
	}
	return p.Err()
}

// pauseQueue serves POST /api/v1/queues/{queue}/pause.
func (a *API) pauseQueue(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[pauseBody](r, maxSmallBody)
	if err != nil {
		return err
	}
	return a.changeQueue(w, r, body.kind(), errNoQueue, func(ref store.QueueRef) error {
		return a.engine.PauseQueue(r.Context(), environment(r), ref, *body.Action == "pause")
	})
}

// overrideBody is another limit for a queue: a number of runs, or a share of the
// environment's limit.
type overrideBody struct {
	queueBody
	Limit   *float64 `json:"concurrencyLimit"`
	Percent *float64 `json:"percent"`
}

// Validate names everything that is wrong.
func (b overrideBody) Validate() error {
	var p rest.Problems
	b.check(&p)
	if (b.Limit == nil) == (b.Percent == nil) {
		p.Add("", "Provide exactly one of concurrencyLimit or percent")
	}
	if b.Limit != nil {
		switch l := *b.Limit; {
		case l != math.Trunc(l):
			p.Put(rest.Problem{Code: "invalid_type", Message: "Expected integer, received float", Path: "concurrencyLimit"})
		case l < 0 || l > queue.MaxLimit:
			p.Add("concurrencyLimit", fmt.Sprintf("Number must be between 0 and %d", queue.MaxLimit))
		}
	}
	if b.Percent != nil && (*b.Percent <= 0 || *b.Percent > 100) {
		p.Add("percent", "Number must be greater than 0 and no more than 100")
	}
	return p.Err()
}

// overrideQueue serves POST /api/v1/queues/{queue}/concurrency/override.
func (a *API) overrideQueue(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[overrideBody](r, maxSmallBody)
	if err != nil {
		return err
	}
	var o queue.Override
	if body.Percent != nil {
		o.Percent = *body.Percent
	} else {
		o.Runs = int(*body.Limit)
	}
	return a.changeQueue(w, r, body.kind(), errNothingToLimit, func(ref store.QueueRef) error {
		return a.engine.OverrideQueue(r.Context(), environment(r), ref, o)
	})
}

// resetBody says how the path names the queue whose override is to go.
type resetBody struct{ queueBody }

// Validate names everything that is wrong.
func (b resetBody) Validate() error {
	var p rest.Problems
	b.check(&p)
	return p.Err()
}

// resetQueue serves POST /api/v1/queues/{queue}/concurrency/reset.
func (a *API) resetQueue(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[resetBody](r, maxSmallBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	return a.changeQueue(w, r, body.kind(), errNothingToLimit, func(ref store.QueueRef) error {
		return a.engine.ResetQueue(r.Context(), environment(r), ref)
	})
}

// changeQueue changes the queue that a path names and answers with what it is then.
func (a *API) changeQueue(w http.ResponseWriter, r *http.Request, kind string, missing error, change func(store.QueueRef) error) error {
	ref, _, err := queueParam(r, kind, missing)
	if err != nil {
		return err
	}
	if err := change(ref); fault.Is(err, fault.NotFound) {
		return missing
	} else if err != nil {
		return err
	}
	out, err := a.readQueue(r, ref, missing)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}
