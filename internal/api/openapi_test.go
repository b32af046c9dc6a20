package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"sear/internal/servertest"
)

// TestOpenAPI reads the description as a tool would, and calls every operation of it:
// there is none that the server does not know.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	nobody := s.with("")
	doc := servertest.Get[struct {
		OpenAPI string
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			Summary  string
			Security []map[string][]string
		}
	}](t, nobody, "/openapi.json")
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 1 || doc.Servers[0].URL != s.URL {
		t.Errorf("%s at %v", doc.OpenAPI, doc.Servers)
	}
	trigger := doc.Paths["/api/v1/tasks/{task}/trigger"]["post"]
	if len(trigger.Security) != 3 || trigger.Summary == "" {
		t.Errorf("trigger: %+v", trigger)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			got := nobody.Call(t, strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			if unknown := got.Status == http.StatusNotFound && strings.Contains(string(got.Body), `"Not found"`); unknown {
				t.Errorf("%s %s: %d %s", method, path, got.Status, got.Body)
			}
			if len(op.Security) > 0 && got.Status != http.StatusUnauthorized {
				t.Errorf("%s %s wants a credential and answers without one: %d %s", method, path, got.Status, got.Body)
			}
		}
	}
}

// TestOpenAPIIsValid: the description is a document of OpenAPI 3.1.
func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	doc, err := libopenapi.NewDocument(s.Call(t, "GET", "/openapi.json", nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	check, problems := validator.NewValidator(doc)
	if problems != nil {
		t.Fatal(problems)
	}
	if ok, wrong := check.ValidateDocument(); !ok {
		for _, e := range wrong {
			t.Errorf("%s: %s %+v", e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
}
