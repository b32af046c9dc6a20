package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sear/internal/id"
	domain "sear/internal/run"
	"sear/internal/store"
)

// walkBodies has an entry for each route that is no GET: the most costly body that its limits
// allow; nil for one that changes nothing in the database, with the reason.
var walkBodies = func() map[string]adverse {
	all := map[string]adverse{
		"POST /otel/v1/traces":                      nil, // what is exported is dropped
		"POST /otel/v1/logs":                        nil, // likewise
		"POST /otel/v1/metrics":                     nil, // likewise
		"POST /engine/v1/dev/runs/{run}/logs/debug": nil, // likewise
		"POST /api/v1/auth/jwt/claims":              nil, // signs, as the next two
		"POST /api/v1/auth/jwt":                     nil,
		"POST /api/v1/auth/public-tokens":           nil,
	}
	for _, part := range []map[string]adverse{runBodies, changeBodies, projectBodies, deploymentBodies, accountBodies, workerBodies} {
		maps.Copy(all, part)
	}
	return all
}()

// dev is a request with the key of the development environment.
func dev(w *walk, path string, body any, status int) sent {
	return sent{client: w.keys.SecretKeys.Dev, path: path, body: body, status: status}
}

// staging is one with the key of an environment that has deployments.
func staging(w *walk, path string, body any, status int) sent {
	return sent{client: w.keys.SecretKeys.Staging, path: path, body: body, status: status}
}

// personal is one with the token of a user.
func personal(w *walk, path string, body any, status int) sent {
	return sent{client: w.keys.PersonalAccessToken, path: path, body: body, status: status}
}

// onRun is a request to a route of a run.
func onRun(action string, of func(w *walk) string, body func() any, status int) adverse {
	return func(w *walk) sent { return dev(w, "/api/v1/runs/"+of(w)+"/"+action, body(), status) }
}

func nothing() any { return nil }

func anyRun(w *walk) string { return w.run() }

// runBodies trigger.
var runBodies = map[string]adverse{
	"POST /api/v1/tasks/{task}/trigger": func(w *walk) sent {
		body := fmt.Sprintf(`{"payload":%s,"options":{"delay":"1h","metadata":{"a":%s},"tags":[%s]}}`, long(500_000), long(262_000), tags(10, 128))
		return dev(w, "/api/v1/tasks/my-task/trigger", body, 200)
	},
	"POST /api/v1/tasks/batch": func(w *walk) sent {
		return dev(w, "/api/v1/tasks/batch", whole(500, `"debounce":{"key":"d%d","delay":"1h"}`, ""), 200)
	},
	"POST /api/v2/tasks/batch": func(w *walk) sent { return dev(w, "/api/v2/tasks/batch", whole(500, `"idempotencyKey":"%d"`, ""), 202) },
	"POST /api/v1/tasks/{task}/batch": func(w *walk) sent {
		parent, _, _ := w.attempt(w.keys.SecretKeys.Dev, `{}`)
		return dev(w, "/api/v1/tasks/my-task/batch", whole(1000, `"idempotencyKey":"%d"`, fmt.Sprintf(`,"parentRunId":%q,"resumeParentOnCompletion":true`, parent)), 200)
	},
	"POST /api/v3/batches": func(w *walk) sent {
		return dev(w, "/api/v3/batches", fmt.Sprintf(`{"runCount":1000,"idempotencyKey":%q,"taskIdentifiers":[%s]}`, w.name(strings.Repeat("k", 2000)), tags(1000, 90)), 202)
	},
	"POST /api/v3/batches/{batch}/items": func(w *walk) sent {
		batch := w.post("/api/v3/batches", `{"runCount":1000}`, "id")
		s := dev(w, "/api/v3/batches/"+batch+"/items", items(1000, 20_000), 200)
		s.header = http.Header{"Content-Type": {"application/x-ndjson"}}
		return s
	},
}

