package api

import (
	"net/http"

	"sear/internal/auth"
	"sear/internal/rest"
	"sear/internal/wire"
)

// maxKeyBody bounds the body of a reset, in bytes.
const maxKeyBody = 16 << 10

// resetKey serves POST /api/v1/idempotencyKeys/{key}/reset: the next trigger of the
// task with the key makes a new run.
func (a *API) resetKey(w http.ResponseWriter, r *http.Request) error {
	key, err := param(r, "key")
	if err != nil {
		return err
	}
	body, err := rest.Decode[wire.ResetKeyBody](r, maxKeyBody)
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	if !p.Can("write", "runs", "") {
		return errForbidden
	}
	if err := a.engine.ResetKey(r.Context(), p.Env, body.TaskIdentifier, key); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: key})
}

// idOnly answers calls that have nothing else to say.
type idOnly struct {
	ID string `json:"id"`
}
