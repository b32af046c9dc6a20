package workerapi

import (
	"net/http"

	"sear/internal/deploy"
	"sear/internal/id"
	"sear/internal/rest"
)

// maxManifest bounds a registration, which carries all source files of a project.
//
//limit:builds Body that registers a build of `dev` | bytes | 413 Request body too large
const maxManifest = 32 << 20

// registration is what the CLI sends after a build. Its other fields say what is
// always the case here.
type registration struct {
	Metadata deploy.Manifest `json:"metadata"`
}

// Validate checks the manifest.
func (g *registration) Validate() error { return g.Metadata.Validate() }

// registerWorker makes a build the newest version of its environment.
func (a *API) registerWorker(w http.ResponseWriter, r *http.Request) error {
	if err := checkProject(r); err != nil {
		return err
	}
	body, err := rest.Decode[registration](r, maxManifest)
	if err != nil {
		return err
	}
	worker, err := a.engine.RegisterWorker(r.Context(), environment(r), body.Metadata)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		ID          string `json:"id"`
		Version     string `json:"version"`
		ContentHash string `json:"contentHash"`
	}{id.Friendly(id.Worker, worker.ID), worker.Version, body.Metadata.ContentHash})
}