// changeBodies change runs, and what runs wait for or fail of.
var changeBodies = map[string]adverse{
	"POST /api/v2/runs/{run}/cancel": func(w *walk) sent { return dev(w, "/api/v2/runs/"+w.family()+"/cancel", nil, 200) },
	"POST /api/v1/runs/{run}/cancel": onRun("cancel", (*walk).family, nothing, 200),
	"POST /api/v1/runs/{run}/replay": onRun("replay", (*walk).child, func() any {
		return fmt.Sprintf(`{"delay":"1h","payload":%s,"metadata":{"a":%s},"tags":[%s]}`, long(500_000), long(262_000), tags(10, 128))
	}, 200),
	"POST /api/v1/runs/{run}/reschedule": onRun("reschedule", anyRun, func() any { return `{"delay":"2h"}` }, 200),
	"POST /api/v1/runs/{run}/tags":       onRun("tags", anyRun, func() any { return `{"tags":[` + tags(2300, 4) + `]}` }, 422),
	"PUT /api/v1/runs/{run}/metadata": onRun("metadata", (*walk).child, func() any {
		every := json.RawMessage(`{"type":"increment","key":"$.a.*","value":1}`)
		third := slices.Repeat([]json.RawMessage{every}, domain.MaxMetadataOperations/3)
		return map[string]any{"parentOperations": third[:1], "rootOperations": third[:1], "operations": third}
	}, 400),
	"POST /api/v1/idempotencyKeys/{key}/reset": func(w *walk) sent {
		key := w.name(strings.Repeat("k", 2000))
		w.post("/api/v1/tasks/my-task/trigger", fmt.Sprintf(`{"options":{"delay":"1h","idempotencyKey":%q}}`, key), "id")
		return dev(w, "/api/v1/idempotencyKeys/"+key+"/reset", `{"taskIdentifier":"my-task"}`, 200)
	},
	"POST /api/v1/errors/{error}/resolve": func(w *walk) sent {
		return dev(w, "/api/v1/errors/"+w.failedError()+"/resolve", fmt.Sprintf(`{"resolvedInVersion":%s}`, long(1000)), 200)
	},
	"POST /api/v1/errors/{error}/ignore": func(w *walk) sent {
		return dev(w, "/api/v1/errors/"+w.failedError()+"/ignore", fmt.Sprintf(`{"reason":%s}`, long(1000)), 200)
	},
	"POST /api/v1/errors/{error}/unresolve": func(w *walk) sent { return dev(w, "/api/v1/errors/"+w.failedError()+"/unresolve", nil, 200) },
	"POST /api/v1/bulk-actions": func(w *walk) sent {
		batch := w.post("/api/v3/batches", `{"runCount":500}`, "id")
		w.post("/api/v3/batches/"+batch+"/items", items(500, 10), "id")
		var ids []string
		must(w.T, w.store.View(w.Context(), func(tx *store.Tx) error {
			internal, _ := id.Internal(id.Batch, batch)
			list, err := tx.BatchItems(internal)
			for _, item := range list {
				ids = append(ids, id.Friendly(id.Run, item.RunID))
			}
			return err
		}))
		return dev(w, "/api/v1/bulk-actions", map[string]any{"action": "cancel", "runIds": ids, "name": strings.Repeat("n", 255)}, 202)
	},
	"POST /api/v1/bulk-actions/{bulk}/abort": func(w *walk) sent {
		key := w.keys.SecretKeys.Prod // whose queue nobody takes runs from: a replay has no delay
		batch := w.postAs(key, "/api/v3/batches", `{"runCount":500}`, "id")
		w.postAs(key, "/api/v3/batches/"+batch+"/items", items(500, 20_000), "id")
		bulk := w.postAs(key, "/api/v1/bulk-actions", fmt.Sprintf(`{"action":"replay","filter":{"batch":%q}}`, batch), "id")
		return sent{client: key, path: "/api/v1/bulk-actions/" + bulk + "/abort"} // it may have ended
	},
	"POST /api/v1/waitpoints/tokens": func(w *walk) sent {
		body := fmt.Sprintf(`{"timeout":"1h","tags":[%s],"idempotencyKey":%q}`, tags(10, 128), w.name(strings.Repeat("k", 2000)))
		return dev(w, "/api/v1/waitpoints/tokens", body, 200)
	},
	"POST /api/v1/waitpoints/tokens/{waitpoint}/complete": func(w *walk) sent {
		return dev(w, "/api/v1/waitpoints/tokens/"+w.token()+"/complete", fmt.Sprintf(`{"data":{"a":%s}}`, long(524_000)), 200)
	},
	"POST /api/v1/waitpoints/tokens/{waitpoint}/callback/{hash}": func(w *walk) sent {
		token := w.token()
		internal, _ := id.Internal(id.Waitpoint, token)
		return sent{path: "/api/v1/waitpoints/tokens/" + token + "/callback/" + w.auth.WaitpointHash(w.dev.ID, internal), body: long(524_000), status: 200}
	},
}

