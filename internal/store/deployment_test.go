package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/sqldb"
	"sear/internal/store"
	"sear/internal/tenant"
)

// deployment is one with everything there is to store.
func deployment(envID, version string, at time.Time) deploy.Deployment {
	dirty, number := false, 7.0
	return deploy.Deployment{
		ID: id.New(at), EnvID: envID, Version: version, ShortCode: id.Random(id.Lower, 8), Status: deploy.Deployed,
		ExternalID: "site", WorkerID: id.New(at), Request: "call " + version, CreatedAt: at, Due: at.Add(time.Minute),
		Spec: deploy.Spec{
			Kind: "MANAGED", ContentHash: "hash", Image: "image", Platform: deploy.Platform, Runtime: "node", RuntimeVersion: "v22",
			TriggeredVia: "cli:manual", Git: &deploy.Git{CommitSHA: "c", Dirty: &dirty, PullRequestNumber: &number},
			Build: deploy.Build{Native: true, ArtifactKey: "bundles/a"}, Error: &deploy.Error{Name: "E", Message: "m"},
			CanceledReason: "r", StartedAt: at, DeployedAt: at.Add(time.Second),
		},
	}
}

// addDeployment stores a deployment with its worker.
func addDeployment(t *testing.T, st *store.Store, projectID string, d deploy.Deployment) {
	t.Helper()
	update(t, st, func(tx *store.Tx) error {
		if err := tx.AddDeployment(projectID, d, []byte{0, 1}); err != nil {
			return err
		}
		_, err := tx.AddDeploymentWorker(d, deploy.Manifest{ContentHash: d.ContentHash}, now)
		return err
	})
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		s := seedTenancy(t, st, "a")
		env := s.envs[tenant.Production].ID
		d := deployment(env, "20261124.1", now)
		addDeployment(t, st, s.project.ID, d)
		update(t, st, func(tx *store.Tx) error {
			for name, read := range map[string]func(env string) (deploy.Deployment, error){
				"by id":      func(env string) (deploy.Deployment, error) { return tx.Deployment(env, d.ID) },
				"locked":     func(env string) (deploy.Deployment, error) { return tx.LockDeployment(env, d.ID) },
				"by version": func(env string) (deploy.Deployment, error) { return tx.DeploymentByVersion(env, d.Version) },
				"by request": func(env string) (deploy.Deployment, error) { return tx.DeploymentByRequest(env, d.Request) },
				"newest":     tx.NewestDeployment,
			} {
				got, err := read(env)
				if diff := cmp.Diff(d, got); err != nil || diff != "" {
					t.Errorf("%s: %v\n%s", name, err, diff)
				}
				if _, err := read(s.envs[tenant.Staging].ID); !fault.Is(err, fault.NotFound) {
					t.Errorf("%s, in another environment: %v", name, err)
				}
			}
			if sealed, err := tx.BuildVariables(env, d.ID); err != nil || !slices.Equal(sealed, []byte{0, 1}) {
				t.Errorf("variables %v: %v", sealed, err)
			}
			due, err := tx.DueDeployments(d.Due, 5)
			if err != nil || len(due) != 1 {
				t.Errorf("due: %v, %v", due, err)
			}
			changed := d
			changed.Status, changed.WorkerID, changed.Due, changed.Git = deploy.Failed, "", time.Time{}, nil
			if err := tx.SaveDeployment(changed); err != nil {
				return err
			}
			got, err := tx.Deployment(env, d.ID)
			if diff := cmp.Diff(changed, got); diff != "" {
				t.Errorf("saved: %s", diff)
			}
			return err
		})
		for name, change := range map[string]func(*deploy.Deployment){
			"version": func(n *deploy.Deployment) { n.Version = d.Version },
			"code":    func(n *deploy.Deployment) { n.ShortCode = d.ShortCode },
			"request": func(n *deploy.Deployment) { n.Request = d.Request },
		} {
			other := deployment(env, "20261124.2", now)
			change(&other)
			err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.AddDeployment(s.project.ID, other, nil) })
			if !sqldb.IsUnique(err) {
				t.Errorf("two deployments with one %s: %v", name, err)
			}
		}
	})
}

