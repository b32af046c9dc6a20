package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sear/internal/auth"
	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/servertest"
	"sear/internal/store"
)

const deployments = "/api/v1/deployments"

// captured is the body that the official command line sends.
const captured = `{"contentHash":"53fb","userId":"user_1","type":"MANAGED","runtime":"node-24","isNativeBuild":false,
	"triggeredVia":"cli:ci_other","force":false,"supportsInstanceBaseImages":true}`

// begun is what initialize answers.
type begun struct {
	ID, ShortCode, Version, ImageTag, ImagePlatform, Outcome, ExternalID string
	IsPromoted                                                           *bool
	CanceledDeployments                                                  []struct{ Version, ShortCode string }
}

// manifestOf is the body of a registration.
func manifestOf(hash string, tasks ...string) string {
	list := []string{}
	for _, name := range tasks {
		list = append(list, fmt.Sprintf(`{"id":%q,"filePath":"a.ts","exportName":"x","entryPoint":"e"}`, name))
	}
	return `{"localOnly":true,"engine":"V2","metadata":{"contentHash":"` + hash + `","packageVersion":"4.8.3","cliPackageVersion":"4.8.3",
		"runtime":"node","runtimeVersion":"22.1.0","sourceFiles":[],"tasks":[` + strings.Join(list, ",") + `]}}`
}

// deployed brings a deployment as far as finalize.
func deployed(t testing.TB, c servertest.Client, body string, finalize string) begun {
	t.Helper()
	d := servertest.Post[begun](t, c, deployments, body)
	servertest.Post[map[string]any](t, c, deployments+"/"+d.ID+"/background-workers", manifestOf("53fb", "hello"))
	servertest.Post[map[string]any](t, c, deployments+"/"+d.ID+"/finalize", finalize)
	return d
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	got := c.Call(t, http.MethodPost, deployments, captured)
	d := body[begun](t, got)
	expect(t, "initialize", got, 200, `{"id":"*","contentHash":"53fb","shortCode":"*","version":"*","imageTag":"*","imagePlatform":"linux/amd64","outcome":"created"}`)
	if want := "localhost/trigger/" + s.keys.ProjectRef + ":" + d.Version + ".production." + d.ShortCode; d.ImageTag != want || len(d.ShortCode) != 8 {
		t.Errorf("image %s, want %s", d.ImageTag, want)
	}
	path := deployments + "/" + d.ID
	expect(t, "get", c.Call(t, http.MethodGet, path, nil), 200, `{"id":"`+d.ID+`","status":"BUILDING","contentHash":"53fb","shortCode":"`+d.ShortCode+
		`","version":"`+d.Version+`","imageReference":"`+d.ImageTag+`","imagePlatform":"linux/amd64"}`)
	expect(t, "register", c.Call(t, http.MethodPost, path+"/background-workers", manifestOf("53fb", "hello")), 200,
		`{"id":"*","version":"`+d.Version+`","contentHash":"53fb"}`)
	digest := "sha256:" + strings.Repeat("0", 64)
	stream := c.Call(t, http.MethodPost, "/api/v3/deployments/"+d.ID+"/finalize", `{"imageDigest":"`+digest+`","skipPushToRegistry":true}`)
	if want := "event: complete\ndata: {\"id\":\"" + d.ID + "\"}\n\n"; string(stream.Body) != want || stream.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("finalize: %s", stream.Body)
	}
	expect(t, "get", c.Call(t, http.MethodGet, path, nil), 200, `{"id":"`+d.ID+`","status":"DEPLOYED","contentHash":"53fb","shortCode":"`+d.ShortCode+
		`","version":"`+d.Version+`","imageReference":"`+d.ImageTag+"@"+digest+`","imagePlatform":"linux/amd64",
		"worker":{"id":"*","version":"`+d.Version+`","tasks":[{"id":"*","slug":"hello","filePath":"a.ts","exportName":"x"}]}}`)
	item := `{"id":"` + d.ID + `","createdAt":"*","shortCode":"` + d.ShortCode + `","version":"` + d.Version + `","runtime":"node","runtimeVersion":"22.1.0",
		"status":"DEPLOYED","deployedAt":"*"}`
	expect(t, "current", c.Call(t, http.MethodGet, deployments+"/current", nil), 200, item)
	expect(t, "list", c.Call(t, http.MethodGet, deployments, nil), 200, `{"data":[`+item+`],"pagination":{}}`)
	expect(t, "worker", c.Call(t, http.MethodGet, "/api/v1/projects/"+s.keys.ProjectRef+"/prod/workers/current", nil), 200, `{"worker":{"id":"*","version":"`+d.Version+`",
		"engine":"V2","sdkVersion":"4.8.3","cliVersion":"4.8.3","tasks":[{"id":"*","slug":"hello","filePath":"a.ts","triggerSource":"STANDARD","createdAt":"*"}]},"urls":{"runs":"*"}}`)
	for _, version := range []string{"v1", "v2", "v3"} {
		if again := c.Call(t, http.MethodPost, "/api/"+version+"/deployments/"+d.ID+"/finalize", nil); again.Status != 200 || !bytes.Contains(again.Body, []byte(d.ID)) {
			t.Errorf("finalized again by %s: %d %s", version, again.Status, again.Body)
		}
	}
}