// projectBodies change schedules, queues and variables.
var projectBodies = map[string]adverse{
	"POST /api/v1/schedules": func(w *walk) sent {
		body := fmt.Sprintf(`{"task":"clock","cron":"0 0 29 2 7#5","timezone":"Australia/Lord_Howe","deduplicationKey":%q,"externalId":%q}`,
			w.name(strings.Repeat("k", 1000)), strings.Repeat("e", 1000))
		return dev(w, "/api/v1/schedules", body, 200)
	},
	"PUT /api/v1/schedules/{schedule}": func(w *walk) sent {
		return dev(w, "/api/v1/schedules/"+w.schedule(), `{"task":"clock","cron":"0 0 29 2 7#5","timezone":"Australia/Lord_Howe"}`, 200)
	},
	"DELETE /api/v1/schedules/{schedule}":          func(w *walk) sent { return dev(w, "/api/v1/schedules/"+w.schedule(), nil, 200) },
	"POST /api/v1/schedules/{schedule}/activate":   func(w *walk) sent { return dev(w, "/api/v1/schedules/"+w.schedule()+"/activate", nil, 200) },
	"POST /api/v1/schedules/{schedule}/deactivate": func(w *walk) sent { return dev(w, "/api/v1/schedules/"+w.schedule()+"/deactivate", nil, 200) },

	"POST /api/v1/queues/{queue}/pause": func(w *walk) sent { // with as many runs to take back as an environment hands out
		key := w.keys.SecretKeys.Staging
		w.postAs(key, "/api/v1/queues/my-task/pause", `{"type":"task","action":"resume"}`, "id")
		w.drop(key, w.handedOut(key, 100, `{}`)[99:])
		return staging(w, "/api/v1/queues/my-task/pause", `{"type":"task","action":"pause"}`, 200)
	},
	"POST /api/v1/queues/{queue}/concurrency/override": func(w *walk) sent {
		return dev(w, "/api/v1/queues/my-task/concurrency/override", `{"type":"task","concurrencyLimit":50}`, 200)
	},
	"POST /api/v1/queues/{queue}/concurrency/reset": func(w *walk) sent {
		w.post("/api/v1/queues/my-task/concurrency/override", `{"type":"task","concurrencyLimit":50}`, "id")
		return dev(w, "/api/v1/queues/my-task/concurrency/reset", `{"type":"task"}`, 200)
	},

	"POST /api/v1/projects/{ref}/envvars/{env}": func(w *walk) sent {
		return dev(w, "/api/v1/projects/"+w.keys.ProjectRef+"/envvars/dev", fmt.Sprintf(`{"name":"V1","value":%s}`, long(64<<10)), 200)
	},
	"POST /api/v1/projects/{ref}/envvars/{env}/import": func(w *walk) sent {
		return dev(w, "/api/v1/projects/"+w.keys.ProjectRef+"/envvars/dev/import", w.variables(true), 200)
	},
	"PUT /api/v1/projects/{ref}/envvars/{env}/{name}":    changeVariable("PUT"),
	"POST /api/v1/projects/{ref}/envvars/{env}/{name}":   changeVariable("POST"),
	"DELETE /api/v1/projects/{ref}/envvars/{env}/{name}": changeVariable("DELETE"),
	"POST /api/v1/projects/{ref}/{env}/keys/rotate": func(w *walk) sent {
		return personal(w, "/api/v1/projects/"+w.keys.ProjectRef+"/staging/keys/rotate", `{"graceSeconds":2592000}`, 200)
	},
	"POST /api/v1/resume": func(w *walk) sent { return personal(w, "/api/v1/resume", nil, 200) },
}

// changeVariable changes one of as many variables as there may be.
func changeVariable(method string) adverse {
	return func(w *walk) sent {
		path := "/api/v1/projects/" + w.keys.ProjectRef + "/envvars/dev"
		w.post(path+"/import", w.variables(true), "success")
		var body any
		if method != http.MethodDelete {
			body = fmt.Sprintf(`{"value":%s}`, long(64<<10))
		}
		return dev(w, path+"/V7", body, 200)
	}
}

