package run_test

import (
	"testing"

	"pgregory.net/rapid"

	"sear/internal/run"
)

// TestLaneText: whatever a queue and a key are called, the text leads back to them.
func TestLaneText(t *testing.T) {
	t.Parallel()
	name := rapid.StringOfN(rapid.RuneFrom([]rune("ab:%/325A;")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		l := run.Lane{Queue: name.Draw(t, "queue"), Key: name.Draw(t, "key")}
		if got := run.ParseLane(l.String()); got != l {
			t.Fatalf("%+v is %q and then %+v", l, l, got)
		}
	})
	if got := (run.Lane{Queue: "task/hello", Key: "k:1"}).String(); got != "task/hello:k:1" {
		t.Errorf("%q", got)
	}
}
