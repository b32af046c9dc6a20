package api

import (
	"net/http"

	"sear/internal/rest"
)

// resume serves POST /api/v1/resume, an addition of ours: a server that was restored from
// a backup executes runs from now on.
func (a *API) resume(w http.ResponseWriter, r *http.Request) error {
	if err := a.engine.Resume(r.Context()); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]bool{"ok": true})
}
