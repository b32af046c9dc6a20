package queue_test

import (
	"testing"

	"pgregory.net/rapid"

	"sear/internal/queue"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	five, much := 5, 500
	percent := func(p float64) *queue.Override { return &queue.Override{Percent: p} }
	for _, c := range []struct {
		name     string
		settings queue.Settings
		env      int
		want     int // -1: none
	}{
		{"none", queue.Settings{}, 10, -1},
		{"a pause is not a limit", queue.Settings{Paused: true}, 10, -1},
		{"declared", queue.Settings{Declared: &five}, 10, 5},
		{"declared above the environment's", queue.Settings{Declared: &much}, 10, 10},
		{"overridden", queue.Settings{Declared: &five, Override: &queue.Override{Runs: 7}}, 10, 7},
		{"overridden by nothing at all", queue.Settings{Declared: &five, Override: &queue.Override{}}, 10, 0},
		{"overridden without a declaration", queue.Settings{Override: &queue.Override{Runs: 2}}, 10, 2},
		{"the environment shrank below the override", queue.Settings{Override: &queue.Override{Runs: 7}}, 3, 3},
		{"half of nine", queue.Settings{Override: percent(50)}, 9, 4},
		{"half of one is one", queue.Settings{Override: percent(50)}, 1, 1},
		{"half of twenty", queue.Settings{Override: percent(50)}, 20, 10},
		{"all", queue.Settings{Override: percent(100)}, 20, 20},
		{"next to nothing", queue.Settings{Override: percent(0.001)}, 20, 1},
		{"a share of nothing", queue.Settings{Override: percent(50)}, 0, 0},
	} {
		got := c.settings.Limit(c.env)
		if (got == nil) != (c.want < 0) || got != nil && *got != c.want {
			t.Errorf("%s: %v, want %d", c.name, got, c.want)
		}
	}
}

// TestPercent: a share never grows as the environment shrinks, nor beyond it.
func TestPercent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := queue.Override{Percent: rapid.Float64Range(0.0001, 100).Draw(t, "percent")}
		env := rapid.IntRange(1, queue.MaxLimit).Draw(t, "env")
		if got := o.Limit(env); got < 1 || got > env || o.Limit(env+1) < got {
			t.Fatalf("%d of %d, %d of one more", got, env, o.Limit(env+1))
		}
	})
}
