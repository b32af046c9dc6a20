package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/fault"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// deploymentIn is a deployment of a status, brought there by commands.
func deploymentIn(t testing.TB, s deploy.Status) deploy.Deployment {
	t.Helper()
	d := deploy.Begin(deploy.Deployment{ID: "d1", Version: "20261124.1", Spec: deploy.Spec{ContentHash: "h", Image: "i", Build: deploy.Build{Native: true}}}, t0)
	register := deploy.Register{WorkerID: "w1", ContentHash: "h"}
	for _, c := range map[deploy.Status][]deploy.Command{
		deploy.Installing: {deploy.Progress{}},
		deploy.Building:   {deploy.Progress{}, deploy.Progress{}},
		deploy.Deploying:  {deploy.Progress{}, deploy.Progress{}, register},
		deploy.Deployed:   {deploy.Progress{}, deploy.Progress{}, register, deploy.Finalize{}},
		deploy.Failed:     {deploy.Fail{}},
		deploy.Canceled:   {deploy.Cancel{}},
		deploy.TimedOut:   {deploy.Expire{}},
	}[s] {
		at := t0
		if c == (deploy.Expire{}) {
			at = t0.Add(time.Hour)
		}
		var err error
		if d, err = deploy.Decide(d, c, at); err != nil {
			t.Fatal(err)
		}
	}
	if d.Status != s {
		t.Fatalf("the deployment is %s, not %s", d.Status, s)
	}
	return d
}

