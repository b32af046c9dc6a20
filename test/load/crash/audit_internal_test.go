package crash

import (
	"encoding/json"
	"testing"
	"time"

	"sear/internal/run"
)

// TestSeen: a result that was waited for and is missing, false or another's is found.
func TestSeen(t *testing.T) {
	t.Parallel()
	child := func(name, output string) row { return row{payload: payload{Name: name}, output: output} }
	byID := map[string]row{"run_1": child("a/0", "one"), "run_2": child("a/1", "two"), "run_3": child("b/0", "three")}
	for name, c := range map[string]struct {
		task  string
		seen  map[string]string
		clean bool
	}{
		"both children":    {taskParent, map[string]string{"run_1": "one", "run_2": "two"}, true},
		"one child":        {taskParent, map[string]string{"run_1": "one"}, false},
		"nothing":          {taskParent, nil, false},
		"child of another": {taskParent, map[string]string{"run_1": "one", "run_3": "three"}, false},
		"false output":     {taskParent, map[string]string{"run_1": "one", "run_2": "one"}, false},
		"the token":        {taskToken, map[string]string{"waitpoint_1": "done"}, true},
		"no token":         {taskToken, nil, false},
		"another token":    {taskToken, map[string]string{"waitpoint_2": "done"}, false},
		"family too small": {taskFamily, map[string]string{"run_1": "one", "run_2": "two"}, false},
		"nothing to see":   {taskWork, nil, true},
		"something seen":   {taskWork, map[string]string{"run_1": "one"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, err := json.Marshal(result{Name: "a", Saw: c.seen})
			if err != nil {
				t.Fatal(err)
			}
			l := newLedger()
			l.tokens["waitpoint_1"], l.tokens["waitpoint_2"] = "done", "done"
			l.report("run_0", string(output), true)
			v := &verdict{counts: map[string]int{}}
			v.checkEnd(l, row{id: "run_0", task: c.task, status: string(run.StatusCompleted), exec: string(run.Finished),
				payload: payload{Name: "a", Token: "waitpoint_1"}, output: string(output)}, byID)
			if v.clean() != c.clean {
				t.Errorf("%s %v", v, v.examples)
			}
		})
	}
}

// TestFires: a schedule that missed its minute or fired twice in it is found, and so is a
// trial in which none had to fire.
func TestFires(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC)
	due := fire{"sched_1", "2026-01-01T00:01:00.000Z"}
	for name, c := range map[string]struct {
		fires  map[fire][]string
		length time.Duration
		want   string
	}{
		"once":      {map[fire][]string{due: {"run_1"}}, time.Minute, "lost 0 · doubled 0 · over limit 0 · stuck 0 · wrong 0"},
		"never":     {nil, time.Minute, "lost 1 · doubled 0 · over limit 0 · stuck 0 · wrong 0"},
		"twice":     {map[fire][]string{due: {"run_1", "run_2"}}, time.Minute, "lost 0 · doubled 1 · over limit 0 · stuck 0 · wrong 0"},
		"just now":  {nil, 30*time.Second + fireTime, "lost 0 · doubled 0 · over limit 0 · stuck 0 · wrong 1"},
		"too short": {nil, 20 * time.Second, "lost 0 · doubled 0 · over limit 0 · stuck 0 · wrong 1"},
	} {
		v := &verdict{counts: map[string]int{}}
		v.checkFires(c.fires, []string{"sched_1"}, from, from.Add(c.length))
		if v.String() != c.want {
			t.Errorf("%s: %s %v", name, v, v.examples)
		}
	}
}