// deploymentBodies deploy.
var deploymentBodies = map[string]adverse{
	"POST /api/v1/deployments": func(w *walk) sent {
		body := fmt.Sprintf(`{"contentHash":"h","type":"MANAGED","isNativeBuild":true,"buildEnvVars":{"A":%s},"gitMeta":{"commitMessage":%s}}`, long(500_000), long(500_000))
		return staging(w, "/api/v1/deployments", body, 200)
	},
	"POST /api/v1/deployments/{deployment}/background-workers": func(w *walk) sent {
		return staging(w, "/api/v1/deployments/"+w.deployment()+"/background-workers", w.manifest(), 200)
	},
	"POST /api/v1/deployments/{deployment}/progress": func(w *walk) sent {
		d := w.postAs(w.keys.SecretKeys.Staging, "/api/v1/deployments", `{"contentHash":"h","type":"MANAGED","initialStatus":"PENDING"}`, "id")
		return staging(w, "/api/v1/deployments/"+d+"/progress", fmt.Sprintf(`{"gitMeta":{"commitMessage":%s}}`, long(1_000_000)), 204)
	},
	"POST /api/v1/deployments/{deployment}/fail": func(w *walk) sent {
		return staging(w, "/api/v1/deployments/"+w.deployment()+"/fail", fmt.Sprintf(`{"error":{"name":"Error","message":%s}}`, long(1_000_000)), 200)
	},
	"POST /api/v1/deployments/{deployment}/cancel": func(w *walk) sent {
		return staging(w, "/api/v1/deployments/"+w.deployment()+"/cancel", fmt.Sprintf(`{"reason":%s}`, long(200)), 204)
	},
	"POST /api/v1/deployments/{deployment}/finalize": func(w *walk) sent { return staging(w, "/api/v1/deployments/"+w.built()+"/finalize", `{}`, 200) },
	"POST /api/v2/deployments/{deployment}/finalize": func(w *walk) sent { return staging(w, "/api/v2/deployments/"+w.built()+"/finalize", `{}`, 200) },
	"POST /api/v3/deployments/{deployment}/finalize": func(w *walk) sent { return staging(w, "/api/v3/deployments/"+w.built()+"/finalize", `{}`, 200) },
	"POST /api/v1/deployments/{deployment}/promote":  func(w *walk) sent { return staging(w, "/api/v1/deployments/"+w.deployed()+"/promote", nil, 200) },
}

// accountBodies are what the command line and the pages of the browser send, and packets.
var accountBodies = map[string]adverse{
	"PUT /api/v1/packets/*": func(w *walk) sent { return dev(w, "/api/v1/packets/"+w.name("p")+".json", nil, 200) },
	"PUT /api/v2/packets/*": func(w *walk) sent { return dev(w, "/api/v2/packets/"+w.name("p")+".json", nil, 200) },
	"PUT /packets/{env}/*": func(w *walk) sent {
		path := "/packets/" + w.dev.ID + "/" + w.name("p") + ".json"
		return sent{path: w.auth.SignPath("PUT", path, time.Now().Add(time.Minute)), body: long(8 << 20), status: 200}
	},
	"POST /api/v1/projects/{ref}/branches": func(w *walk) sent {
		return personal(w, "/api/v1/projects/"+w.keys.ProjectRef+"/branches", fmt.Sprintf(`{"env":"preview","branch":%q}`, w.name(strings.Repeat("b", 240))), 200)
	},
	"POST /api/v1/projects/{ref}/branches/archive": func(w *walk) sent {
		return personal(w, "/api/v1/projects/"+w.keys.ProjectRef+"/branches/archive", fmt.Sprintf(`{"env":"preview","branch":%q}`, w.branch()), 200)
	},
	"POST /api/v1/profile/complete": func(w *walk) sent {
		return personal(w, "/api/v1/profile/complete", fmt.Sprintf(`{"name":%s}`, long(52)), 200)
	},
	"POST /api/v1/authorization-code": func(w *walk) sent {
		return sent{path: "/api/v1/authorization-code", body: `{"codeChallenge":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","codeChallengeMethod":"S256"}`, status: 200}
	},
	"POST /api/v1/token": func(w *walk) sent {
		return sent{path: "/api/v1/token", body: fmt.Sprintf(`{"authorizationCode":%q,"codeVerifier":"v"}`, w.login()), status: 200}
	},

	"POST /api/v1/account/password/reset": func(w *walk) sent {
		return sent{client: w.user(), path: "/api/v1/account/password/reset", status: 200}
	},
	"DELETE /api/v1/credentials": func(w *walk) sent { return sent{client: w.user(), path: "/api/v1/credentials", status: 200} },
	"DELETE /api/v1/credentials/{credential}": func(w *walk) sent {
		token := w.user()
		return sent{client: token, path: "/api/v1/credentials/" + w.credentialOf(token), status: 200}
	},
	"POST /api/v1/credentials/{credential}/replace": func(w *walk) sent {
		token := w.user()
		return sent{client: token, path: "/api/v1/credentials/" + w.credentialOf(token) + "/replace", body: `{"graceSeconds":0}`, status: 200}
	},

	"POST /login": func(w *walk) sent {
		form := url.Values{"email": {"a"}, "password": {w.keys.PersonalAccessToken}, "next": {"/" + strings.Repeat("n", 8000)}}
		return sent{path: "/login", body: form.Encode(), header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, status: 303}
	},
	"POST /logout": func(w *walk) sent { return sent{path: "/logout", header: w.session(), status: 303} },
	"POST /account/authorization-code/{code}": func(w *walk) sent {
		code := w.login()
		return sent{path: "/account/authorization-code/" + code, header: w.session(), body: "typed=" + code[:4], status: 200}
	},
}

