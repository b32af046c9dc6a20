package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf16"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/store"
)

// Bounds of request bodies, in bytes.
const (
	//limit:builds Other bodies about deployments | bytes | 413 Request body too large
	maxDeployBody = 1 << 20
	//limit:builds Body that registers a deployment's build | bytes | 413 Request body too large
	maxManifestBody = 32 << 20 // carries all source files of a project
)

// deploymentParam is the internal id of the deployment that a path names.
func deploymentParam(r *http.Request) (string, error) {
	friendly, err := param(r, "deployment")
	if err != nil {
		return "", err
	}
	internal, ok := id.Internal(id.Deployment, friendly)
	if !ok {
		return "", fault.New(fault.NotFound, "Deployment not found")
	}
	return internal, nil
}

// deployBody is a wish to deploy.
type deployBody struct {
	ContentHash    *string           `json:"contentHash"`
	Git            *deploy.Git       `json:"gitMeta"`
	Kind           string            `json:"type"`
	Runtime        string            `json:"runtime"`
	Initial        string            `json:"initialStatus"`
	TriggeredVia   string            `json:"triggeredVia"`
	BuildID        string            `json:"buildId"`
	ExternalID     string            `json:"externalId"`
	Force          bool              `json:"force"`
	Native         bool              `json:"isNativeBuild"`
	SkipPromotion  bool              `json:"skipPromotion"`
	ArtifactKey    string            `json:"artifactKey"`
	ConfigFilePath string            `json:"configFilePath"`
	SkipEnqueue    bool              `json:"skipEnqueue"`
	FromBundle     bool              `json:"fromBundle"`
	BuildEnv       map[string]string `json:"buildEnvVars"`
}

// Validate names everything that is wrong.
func (b *deployBody) Validate() error {
	var p rest.Problems
	if b.ContentHash == nil {
		p.Add("contentHash", "Required")
	} else if !storable(*b.ContentHash) {
		p.Add("contentHash", "Null characters are not allowed")
	}
	b.ExternalID = strings.TrimSpace(b.ExternalID)
	if len(utf16.Encode([]rune(b.ExternalID))) > deploy.MaxExternalID {
		p.Add("externalId", fmt.Sprintf("externalId must be at most %d characters", deploy.MaxExternalID))
	}
	if !storable(b.ExternalID) {
		p.Add("externalId", "Null characters are not allowed")
	}
	switch b.Kind {
	case "", "MANAGED", "V1":
	case "UNMANAGED":
		p.Add("type", "UNMANAGED deployments are not supported")
	default:
		p.Add("type", "Invalid enum value. Expected 'MANAGED' | 'UNMANAGED' | 'V1'")
	}
	switch deploy.Status(b.Initial) {
	case "", deploy.Pending, deploy.Building:
	default:
		p.Add("initialStatus", "Invalid enum value. Expected 'PENDING' | 'BUILDING'")
	}
	if b.Force && b.ExternalID == "" {
		p.Add("force", "force requires externalId")
	}
	return p.Err()
}

// wanted is what the engine is asked for. What only matters to builds of the server is
// dropped from others, as upstream does.
func (b deployBody) wanted(a *API, request string) engine.NewDeployment {
	n := engine.NewDeployment{Force: b.Force, Deployment: deploy.Deployment{
		Status: deploy.Status(b.Initial), ExternalID: b.ExternalID, Request: request,
		Spec: deploy.Spec{Kind: b.Kind, ContentHash: *b.ContentHash, Runtime: b.Runtime, TriggeredVia: b.TriggeredVia, Git: b.Git,
			Build: deploy.Build{ID: b.BuildID}},
	}}
	if n.Kind == "" {
		n.Kind = "V1"
	}
	if !b.Native {
		return n
	}
	n.Build = deploy.Build{ID: b.BuildID, Native: true, ArtifactKey: b.ArtifactKey, ConfigFilePath: b.ConfigFilePath,
		SkipPromotion: b.SkipPromotion, SkipEnqueue: b.SkipEnqueue, FromBundle: b.FromBundle}
	if len(b.BuildEnv) > 0 {
		n.Seal = func(deploymentID string) []byte { return a.auth.SealBuildVariables(deploymentID, b.BuildEnv) }
	}
	return n
}

// initializedDeployment answers a wish to deploy.
type initializedDeployment struct {
	ID            string               `json:"id"`
	ContentHash   string               `json:"contentHash"`
	ShortCode     string               `json:"shortCode"`
	Version       string               `json:"version"`
	ImageTag      string               `json:"imageTag"`
	ImagePlatform string               `json:"imagePlatform"`
	ExternalID    string               `json:"externalId,omitempty"`
	Outcome       string               `json:"outcome"`
	IsPromoted    *bool                `json:"isPromoted,omitempty"`
	Canceled      []canceledDeployment `json:"canceledDeployments,omitempty"`
}

