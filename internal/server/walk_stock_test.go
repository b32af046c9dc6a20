package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/id"
	domain "sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// What the walk's requests need: each helper makes a thing of the development environment,
// or of whom the key belongs to, and returns what a path calls it.

func (w *walk) environment(key string) *tenant.Environment {
	w.Helper()
	p, err := w.auth.Environment(w.Context(), key, "")
	must(w.T, err)
	return p.Env
}

// name is a name that nothing has yet.
func (w *walk) name(prefix string) string {
	w.n++
	return fmt.Sprint(prefix, w.n)
}

// stock registers the tasks that the requests name.
func (w *walk) stock() {
	for _, key := range []string{w.keys.SecretKeys.Dev, w.keys.SecretKeys.Staging} {
		_, err := w.engine.RegisterWorker(w.Context(), w.environment(key), deploy.Manifest{ContentHash: w.name("stock"), Tasks: []deploy.Task{
			{ID: "my-task", FilePath: "a.ts"}, {ID: "clock", FilePath: "a.ts", TriggerSource: "schedule"},
		}})
		must(w.T, err)
	}
}

// post makes a request with the key of the development environment that is to succeed, and
// returns a member of the answer.
func (w *walk) post(path, body, member string) string {
	w.Helper()
	return w.postAs(w.keys.SecretKeys.Dev, path, body, member)
}

func (w *walk) postAs(key, path, body, member string) string {
	w.Helper()
	header := http.Header{}
	if strings.HasSuffix(path, "/items") {
		header.Set("Content-Type", "application/x-ndjson")
	}
	answer, status, err := w.send(w.Context(), "POST", sent{client: key, path: path, body: body, header: header})
	var found map[string]any
	if err != nil || status/100 != 2 || json.Unmarshal(answer, &found) != nil {
		w.Fatalf("POST %s: %d %s %v", path, status, answer, err)
	}
	text, _ := found[member].(string)
	return text
}

// run is a run that waits for an hour.
func (w *walk) run() string {
	return w.post("/api/v1/tasks/my-task/trigger", `{"options":{"delay":"1h"}}`, "id")
}

// child is a run with a parent and a root, each with a document that many operations reach
// into all of.
func (w *walk) child() string {
	document := fmt.Sprintf(`{"a":[%s1]}`, strings.Repeat("1,", 130_000))
	parent, above := "", ""
	for range 3 {
		parent = w.post("/api/v1/tasks/my-task/trigger", fmt.Sprintf(`{"options":{"delay":"1h","metadata":%s%s}}`, document, above), "id")
		above = fmt.Sprintf(`,"parentRunId":%q`, parent)
	}
	return parent
}

// family is a run with a thousand children.
func (w *walk) family() string {
	parent := w.run()
	batch := w.post("/api/v3/batches", fmt.Sprintf(`{"runCount":1000,"parentRunId":%q}`, parent), "id")
	w.post("/api/v3/batches/"+batch+"/items", items(1000, 100), "id")
	return parent
}

// items are lines that trigger delayed runs, each with a payload of some bytes.
func items(n, bytes int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"index":%d,"task":"my-task","payload":%q,"options":{"delay":"1h","concurrencyKey":"c%d","idempotencyKey":"%d-%d","tags":[%s]}}`+"\n",
			i, strings.Repeat("p", bytes), i, i, time.Now().UnixNano(), tags(10, 3))
	}
	return b.String()
}

// whole is a batch in one piece, as large as it may be. key is an option of each item, with
// a place for a number that nothing has yet, and more are members of the batch.
func whole(n int, key, more string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"task":"my-task","payload":%q,"options":{"delay":"1h","queue":{"name":"q%d"},%s,"concurrencyKey":"c%d","tags":[%s]}}`,
			strings.Repeat("p", 950_000/n-330), i, fmt.Sprintf(key, time.Now().UnixNano()), i, tags(10, 3)))
	}
	return `{"items":[` + strings.Join(list, ",") + `]` + more + `}`
}

