package workerapi

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/tenant"
)

// errProject answers for a project that is not the key's.
var errProject = fault.New(fault.NotFound, "Project not found: the secret key belongs to another one")

// checkProject compares the project in the path with the key's.
func checkProject(r *http.Request) error {
	if chi.URLParam(r, "project") != environment(r).Project.Ref {
		return errProject
	}
	return nil
}

// variables lists the variables that the CLI's processes see while they build.
func (a *API) variables(w http.ResponseWriter, r *http.Request) error {
	if err := checkProject(r); err != nil {
		return err
	}
	vars, err := a.processVariables(r)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]any{"variables": vars})
}

// processVariables are the variables of a process in the environment of a request:
// its own ones, between defaults that they may replace and values that they may not.
func (a *API) processVariables(r *http.Request) (map[string]string, error) {
	env, origin := environment(r), a.origin(r)
	telemetry := origin + "/otel"
	vars := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT":     telemetry,
		"TRIGGER_REALTIME_STREAM_VERSION": "v1",
	}
	own, err := a.auth.Variables(r.Context(), env)
	if err != nil {
		return nil, err
	}
	for _, v := range own {
		vars[v.Name] = v.Value
	}
	vars["TRIGGER_API_URL"] = origin
	vars["TRIGGER_STREAM_URL"] = origin
	vars["TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT"] = telemetry
	if env.Branch != "" { // without it, what a run triggers would go to the root environment
		vars[branchVariable(env.Type)] = env.Branch
	}
	return vars, nil
}

func branchVariable(t tenant.EnvType) string {
	if t == tenant.Preview {
		return "TRIGGER_PREVIEW_BRANCH"
	}
	return "TRIGGER_DEV_BRANCH"
}

// runVariables are the variables of the process that executes a run.
func (a *API) runVariables(r *http.Request, of run.Run) (map[string]string, error) {
	vars, err := a.processVariables(r)
	if err != nil {
		return nil, err
	}
	vars["TRIGGER_RUN_ID"] = of.ID
	vars["TRIGGER_MACHINE_PRESET"] = presetOf(of.Machine).Name
	return vars, nil
}
