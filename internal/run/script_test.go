package run_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"sear/internal/run"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// at is what decisions know in a production environment, d after the start of a test.
func at(d time.Duration) run.Ctx {
	return run.Ctx{Now: t0.Add(d), Timeouts: run.DefaultTimeouts}
}

// stateOf is a run in execution status e, brought there by commands.
func stateOf(t testing.TB, e run.Exec) run.Run {
	t.Helper()
	s := &script{ctx: at(0)}
	for _, step := range strings.Split(map[run.Exec]string{
		run.Created:          "create attempts=3; dequeue missing=TASK_NOT_IN_LATEST",
		run.Delayed:          "create delay=10m attempts=3",
		run.Queued:           "create attempts=3 ttl=10m",
		run.PendingExecuting: "create attempts=3; dequeue",
		run.Executing:        "create attempts=3; dequeue; start",
		run.Waiting:          "create attempts=3; dequeue; start; block",
		run.QueuedExecuting:  "create attempts=3; dequeue; start; block; unblock",
		run.Suspended:        "create attempts=3; dequeue; start; block; suspend",
		run.PendingCancel:    "create attempts=3; dequeue; start; cancel",
		run.Finished:         "create attempts=3; dequeue; start; complete",
	}[e], "; ") {
		if out := s.step(step); strings.HasPrefix(out, "refused") {
			t.Fatalf("%s: %s", step, out)
		}
	}
	if s.run.Exec != e {
		t.Fatalf("the run is %s, not %s", s.run.Exec, e)
	}
	return s.run
}

// TestScripts runs the scripts of testdata; -rewrite rewrites their results. A
// line is a command with its arguments; see script.command.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{ctx: at(0)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			lines := d.Input
			if d.Cmd != "steps" {
				t.Fatalf("%s: unknown directive %q", d.Pos, d.Cmd)
			}
			for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
				out.WriteString(strings.TrimRight(fmt.Sprintf("%-34s %s", line, s.step(line)), " ") + "\n")
				if s.run.ID != "" {
					if err := run.Check(s.run); err != nil {
						t.Errorf("%s: after %q: %v", d.Pos, line, err)
					}
				}
			}
			return out.String()
		})
	})
}

// script is one run under the commands of a script.
type script struct {
	run run.Run
	ctx run.Ctx
}

// step carries out one line and describes what became of the run.
func (s *script) step(line string) string {
	words := strings.Fields(line)
	args := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	if words[0] == "advance" {
		s.ctx.Now = s.ctx.Now.Add(duration(words[1]))
		return ""
	}
	if words[0] == "create" {
		_, s.ctx.Dev = args["dev"]
		_, s.ctx.KeepSlot = args["keep-slots"]
	}
	p, err := run.Decide(s.run, s.command(words[0], args), s.ctx)
	if err != nil {
		return "refused: " + err.Error()
	}
	before := s.run
	s.run = p.Run
	return s.describe(before, p)
}

func (s *script) describe(before run.Run, p run.Plan) string {
	r := p.Run
	out := fmt.Sprintf("%d %s %s attempt=%d", r.Seq, r.Exec, r.Status, r.Attempt)
	if !r.Due.IsZero() {
		out += " due=" + r.Due.Sub(s.ctx.Now).String()
	}
	if score := time.UnixMilli(r.Score).Sub(s.ctx.Now); r.Exec == run.Queued && score > 0 {
		out += " ready=" + score.String()
	}
	if r.Slot {
		out += " slot"
	}
	if r.Machine != "" && r.Machine != before.Machine {
		out += " machine=" + r.Machine
	}
	if r.Err != nil && before.Err == nil {
		out += fmt.Sprintf(" error=%q", strings.TrimSpace(string(r.Err.Code)+" "+r.Err.Message+r.Err.Raw))
	}
	for _, n := range []struct {
		set  bool
		text string
	}{
		{!p.Moved, "(same snapshot)"}, {p.Notify, "notify"}, {p.Edges == run.DeliverEdges, "deliver"}, {p.Children != "", "children"},
	} {
		if n.set {
			out += " " + n.text
		}
	}
	return out
}

