package workerapi

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/wire"
)

// waitRequest asks to let a run wait until an instant.
type waitRequest struct {
	Date json.RawMessage `json:"date"` // text, or milliseconds since 1970
	Key  string          `json:"idempotencyKey"`
	TTL  string          `json:"idempotencyKeyTTL"`

	until  time.Time
	keyTTL time.Duration
}

// Validate reads the date and the key's time to live.
func (q *waitRequest) Validate() error {
	var p rest.Problems
	if !q.readDate() {
		p.Add("date", "Invalid date: "+wire.Clip(text(q.Date)))
	}
	if len(q.Key) > wire.MaxKey {
		p.Add("idempotencyKey", "idempotencyKey must be 2048 characters or less")
	}
	var ok bool
	if q.keyTTL, ok = wire.ParseKeyTTL(q.TTL); !ok {
		p.Add("idempotencyKeyTTL", wire.NotADuration("idempotencyKeyTTL", q.TTL))
	}
	return p.Err()
}

func (q *waitRequest) readDate() (ok bool) {
	var ms *float64
	if json.Unmarshal(q.Date, &ms) == nil && ms != nil {
		q.until = time.UnixMilli(int64(min(max(*ms, 0), maxDate)))
		return *ms <= maxDate
	}
	q.until, ok = wire.ParseDate(text(q.Date))
	return ok
}

// maxDate is the last instant JavaScript knows, in milliseconds since 1970.
//
//limit:inside the last instant that JavaScript knows
const maxDate = 8.64e15

// waitFor lets a run wait until an instant.
func (a *API) waitFor(w http.ResponseWriter, r *http.Request) error {
	internal, err := runID(r)
	if err != nil {
		return err
	}
	q, err := rest.Decode[waitRequest](r, maxBody)
	if err != nil {
		return err
	}
	p, err := a.engine.WaitFor(r.Context(), environment(r), internal, engine.NewWaitpoint{
		At: q.until, Key: engine.Key{Text: q.Key, TTL: q.keyTTL}, Request: requestKey(r),
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		Until     string    `json:"waitUntil"`
		Waitpoint reference `json:"waitpoint"`
	}{wire.ISO(p.Due), reference{id.Friendly(id.Waitpoint, p.ID)}})
}

// waitForToken lets a run wait for a token. The SDK sends no body.
func (a *API) waitForToken(w http.ResponseWriter, r *http.Request) error {
	internal, err := runID(r)
	if err != nil {
		return err
	}
	token, ok := id.Internal(id.Waitpoint, chi.URLParam(r, "waitpoint"))
	if !ok {
		return fault.New(fault.NotFound, "Waitpoint not found")
	}
	if err := a.engine.WaitForToken(r.Context(), environment(r), internal, token); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]bool{"success": true})
}