// TestDeploymentMatrix decides every command in every status. A dash changes nothing,
// and an exclamation mark is a refusal.
func TestDeploymentMatrix(t *testing.T) {
	t.Parallel()
	commands := []struct {
		name string
		c    deploy.Command
	}{
		{"progress", deploy.Progress{}},
		{"register", deploy.Register{WorkerID: "w2", ContentHash: "h"}},
		{"other", deploy.Register{WorkerID: "w2", ContentHash: "other"}},
		{"finalize", deploy.Finalize{}},
		{"fail", deploy.Fail{Error: deploy.Error{Name: "E"}}},
		{"cancel", deploy.Cancel{Reason: "why"}},
		{"expire", deploy.Expire{}},
	}
	want := strings.TrimSpace(`
PENDING    progress:INSTALLING register:! other:! finalize:FAILED! fail:FAILED cancel:CANCELED expire:TIMED_OUT
INSTALLING progress:BUILDING register:! other:! finalize:FAILED! fail:FAILED cancel:CANCELED expire:TIMED_OUT
BUILDING   progress:! register:DEPLOYING other:DEPLOYING finalize:FAILED! fail:FAILED cancel:CANCELED expire:TIMED_OUT
DEPLOYING  progress:! register:- other:FAILED! finalize:DEPLOYED fail:FAILED cancel:CANCELED expire:TIMED_OUT
DEPLOYED   progress:! register:- other:! finalize:- fail:- cancel:! expire:-
FAILED     progress:! register:! other:! finalize:! fail:- cancel:! expire:-
CANCELED   progress:! register:! other:! finalize:! fail:- cancel:! expire:-
TIMED_OUT  progress:! register:! other:! finalize:! fail:- cancel:! expire:-`)
	var got strings.Builder
	for _, s := range deploy.Statuses {
		d := deploymentIn(t, s)
		if s.Final() != d.Due.IsZero() {
			t.Errorf("%s is due at %v", s, d.Due)
		}
		fmt.Fprintf(&got, "%-10s", s)
		for _, c := range commands {
			now := t0.Add(time.Minute)
			if c.name == "expire" {
				now = t0.Add(time.Hour)
			}
			next, err := deploy.Decide(d, c.c, now)
			cell := string(next.Status)
			if next == d {
				cell = "-"
			}
			if err != nil {
				cell = strings.TrimPrefix(cell, "-") + "!"
			}
			fmt.Fprintf(&got, " %s:%s", c.name, cell)
			if (next.Status == deploy.Failed || next.Status == deploy.TimedOut) && next.Error == nil {
				t.Errorf("%s after %s does not say why", next.Status, c.name)
			}
		}
		got.WriteString("\n")
	}
	if strings.TrimSpace(got.String()) != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestDeploymentTimeouts(t *testing.T) {
	t.Parallel()
	for s, want := range map[deploy.Status]struct {
		limit time.Duration
		text  string
	}{
		deploy.Pending: {15 * time.Minute, "Building timed out"}, deploy.Installing: {8 * time.Minute, "Installing dependencies timed out"},
		deploy.Building: {8 * time.Minute, "Building timed out"}, deploy.Deploying: {8 * time.Minute, "Indexing timed out"},
	} {
		d := deploymentIn(t, s)
		if early, err := deploy.Decide(d, deploy.Expire{}, t0.Add(want.limit-1)); err != nil || early != d {
			t.Errorf("%s ended before its time: %+v, %v", s, early, err)
		}
		late, err := deploy.Decide(d, deploy.Expire{}, t0.Add(want.limit))
		if err != nil || late.Status != deploy.TimedOut || *late.Error != (deploy.Error{Name: "TimeoutError", Message: want.text}) {
			t.Errorf("%s: %+v, %v", s, late, err)
		}
	}
}

func TestDeploymentTimes(t *testing.T) {
	t.Parallel()
	d := deploymentIn(t, deploy.Deployed)
	for name, at := range map[string]time.Time{"started": d.StartedAt, "installed": d.InstalledAt, "built": d.BuiltAt, "deployed": d.DeployedAt} {
		if at.IsZero() {
			t.Errorf("nobody knows when it was %s", name)
		}
	}
	local := deploy.Begin(deploy.Deployment{}, t0)
	if local.Status != deploy.Building || local.StartedAt != t0 || !local.InstalledAt.IsZero() {
		t.Errorf("a build of the client's begins as %+v", local)
	}
	if asked := deploy.Begin(deploy.Deployment{Status: deploy.Pending}, t0); asked.Status != deploy.Pending {
		t.Errorf("asked for PENDING, got %s", asked.Status)
	}
}

func TestFinalizeDigest(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{"": "i", "sha256:short": "i", digest: "i@" + digest, digest + "0": "i"} {
		d, err := deploy.Decide(deploymentIn(t, deploy.Deploying), deploy.Finalize{Digest: in}, t0)
		if err != nil || d.Image != want {
			t.Errorf("digest %q makes image %q: %v", in, d.Image, err)
		}
	}
}

func TestProgressAdds(t *testing.T) {
	t.Parallel()
	d := deploymentIn(t, deploy.Pending)
	d.Build.ArtifactKey = "bundles/a"
	d, err := deploy.Decide(d, deploy.Progress{ContentHash: "real", Runtime: "node-22", Build: deploy.Build{ID: "b"}, Git: &deploy.Git{CommitSHA: "c"}}, t0)
	if err != nil || d.ContentHash != "real" || d.Runtime != "node-22" || d.Git.CommitSHA != "c" ||
		d.Build != (deploy.Build{ID: "b", Native: true, ArtifactKey: "bundles/a"}) {
		t.Errorf("%+v: %v", d, err)
	}
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	sorted := []string{"20261123.7", "20261123.10", "20261124.1", "20261124.9", "20261124.10", "20261124.11"}
	got := slices.Clone(sorted)
	slices.Reverse(got)
	slices.SortFunc(got, deploy.CompareVersions)
	if !slices.Equal(got, sorted) {
		t.Errorf("sorted as %v", got)
	}
}

func TestCheckPromotion(t *testing.T) {
	t.Parallel()
	at := func(version string) deploy.Deployment {
		return deploy.Deployment{ID: version, Version: version, Status: deploy.Deployed, WorkerID: "w"}
	}
	old, current, newer := at("20261124.9"), at("20261124.10"), at("20261124.11")
	building, empty := newer, newer
	building.Status, empty.WorkerID = deploy.Building, ""
	for _, c := range []struct {
		name    string
		current *deploy.Deployment
		next    deploy.Deployment
		way     deploy.Direction
		want    string
	}{
		{"first", nil, old, deploy.Forward, ""},
		{"newer", &current, newer, deploy.Forward, ""},
		{"older", &current, old, deploy.Forward, "Cannot promote a deployment that is older than the current deployment."},
		{"rollback", &current, old, deploy.Back, ""},
		{"rollback to a newer", &current, newer, deploy.Back, "Cannot rollback to a deployment that is newer than the current deployment."},
		{"either, older", &current, old, deploy.Either, ""},
		{"either, newer", &current, newer, deploy.Either, ""},
		{"itself", &current, current, deploy.Either, "Deployment is already the current deployment."},
		{"not deployed", &current, building, deploy.Either, "Deployment must be in the DEPLOYED state to be promoted."},
		{"without a worker", nil, empty, deploy.Forward, "Deployment is not associated with a worker and cannot be promoted."},
	} {
		err := deploy.CheckPromotion(c.current, c.next, c.way)
		if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && (got != c.want || !fault.Is(err, fault.Malformed)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestReadManifest(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"contentHash":"h","tasks":[{"id":"a","filePath":"a.ts"}]}`:                              "",
		`{"contentHash":"h","tasks":[{"id":"a","filePath":"a.ts"},{"id":"a","filePath":"b.ts"}]}`: "Duplicate task id: a",
		`{"contentHash":"h","tasks":[{"id":"a","filePath":"a.ts","retry":{"maxAttempts":"3"}}]}`:  "metadata.tasks.retry.maxAttempts: a string is not what belongs there",
		`{"contentHash":"h\u0000","runtime":"n\u0000","tasks":[]}`:                                "contentHash must have no null characters; runtime must",
		`{"contentHash":1}`: "metadata.contentHash: a number is not what belongs there",
		`{`:                 "metadata is not valid JSON",
	} {
		_, err := deploy.ReadManifest([]byte(in))
		if want == "" && err != nil || want != "" && (!fault.Is(err, fault.Malformed) || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}
