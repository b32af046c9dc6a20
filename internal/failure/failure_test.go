package failure_test

import (
	"strings"
	"testing"
	"time"

	"sear/internal/failure"
	"sear/internal/run"
)

func failed(e run.Error) run.Run {
	return run.Run{Task: "a", Status: run.StatusFailed, Err: &e}
}

func thrown(name, message, stack string) run.Run {
	return failed(run.Error{Type: run.BuiltIn, Name: name, Message: message, StackTrace: stack})
}

func TestSameCause(t *testing.T) {
	t.Parallel()
	const stack = "Error: x\n    at charge (file:///tmp/build-%/tasks.mjs:12:3)\n    at async run (file:///a.mjs:1:1)"
	at := func(build string) string { return strings.ReplaceAll(stack, "%", build) }
	for name, c := range map[string]struct {
		a, b run.Run
		same bool
	}{
		"numbers":       {thrown("Error", "order 12 failed after 3.5 s", ""), thrown("Error", "order 7 failed after 10 s", ""), true},
		"builds":        {thrown("Error", "no", at("a1")), thrown("Error", "no", at("b2")), true},
		"ids":           {thrown("Error", "run_cm1abcdefghijklmnop is gone", ""), thrown("Error", "run_cm2zyxwvutsrqponmlk is gone", ""), true},
		"uuids":         {thrown("Error", "user 3f2504e0-4f89-11d3-9a0c-0305e82c3301", ""), thrown("Error", "user 00000000-0000-0000-0000-000000000000", ""), true},
		"urls":          {thrown("Error", "GET https://a.test/x?y=1: 500", ""), thrown("Error", "GET http://b.test/: 502", ""), true},
		"times":         {thrown("Error", "at 2026-11-27T10:00:00.000Z", ""), thrown("Error", "at 2025-01-01T00:00:00Z", ""), true},
		"hashes":        {thrown("Error", "object 0xdeadbeef, commit 36fa471", ""), thrown("Error", "object 0x1, commit d6506c8", ""), true},
		"words":         {thrown("Error", "order failed", ""), thrown("Error", "refund failed", ""), false},
		"hex letters":   {thrown("Error", "bad face", ""), thrown("Error", "bad cafe", ""), false},
		"names":         {thrown("Error", "no", ""), thrown("TypeError", "no", ""), false},
		"functions":     {thrown("Error", "no", at("a")), thrown("Error", "no", strings.ReplaceAll(at("a"), "charge", "refund")), false},
		"codes":         {failed(run.Error{Type: run.Internal, Code: run.CodeOOM}), failed(run.Error{Type: run.Internal, Code: run.CodeCrashed}), false},
		"thrown texts":  {failed(run.Error{Type: run.StringError, Raw: "no 1"}), failed(run.Error{Type: run.StringError, Raw: "no 2"}), true},
		"thrown values": {failed(run.Error{Type: run.Custom, Raw: `{"a":1}`}), failed(run.Error{Type: run.Custom, Raw: `{"b":1}`}), false},
	} {
		if got := failure.CauseOf(c.a) == failure.CauseOf(c.b); got != c.same {
			t.Errorf("%s: same %v, want %v: %+v and %+v", name, got, c.same, failure.CauseOf(c.a), failure.CauseOf(c.b))
		}
	}
	other := thrown("Error", "no", "")
	other.Task = "b"
	if failure.CauseOf(other).Fingerprint == failure.CauseOf(thrown("Error", "no", "")).Fingerprint {
		t.Error("two tasks have one fingerprint")
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	got := failure.CauseOf(thrown("TypeError", " order 12 of https://a.test failed ", ""))
	if got.Type != "TypeError" || got.Message != "order <number> of <url> failed" || len(got.Fingerprint) != 16 || got.Task != "a" {
		t.Errorf("%+v", got)
	}
	if got := failure.CauseOf(failed(run.Error{Type: run.Internal, Code: run.CodeOOM})); got.Type != "TASK_PROCESS_OOM_KILLED" {
		t.Errorf("%+v", got)
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	for status, want := range map[run.Status]bool{
		run.StatusFailed: true, run.StatusCrashed: true, run.StatusSystemFailure: true, run.StatusTimedOut: true,
		run.StatusCanceled: false, run.StatusExpired: false, run.StatusCompleted: false, run.StatusExecuting: false,
	} {
		if got := failure.Failed(run.Run{Status: status, Err: &run.Error{}}); got != want {
			t.Errorf("%s: %v", status, got)
		}
	}
	if failure.Failed(run.Run{Status: run.StatusFailed}) {
		t.Error("a failure without an error has a cause")
	}
}

func FuzzCause(f *testing.F) {
	for _, s := range []string{"order 12", "0xff at 2026-11-27T10:00:00Z", "https://a.test/1", "run_cm1abcdefghijklmnop", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := failure.CauseOf(thrown("Error", s, "")).Message
		if again := failure.CauseOf(thrown("Error", once, "")).Message; again != once {
			t.Fatalf("%q became %q and then %q", s, once, again)
		}
	})
}

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestLifecycle(t *testing.T) {
	t.Parallel()
	seen := failure.Group{}.See(2, "20261127.2", noon)
	later := func(d time.Duration) time.Time { return noon.Add(d) }
	ignored := func(i failure.Ignore) failure.Group { return seen.SetIgnored(i, noon) }
	for name, c := range map[string]struct {
		got  failure.Group
		want failure.Status
	}{
		"seen":                         {seen, failure.Unresolved},
		"resolved":                     {seen.Resolve("", noon), failure.Resolved},
		"resolved, seen again":         {seen.Resolve("", noon).See(1, "20261127.2", later(1)), failure.Unresolved},
		"mended later, seen in an old": {seen.Resolve("20261127.10", noon).See(1, "20261127.9", later(1)), failure.Resolved},
		"mended, seen in it":           {seen.Resolve("20261127.10", noon).See(1, "20261127.10", later(1)), failure.Unresolved},
		"mended, seen without":         {seen.Resolve("20261127.10", noon).See(1, "", later(1)), failure.Unresolved},
		"ignored":                      {ignored(failure.Ignore{}).See(1000, "", later(time.Hour)), failure.Ignored},
		"ignored for a time":           {ignored(failure.Ignore{Until: later(time.Hour)}).See(1, "", later(time.Minute)), failure.Ignored},
		"ignored for a time, after":    {ignored(failure.Ignore{Until: later(time.Hour)}).See(1, "", later(time.Hour)), failure.Unresolved},
		"time alone":                   {ignored(failure.Ignore{Until: later(time.Hour)}).At(later(time.Hour)), failure.Unresolved},
		"time is not up":               {ignored(failure.Ignore{Until: later(time.Hour)}).At(later(time.Minute)), failure.Ignored},
		"total not reached":            {ignored(failure.Ignore{Total: 3}).See(2, "", later(1)), failure.Ignored},
		"total reached":                {ignored(failure.Ignore{Total: 3}).See(2, "", later(1)).See(1, "", later(2)), failure.Unresolved},
		"rate kept":                    {ignored(failure.Ignore{Rate: 2}).See(2, "", later(1)).See(2, "", later(time.Minute)), failure.Ignored},
		"rate passed":                  {ignored(failure.Ignore{Rate: 2}).See(2, "", later(1)).See(1, "", later(2)), failure.Unresolved},
		"unresolved":                   {seen.Resolve("", noon).Unresolve(), failure.Unresolved},
		"ignored, then resolved":       {ignored(failure.Ignore{Total: 1}).Resolve("", noon), failure.Resolved},
	} {
		if c.got.Status != c.want {
			t.Errorf("%s: %s, want %s", name, c.got.Status, c.want)
		}
		if c.got.Status != failure.Ignored && c.got.Ignore != (failure.Ignore{}) || c.got.Status != failure.Resolved && !c.got.ResolvedAt.IsZero() {
			t.Errorf("%s keeps what no longer holds: %+v", name, c.got)
		}
	}
}

func TestSee(t *testing.T) {
	t.Parallel()
	g := failure.Group{}
	for i, version := range []string{"1", "2", "3", "2", "", "4", "5", "6"} {
		g = g.See(1, version, noon.Add(time.Duration(i)*time.Second))
	}
	g = g.See(1, "6", noon) // late, from another node
	if got := strings.Join(g.Versions, " "); got != "6 5 4 2 3" {
		t.Errorf("versions %s", got)
	}
	if g.Count != 9 || !g.FirstSeen.Equal(noon) || !g.LastSeen.Equal(noon.Add(7*time.Second)) {
		t.Errorf("%+v", g)
	}
}
