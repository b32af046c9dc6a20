package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sear/internal/auth"
	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// shownDeployment is a deployment as those see it who carry it out.
type shownDeployment struct {
	ID             string            `json:"id"`
	Status         deploy.Status     `json:"status"`
	ContentHash    string            `json:"contentHash"`
	ShortCode      string            `json:"shortCode"`
	Version        string            `json:"version"`
	ImageReference string            `json:"imageReference,omitempty"`
	ImagePlatform  string            `json:"imagePlatform"`
	CommitSHA      string            `json:"commitSHA,omitempty"`
	ExternalID     string            `json:"externalId,omitempty"`
	ErrorData      *deploy.Error     `json:"errorData,omitempty"`
	CanceledReason string            `json:"canceledReason,omitempty"`
	Worker         *deploymentWorker `json:"worker,omitempty"`
}

type deploymentWorker struct {
	ID      string           `json:"id"`
	Version string           `json:"version"`
	Tasks   []deploymentTask `json:"tasks"`
}

type deploymentTask struct {
	ID         string `json:"id"`
	Slug       string `json:"slug"`
	FilePath   string `json:"filePath"`
	ExportName string `json:"exportName,omitempty"`
}

func showDeployment(d deploy.Deployment) shownDeployment {
	out := shownDeployment{
		ID: id.Friendly(id.Deployment, d.ID), Status: d.Status, ContentHash: d.ContentHash, ShortCode: d.ShortCode, Version: d.Version,
		ImageReference: d.Image, ImagePlatform: d.Platform, ExternalID: d.ExternalID, ErrorData: d.Error, CanceledReason: d.CanceledReason,
	}
	if d.Git != nil {
		out.CommitSHA = d.Git.CommitSHA
	}
	return out
}

// taskID identifies a task of a worker. Tasks have no id of their own here: they never
// change, and their worker has one.
func taskID(w *deploy.Worker, index int) string { return fmt.Sprintf("task_%s%d", w.ID, index) }

// getDeployment serves GET /api/v1/deployments/{deployment}.
func (a *API) getDeployment(w http.ResponseWriter, r *http.Request) error {
	deploymentID, err := deploymentParam(r)
	if err != nil {
		return err
	}
	var out shownDeployment
	if err := a.store.View(r.Context(), func(tx *store.Tx) error {
		d, err := tx.Deployment(environment(r).ID, deploymentID)
		if err != nil {
			return err
		}
		if out = showDeployment(d); d.WorkerID == "" {
			return nil
		}
		worker, err := tx.Worker(d.EnvID, d.WorkerID)
		if err != nil {
			return err
		}
		out.Worker = &deploymentWorker{ID: id.Friendly(id.Worker, worker.ID), Version: worker.Version, Tasks: []deploymentTask{}}
		for i, t := range worker.Manifest.Tasks {
			out.Worker.Tasks = append(out.Worker.Tasks, deploymentTask{taskID(worker, i), t.ID, t.FilePath, t.ExportName})
		}
		return nil
	}); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// latestDeployment serves GET /api/v1/deployments/latest. Upstream means the newest of
// the unmanaged ones, those that its cloud does not run, and makes no more of them;
// here every deployment runs on its owner's machines.
func (a *API) latestDeployment(w http.ResponseWriter, r *http.Request) error {
	var d deploy.Deployment
	if err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		d, err = tx.NewestDeployment(environment(r).ID)
		return err
	}); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, showDeployment(d))
}

// listedDeployment is a deployment in a list.
type listedDeployment struct {
	ID             string        `json:"id"`
	CreatedAt      string        `json:"createdAt"`
	ShortCode      string        `json:"shortCode"`
	Version        string        `json:"version"`
	Runtime        *string       `json:"runtime"`
	RuntimeVersion *string       `json:"runtimeVersion"`
	Status         deploy.Status `json:"status"`
	DeployedAt     string        `json:"deployedAt,omitempty"`
	Git            *deploy.Git   `json:"git,omitempty"`
	Error          *deploy.Error `json:"error,omitempty"`
	ExternalID     string        `json:"externalId,omitempty"`
}

// listDeployment is a deployment in a list. The official client knows no INSTALLING
// there, and would refuse the whole list: to it that is a part of building.
func listDeployment(d deploy.Deployment) listedDeployment {
	out := listedDeployment{
		ID: id.Friendly(id.Deployment, d.ID), CreatedAt: wire.ISO(d.CreatedAt), ShortCode: d.ShortCode, Version: d.Version,
		Runtime: orNull(d.Runtime), RuntimeVersion: orNull(d.RuntimeVersion), Status: d.Status, DeployedAt: wire.ISO(d.DeployedAt),
		Git: d.Git, Error: d.Error, ExternalID: d.ExternalID,
	}
	if d.Status == deploy.Installing {
		out.Status = deploy.Building
	}
	return out
}

// orNull is what the schema has null for, not nothing.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// mayReadDeployments asks whether the caller may read all deployments of the environment.
func mayReadDeployments(r *http.Request) error {
	if !auth.From(r.Context()).Can("read", "deployments", "") {
		return errForbidden
	}
	return nil
}

