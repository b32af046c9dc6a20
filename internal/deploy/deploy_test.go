package deploy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/deploy"
	"sear/internal/fault"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "1h30m": 90 * time.Minute, "2hr": 2 * time.Hour, "1w2d3h4m5s": 7*24*time.Hour + 2*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"0s": 0, "30m1h": 90 * time.Minute,
	} {
		if got, ok := deploy.ParseDuration(in); !ok || got != want {
			t.Errorf("%q = %v, %v; want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "10", "s", "1.5h", "-1s", "1h 30m", "1x", "1h1h", "1h1hr", "9999999999s", "999999999w", strings.Repeat("1", 101) + "s"} {
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
		{"id":"c","filePath":"c.ts","queue":{"concurrencyLimit":1},"schedule":{"cron":"* * * * *"}}],
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
			{ID: "e\x00", FilePath: "e.ts"}, {ID: strings.Repeat("f", 513), FilePath: "f.ts"}, {ID: strings.Repeat("g", 512), FilePath: "g.ts"}},
		Queues: []deploy.Queue{{Name: "q", Limit: &tooMany}},
	}
	err := m.Validate()
	if !fault.Is(err, fault.Malformed) {
		t.Fatal(err)
	}
	for _, want := range []string{"Duplicate task id: a", "tasks[2]: id", "CRON expression", "tasks[4]: id must", "tasks[5]: id must", "queue q", "contentHash"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "tasks[6]") {
		t.Errorf("the longest id is refused: %s", err)
	}
}
