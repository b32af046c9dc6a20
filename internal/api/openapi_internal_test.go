package api

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestEveryRouteIsDescribed: each route has a call, each call a route, and no two
// operations the same name.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	left := maps.Clone(calls)
	ids := map[string]string{}
	a := &API{}
	for _, r := range a.routes() {
		c, ok := calls[r.name()]
		if !ok || c.summary == "" {
			t.Errorf("%s is not described", r.name())
		}
		delete(left, r.name())
		id := r.operation(strings.Replace(r.path, "*", "{path}", 1)).ID
		if other, taken := ids[id]; taken {
			t.Errorf("%s and %s are both called %s", r.name(), other, id)
		}
		ids[id] = r.name()
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("%s is described, and there is no such route", name)
	}
}

func TestOperationID(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/api/v2/runs/{run}/cancel":        "post_runs_run_cancel_v2",
		"/openapi.json":                    "post_openapi_json",
		"/api/v1/idempotencyKeys/{key}":    "post_idempotencyKeys_key_v1",
		"/packets/{env}/{path}":            "post_packets_env_path",
		"/api/v1/waitpoints/tokens/{w}/ok": "post_waitpoints_tokens_w_ok_v1",
	} {
		if got := operationID("POST", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