// tags are n different tags of some length, as members of an array.
func tags(n, length int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("%q", fmt.Sprintf("%0*d", length, i)))
	}
	return strings.Join(list, ",")
}

// attempt is a run of an environment that executes, with the snapshot that its worker knows.
func (w *walk) attempt(key string, options string) (friendly, snapshot string, r domain.Run) {
	w.Helper()
	r = w.handedOut(key, 1, options)[0]
	a, err := w.engine.StartAttempt(w.Context(), w.environment(key), r.ID, engine.Call{Seq: r.Seq})
	must(w.T, err)
	return id.Friendly(id.Run, a.Run.ID), id.Friendly(id.Snapshot, id.NewSnapshot(a.Run.ID, a.Run.Seq)), a.Run
}

// handedOut are runs that a worker of the environment has in hand.
func (w *walk) handedOut(key string, n int, options string) (runs []domain.Run) {
	w.Helper()
	env := w.environment(key)
	for range n {
		w.postAs(key, "/api/v1/tasks/my-task/trigger", `{"options":`+options+`}`, "id")
	}
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	for len(runs) < n {
		list, err := w.engine.AwaitDequeue(ctx, env, "", n-len(runs))
		must(w.T, err)
		if len(list) == 0 {
			w.Fatalf("%d runs were dequeued, not %d", len(runs), n)
		}
		for _, d := range list {
			runs = append(runs, d.Run)
		}
	}
	return runs
}

// drop ends runs, so that their slots are free.
func (w *walk) drop(key string, runs []domain.Run) {
	w.Helper()
	for _, r := range runs {
		must(w.T, w.engine.Cancel(w.Context(), w.environment(key), r.ID, engine.CanceledByUser, true))
	}
}

// failedError is a group of failures.
func (w *walk) failedError() string {
	w.Helper()
	_, _, r := w.attempt(w.keys.SecretKeys.Dev, `{}`)
	_, err := w.engine.CompleteAttempt(w.Context(), w.dev, r.ID, engine.Call{Seq: r.Seq},
		engine.Completion{Err: &domain.Error{Type: domain.BuiltIn, Name: w.name("Error"), Message: "no"}})
	must(w.T, err)
	answer, _, err := w.send(w.Context(), "GET", sent{client: w.keys.SecretKeys.Dev, path: "/api/v1/errors"})
	must(w.T, err)
	var list struct{ Data []struct{ ID string } }
	must(w.T, json.Unmarshal(answer, &list))
	return list.Data[0].ID
}

// manifest is the largest there may be.
func (w *walk) manifest() []byte {
	m := deploy.Manifest{ContentHash: w.name("manifest")}
	long := strings.Repeat("x", 300) + m.ContentHash
	for i := range deploy.MaxTasks {
		task := deploy.Task{ID: fmt.Sprint(long, i), FilePath: "a.ts", Description: strings.Repeat("d", 500)}
		if i < deploy.MaxSchedules {
			task.TriggerSource, task.Schedule = "schedule", &deploy.Schedule{Cron: "0 0 29 2 7#5", Timezone: "Australia/Lord_Howe"}
		}
		m.Tasks = append(m.Tasks, task)
	}
	m.Tasks = append(m.Tasks[:deploy.MaxTasks-2], deploy.Task{ID: "my-task", FilePath: "a.ts"}, deploy.Task{ID: "clock", FilePath: "a.ts", TriggerSource: "schedule"})
	for i := range deploy.MaxQueues {
		m.Queues = append(m.Queues, deploy.Queue{Name: fmt.Sprintf("%s%d", strings.Repeat("q", 100)+m.ContentHash, i)})
	}
	text, err := json.Marshal(map[string]any{"metadata": m, "localOnly": true})
	must(w.T, err)
	return text
}

// deployment is one under way; built has the largest manifest there may be, and deployed
// is one that could be promoted.
func (w *walk) deployment() string {
	return w.postAs(w.keys.SecretKeys.Staging, "/api/v1/deployments", `{"contentHash":"h","type":"MANAGED"}`, "id")
}

