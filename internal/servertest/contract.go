package servertest

import (
	"bytes"
	_ "embed" // the contract
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// document is the published description of the API, as it was handed to us.
//
//go:embed contract/openapi.yaml
var document []byte

// maxChecked bounds the bodies that are checked: larger ones test limits, not shapes.
const maxChecked = 1 << 20

// ContractError is an exchange that the contract does not describe.
type ContractError struct {
	Operation, Method, Path string
	Status                  int
	Problems                []string
}

func (e *ContractError) Error() string {
	return fmt.Sprintf("%s %s (%s) answered %d against the contract:\n\t%s", e.Method, e.Path, e.Operation, e.Status, strings.Join(e.Problems, "\n\t"))
}

// contract is the document, ready to check exchanges.
type contract struct {
	validator validator.Validator
	paths     []contractPath
}

// contractPath is a path of the document, split at its slashes.
type contractPath struct {
	template string
	segments []string
	item     *v3.PathItem
}

// theContract is read when it is first needed, because that takes a second.
var theContract = sync.OnceValue(func() *contract {
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		panic(err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		panic(err)
	}
	c := &contract{validator: validator.NewValidatorFromV3Model(&model.Model,
		config.WithoutSecurityValidation(), // tests send wrong credentials, and the server is the judge
		config.WithoutOpenAPIMode())}       // the document says nullable, as 3.0 did, and then does not compile
	for template, item := range model.Model.Paths.PathItems.FromOldest() {
		c.paths = append(c.paths, contractPath{template, strings.Split(template, "/"), item})
	}
	return c
})

// find returns the operation of a request, nil when the document has none. Of two paths that
// fit, the one with fewer parameters is meant. path is as it was escaped.
func (c *contract) find(method, path string) (*v3.Operation, contractPath) {
	var best *v3.Operation
	var found contractPath
	fewest := 0
	segments := strings.Split(path, "/")
	for _, p := range c.paths {
		params, ok := p.match(segments)
		op := p.item.GetOperations().GetOrZero(strings.ToLower(method))
		if ok && op != nil && (best == nil || params < fewest) {
			best, found, fewest = op, p, params
		}
	}
	return best, found
}

// match reports whether a path fits, and how many parameters it fills.
func (p contractPath) match(segments []string) (params int, ok bool) {
	if len(segments) != len(p.segments) {
		return 0, false
	}
	for i, s := range p.segments {
		if strings.HasPrefix(s, "{") && segments[i] != "" {
			params++
		} else if s != segments[i] {
			return 0, false
		}
	}
	return params, true
}

// checkContract compares an exchange with the document. A request is held to it when it was
// accepted: one that the server rightly refuses may be as wrong as a test wants.
func checkContract(r *http.Request, sent []byte, got Response) error {
	c := theContract()
	op, path := c.find(r.Method, r.URL.EscapedPath())
	if op == nil {
		return nil
	}
	if documented(op, got.Status) {
		tally(op.OperationId, got.Status)
	}
	var problems []string
	again := cloneRequest(r, path, sent)
	if got.Status/100 == 2 && len(sent) <= maxChecked {
		_, found := c.validator.ValidateHttpRequestSyncWithPathItem(again, path.item, path.template)
		problems = unexcused(op.OperationId, got.Status, "request", found)
		again = cloneRequest(r, path, sent)
	}
	if !documented(op, got.Status) {
		if excuse(op.OperationId, got.Status, "status", "") == nil {
			problems = append(problems, "the document does not have status "+strconv.Itoa(got.Status)+": "+string(got.Body))
		}
	} else if len(got.Body) <= maxChecked {
		response := &http.Response{StatusCode: got.Status, Header: got.Header, Body: io.NopCloser(bytes.NewReader(got.Body)), Request: again}
		_, found := c.validator.ValidateHttpResponse(again, response)
		problems = append(problems, unexcused(op.OperationId, got.Status, "response", found)...)
	}
	if len(problems) == 0 {
		return nil
	}
	return &ContractError{op.OperationId, r.Method, r.URL.String(), got.Status, problems}
}

// cloneRequest is the request once more. Like the official CLI our client does not say that
// JSON is JSON, and the validator has to be told; and it takes a slash within an id for one
// that separates, so ids are shown to it without.
func cloneRequest(r *http.Request, path contractPath, sent []byte) *http.Request {
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(sent))
	if again.Header.Get("Content-Type") == "" {
		again.Header.Set("Content-Type", "application/json")
	}
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i, s := range path.segments {
		if plain, err := url.PathUnescape(segments[i]); strings.HasPrefix(s, "{") && err == nil {
			segments[i] = strings.NewReplacer("/", "-", "%", "-", "?", "-", "#", "-").Replace(plain)
		}
	}
	again.URL.Path, again.URL.RawPath = strings.Join(segments, "/"), ""
	return again
}

func documented(op *v3.Operation, status int) bool {
	return op.Responses != nil && op.Responses.Codes.GetOrZero(strconv.Itoa(status)) != nil
}

// unexcused turns what the validator found into text, leaving out what is excepted.
func unexcused(operation string, status int, part string, found []*errors.ValidationError) (problems []string) {
	for _, e := range found {
		texts := []string{}
		for _, s := range e.SchemaValidationErrors {
			texts = append(texts, s.FieldPath+": "+s.Reason)
		}
		if len(texts) == 0 {
			texts = []string{e.Message + ": " + e.Reason}
		}
		for _, text := range texts {
			if excuse(operation, status, part, text) == nil {
				problems = append(problems, part+": "+text)
			}
		}
	}
	return problems
}
