package api

import (
	"net/http"
	"slices"
	"testing"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
)

// TestRoutesHaveClasses: whatever the router serves is in the list, and whatever is
// in the list says who may call it.
func TestRoutesHaveClasses(t *testing.T) {
	t.Parallel()
	a := &API{auth: &auth.Auth{}}
	listed := map[string]bool{}
	for _, r := range a.routes() {
		name := r.name()
		if listed[name] {
			t.Errorf("%s is listed twice", name)
		}
		listed[name] = true
		if r.browser {
			listed[http.MethodOptions+" "+r.path] = true
		}
		switch {
		case len(r.classes) == 0:
			t.Errorf("%s says of nobody that they may call it", name)
		case slices.Contains(r.classes, auth.None) && len(r.classes) > 1:
			t.Errorf("%s is open to anybody and yet names others", name)
		case slices.Contains(r.classes, auth.PublicJWT) && !slices.Contains(r.classes, auth.SecretKey):
			t.Errorf("%s may be called by those who were given a token, and not by who gives them", name)
		}
	}
	router := chi.NewRouter()
	a.Routes(router)
	err := chi.Walk(router, func(method, path string, _ http.Handler, middlewares ...func(http.Handler) http.Handler) error {
		if !listed[method+" "+path] {
			t.Errorf("%s %s is served and not listed", method, path)
		}
		if len(middlewares) == 0 {
			t.Errorf("%s %s is served without asking who calls", method, path)
		}
		delete(listed, method+" "+path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range listed {
		t.Errorf("%s is listed and not served", name)
	}
}

// open are the routes that anybody may call, and why.
var open = map[string]string{
	"GET /openapi.json": "it says what the documentation says",
	"POST " + tokenPath + "/{waitpoint}/callback/{hash}": "the hash in its path is the credential",
	"PUT " + packetPrefix + "{env}/*":                    "its signature is the credential",
	"GET " + packetPrefix + "{env}/*":                    "its signature is the credential",
	"GET /api/v3/batches/{batch}/items":                  "it says no more than that the method is wrong",
	"POST /api/v1/authorization-code":                    "a login begins without a credential",
	"POST /api/v1/token":                                 "the code is the credential",
	"GET /api/v1" + zonesPath:                            "time zones are no secret, and the SDK sends no credential",
	"GET " + zonesPath:                                   "likewise",
}

func TestOpenRoutes(t *testing.T) {
	t.Parallel()
	for _, r := range (&API{}).routes() {
		name := r.name()
		if _, ok := open[name]; ok != (r.classes[0] == auth.None) {
			t.Errorf("%s: open %v, want %v", name, r.classes[0] == auth.None, ok)
		}
	}
}
