package api

import (
	"fmt"
	"net/http"
	"time"

	"sear/internal/auth"
	"sear/internal/rest"
	"sear/internal/wire"
)

// maxKeyBody bounds the body of a reset, in bytes.
//
//limit:requests Bodies of resets and rotations of keys | bytes | 413 Request body too large
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

// rotateBody says how long the old key works on.
type rotateBody struct {
	GraceSeconds *int64 `json:"graceSeconds"` // nil: as long as usual
}

// grace is the duration that the body asks for.
func (b rotateBody) grace() time.Duration {
	if b.GraceSeconds == nil {
		return auth.RotationGrace
	}
	return time.Duration(*b.GraceSeconds) * time.Second
}

// Validate bounds the grace.
func (b rotateBody) Validate() error {
	most := int64(auth.MaxRotationGrace / time.Second)
	var problems rest.Problems
	if n := b.GraceSeconds; n != nil && (*n < 0 || *n > most) {
		problems.Add("graceSeconds", fmt.Sprintf("Number must be between 0 and %d", most))
	}
	return problems.Err()
}

// rotateKey serves POST /api/v1/projects/{ref}/{env}/keys/rotate: the environment gets
// a new secret key, and the old one works until the grace has passed.
func (a *API) rotateKey(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[rotateBody](r, maxKeyBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	env, err := a.pathEnvironment(r)
	if err != nil {
		return err
	}
	key, until, err := a.auth.RotateKey(r.Context(), env, body.grace())
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		APIKey  string    `json:"apiKey"`
		Expires time.Time `json:"previousKeyExpiresAt"`
	}{key, until.UTC()})
}