func TestPromoteDeployment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	promote := func(version, query string) servertest.Response {
		return c.Call(t, http.MethodPost, deployments+"/"+version+"/promote"+query, nil)
	}
	a, b := deployed(t, c, captured, ""), deployed(t, c, captured, `{"skipPromotion":true}`)
	building := servertest.Post[begun](t, c, deployments, captured)
	other := deployed(t, s.with(s.keys.SecretKeys.Staging), captured, "")
	_ = deployed(t, s.with(s.keys.SecretKeys.Staging), captured, "")
	for _, step := range []struct {
		name, version, query string
		status               int
		want                 string
	}{
		{"current", a.Version, "", 400, `{"error":"Deployment is already the current deployment."}`},
		{"newer", b.Version, "", 200, `{"id":"` + b.ID + `","version":"` + b.Version + `","shortCode":"` + b.ShortCode + `"}`},
		{"older", a.Version, "", 400, `{"error":"Cannot promote a deployment that is older than the current deployment."}`},
		{"older, said so", a.Version, "?allowRollbacks=false", 400, `{"error":"Cannot promote a deployment that is older than the current deployment."}`},
		{"rollback", a.Version, "?allowRollbacks=true", 200, `{"id":"` + a.ID + `","version":"` + a.Version + `","shortCode":"` + a.ShortCode + `"}`},
		{"building", building.Version, "", 400, `{"error":"Deployment must be in the DEPLOYED state to be promoted."}`},
		{"unknown", "20200101.1", "", 404, `{"error":"Deployment not found"}`},
	} {
		expect(t, step.name, promote(step.version, step.query), step.status, step.want)
	}
	if got := promote(b.Version, "?allowRollbacks=perhaps"); got.Status != 400 {
		t.Errorf("allowRollbacks=perhaps: %d", got.Status)
	}
	if got := servertest.Get[begun](t, s.with(s.keys.SecretKeys.Staging), deployments+"/current"); got.ID == other.ID || got.ID == a.ID {
		t.Error("promotion in one environment reached another")
	}
}

