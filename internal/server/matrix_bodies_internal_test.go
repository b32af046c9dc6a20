package server

import (
	"cmp"
	"slices"
)

func sortedByName(list []named) []named {
	slices.SortFunc(list, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	return list
}

const manifest = `{"localOnly":true,"engine":"V2","metadata":{"contentHash":"other","packageVersion":"4.8.3","cliPackageVersion":"4.8.3",
	"runtime":"node","runtimeVersion":"22.1.0","sourceFiles":[],"tasks":[{"id":"my-task","filePath":"a.ts","exportName":"x","entryPoint":"e"},
	{"id":"clock","filePath":"a.ts","exportName":"y","entryPoint":"e","triggerSource":"schedule"}]}}`

// bodyFor is what a route must be sent before it asks what the credential may. What is made
// by it does not stand in the way of the next.
var bodyFor = map[string]string{
	"POST /api/v1/authorization-code":          `{"codeChallenge":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","codeChallengeMethod":"S256"}`,
	"POST /api/v1/tasks/{task}/trigger":        `{"options":{"delay":"48h"}}`,
	"POST /api/v3/batches":                     `{"runCount":1}`,
	"POST /api/v3/batches/{batch}/items":       `{"index":0,"task":"my-task","options":{"delay":"48h"}}`,
	"POST /api/v1/idempotencyKeys/{key}/reset": `{"taskIdentifier":"my-task"}`,
	"POST /api/v1/auth/public-tokens":          `{"scopes":["read:runs"]}`,
	"POST /api/v1/auth/jwt":                    `{"claims":{"scopes":["read:runs"]}}`,
	"POST /api/v1/runs/{run}/reschedule":       `{"delay":"72h"}`,
	"POST /api/v1/runs/{run}/tags":             `{"tags":"a"}`,
	"PUT /api/v1/runs/{run}/metadata":          `{"metadata":{"a":1}}`,
	"POST /api/v1/tasks/batch":                 `{"items":[{"task":"my-task","options":{"delay":"48h"}}]}`,
	"POST /api/v2/tasks/batch":                 `{"items":[{"task":"my-task","options":{"delay":"48h"}}]}`,
	"POST /api/v1/tasks/{task}/batch":          `{"items":[{"options":{"delay":"48h"}}]}`,

	"POST /api/v1/waitpoints/tokens":                      `{}`,
	"POST /api/v1/waitpoints/tokens/{waitpoint}/complete": `{"data":1}`,
	"POST /api/v1/bulk-actions":                           `{"action":"cancel","filter":{"tag":"none"}}`,
	"POST /api/v1/errors/{error}/resolve":                 `{}`,
	"POST /api/v1/errors/{error}/ignore":                  `{}`,

	"POST /api/v1/projects/{ref}/envvars/{env}":          `{"name":"A","value":"1"}`,
	"POST /api/v1/projects/{ref}/envvars/{env}/import":   `{"variables":{"A":"1"},"override":true}`,
	"PUT /api/v1/projects/{ref}/envvars/{env}/{name}":    `{"value":"1"}`,
	"POST /api/v1/projects/{ref}/envvars/{env}/{name}":   `{"value":"1"}`,
	"POST /api/v1/projects/{ref}/{env}/keys/rotate":      `{"graceSeconds":86400}`,
	"POST /api/v1/projects/{ref}/branches":               `{"env":"preview","branch":"feat"}`,
	"POST /api/v1/projects/{ref}/branches/archive":       `{"env":"preview","branch":"none"}`,
	"POST /api/v1/projects/{project}/background-workers": manifest,
	"POST /api/v1/profile/complete":                      `{"name":"x"}`,
	"POST /api/v1/token":                                 `{"authorizationCode":"unknown","codeVerifier":"unknown"}`,

	"POST /api/v1/schedules":                                   `{"task":"clock","cron":"0 0 1 1 *"}`,
	"PUT /api/v1/schedules/{schedule}":                         `{"task":"clock","cron":"0 0 1 1 *"}`,
	"POST /api/v1/queues/{queue}/pause":                        `{"action":"resume"}`,
	"POST /api/v1/queues/{queue}/concurrency/override":         `{"concurrencyLimit":1}`,
	"POST /api/v1/queues/{queue}/concurrency/reset":            `{}`,
	"POST /api/v1/deployments":                                 `{"contentHash":"x","type":"MANAGED"}`,
	"POST /api/v1/deployments/{deployment}/background-workers": manifest,
	"POST /api/v1/deployments/{deployment}/progress":           `{}`,
	"POST /api/v1/deployments/{deployment}/fail":               `{"error":{"name":"Error","message":"no"}}`,
	"POST /api/v1/deployments/{deployment}/cancel":             `{}`,
	"POST /api/v1/deployments/{deployment}/finalize":           `{}`,
	"POST /api/v2/deployments/{deployment}/finalize":           `{}`,
	"POST /api/v3/deployments/{deployment}/finalize":           `{}`,

	"POST /engine/v1/dev/dequeue":                                           `{"currentWorker":"worker_x","oldWorkers":[],"maxRuns":1}`,
	"POST /engine/v1/dev/disconnect":                                        `{"runFriendlyIds":[]}`,
	"POST /engine/v1/dev/runs/{run}/snapshots/{snapshot}/attempts/start":    `{}`,
	"POST /engine/v1/dev/runs/{run}/snapshots/{snapshot}/attempts/complete": `{"completion":{"ok":true,"id":"x","output":"1","outputType":"application/json"}}`,
	"POST /engine/v1/dev/runs/{run}/snapshots/{snapshot}/heartbeat":         `{}`,
	"POST /engine/v1/dev/runs/{run}/logs/debug":                             `{"message":"x","time":"2026-01-01T00:00:00.000Z"}`,
	"POST /engine/v1/runs/{run}/wait/duration":                              `{"date":"2099-01-01T00:00:00.000Z"}`,
	"POST /otel/v1/traces":                                                  `{}`, "POST /otel/v1/logs": `{}`, "POST /otel/v1/metrics": `{}`,

	"POST /login": "email=x@example.com&password=tr_pat_unknown", // a personal token in place of a password: nothing slow is compared
}
