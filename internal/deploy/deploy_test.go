package deploy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/deploy"
	"sear/internal/fault"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const century = 100 * 365 * 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "1h30m": 90 * time.Minute, "2hr": 2 * time.Hour, "1w2d3h4m5s": 7*24*time.Hour + 2*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"0s": 0, "30m1h": 90 * time.Minute, "0000000000001s": time.Second,
		"9999999999s": century, "999999999w": century, "99999d": century, "100w" + strings.Repeat("9", 90) + "s": century,
	} {
		if got, ok := deploy.ParseDuration(in); !ok || got != want {
			t.Errorf("%q = %v, %v; want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "10", "s", "1.5h", "-1s", "1h 30m", "1x", "1h1h", "1h1hr", strings.Repeat("1", 101) + "s"} {
		if got, ok := deploy.ParseDuration(in); ok {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1h30m", "10", "1w2d3h4m5s", "hr", "99999999999999999999s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := deploy.ParseDuration(s); ok && (d < 0 || d > 101*365*24*time.Hour) {
			t.Errorf("%q = %v", s, d)
		}
	})
}

func TestNextVersion(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 23, 30, 0, 0, time.FixedZone("west", -3600)) // already the 25th in UTC
	for latest, want := range map[string]string{
		"": "20261125.1", "20261124.7": "20261125.1", "20261125.1": "20261125.2", "20261125.10": "20261125.11", "20261125.x": "20261125.1",
	} {
		if got := deploy.NextVersion(latest, now); got != want {
			t.Errorf("after %q: %s, want %s", latest, got, want)
		}
	}
}

func TestManifest(t *testing.T) {
	t.Parallel()
	var m deploy.Manifest
	const text = `{"packageVersion":"4.8.3","contentHash":"h","tasks":[
		{"id":"a","filePath":"a.ts","ttl":"10m"},
		{"id":"b","filePath":"b.ts","ttl":90,"queue":{"name":"shared queue!","concurrencyLimit":2}},
		{"id":"c","filePath":"c.ts","ttl":null,"queue":{"concurrencyLimit":1},"schedule":{"cron":"* * * * *"}}],
		"queues":[{"name":"sharedqueue"},{"name":"extra","concurrencyLimit":null}]}`
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, q := range m.AllQueues() {
		got[q.Name] = -1
		if q.Limit != nil {
			got[q.Name] = *q.Limit
		}
	}
	if d := cmp.Diff(map[string]int{"task/a": -1, "sharedqueue": 2, "task/c": 1, "extra": -1}, got); d != "" {
		t.Error(d)
	}
	for _, q := range m.AllQueues() {
		if !m.HasQueue(q.Name) || m.HasQueue(q.Name+"x") {
			t.Errorf("queue %s is in one list and not in the other", q.Name)
		}
	}
	for task, want := range map[string]time.Duration{"a": 10 * time.Minute, "b": 90 * time.Second} {
		if d, ok := m.Task(task).TimeToLive(); !ok || d != want {
			t.Errorf("time to live of %s: %v, %v", task, d, ok)
		}
	}
	if _, ok := m.Task("c").TimeToLive(); ok || m.Task("nothing") != nil {
		t.Error("found what is not there")
	}
}

func TestManifestProblems(t *testing.T) {
	t.Parallel()
	tooMany := 100_001
	m := deploy.Manifest{
		Tasks: []deploy.Task{{ID: "a", FilePath: "a.ts"}, {ID: "a", FilePath: "b.ts"}, {FilePath: "c.ts"}, {ID: "d", FilePath: "d.ts", Schedule: &deploy.Schedule{}},
			{ID: "e\x00", FilePath: "e.ts"}, {ID: strings.Repeat("f", 513), FilePath: "f.ts"}, {ID: strings.Repeat("g", 512), FilePath: "g.ts"},
			{ID: "h", FilePath: "h.ts", TTL: json.RawMessage(`"10 minutes"`)}, {ID: "i", FilePath: "i.ts", TTL: json.RawMessage("-1")}},
		Queues: []deploy.Queue{{Name: "q", Limit: &tooMany}},
	}
	err := m.Validate()
	if !fault.Is(err, fault.Malformed) {
		t.Fatal(err)
	}
	for _, want := range []string{"Duplicate task id: a", "tasks[2]: id", "CRON expression", "tasks[4]: id must", "tasks[5]: id must", "queue q", "contentHash",
		`task h: ttl is neither a duration, such as 1h30m, nor a number of seconds: "10 minutes"`, "task i: ttl"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "tasks[6]") {
		t.Errorf("the longest id is refused: %s", err)
	}
}