type canceledDeployment struct {
	Version   string `json:"version"`
	ShortCode string `json:"shortCode"`
}

// initializeDeployment serves POST /api/v1/deployments. There is neither a remote
// builder nor a stream of build logs to tell of: command lines that are told of none
// build by themselves.
func (a *API) initializeDeployment(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.Decode[deployBody](r, maxDeployBody)
	if err != nil {
		return err
	}
	var problems rest.Problems
	request := keyHeader(r, &problems, strings.ToLower(requestKeyHeader))
	if err := rest.HeadersError(problems); err != nil {
		return err
	}
	d, err := a.engine.Deploy(r.Context(), environment(r), body.wanted(a, request))
	if err != nil {
		return err
	}
	out := initializedDeployment{
		ID: id.Friendly(id.Deployment, d.ID), ContentHash: d.ContentHash, ShortCode: d.ShortCode, Version: d.Version,
		ImageTag: d.Image, ImagePlatform: d.Platform, ExternalID: d.ExternalID, Outcome: "created",
	}
	if d.Existing {
		out.Outcome, out.IsPromoted = "existing", &d.Promoted
	}
	for _, c := range d.Canceled {
		out.Canceled = append(out.Canceled, canceledDeployment{c.Version, c.ShortCode})
	}
	return rest.JSON(w, http.StatusOK, out)
}

// registration is what the indexer of a build found. The other fields of the body say
// what is always the case here.
type registration struct {
	Metadata json.RawMessage `json:"metadata"`
}

// Validate checks that there is a manifest; whether it is right is for the deployment to know too.
func (b registration) Validate() error {
	var p rest.Problems
	if len(b.Metadata) == 0 {
		p.Add("metadata", "Required")
	}
	return p.Err()
}

// registerDeploymentWorker serves POST /api/v1/deployments/{deployment}/background-workers.
// The indexer only logs a refusal and succeeds, so it is the server that fails a
// deployment with a wrong manifest.
func (a *API) registerDeploymentWorker(w http.ResponseWriter, r *http.Request) error {
	deploymentID, err := deploymentParam(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[registration](r, maxManifestBody)
	if err != nil {
		return err
	}
	env := environment(r)
	m, wrong := deploy.ReadManifest(body.Metadata)
	if wrong == nil {
		wrong = store.CheckSchedules(m)
	}
	if wrong == nil {
		wrong = m.Pack()
	}
	if wrong != nil {
		failed := deploy.Fail{Error: deploy.Error{Name: "ManifestError", Message: wrong.Error()}}
		if err := a.engine.ChangeDeployment(r.Context(), env, deploymentID, failed); err != nil {
			return err
		}
		return wrong
	}
	worker, err := a.engine.RegisterDeploymentWorker(r.Context(), env, deploymentID, m)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		ID          string `json:"id"`
		Version     string `json:"version"`
		ContentHash string `json:"contentHash"`
	}{id.Friendly(id.Worker, worker.ID), worker.Version, worker.Manifest.ContentHash})
}

// failBody is why a deployment failed.
type failBody struct {
	Error *struct {
		Name    *string `json:"name"`
		Message *string `json:"message"`
		Stack   string  `json:"stack"`
		Stderr  string  `json:"stderr"`
	} `json:"error"`
}

// Validate names everything that is missing.
func (b failBody) Validate() error {
	var p rest.Problems
	switch {
	case b.Error == nil:
		p.Add("error", "Required")
	default:
		if b.Error.Name == nil {
			p.Add("error.name", "Required")
		}
		if b.Error.Message == nil {
			p.Add("error.message", "Required")
		}
	}
	return p.Err()
}

// failDeployment serves POST /api/v1/deployments/{deployment}/fail. One that has ended
// stays as it is.
func (a *API) failDeployment(w http.ResponseWriter, r *http.Request) error {
	deploymentID, err := deploymentParam(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[failBody](r, maxDeployBody)
	if err != nil {
		return err
	}
	e := deploy.Error{Name: *body.Error.Name, Message: *body.Error.Message, Stack: body.Error.Stack, Stderr: body.Error.Stderr}
	if err := a.engine.ChangeDeployment(r.Context(), environment(r), deploymentID, deploy.Fail{Error: e}); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idResponse{id.Friendly(id.Deployment, deploymentID)})
}

// cancelReason is why a deployment is canceled.
type cancelReason struct {
	Reason string `json:"reason"`
}

// maxReason bounds a reason, in characters.
//
//limit:builds The reason why a deployment is canceled | characters | 400 Reason must be less than {} characters
const maxReason = 200

