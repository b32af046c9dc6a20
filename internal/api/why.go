package api

import (
	"net/http"
	"time"

	"sear/internal/auth"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/why"
	"sear/internal/wire"
)

// whyRun serves GET /api/v1/runs/{run}/why, an addition of ours.
func (a *API) whyRun(w http.ResponseWriter, r *http.Request) error {
	runID, err := runParam(r)
	if err != nil {
		return err
	}
	p := auth.From(r.Context())
	var facts why.Facts
	err = a.store.View(r.Context(), func(tx *store.Tx) error {
		d, err := tx.Detail(p.Env.ID, runID)
		if err != nil {
			return err
		}
		if !readsRun(p, d) {
			return errForbidden
		}
		facts, err = tx.Why(p.Env.ID, runID, time.Now())
		return err
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, why.Explain(facts, r.Header.Get(wire.VersionHeader)))
}