// command reads a script's command; seq=-1 means the snapshot before the newest.
func (s *script) command(name string, args map[string]string) run.Command {
	seq := s.run.Seq + int64(number(args["seq"]))
	request := args["request"]
	switch name {
	case "create":
		r := run.Run{ID: "r1", EnvID: "e1", Task: "hello", Lane: run.Lane{Queue: "task/hello"}, TTL: duration(args["ttl"]),
			MaxAttempts: number(args["attempts"]), MaxDuration: number(args["max-duration"]), Machine: args["machine"]}
		if d := duration(args["delay"]); d != 0 {
			r.DelayUntil = s.ctx.Now.Add(d)
		}
		_, external := args["external"]
		return run.Create{Run: r, External: external, PriorityMS: int64(number(args["priority"])) * 1000}
	case "enqueue":
		return run.Enqueue{WorkerID: args["worker"], Version: args["worker"]}
	case "reschedule":
		return run.Reschedule{Until: s.ctx.Now.Add(duration(args["in"]))}
	case "debounce":
		return run.Debounce{Until: s.ctx.Now.Add(duration(args["in"])), Machine: args["machine"],
			MaxAttempts: number(args["attempts"]), MaxDuration: number(args["max-duration"])}
	case "dequeue":
		return run.Dequeue{WorkerID: "w1", Version: "20261124.1", Missing: args["missing"], Machine: args["machine"],
			MaxAttempts: number(args["attempts"]), MaxDuration: number(args["max-duration"])}
	case "requeue":
		return run.Requeue{}
	case "expire":
		return run.Expire{}
	case "start":
		return run.Start{Seq: seq, Request: request}
	case "continue":
		return run.Continue{Seq: seq}
	case "beat":
		return run.Beat{Seq: seq}
	case "stall":
		return run.Stall{Policy: policy(args)}
	case "due":
		return run.Deadline(s.run, policy(args), s.ctx.Now)
	case "complete":
		return run.Complete{Seq: seq, Request: request, Output: run.Packet{Data: `"ok"`, Type: run.TypeJSON}, Usage: duration(args["usage"])}
	}
	return s.others(name, seq, args)
}

func (s *script) others(name string, seq int64, args map[string]string) run.Command {
	switch name {
	case "fail":
		f := run.Fail{Seq: seq, Request: args["request"], Policy: policy(args), Usage: duration(args["usage"]),
			Err: &run.Error{Type: run.BuiltIn, Name: "Error", Message: "boom"}}
		if code := args["code"]; code != "" {
			f.Err = &run.Error{Type: run.Internal, Code: run.Code(code)}
		}
		if retry, ok := args["retry"]; ok {
			f.Retry = &run.Retry{Delay: duration(retry)}
		}
		return f
	case "block":
		return run.Block{BatchID: args["batch"]}
	case "unblock":
		return run.Unblock{Pending: number(args["pending"])}
	case "resume":
		return run.Resume{}
	case "suspend":
		return run.Suspend{Seq: seq}
	case "cancel":
		_, final := args["final"]
		return run.Cancel{Reason: "by a user", Final: final}
	}
	panic("script: unknown command " + name)
}

// policy reads min=, factor=, max=, oom= into retry settings without jitter.
func policy(args map[string]string) *run.Policy {
	_, set := args["min"]
	if !set && args["oom"] == "" {
		return nil
	}
	minimum, attempts, plain := float64(duration(args["min"]).Milliseconds()), number(args["tries"]), false
	p := &run.Policy{MinTimeout: &minimum, Randomize: &plain}
	if attempts > 0 {
		p.MaxAttempts = &attempts
	}
	if args["oom"] != "" {
		p.OutOfMemory = &struct {
			Machine string `json:"machine,omitempty"`
		}{args["oom"]}
	}
	return p
}

func duration(s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func number(s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