// TestDeploymentErrors has wrong bodies for each route that takes one.
func TestDeploymentErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	path := deployments + "/" + servertest.Post[begun](t, c, deployments, captured).ID
	done := deployments + "/" + deployed(t, c, captured, "").ID
	for _, tc := range []struct {
		path, body string
		status     int
		want       string // part of the error
	}{
		{deployments, ``, 400, "Request body is empty"},
		{deployments, `{}`, 400, `Required at "contentHash"`},
		{deployments, `{"contentHash":1}`, 400, `Expected string, received number at "contentHash"`},
		{deployments, `{"contentHash":"h\u0000"}`, 400, `Null characters are not allowed at "contentHash"`},
		{deployments, `{"contentHash":"h","type":"UNMANAGED"}`, 400, `UNMANAGED deployments are not supported at "type"`},
		{deployments, `{"contentHash":"h","type":"V9","initialStatus":"DEPLOYED","force":true}`, 400, `force requires externalId at "force"`},
		{deployments, `{"contentHash":"h","externalId":"` + strings.Repeat("x", 129) + `"}`, 400, "externalId must be at most 128 characters"},
		{deployments, `{"contentHash":"h","externalId":"a\u0000"}`, 400, "Null characters"},
		{deployments, `{"contentHash":"h","gitMeta":{"dirty":"no"}}`, 400, `gitMeta.dirty`},
		{path + "/fail", `{}`, 400, `Required at "error"`},
		{path + "/fail", `{"error":{}}`, 400, `Required at "error.name"; Required at "error.message"`},
		{path + "/cancel", `{"reason":"` + strings.Repeat("x", 201) + `"}`, 400, "Reason must be less than 200 characters"},
		{path + "/progress", `{}`, 409, "BUILDING and cannot be progressed"},
		{path + "/background-workers", `{}`, 400, `Required at "metadata"`},
		{done + "/background-workers", manifestOf("other", "hello"), 409, "other contents"},
		{done + "/cancel", ``, 409, "DEPLOYED and cannot be canceled"},
		{done + "/finalize", `{"skipPromotion":1}`, 400, "skipPromotion"},
	} {
		got := c.Call(t, http.MethodPost, tc.path, tc.body)
		var e struct{ Error string }
		if err := json.Unmarshal(got.Body, &e); err != nil || got.Status != tc.status || !strings.Contains(e.Error, tc.want) {
			t.Errorf("%s %s: %d %s, want %d %s", tc.path, tc.body, got.Status, got.Body, tc.status, tc.want)
		}
	}
	for path, want := range map[string]string{path: "BUILDING", done: "DEPLOYED"} {
		if got := servertest.Get[struct{ Status string }](t, c, path).Status; got != want {
			t.Errorf("wrong calls made the deployment %s, which was %s", got, want)
		}
	}
}

func TestFailedDeployments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	type state struct {
		Status         string
		ErrorData      *deploy.Error
		CanceledReason string
	}
	begin := func() string { return deployments + "/" + servertest.Post[begun](t, c, deployments, captured).ID }

	wrong := begin()
	got := c.Call(t, http.MethodPost, wrong+"/background-workers", manifestOf("53fb", "twice", "twice"))
	expect(t, "duplicate task", got, 400, `{"error":"Duplicate task id: twice"}`)
	if is := servertest.Get[state](t, c, wrong); is.Status != "FAILED" || is.ErrorData.Message != "Duplicate task id: twice" {
		t.Errorf("after a wrong manifest: %+v", is)
	}

	empty := begin()
	stream := c.Call(t, http.MethodPost, strings.Replace(empty, "v1", "v3", 1)+"/finalize", `{}`)
	if !strings.HasPrefix(string(stream.Body), "event: error\ndata: {\"error\":\"Deployment has no worker") {
		t.Errorf("finalize without a worker: %d %s", stream.Status, stream.Body)
	}
	if is := servertest.Get[state](t, c, empty); is.Status != "FAILED" {
		t.Errorf("after finalize without a worker: %+v", is)
	}
	if got := c.Call(t, http.MethodPost, empty+"/finalize", `{}`); got.Status != 400 {
		t.Errorf("finalize of a failed deployment: %d %s", got.Status, got.Body)
	}

	failed := begin()
	e := `{"error":{"name":"TaskIndexingImportError","message":"m","stack":"[]","stderr":"s"}}`
	for range 2 {
		expect(t, "fail", c.Call(t, http.MethodPost, failed+"/fail", e), 200, `{"id":"`+strings.TrimPrefix(failed, deployments+"/")+`"}`)
	}
	if is := servertest.Get[state](t, c, failed); is.Status != "FAILED" || *is.ErrorData != (deploy.Error{Name: "TaskIndexingImportError", Message: "m", Stack: "[]", Stderr: "s"}) {
		t.Errorf("failed: %+v", is)
	}

	canceled := begin()
	if got := c.Call(t, http.MethodPost, canceled+"/cancel", `{"reason":"no more"}`); got.Status != 204 {
		t.Errorf("cancel: %d %s", got.Status, got.Body)
	}
	if is := servertest.Get[state](t, c, canceled); is.Status != "CANCELED" || is.CanceledReason != "no more" {
		t.Errorf("canceled: %+v", is)
	}
	if got := c.Call(t, http.MethodPost, canceled+"/cancel", nil); got.Status != 409 || got.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("canceled again: %d", got.Status)
	}
}

