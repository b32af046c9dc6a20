package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sear/internal/auth"
	"sear/internal/rest"
)

// openAPI serves GET /openapi.json: the routes page in the form that tools read. It says
// which calls there are, who may make them and what they take; what answers hold in
// detail is upstream's published contract.
func (a *API) openAPI(w http.ResponseWriter, r *http.Request) error {
	return rest.JSON(w, http.StatusOK, a.describe(a.origin(r)))
}

// document is an OpenAPI 3.1 document.
type document struct {
	OpenAPI    string                          `json:"openapi"`
	Info       map[string]string               `json:"info"`
	Servers    []map[string]string             `json:"servers"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components json.RawMessage                 `json:"components"`
}

// operation is one call.
type operation struct {
	ID         string                `json:"operationId"`
	Summary    string                `json:"summary"`
	Parameters []parameter           `json:"parameters,omitempty"`
	Body       *requestBody          `json:"requestBody,omitempty"`
	Responses  map[string]any        `json:"responses"`
	Security   []map[string][]string `json:"security"`
}

type parameter struct {
	Name     string            `json:"name"`
	In       string            `json:"in"`
	Required bool              `json:"required,omitempty"`
	Schema   map[string]string `json:"schema"`
}

type requestBody struct {
	Content map[string]struct{} `json:"content"`
}

// schemes are the names of the credentials in the document.
var schemes = map[auth.Class]string{
	auth.SecretKey: "secretKey", auth.ScopedKey: "additionalKey", auth.PublicJWT: "publicAccessToken", auth.PAT: "personalAccessToken",
}

// components are what operations refer to.
const components = `{
	"securitySchemes": {
		"secretKey": {"type": "http", "scheme": "bearer", "description": "The secret key of an environment, tr_…; x-trigger-branch selects a branch of it"},
		"additionalKey": {"type": "http", "scheme": "bearer", "description": "A further key of an environment, tr_…_sk_…, held to its scopes"},
		"publicAccessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token signed with the secret key, held to its scopes"},
		"personalAccessToken": {"type": "http", "scheme": "bearer", "description": "The token of a person, tr_pat_…"}
	},
	"responses": {
		"Error": {
			"description": "What was wrong: 400 and 422 name the fields, 401 and 403 the credential, 404 what there is not, 429 when to come back",
			"content": {"application/json": {"schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}}}
		}
	}
}`

// describe builds the document for clients that reach the server at origin.
func (a *API) describe(origin string) document {
	d := document{
		OpenAPI: "3.1.0", Info: map[string]string{"title": "Sear", "version": "1"}, Servers: []map[string]string{{"url": origin}},
		Paths: map[string]map[string]operation{}, Components: json.RawMessage(components),
	}
	for _, t := range a.routes() {
		path := strings.Replace(t.path, "*", "{path}", 1)
		if d.Paths[path] == nil {
			d.Paths[path] = map[string]operation{}
		}
		d.Paths[path][strings.ToLower(t.method)] = t.operation(path)
	}
	return d
}

// pathParameter is a parameter in a path.
var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// operation describes a route.
func (t route) operation(path string) operation {
	c := calls[t.name()]
	op := operation{ID: operationID(t.method, path), Summary: c.summary, Security: []map[string][]string{}, Responses: map[string]any{
		strconv.Itoa(cmp.Or(c.status, http.StatusOK)): map[string]string{"description": "Done"},
		"default": map[string]string{"$ref": "#/components/responses/Error"},
	}}
	for _, m := range pathParameter.FindAllStringSubmatch(path, -1) {
		op.Parameters = append(op.Parameters, parameter{m[1], "path", true, map[string]string{"type": "string"}})
	}
	for _, name := range c.query {
		op.Parameters = append(op.Parameters, parameter{name, "query", false, map[string]string{"type": "string"}})
	}
	if c.body != "" {
		op.Body = &requestBody{map[string]struct{}{c.body: {}}}
	}
	for _, class := range t.classes {
		if class != auth.None {
			op.Security = append(op.Security, map[string][]string{schemes[class]: {}})
		}
	}
	return op
}

// operationID is the name of an operation, such as post_runs_run_cancel_v2: method and
// path, with the version at the end as upstream has it.
func operationID(method, path string) string {
	parts := strings.FieldsFunc(path, func(c rune) bool { return strings.ContainsRune("/{}.-", c) })
	version := slices.IndexFunc(parts, func(p string) bool { return len(p) == 2 && p[0] == 'v' })
	if version >= 0 {
		v := parts[version]
		parts = append(slices.Delete(parts, version, version+1), v)
	}
	if parts[0] == "api" {
		parts = parts[1:]
	}
	return strings.ToLower(method) + "_" + strings.Join(parts, "_")
}
