package server

import (
	"log/slog"
	"net/http"
	"slices"
	"testing"

	"github.com/go-chi/chi/v5"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/metrics"
	"sear/internal/workerapi"
)

// others are the routes that are on neither routes page, and who may call them.
var others = map[string]string{
	"GET /healthcheck":                        "anybody: it says whether the server serves",
	"GET /readyz":                             "anybody: it says what is not ready, in the words of this page",
	"GET /metrics":                            "whoever knows the token of --metrics-token or, without one, this machine",
	"* /socket.io/":                           "anybody may connect; namespaces ask for the key of an environment",
	"GET /login":                              "anybody",
	"POST /login":                             "whoever knows the password",
	"POST /logout":                            "whoever has the session, which ends",
	"GET /account/tokens":                     "whoever has a session; others are sent to the login",
	"GET /account/authorization-code/{code}":  "likewise",
	"POST /account/authorization-code/{code}": "likewise",
}

// TestNothingElseIsServed: each route of a whole server is on the page of the API or on
// that of the workers, whose tests call it with every credential, or among the others.
func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	a := &auth.Auth{}
	log := slog.New(slog.DiscardHandler)
	h, err := newHandler(parts{auth: a, metrics: metrics.New(nil), log: log})
	if err != nil {
		t.Fatal(err)
	}
	pages := chi.NewRouter()
	api.New(nil, nil, a, nil, nil, api.Limits{}, log).Routes(pages)
	workerapi.New(nil, nil, a, nil, nil, log).Routes(pages)
	listed := routesOf(t, pages)
	left := map[string]bool{}
	for name := range others {
		left[name] = true
	}
	for _, name := range routesOf(t, h.Handler.(chi.Routes)) {
		if _, ok := others[name]; ok {
			delete(left, name)
		} else if !slices.Contains(listed, name) {
			t.Errorf("%s is served, and nobody says who may call it", name)
		}
	}
	for name := range left {
		t.Errorf("%s is listed and not served", name)
	}
}

// routesOf are the routes of a router, the ones for any method once.
func routesOf(t *testing.T, r chi.Routes) (names []string) {
	t.Helper()
	methods := map[string][]string{}
	err := chi.Walk(r, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		methods[path] = append(methods[path], method)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, list := range methods {
		if len(list) > 6 {
			list = []string{"*"}
		}
		for _, m := range list {
			names = append(names, m+" "+path)
		}
	}
	return names
}