func TestNativeDeployment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	once := headers(c, "X-Trigger-Request-Idempotency-Key", "call-1")
	wish := `{"contentHash":"-","type":"MANAGED","isNativeBuild":true,"artifactKey":"bundles/a","fromBundle":true,"buildEnvVars":{"SECRET":"s3cr3t"}}`
	d := servertest.Post[begun](t, once, deployments, wish)
	if again := servertest.Post[begun](t, once, deployments, wish); again.ID != d.ID {
		t.Error("a repeated call began two deployments")
	}
	path := deployments + "/" + d.ID
	status := func() string { return servertest.Get[struct{ Status string }](t, c, path).Status }
	listed := func(query string) (out []string) {
		for _, i := range servertest.Get[struct{ Data []struct{ Status string } }](t, c, deployments+query).Data {
			out = append(out, i.Status)
		}
		return out
	}
	if got := status(); got != "PENDING" {
		t.Errorf("begins as %s", got)
	}
	for _, want := range []string{"INSTALLING", "BUILDING"} {
		if got := c.Call(t, http.MethodPost, path+"/progress", `{"contentHash":"real","gitMeta":{"commitSha":"abc"}}`); got.Status != 204 {
			t.Fatalf("progress: %d %s", got.Status, got.Body)
		}
		if got := status(); got != want {
			t.Errorf("progressed to %s, want %s", got, want)
		}
		if got := listed("?status=BUILDING"); !slices.Equal(got, []string{"BUILDING"}) { // what the client's schema knows
			t.Errorf("listed as %v", got)
		}
	}
	got := servertest.Get[struct{ ContentHash, CommitSHA string }](t, c, path)
	if got.ContentHash != "real" || got.CommitSHA != "abc" {
		t.Errorf("%+v", got)
	}
	expect(t, "variables", c.Call(t, http.MethodGet, path+"/build-env-vars", nil), 200, `{"variables":{"SECRET":"s3cr3t"}}`)
	internal, _ := id.Internal(id.Deployment, d.ID)
	if err := s.store.View(t.Context(), func(tx *store.Tx) error {
		sealed, err := tx.BuildVariables(s.prod.ID, internal)
		if len(sealed) == 0 || bytes.Contains(sealed, []byte("s3cr3t")) {
			t.Errorf("stored as %q", sealed)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	plain := servertest.Post[begun](t, c, deployments, captured)
	expect(t, "no variables", c.Call(t, http.MethodGet, deployments+"/"+plain.ID+"/build-env-vars", nil), 200, `{"variables":{}}`)
}

func TestExternalDeployments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	wish := `{"contentHash":"53fb","externalId":" site "}`
	first := servertest.Post[begun](t, c, deployments, wish)
	if first.ExternalID != "site" {
		t.Errorf("external id %q", first.ExternalID)
	}
	if got := c.Call(t, http.MethodPost, deployments, wish); got.Status != 409 || got.Header.Get("X-Should-Retry") != "false" || !bytes.Contains(got.Body, []byte(first.Version)) {
		t.Errorf("under way: %d %s", got.Status, got.Body)
	}
	second := deployed(t, c, `{"contentHash":"53fb","externalId":"site","force":true}`, `{"skipPromotion":true}`)
	if len(second.CanceledDeployments) != 1 || second.CanceledDeployments[0].ShortCode != first.ShortCode {
		t.Errorf("canceled %+v", second.CanceledDeployments)
	}
	again := servertest.Post[begun](t, c, deployments, wish)
	if again.ID != second.ID || again.Outcome != "existing" || *again.IsPromoted {
		t.Errorf("deployed before: %+v", again)
	}
	trigger := c.Call(t, http.MethodPost, "/api/v1/tasks/hello/trigger", `{"options":{"externalDeploymentId":"site"}}`)
	run := body[struct{ ID string }](t, trigger)
	if got := s.detail(s.prod, run.ID); got.Version != second.Version || got.Extra.ExternalDeployment != "site" {
		t.Errorf("the run is locked to %s, not %s", got.Version, second.Version)
	}
	waiting := body[struct{ ID string }](t, c.Call(t, http.MethodPost, "/api/v1/tasks/hello/trigger", `{"options":{"externalDeploymentId":"other"}}`))
	if got := servertest.Get[struct{ Status string }](t, c, "/api/v3/runs/"+waiting.ID); got.Status != "PENDING_VERSION" {
		t.Errorf("the run is %s", got.Status)
	}
}

func TestListDeployments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	expect(t, "none", c.Call(t, http.MethodGet, deployments, nil), 200, `{"data":[],"pagination":{}}`)
	expect(t, "no current", c.Call(t, http.MethodGet, deployments+"/current", nil), 404, `{"error":"Not found"}`)
	expect(t, "no latest", c.Call(t, http.MethodGet, deployments+"/latest", nil), 404, `{"error":"Deployment not found"}`)
	var all []string
	for range 7 {
		all = append([]string{servertest.Post[begun](t, c, deployments, captured).ID}, all...)
		time.Sleep(2 * time.Millisecond) // ids keep milliseconds
	}
	type list struct {
		Data []struct {
			ID             string
			Runtime        *string
			RuntimeVersion *string
		}
		Pagination struct{ Next string }
	}
	walk := func(query string) (ids []string) {
		for next := ""; ; {
			l := servertest.Get[list](t, c, deployments+query+next)
			for _, d := range l.Data {
				ids = append(ids, d.ID)
			}
			if l.Pagination.Next == "" {
				return ids
			}
			next = "&page[after]=" + l.Pagination.Next
		}
	}
	for query, want := range map[string][]string{
		"?": all, "?page[size]=1": all, "?page[size]=5": all, "?page[size]=1000": all, "?period=1h": all,
		"?status=BUILDING": all, "?status=FAILED": nil, "?to=2020-01-01": nil, "?from=2020-01-01&to=2100-01-01": all,
	} {
		if got := walk(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if got := len(servertest.Get[list](t, c, deployments+"?page[size]=2").Data); got != 5 {
		t.Errorf("a page of two has %d", got)
	}
	if got := servertest.Get[begun](t, c, deployments+"/latest"); got.ID != all[0] {
		t.Errorf("latest is %s, want %s", got.ID, all[0])
	}
	raw := string(c.Call(t, http.MethodGet, deployments, nil).Body)
	if !strings.Contains(raw, `"runtimeVersion":null`) {
		t.Errorf("what is required is left out: %s", raw)
	}
	expect(t, "period", c.Call(t, http.MethodGet, deployments+"?period=soon", nil), 400, `{"error":"Invalid search query parameter: period=soon"}`)
	for _, query := range []string{"?page[size]=x", "?page[after]=run_1", "?status=NEW", "?from=soon", "?status=%00"} {
		if got := c.Call(t, http.MethodGet, deployments+query, nil); got.Status != 400 || !bytes.Contains(got.Body, []byte("details")) {
			t.Errorf("%s: %d %s", query, got.Status, got.Body)
		}
	}
}

// TestDeploymentsOfOthers: another environment's ids lead nowhere, on every route that takes one.
func TestDeploymentsOfOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.with(s.keys.SecretKeys.Prod)
	d := servertest.Post[begun](t, s.with(s.keys.SecretKeys.Staging), deployments, captured)
	path := deployments + "/" + d.ID
	for _, call := range []struct{ method, path, body string }{
		{"GET", path, ""},
		{"GET", path + "/build-env-vars", ""},
		{"GET", deployments + "/run_1", ""},
		{"POST", path + "/background-workers", manifestOf("h", "hello")},
		{"POST", path + "/background-workers", manifestOf("h", "twice", "twice")},
		{"POST", path + "/fail", `{"error":{"name":"n","message":"m"}}`},
		{"POST", path + "/cancel", ""},
		{"POST", path + "/progress", ""},
		{"POST", path + "/finalize", ""},
		{"POST", strings.Replace(path, "v1", "v2", 1) + "/finalize", ""},
		{"POST", strings.Replace(path, "v1", "v3", 1) + "/finalize", ""},
		{"POST", deployments + "/" + d.Version + "/promote", ""},
	} {
		expect(t, call.method+" "+call.path, c.Call(t, call.method, call.path, call.body), 404, `{"error":"Deployment not found"}`)
	}
	expect(t, "untouched", s.with(s.keys.SecretKeys.Staging).Call(t, http.MethodGet, path, nil), 200, `{"id":"`+d.ID+`","status":"BUILDING",
		"contentHash":"53fb","shortCode":"*","version":"*","imageReference":"*","imagePlatform":"linux/amd64"}`)
}

func TestWhoReadsDeployments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := s.engine.Deploy(t.Context(), s.env, engine.NewDeployment{}); err != nil {
		t.Fatal(err)
	}
	scoped, err := s.auth.AddKey(t.Context(), s.env, "ci", []string{"read:deployments"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		c          servertest.Client
		list, rest int
	}{
		"secret key":   {s.Client, 200, 200},
		"public token": {s.token("read:deployments"), 200, 401},
		"scoped key":   {s.with(scoped), 200, 403},
		"other scope":  {s.token("read:runs"), 403, 401},
		"nobody":       {s.with(""), 401, 401},
		"PAT":          {s.with(s.keys.PersonalAccessToken), 401, 401},
	} {
		if got := tc.c.Call(t, http.MethodGet, deployments, nil).Status; got != tc.list {
			t.Errorf("%s lists: %d, want %d", name, got, tc.list)
		}
		if got := tc.c.Call(t, http.MethodGet, deployments+"/latest", nil).Status; got != tc.rest {
			t.Errorf("%s reads: %d, want %d", name, got, tc.rest)
		}
		want := tc.list
		if want == 200 {
			want = 404 // nothing is promoted
		}
		if got := tc.c.Call(t, http.MethodGet, deployments+"/current", nil).Status; got != want {
			t.Errorf("%s reads the current one: %d, want %d", name, got, want)
		}
	}
}

func TestWorkersByTag(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.register("hello")
	project := "/api/v1/projects/" + s.keys.ProjectRef
	pat := s.with(s.keys.PersonalAccessToken)
	for _, tc := range []struct {
		c      servertest.Client
		path   string
		status int
	}{
		{s.Client, project + "/dev/workers/current", 200},
		{pat, project + "/dev/workers/current", 200},
		{pat, project + "/dev/workers/" + w.Version, 200},
		{pat, project + "/prod/workers/current", 404},
		{pat, project + "/dev/workers/20200101.1", 404},
		{pat, project + "/moon/workers/current", 404},
		{pat, "/api/v1/projects/proj_other/dev/workers/current", 404},
		{headers(pat, auth.BranchHeader, "unknown"), project + "/preview/workers/current", 404},
		{s.Client, "/api/v1/projects/proj_other/dev/workers/current", 400},
		{s.token("read:deployments"), project + "/dev/workers/current", 401},
	} {
		if got := tc.c.Call(t, http.MethodGet, tc.path, nil); got.Status != tc.status {
			t.Errorf("%s: %d %s, want %d", tc.path, got.Status, got.Body, tc.status)
		}
	}
}