// Validate bounds the reason.
func (b cancelReason) Validate() error {
	var p rest.Problems
	if len(utf16.Encode([]rune(b.Reason))) > maxReason {
		p.Add("reason", "Reason must be less than 200 characters")
	}
	return p.Err()
}

// cancelDeployment serves POST /api/v1/deployments/{deployment}/cancel.
func (a *API) cancelDeployment(w http.ResponseWriter, r *http.Request) error {
	return changeDeployment(a, w, r, func(b cancelReason) deploy.Command { return deploy.Cancel{Reason: b.Reason} })
}

// progressBody is what a builder has learnt of a deployment.
type progressBody struct {
	ContentHash string       `json:"contentHash"`
	Runtime     string       `json:"runtime"`
	Git         *deploy.Git  `json:"gitMeta"`
	Build       deploy.Build `json:"buildServerMetadata"`
}

// progressDeployment serves POST /api/v1/deployments/{deployment}/progress.
func (a *API) progressDeployment(w http.ResponseWriter, r *http.Request) error {
	return changeDeployment(a, w, r, func(b progressBody) deploy.Command { return deploy.Progress(b) })
}

// changeDeployment carries out the command of a body, and has nothing to say of it.
func changeDeployment[T any](a *API, w http.ResponseWriter, r *http.Request, command func(T) deploy.Command) error {
	deploymentID, err := deploymentParam(r)
	if err != nil {
		return err
	}
	body, err := rest.Decode[T](r, maxDeployBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	if err := a.engine.ChangeDeployment(r.Context(), environment(r), deploymentID, command(body)); err != nil {
		return err
	}
	rest.NoContent(w)
	return nil
}

// finalizeBody ends a deployment.
type finalizeBody struct {
	SkipPromotion bool   `json:"skipPromotion"`
	ImageDigest   string `json:"imageDigest"`
}

// finalize finalizes the deployment that a request names.
func (a *API) finalize(r *http.Request) (idResponse, error) {
	deploymentID, err := deploymentParam(r)
	if err != nil {
		return idResponse{}, err
	}
	body, err := rest.Decode[finalizeBody](r, maxDeployBody, rest.AllowEmpty)
	if err != nil {
		return idResponse{}, err
	}
	_, err = a.engine.FinalizeDeployment(r.Context(), environment(r), deploymentID, body.ImageDigest, body.SkipPromotion)
	return idResponse{id.Friendly(id.Deployment, deploymentID)}, err
}

// finalizeDeployment serves POST /api/v1/ and /api/v2/deployments/{deployment}/finalize.
func (a *API) finalizeDeployment(w http.ResponseWriter, r *http.Request) error {
	out, err := a.finalize(r)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// streamFinalize serves POST /api/v3/deployments/{deployment}/finalize: one event says
// how it went. Whoever asks for something else than finalizing what there is gets a
// plain answer.
func (a *API) streamFinalize(w http.ResponseWriter, r *http.Request) error {
	out, err := a.finalize(r)
	var refused *fault.Error
	event, data := "complete", any(out)
	if err != nil {
		if out.ID == "" || !fault.Is(err, fault.Malformed) || !errors.As(err, &refused) {
			return err
		}
		event, data = "error", map[string]string{"error": refused.Msg}
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	s, err := rest.Stream(w)
	if err != nil {
		return err
	}
	return s.Send(rest.Event{Name: event, Data: string(text)})
}

// promoteDeployment serves POST /api/v1/deployments/{deployment}/promote, where the
// path names a version.
func (a *API) promoteDeployment(w http.ResponseWriter, r *http.Request) error {
	version, err := param(r, "deployment")
	if err != nil {
		return err
	}
	way := deploy.Forward
	q := newQuery(r)
	switch v := q.values.Get("allowRollbacks"); v {
	case "", "false":
	case "true":
		way = deploy.Either
	default:
		q.problems.Add("allowRollbacks", "Expected boolean")
	}
	if err := rest.QueryError(q.problems); err != nil {
		return err
	}
	d, err := a.engine.Promote(r.Context(), environment(r), version, way)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, struct {
		ID        string `json:"id"`
		Version   string `json:"version"`
		ShortCode string `json:"shortCode"`
	}{id.Friendly(id.Deployment, d.ID), d.Version, d.ShortCode})
}

// buildVariables serves GET /api/v1/deployments/{deployment}/build-env-vars.
func (a *API) buildVariables(w http.ResponseWriter, r *http.Request) error {
	deploymentID, err := deploymentParam(r)
	if err != nil {
		return err
	}
	var sealed []byte
	if err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		sealed, err = tx.BuildVariables(environment(r).ID, deploymentID)
		return err
	}); err != nil {
		return err
	}
	variables, err := a.auth.OpenBuildVariables(deploymentID, sealed)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, map[string]map[string]string{"variables": variables})
}
