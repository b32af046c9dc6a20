// Package failure groups failed runs by what they failed of, and says what becomes of
// a group as it is seen again, resolved or ignored.
package failure

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"sear/internal/run"
)

// Cause is what runs of a group have in common.
type Cause struct {
	Task        string
	Fingerprint string // of task, type, message and where it was thrown
	Type        string // the name of the error, such as TypeError
	Message     string // without what differs from run to run
}

// counted are the ways to end that are a failure: not by somebody's wish, nor for
// want of a worker.
var counted = map[run.Status]bool{
	run.StatusFailed: true, run.StatusCrashed: true, run.StatusSystemFailure: true, run.StatusTimedOut: true,
}

// Failed reports whether a run has ended as a failure that belongs to a group.
func Failed(r run.Run) bool { return r.Err != nil && counted[r.Status] }

// CauseOf is the cause of a run's failure.
func CauseOf(r run.Run) Cause {
	e := r.Err
	c := Cause{Task: r.Task, Type: "Error", Message: normalize(cmp.Or(e.Message, e.Raw))}
	switch e.Type {
	case run.BuiltIn:
		c.Type = cmp.Or(e.Name, c.Type)
	case run.Internal:
		c.Type = string(e.Code)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{c.Task, c.Type, c.Message, thrower(e.StackTrace)}, "\x00")))
	c.Fingerprint = hex.EncodeToString(sum[:8])
	return c
}

// maxMessage bounds a message, in bytes.
//
//limit:inside how much of a message tells groups of errors apart
const maxMessage = 1000

// varying are the parts of a message that differ between failures of the same cause,
// and what stands for them. The order counts: a UUID holds numbers.
var varying = []struct {
	form *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\bhttps?://[^\s"'<>)]+`), "<url>"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<uuid>"},
	{regexp.MustCompile(`\b[a-z]+_[0-9a-z]{16,}\b`), "<id>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?\b`), "<time>"},
	{regexp.MustCompile(`(?i)\b(0x[0-9a-f]+|[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]*[a-f][0-9a-f]*\d[0-9a-f]*)\b`), "<hex>"},
	{regexp.MustCompile(`\d+(\.\d+)?`), "<number>"},
}

// normalize takes out of a message what differs from run to run. Doing so twice
// changes nothing more.
func normalize(message string) string {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	for _, v := range varying {
		message = v.form.ReplaceAllString(message, v.with)
	}
	return strings.TrimSpace(message)
}

// frame is a line of a stack with the function it is in.
var frame = regexp.MustCompile(`(?m)^\s*at (?:async )?([^\s(]+) \(`)

// thrower is the function that threw, "" when it has no name. Files and lines are left
// out: they change with every build.
func thrower(stack string) string {
	if m := frame.FindStringSubmatch(stack); m != nil {
		return m[1]
	}
	return ""
}
