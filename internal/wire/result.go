package wire

import (
	"encoding/json"
	"fmt"

	"sear/internal/id"
	"sear/internal/run"
)

// ExecutionResult is how a run ended, for callers that want it in the words of the
// worker protocol: with the output still encoded.
type ExecutionResult struct {
	OK             bool       `json:"ok"`
	ID             string     `json:"id"`
	TaskIdentifier string     `json:"taskIdentifier"`
	Output         string     `json:"output,omitempty"`
	OutputType     string     `json:"outputType,omitempty"`
	Error          *run.Error `json:"error,omitempty"`
}

// ResultOf is the result of a finished run.
func ResultOf(r run.Run) ExecutionResult {
	res := ExecutionResult{ID: id.Friendly(id.Run, r.ID), TaskIdentifier: r.Task}
	switch r.Status {
	case run.StatusCompleted:
		res.OK, res.Output, res.OutputType = true, r.Output.Data, r.Output.Type
		if res.OutputType == "" { // the key must be there
			res.OutputType = run.TypeJSON
		}
	case run.StatusCanceled:
		res.Error = &run.Error{Type: run.Internal, Code: run.CodeCancelled}
	default:
		res.Error = r.Err
	}
	return res
}

// RunError is the error of a run as retrieve shows it.
type RunError struct {
	Message    string          `json:"message"`
	Name       string          `json:"name,omitempty"`
	StackTrace string          `json:"stackTrace,omitempty"`
	Causes     json.RawMessage `json:"causes,omitempty"`
}

// ErrorOf shows a run's error; nil when it has none.
func ErrorOf(e *run.Error) *RunError {
	switch {
	case e == nil:
		return nil
	case e.Type == run.BuiltIn:
		return &RunError{Message: e.Message, Name: e.Name, StackTrace: e.StackTrace, Causes: e.Causes}
	case e.Type == run.Internal:
		return &RunError{Message: fmt.Sprintf("trigger.dev internal error (%s)", e.Code)}
	}
	return &RunError{Message: e.Raw}
}