func (w *walk) built() string {
	d := w.deployment()
	w.postAs(w.keys.SecretKeys.Staging, "/api/v1/deployments/"+d+"/background-workers", string(w.manifest()), "id")
	return d
}

func (w *walk) deployed() string {
	d := w.built()
	w.postAs(w.keys.SecretKeys.Staging, "/api/v1/deployments/"+d+"/finalize", `{"skipPromotion":true}`, "id")
	internal, _ := id.Internal(id.Deployment, d)
	var version string
	must(w.T, w.store.View(w.Context(), func(tx *store.Tx) error {
		found, err := tx.Deployment(w.environment(w.keys.SecretKeys.Staging).ID, internal)
		version = found.Version
		return err
	}))
	return version
}

// schedule is one that the API made.
func (w *walk) schedule() string {
	return w.post("/api/v1/schedules", fmt.Sprintf(`{"task":"clock","cron":"0 0 1 1 *","deduplicationKey":%q}`, w.name("k")), "id")
}

// token is a waitpoint.
func (w *walk) token() string { return w.post("/api/v1/waitpoints/tokens", `{}`, "id") }

// branch is a branch of the preview environment.
func (w *walk) branch() string {
	name := w.name("branch")
	w.postAs(w.keys.PersonalAccessToken, "/api/v1/projects/"+w.keys.ProjectRef+"/branches", fmt.Sprintf(`{"env":"preview","branch":%q}`, name), "id")
	return name
}

// variables are as many as an environment may have, and nearly as large.
func (w *walk) variables(override bool) string {
	list := map[string]string{}
	for i := range 990 {
		list[fmt.Sprint("V", i)] = strings.Repeat("v", 800)
	}
	text, err := json.Marshal(map[string]any{"variables": list, "override": override})
	must(w.T, err)
	return string(text)
}

// session is a browser in which the administrator is signed in.
func (w *walk) session() http.Header {
	w.Helper()
	session, err := w.auth.SignIn(w.Context(), "", auth.AdminEmail, w.keys.PersonalAccessToken)
	must(w.T, err)
	return http.Header{"Cookie": {"sear_session=" + session}, "Content-Type": {"application/x-www-form-urlencoded"}}
}

// login is the code of a login that the command line began, whose verifier is "v".
func (w *walk) login() string {
	w.Helper()
	return w.auth.BeginLogin(auth.Login{Challenge: sha256.Sum256([]byte("v"))})
}

// user is the token of a user with as many tokens and sessions as are listed.
func (w *walk) user() (token string) {
	w.Helper()
	now := time.Now()
	u := tenant.User{ID: id.New(now), Email: w.name("user") + "@sear.test", CreatedAt: now}
	token = tenant.PATPrefix + u.ID
	must(w.T, w.store.Update(w.Context(), func(tx *store.Tx) error {
		if err := tx.AddUser(u, ""); err != nil {
			return err
		}
		for i := range 1000 {
			name := fmt.Sprint(token, i)
			if i == 0 {
				name = token
			}
			hash := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
			if err := tx.AddPAT(store.PAT{ID: id.New(now), UserID: u.ID, Name: "Login", Hash: hash, CreatedAt: now}); err != nil {
				return err
			}
			if err := tx.AddSession(hash, u.ID, now, now.Add(time.Hour)); err != nil {
				return err
			}
		}
		return nil
	}))
	return token
}

// credentialOf is the id of a token that a user may end.
func (w *walk) credentialOf(token string) string {
	w.Helper()
	var list struct{ Data []struct{ ID string } }
	got := servertest.Client{URL: w.url, Key: token}.Call(w.T, http.MethodGet, "/api/v1/credentials", nil)
	must(w.T, json.Unmarshal(got.Body, &list))
	return list.Data[0].ID
}

// long is a JSON text of n bytes.
func long(n int) []byte {
	return bytes.Join([][]byte{{'"'}, bytes.Repeat([]byte("x"), n-2), {'"'}}, nil)
}