// workerBodies are what workers send.
var workerBodies = map[string]adverse{
	"POST /api/v1/projects/{project}/background-workers": func(w *walk) sent {
		return dev(w, "/api/v1/projects/"+w.keys.ProjectRef+"/background-workers", w.manifest(), 200)
	},
	"POST /engine/v1/dev/dequeue": func(w *walk) sent {
		key := w.keys.SecretKeys.Staging
		w.postAs(key, "/api/v1/queues/my-task/pause", `{"type":"task","action":"resume"}`, "id")
		for i := range 120 { // more than may run at once, each in a lane of its own
			w.postAs(key, "/api/v1/tasks/my-task/trigger", fmt.Sprintf(`{"payload":%s,"options":{"concurrencyKey":"l%d"}}`, long(100_000), i), "id")
		}
		return staging(w, "/engine/v1/dev/dequeue", `{"maxRuns":500}`, 200)
	},
	"POST /engine/v1/dev/disconnect": func(w *walk) sent {
		var ids []string
		for _, r := range w.handedOut(w.keys.SecretKeys.Dev, 90, `{}`) {
			ids = append(ids, id.Friendly(id.Run, r.ID))
		}
		return dev(w, "/engine/v1/dev/disconnect", map[string]any{"runFriendlyIds": ids}, 200)
	},
	"POST /engine/v1/dev/runs/{run}/snapshots/{snapshot}/attempts/start": func(w *walk) sent {
		r := w.handedOut(w.keys.SecretKeys.Dev, 1, fmt.Sprintf(`{"metadata":{"a":%s}}`, long(262_000)))[0]
		return dev(w, onSnapshot(r, "attempts/start"), `{}`, 200)
	},
	"POST /engine/v1/dev/runs/{run}/snapshots/{snapshot}/attempts/complete": func(w *walk) sent {
		_, _, r := w.attempt(w.keys.SecretKeys.Dev, fmt.Sprintf(`{"metadata":{"a":[%s1]}}`, strings.Repeat("1,", 130_000)))
		every := slices.Repeat([]json.RawMessage{json.RawMessage(`{"type":"increment","key":"$.a.*","value":1}`)}, domain.MaxMetadataOperations)
		flushed, err := json.Marshal(map[string]any{"operations": every})
		must(w.T, err)
		return dev(w, onSnapshot(r, "attempts/complete"), map[string]any{"completion": map[string]any{
			"ok": true, "output": string(long(500_000)), "outputType": "application/json",
			"flushedMetadata": map[string]any{"data": string(flushed), "dataType": "application/json"},
		}}, 200)
	},
	"POST /engine/v1/dev/runs/{run}/snapshots/{snapshot}/heartbeat": func(w *walk) sent {
		_, _, r := w.attempt(w.keys.SecretKeys.Dev, `{}`)
		return dev(w, onSnapshot(r, "heartbeat"), `{}`, 200)
	},
	"POST /engine/v1/runs/{run}/wait/duration": func(w *walk) sent {
		friendly, _, _ := w.attempt(w.keys.SecretKeys.Dev, `{}`)
		body := fmt.Sprintf(`{"date":"2099-01-01T00:00:00Z","idempotencyKey":%q}`, w.name(strings.Repeat("k", 2000)))
		return dev(w, "/engine/v1/runs/"+friendly+"/wait/duration", body, 200)
	},
	"POST /engine/v1/runs/{run}/waitpoints/tokens/{waitpoint}/wait": func(w *walk) sent {
		friendly, _, _ := w.attempt(w.keys.SecretKeys.Dev, `{}`)
		return dev(w, "/engine/v1/runs/"+friendly+"/waitpoints/tokens/"+w.token()+"/wait", nil, 200)
	},
}

func onSnapshot(r domain.Run, action string) string {
	return "/engine/v1/dev/runs/" + id.Friendly(id.Run, r.ID) + "/snapshots/" + id.Friendly(id.Snapshot, id.NewSnapshot(r.ID, r.Seq)) + "/" + action
}
