package api

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// Sizes of bodies that carry environment variables, in bytes.
const (
	//limit:variables Body that sets one variable | bytes | 413 Request body too large
	maxEnvVarBody = 512 << 10
	//limit:variables Body that imports variables | bytes | 413 Request body too large
	maxImportBody = 2 << 20
)

// envVarScope is the type of thing that the scopes of this file are about.
const envVarScope = "envvars"

// variableEnvironment is the environment whose variables a request is about: that of
// the key, or the one that the path and the branch header name to a user.
func (a *API) variableEnvironment(r *http.Request) (*tenant.Environment, error) {
	env, err := a.pathEnvironment(r)
	if err != nil || auth.From(r.Context()).Env != nil {
		return env, err
	}
	branch := r.Header.Get(auth.BranchHeader)
	switch {
	case env.Type == tenant.Preview && branch == "":
		return nil, fault.New(fault.Malformed, "x-trigger-branch header required for preview env")
	case !env.Type.Branches() || branch == "" || env.Type == tenant.Development && branch == tenant.DefaultBranch:
		return env, nil
	}
	root := env
	err = a.store.View(r.Context(), func(tx *store.Tx) error {
		env, err = tx.Branch(root.ID, branch)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "Branch not found")
		}
		return err
	})
	return env, err
}

// namedVariable is the environment and the name of a variable that the caller may act on.
func (a *API) namedVariable(r *http.Request, action string) (*tenant.Environment, string, error) {
	env, err := a.variableEnvironment(r)
	if err != nil {
		return nil, "", err
	}
	name, err := param(r, "name")
	if err != nil {
		return nil, "", err
	}
	if !auth.From(r.Context()).Can(action, envVarScope, name) {
		return nil, "", errForbidden
	}
	return env, name, nil
}

// listEnvVars serves GET /api/v1/projects/{ref}/envvars/{env}.
func (a *API) listEnvVars(w http.ResponseWriter, r *http.Request) error {
	env, err := a.variableEnvironment(r)
	if err != nil {
		return err
	}
	if !auth.From(r.Context()).Can("read", envVarScope, "") {
		return errForbidden
	}
	all, err := a.auth.Variables(r.Context(), env)
	if err != nil {
		return err
	}
	out := make([]wire.EnvVar, len(all))
	for i, v := range all {
		out[i] = wire.NewEnvVar(v.Name, v.Value, v.Secret)
	}
	return rest.JSON(w, http.StatusOK, out)
}

// getEnvVar serves GET /api/v1/projects/{ref}/envvars/{env}/{name}.
func (a *API) getEnvVar(w http.ResponseWriter, r *http.Request) error {
	env, name, err := a.namedVariable(r, "read")
	if err != nil {
		return err
	}
	v, err := a.auth.Variable(r.Context(), env, name)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, wire.NewEnvVar(v.Name, v.Value, v.Secret))
}

// createEnvVar serves POST /api/v1/projects/{ref}/envvars/{env}: a variable that is set
// already is replaced.
func (a *API) createEnvVar(w http.ResponseWriter, r *http.Request) error {
	env, err := a.variableEnvironment(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[wire.EnvVarBody](r, maxEnvVarBody)
	if err != nil {
		return rest.BodyIssues(err)
	}
	return a.setEnvVars(w, r, env, body.EnvVarSet)
}

// importEnvVars serves POST /api/v1/projects/{ref}/envvars/{env}/import, for JSON and
// for a form with a dotenv file.
func (a *API) importEnvVars(w http.ResponseWriter, r *http.Request) error {
	env, err := a.variableEnvironment(r)
	if err != nil {
		return err
	}
	set, err := readImport(r)
	if err != nil {
		return rest.BodyIssues(err)
	}
	return a.setEnvVars(w, r, env, set)
}

// setEnvVars sets what was sent, and says which names were not set. Those of the parent are
// not where there is none, which is no error even if there are no others: a deployment
// sends its secret variables apart from the rest, and of one kind it may have only these.
func (a *API) setEnvVars(w http.ResponseWriter, r *http.Request, env *tenant.Environment, set wire.EnvVarSet) error {
	p := auth.From(r.Context())
	for _, name := range set.Names() {
		if !p.Can("write", envVarScope, name) {
			return errForbidden
		}
	}
	if env.ParentID == "" {
		set.Ignored = append(set.Ignored, slices.Sorted(maps.Keys(set.Parent))...)
		set.Parent = nil
	}
	err := a.auth.SetVariables(r.Context(), env, auth.VariableSet{
		Own: set.Variables, Root: set.Parent, Secret: set.Secret, Override: set.Override,
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		succeeded
		Ignored []string `json:"ignored,omitempty"`
	}{succeeded{true}, set.Ignored})
}

// updateEnvVar serves PUT and POST /api/v1/projects/{ref}/envvars/{env}/{name}.
func (a *API) updateEnvVar(w http.ResponseWriter, r *http.Request) error {
	env, name, err := a.namedVariable(r, "write")
	if err != nil {
		return err
	}
	body, err := rest.Decode[wire.EnvVarValueBody](r, maxEnvVarBody)
	if err != nil {
		return rest.BodyIssues(err)
	}
	if err := a.auth.UpdateVariable(r.Context(), env, name, body.Value); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, succeeded{true})
}

// deleteEnvVar serves DELETE /api/v1/projects/{ref}/envvars/{env}/{name}.
func (a *API) deleteEnvVar(w http.ResponseWriter, r *http.Request) error {
	env, name, err := a.namedVariable(r, "write")
	if err != nil {
		return err
	}
	if err := a.auth.DeleteVariable(r.Context(), env, name); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, succeeded{true})
}

// readImport reads the body of an import in whichever of its forms.
func readImport(r *http.Request) (wire.EnvVarSet, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		body, err := rest.Decode[wire.EnvVarImport](r, maxImportBody)
		return body.EnvVarSet, err
	}
	body, err := rest.ReadBody(r, maxImportBody)
	if err != nil {
		return wire.EnvVarSet{}, err
	}
	fields, err := formFields(body, params["boundary"])
	if err != nil {
		return wire.EnvVarSet{}, fault.Wrap(fault.Malformed, err, "Invalid multipart body")
	}
	return importForm(fields)
}

// formFields reads the fields of a form, its files too.
func formFields(body []byte, boundary string) (map[string][]byte, error) {
	fields := map[string][]byte{}
	m := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := m.NextRawPart()
		if errors.Is(err, io.EOF) {
			return fields, nil
		}
		if err != nil {
			return nil, err
		}
		if fields[part.FormName()], err = io.ReadAll(part); err != nil {
			return nil, err
		}
	}
}

func importForm(fields map[string][]byte) (wire.EnvVarSet, error) {
	var problems rest.Problems
	file, ok := fields["variables"]
	if !ok {
		problems.Add("variables", "Required")
	}
	flag := func(name string) bool {
		v, sent := fields[name]
		if sent && !slices.Contains([]string{"true", "false"}, string(v)) {
			problems.Add(name, "Expected true or false")
		}
		return string(v) == "true"
	}
	override, secret := flag("override"), flag("isSecret")
	if len(problems) > 0 {
		return wire.EnvVarSet{}, problems.Err()
	}
	set, err := wire.EnvFile(file)
	set.Override = override
	if _, ok := fields["isSecret"]; ok {
		set.Secret = &secret
	}
	return set, err
}
