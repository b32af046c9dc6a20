package devrun

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// statusCompleted is the one status that is a success.
const statusCompleted = "COMPLETED"

// outputIndent puts the further lines of an output under its first one.
const outputIndent = "           "

// run is the part of a run that is printed.
type run struct {
	ID        string          `json:"id"`
	Task      string          `json:"taskIdentifier"`
	Status    string          `json:"status"`
	Completed bool            `json:"isCompleted"`
	Output    json.RawMessage `json:"output"`
	OutputURL string          `json:"outputPresignedUrl"` // instead of Output when that is large
	Error     *runError       `json:"error"`
	Attempts  int             `json:"attemptCount"`
	Executing float64         `json:"durationMs"` // without waits
	Created   time.Time       `json:"createdAt"`
	Finished  time.Time       `json:"finishedAt"`
}

type runError struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// print writes the run the way a person reads it.
func (r run) print(w io.Writer) error {
	var b bytes.Buffer
	line := func(name, value string) { fmt.Fprintf(&b, "%-*s%s\n", len(outputIndent), name, value) }

	line("run", r.ID)
	line("task", r.Task)
	line("status", r.Status)
	if r.Error != nil {
		line("error", r.Error.text())
	}
	line("output", r.outputText())
	line("attempts", fmt.Sprint(r.Attempts))
	line("duration", r.timing())

	_, err := w.Write(b.Bytes())
	return err
}

func (r run) outputText() string {
	switch {
	case r.OutputURL != "":
		return "at " + r.OutputURL
	case len(r.Output) == 0:
		return "none"
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, r.Output, outputIndent, "  ") != nil {
		return string(r.Output)
	}
	return pretty.String()
}

// timing says how long the run took since it was triggered, and how much of that it executed.
func (r run) timing() string {
	executing := time.Duration(r.Executing * float64(time.Millisecond))
	if r.Finished.IsZero() {
		return fmt.Sprintf("%s executing", executing)
	}
	return fmt.Sprintf("%s from trigger to finish, %s executing", r.Finished.Sub(r.Created).Round(time.Millisecond), executing)
}

func (e runError) text() string {
	if e.Name == "" {
		return e.Message
	}
	return e.Name + ": " + e.Message
}