func TestWorkersOfDeployments(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		s := seedTenancy(t, st, "a")
		prod, dev := s.envs[tenant.Production], s.envs[tenant.Development]
		byVersion := map[string]deploy.Deployment{}
		for _, n := range []int{9, 10, 11} {
			d := deployment(prod.ID, fmt.Sprintf("20261124.%d", n), now)
			if n == 11 {
				d.Status = deploy.Deploying
			}
			addDeployment(t, st, s.project.ID, d)
			byVersion[d.Version] = d
		}
		update(t, st, func(tx *store.Tx) error {
			workerID, err := tx.ExternalWorkerID(prod.ID, "site")
			if err != nil {
				return err
			}
			if w, err := tx.Worker(prod.ID, workerID); err != nil || w.Version != "20261124.10" {
				t.Errorf("the highest deployed version is %+v: %v", w, err)
			}
			if _, err := tx.ExternalWorkerID(dev.ID, "site"); !fault.Is(err, fault.NotFound) {
				t.Errorf("in another environment: %v", err)
			}
			if list, err := tx.ExternalDeployments(prod.ID, "site", 2); err != nil || len(list) != 2 || list[0].Version != "20261124.11" {
				t.Errorf("deployments %v: %v", list, err)
			}
			if v, err := tx.LatestVersion(prod.ID, now); err != nil || v != "20261124.11" {
				t.Errorf("latest version %s: %v", v, err)
			}
			if v, err := tx.LatestVersion(prod.ID, now.AddDate(0, 0, 1)); err != nil || v != "" {
				t.Errorf("latest version of another day %s: %v", v, err)
			}
			for version, found := range map[string]bool{"20261124.9": true, "20261124.11": false} {
				if _, err := tx.WorkerByVersion(prod.ID, version); (err == nil) != found {
					t.Errorf("worker of %s: %v", version, err)
				}
			}
			return nil
		})
		for _, env := range []*tenant.Environment{prod, dev} {
			current := func() (workerID string) {
				update(t, st, func(tx *store.Tx) (err error) { workerID, err = tx.CurrentWorkerID(env); return err })
				return workerID
			}
			update(t, st, func(tx *store.Tx) error {
				if _, err := tx.CurrentWorkerID(env); !fault.Is(err, fault.NotFound) {
					t.Errorf("%s has a current worker: %v", env.Type, err)
				}
				return nil
			})
			var own *deploy.Worker
			update(t, st, func(tx *store.Tx) (err error) {
				own, _, err = tx.AddWorker(env.ID, deploy.Manifest{ContentHash: "own"}, now)
				return err
			})
			if got := current(); got != own.ID {
				t.Errorf("%s: nothing is promoted, and the current worker is not the registered one", env.Type)
			}
			d := byVersion["20261124.9"]
			d.EnvID = env.ID
			update(t, st, func(tx *store.Tx) error { return tx.Promote(d, now) })
			want := d.WorkerID
			if env == dev {
				want = own.ID
			}
			if got := current(); got != want {
				t.Errorf("%s: the current worker is %s, want %s", env.Type, got, want)
			}
		}
		update(t, st, func(tx *store.Tx) error {
			d := byVersion["20261124.10"]
			if err := tx.Promote(d, now); err != nil {
				return err
			}
			got, err := tx.CurrentDeployment(prod.ID)
			if err != nil || got.ID != d.ID {
				t.Errorf("current deployment %s: %v", got.Version, err)
			}
			return nil
		})
	})
}

func TestListDeployments(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		s := seedTenancy(t, st, "a")
		var all []deploy.Deployment
		for i := range 40 {
			at := now.Add(time.Duration(i) * time.Minute)
			d := deployment(s.envs[tenant.Production].ID, fmt.Sprintf("20261124.%d", i), at)
			d.Status = deploy.Statuses[i%len(deploy.Statuses)]
			if i%5 == 4 {
				d.EnvID = s.envs[tenant.Staging].ID
			}
			addDeployment(t, st, s.project.ID, d)
			all = append(all, d)
		}
		slices.Reverse(all)
		rapid.Check(t, func(t *rapid.T) {
			f := store.DeploymentFilter{EnvID: s.envs[tenant.Production].ID}
			if rapid.Bool().Draw(t, "by status") {
				f.Statuses = rapid.SliceOfNDistinct(rapid.SampledFrom(deploy.Statuses), 1, 3, rapid.ID[deploy.Status]).Draw(t, "status")
			}
			if rapid.Bool().Draw(t, "by time") {
				f.Created = store.Created{From: now.Add(10 * time.Minute).Truncate(time.Millisecond), To: now.Add(30 * time.Minute).Truncate(time.Millisecond)}
			}
			var want []string
			for _, d := range all {
				at := d.CreatedAt.Truncate(time.Millisecond)
				if d.EnvID == f.EnvID && (f.Statuses == nil || slices.Contains(f.Statuses, d.Status)) &&
					(f.Created.From.IsZero() || !at.Before(f.Created.From) && !at.After(f.Created.To)) {
					want = append(want, d.ID)
				}
			}
			walk(t, want, rapid.IntRange(1, 30).Draw(t, "size"), func(p store.Page) (ids []string, next, previous string) {
				var l store.List[deploy.Deployment]
				if err := st.View(t.Context(), func(tx *store.Tx) (err error) {
					l, err = tx.ListDeployments(f, p)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				for _, d := range l.Items {
					ids = append(ids, d.ID)
				}
				return ids, l.Next, l.Previous
			})
		})
	})
}