// listDeployments serves GET /api/v1/deployments.
func (a *API) listDeployments(w http.ResponseWriter, r *http.Request) error {
	if err := mayReadDeployments(r); err != nil {
		return err
	}
	q := newQuery(r)
	created, err := q.deployed(time.Now())
	if err != nil {
		return err
	}
	f := store.DeploymentFilter{EnvID: environment(r).ID, Statuses: q.deploymentStatuses(), Created: created}
	p := store.Page{Size: q.deploymentPage(), After: q.cursor("page[after]", id.Deployment)}
	if err := rest.QueryError(q.problems); err != nil {
		return err
	}
	var list store.List[deploy.Deployment]
	if err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.ListDeployments(f, p)
		return err
	}); err != nil {
		return err
	}
	out := page[listedDeployment]{Data: []listedDeployment{}, Pagination: cursors{Next: cursorsOf(list, id.Deployment).Next}}
	for _, d := range list.Items {
		out.Data = append(out.Data, listDeployment(d))
	}
	return rest.JSON(w, http.StatusOK, out)
}

// Sizes of a page of deployments. Others are taken for the nearest.
const (
	minDeploymentPage     = 5
	defaultDeploymentPage = 20
)

func (q *query) deploymentPage() int {
	v := q.values.Get("page[size]")
	if v == "" {
		return defaultDeploymentPage
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		q.problems.Add("page[size]", "Expected number, received nan")
	}
	return min(max(n, minDeploymentPage), maxPage)
}

func (q *query) deploymentStatuses() []deploy.Status {
	names := q.list("status")
	q.refuse("status", "status", names, func(name string) bool { return slices.Contains(deploy.Statuses, deploy.Status(name)) })
	var out []deploy.Status
	for _, name := range names {
		out = append(out, deploy.Status(name))
		if deploy.Status(name) == deploy.Building { // see listDeployment
			out = append(out, deploy.Installing)
		}
	}
	return out
}

// deployed reads the time of creation: a period up to now, or from and to.
func (q *query) deployed(now time.Time) (store.Created, error) {
	v := q.values.Get("period")
	if v == "" {
		return store.Created{From: q.instant("from"), To: q.instant("to")}, nil
	}
	d, ok := deploy.ParseDuration(v)
	if !ok {
		return store.Created{}, fault.New(fault.Malformed, "Invalid search query parameter: period="+v)
	}
	return store.Created{From: now.Add(-d)}, nil
}

// currentDeployment serves GET /api/v1/deployments/current.
func (a *API) currentDeployment(w http.ResponseWriter, r *http.Request) error {
	if err := mayReadDeployments(r); err != nil {
		return err
	}
	var d deploy.Deployment
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		d, err = tx.CurrentDeployment(environment(r).ID)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Not found")
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, listDeployment(d))
}

// taggedWorker is a worker as tools see it that trigger its tasks.
type taggedWorker struct {
	ID         string       `json:"id"`
	Version    string       `json:"version"`
	Engine     string       `json:"engine"`
	SDKVersion string       `json:"sdkVersion,omitempty"`
	CLIVersion string       `json:"cliVersion,omitempty"`
	Tasks      []taggedTask `json:"tasks"`
}

type taggedTask struct {
	ID            string        `json:"id"`
	Slug          string        `json:"slug"`
	FilePath      string        `json:"filePath"`
	TriggerSource string        `json:"triggerSource"`
	CreatedAt     string        `json:"createdAt"`
	PayloadSchema any           `json:"payloadSchema,omitempty"`
	QueueConfig   *deploy.Queue `json:"queueConfig,omitempty"`
}

// triggerSources are the names of what a task is triggered by, as the database upstream has them.
var triggerSources = map[string]string{"schedule": "SCHEDULED", "agent": "AGENT", "webhook": "WEBHOOK"}

func tagWorker(w *deploy.Worker) taggedWorker {
	out := taggedWorker{ID: id.Friendly(id.Worker, w.ID), Version: w.Version, Engine: "V2",
		SDKVersion: w.Manifest.PackageVersion, CLIVersion: w.Manifest.CLIVersion, Tasks: []taggedTask{}}
	for i, t := range w.Manifest.Tasks {
		task := taggedTask{ID: taskID(w, i), Slug: t.ID, FilePath: t.FilePath, TriggerSource: triggerSources[t.TriggerSource],
			CreatedAt: wire.ISO(w.CreatedAt), QueueConfig: t.Queue}
		if task.TriggerSource == "" {
			task.TriggerSource = "STANDARD"
		}
		if len(t.PayloadSchema) > 0 {
			task.PayloadSchema = t.PayloadSchema
		}
		out.Tasks = append(out.Tasks, task)
	}
	return out
}

// workerByTag serves GET /api/v1/projects/{ref}/{env}/workers/{tag}. A tag is
// "current", or a version.
func (a *API) workerByTag(w http.ResponseWriter, r *http.Request) error {
	tag, err := param(r, "tag")
	if err != nil {
		return err
	}
	env, err := a.pathEnvironment(r)
	if err != nil {
		return err
	}
	var worker *deploy.Worker
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		if branch := r.Header.Get(auth.BranchHeader); branch != "" && branch != tenant.DefaultBranch && env.ParentID == "" && env.Type.Branches() {
			if env, err = tx.Branch(env.ID, branch); err != nil {
				return err
			}
		}
		if tag != "current" {
			worker, err = tx.WorkerByVersion(env.ID, tag)
			return err
		}
		workerID, err := tx.CurrentWorkerID(env)
		if err != nil {
			return err
		}
		worker, err = tx.Worker(env.ID, workerID)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "Worker not found")
	}
	if err != nil {
		return err
	}
	type urls struct {
		Runs string `json:"runs"`
	}
	return rest.JSON(w, http.StatusOK, struct {
		Worker taggedWorker `json:"worker"`
		URLs   urls         `json:"urls"`
	}{tagWorker(worker), urls{a.origin(r) + "/projects/v3/" + url.PathEscape(env.Project.Ref) + "/runs?environment=" + env.Type.Slug()}})
}
