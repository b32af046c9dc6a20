package server_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sear/internal/server"
	"sear/internal/servertest"
)

// besides makes a request while another environment triggers one run after the other, and
// returns the longest that one of these calls took.
func besides(t *testing.T, keys server.KeySet, url string, request func()) (longest time.Duration) {
	t.Helper()
	prod := servertest.Client{URL: url, Key: keys.SecretKeys.Prod}
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			begin := time.Now()
			if got, err := prod.Send(t.Context(), "POST", "/api/v1/tasks/other/trigger", `{"options":{"delay":"1h"}}`); err != nil || got.Status != 200 {
				t.Errorf("a trigger of another environment: %d %v", got.Status, err)
			}
			longest = max(longest, time.Since(begin))
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	request()
	close(stop)
	done.Wait()
	return longest
}

// patience is how long a call may take on a machine that is busy with other tests. What is
// left of this fault would take longer; TestNoCallStopsTheOthers measures what is allowed.
const patience = 5 * time.Second

// TestMetadataEditIsNoBurdenOnOthers: an edit of 210 kB that visits a hundred thousand places
// with each of four hundred operations is refused, by name, and soon.
func TestMetadataEditIsNoBurdenOnOthers(t *testing.T) {
	t.Parallel()
	cfg := server.Config{Addr: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "data")}
	r := run(t, cfg)
	keys, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	dev := servertest.Client{URL: r.url, Key: keys.SecretKeys.Dev}
	made := servertest.Post[struct{ ID string }](t, dev, "/api/v1/tasks/my-task/trigger", `{"options":{"delay":"1h","metadata":{"kept":1}}}`)
	path := "/api/v1/runs/" + made.ID + "/metadata"
	remove := `{"type":"remove","key":"a","value":2}`
	body := fmt.Sprintf(`{"metadata":{"a":[%s1]},"operations":[%s%s]}`, strings.Repeat("1,", 99_999), strings.Repeat(remove+",", 399), remove)
	longest := besides(t, keys, r.url, func() {
		got, err := dev.Send(t.Context(), "PUT", path, body)
		if err != nil || got.Status != 400 || !strings.Contains(string(got.Body), `"operations.`) {
			t.Errorf("the edit: %d %.200s %v", got.Status, got.Body, err)
		}
	})
	if longest > patience {
		t.Errorf("another environment waited for %s", longest)
	}
	if got := dev.Call(t, "GET", path, nil); string(got.Body) != `{"metadata":{"kept":1}}` {
		t.Errorf("the refused edit left %s", got.Body)
	}
}

// TestManifestIsNoBurdenOnOthers: a build with sixty thousand queues is refused, by name, and
// soon.
func TestManifestIsNoBurdenOnOthers(t *testing.T) {
	t.Parallel()
	cfg := server.Config{Addr: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "data")}
	r := run(t, cfg)
	keys, err := server.Keys(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var queues strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&queues, `,{"name":"q%d"}`, i)
	}
	body := `{"localOnly":true,"metadata":{"contentHash":"h","packageVersion":"4.8.3","tasks":[],"queues":[` + queues.String()[1:] + `]}}`
	dev := servertest.Client{URL: r.url, Key: keys.SecretKeys.Dev}
	longest := besides(t, keys, r.url, func() {
		got, err := dev.Send(t.Context(), "POST", "/api/v1/projects/"+keys.ProjectRef+"/background-workers", body)
		if err != nil || got.Status != 400 || !strings.Contains(string(got.Body), `"queues: 60000 are too many`) {
			t.Errorf("the registration: %d %.200s %v", got.Status, got.Body, err)
		}
	})
	if longest > patience {
		t.Errorf("another environment waited for %s", longest)
	}
}