// TestManifestAmounts: lists that are too long are refused by name, and so is a manifest that
// is too large without its source files.
func TestManifestAmounts(t *testing.T) {
	t.Parallel()
	tasks := func(n int, scheduled bool) (list []deploy.Task) {
		for i := range n {
			task := deploy.Task{ID: fmt.Sprint("t", i), FilePath: "t.ts"}
			if scheduled {
				task.Schedule = &deploy.Schedule{Cron: "* * * * *"}
			}
			list = append(list, task)
		}
		return list
	}
	queues := make([]deploy.Queue, deploy.MaxQueues+1)
	for name, tt := range map[string]struct {
		fits deploy.Manifest
		more func(m *deploy.Manifest)
	}{
		"tasks":     {deploy.Manifest{Tasks: tasks(deploy.MaxTasks, false)}, func(m *deploy.Manifest) { m.Tasks = tasks(deploy.MaxTasks+1, false) }},
		"queues":    {deploy.Manifest{Queues: queues[1:]}, func(m *deploy.Manifest) { m.Queues = queues }},
		"schedules": {deploy.Manifest{Tasks: tasks(deploy.MaxSchedules, true)}, func(m *deploy.Manifest) { m.Tasks = tasks(deploy.MaxSchedules+1, true) }},
	} {
		tt.fits.ContentHash = "h"
		if err := tt.fits.Validate(); err != nil {
			t.Errorf("as many %s as there may be: %v", name, err)
		}
		tt.more(&tt.fits)
		if err := tt.fits.Validate(); !fault.Is(err, fault.Malformed) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("one too many of %s: %v", name, err)
		}
	}
	m := deploy.Manifest{SourceFiles: []deploy.SourceFile{{Contents: strings.Repeat("x", deploy.MaxManifest)}}, Tasks: tasks(1, false)}
	if err := m.Pack(); err != nil || len(m.Packed()) > 200 || m.Task("t0") == nil || !m.HasQueue("task/t0") {
		t.Errorf("source files count: %d bytes, %v", len(m.Packed()), err)
	}
	m = deploy.Manifest{Tasks: tasks(1, false)}
	m.Tasks[0].Description = strings.Repeat("x", deploy.MaxManifest)
	if err := m.Pack(); !fault.Is(err, fault.TooLarge) || !strings.HasPrefix(err.Error(), "tasks and queues") {
		t.Errorf("a large manifest: %v", err)
	}
}

// TestManifestNames: asked often or once, a manifest has the same.
func TestManifestNames(t *testing.T) {
	t.Parallel()
	m := deploy.Manifest{ContentHash: "h", Queues: []deploy.Queue{{Name: "a b"}, {Name: "ab"}, {Name: "!"}}, Tasks: []deploy.Task{
		{ID: "t", FilePath: "1.ts"}, {ID: "t", FilePath: "2.ts"}, {ID: "u", Queue: &deploy.Queue{Name: "ab", Limit: new(int)}},
	}}
	indexed := m
	indexed.Index()
	if d := cmp.Diff(m.AllQueues(), indexed.AllQueues()); d != "" || len(m.AllQueues()) != 2 {
		t.Errorf("%v: %s", m.AllQueues(), d)
	}
	for _, name := range []string{"ab", "a b", "task/t", "task/u", "t", "u", "v", ""} {
		if once, often := m.Task(name), indexed.Task(name); once != often {
			t.Errorf("task %q: %v and %v", name, once, often)
		}
		if once, often := m.HasQueue(name), indexed.HasQueue(name); once != often || once != (name == "ab" || name == "task/t") {
			t.Errorf("queue %q: %v and %v", name, once, often)
		}
	}
}
