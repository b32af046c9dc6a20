package rest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"sear/internal/fault"
)

// Problem is one thing wrong with a request, in the shape of the zod issues that
// upstream sends.
type Problem struct {
	Code    string // "invalid_type" for a wrong JSON type, else "custom"
	Message string
	Path    string // dotted, such as "options.queue"; "" for the whole
}

// MarshalJSON splits the path, as zod's issues do.
func (p Problem) MarshalJSON() ([]byte, error) {
	path := []string{}
	if p.Path != "" {
		path = strings.Split(p.Path, ".")
	}
	return json.Marshal(struct {
		Code    string   `json:"code"`
		Message string   `json:"message"`
		Path    []string `json:"path"`
	}{p.Code, p.Message, path})
}

// Bounds of what an answer says of a wrong request, however much is wrong with it.
const (
	//limit:requests Problems that the answer to a wrong request names | problems | further ones are not named
	maxProblems = 20
	//limit:requests What an answer says of one problem | bytes | it is cut
	maxMessage = 500 // bytes of a problem's message, which may quote the request
	//limit:requests The path to a problem in an answer | bytes | it is cut
	maxPath = 256 // bytes of a problem's path, which may hold names that the caller chose
)

// Problems collects what is wrong with a request, so that one answer names it all, up to
// a bound. A Validate method adds to it and ends with `return p.Err()`.
type Problems []Problem

// Add notes that the value at path is wrong.
func (p *Problems) Add(path, message string) {
	p.Put(Problem{Code: "custom", Message: message, Path: path})
}

// Put notes a problem. When there are many already, it is dropped.
func (p *Problems) Put(q Problem) {
	if !p.Full() {
		q.Path, q.Message = clip(q.Path, maxPath), clip(q.Message, maxMessage)
		*p = append(*p, q)
	}
}

// Full reports whether there are as many problems as an answer names, so that there is no
// use in looking for more.
func (p *Problems) Full() bool { return len(*p) >= maxProblems }

// clip is the beginning of a text of more than most bytes, or all of it.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// alsoElsewhere are the problems of p and those of others that concern no value that p
// names: once one is wrong, what follows from it, or holds of the whole, is not known.
func (p Problems) alsoElsewhere(others Problems) Problems {
	out := slices.Clip(p)
	for _, q := range others {
		touches := func(named Problem) bool {
			return strings.HasPrefix(named.Path+".", q.Path+".") || strings.HasPrefix(q.Path+".", named.Path+".")
		}
		if q.Path != "" && !slices.ContainsFunc(p, touches) {
			out.Put(q)
		}
	}
	return out
}

// Error lists the problems on one line: `Required at "options.queue"; Too long at "tags"`.
func (p Problems) Error() string {
	var b strings.Builder
	for i, q := range p {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(q.Message)
		if q.Path != "" {
			b.WriteString(` at "` + q.Path + `"`)
		}
	}
	return b.String()
}

// Err is nil when there are no problems, else the [fault.Malformed] that routes
// answer for a body that breaks its schema. The list stays reachable with [errors.As].
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return fault.Wrap(fault.Malformed, p, "Validation error: "+p.Error())
}

// QueryError is nil when there are no problems, else the answer to a wrong query.
func QueryError(p Problems) error { return detailed(p, "Query Error") }

// ParamsError is nil when there are no problems, else the answer to wrong path parameters.
func ParamsError(p Problems) error { return detailed(p, "Params Error") }

// HeadersError is nil when there are no problems, else the answer to wrong headers.
func HeadersError(p Problems) error { return detailed(p, "Headers Error") }

func detailed(p Problems, message string) error {
	if len(p) == 0 {
		return nil
	}
	return WithField(fault.Wrap(fault.Malformed, p, message), "details", p)
}

// BodyIssues turns the validation problems in err into the form that upstream's
// older, hand-written routes answer: {"error":"Invalid request body","issues":[…]}.
// Other errors are returned as they are.
func BodyIssues(err error) error {
	var p Problems
	if !errors.As(err, &p) {
		return err
	}
	return WithField(fault.Wrap(fault.Malformed, err, "Invalid request body"), "issues", p)
}
