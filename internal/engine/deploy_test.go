package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// initialize begins a deployment.
func (r *rig) initialize(n engine.NewDeployment) engine.Initialized {
	r.t.Helper()
	return must(r.Deploy(r.ctx, r.env, n))(r.t)
}

// built is a deployment that only has to be finalized.
func (r *rig) built(external string, m deploy.Manifest) engine.Initialized {
	r.t.Helper()
	d := r.initialize(engine.NewDeployment{Deployment: deploy.Deployment{ExternalID: external}, Force: true})
	must(r.RegisterDeploymentWorker(r.ctx, r.env, d.ID, m))(r.t)
	return d
}

// deploy deploys tasks, and makes them current unless that is to be skipped.
func (r *rig) deploy(external string, skip bool, tasks ...string) deploy.Deployment {
	r.t.Helper()
	d := r.built(external, manifest(tasks...))
	return must(r.FinalizeDeployment(r.ctx, r.env, d.ID, "", skip))(r.t)
}

// deployment reads a deployment.
func (r *rig) deployment(deploymentID string) (d deploy.Deployment) {
	r.t.Helper()
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { d, err = tx.Deployment(r.env.ID, deploymentID); return err }))
	return d
}

// version is the version that the next run of a task without one is handed to.
func (r *rig) version(task string) string {
	r.t.Helper()
	id := r.trigger(engine.Trigger{Task: task})
	started := r.begin()
	if started.ID != id {
		r.t.Fatalf("another run was handed out")
	}
	r.finish(id, `1`)
	return started.Version
}

func TestPromotionDecidesTheVersion(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		registered := r.version("hello") // by hand, as before the first deployment
		first := r.deploy("", false, "hello")
		if got := r.version("hello"); got != first.Version || got == registered {
			t.Fatalf("the first deployment is %s, the run went to %s", first.Version, got)
		}
		second := r.deploy("", true, "hello")
		if got := r.version("hello"); got != first.Version {
			t.Errorf("a run went to %s, which nobody promoted", got)
		}
		r.register(manifest("hello"))
		if got := r.version("hello"); got != first.Version {
			t.Errorf("a run went to %s, which registered itself", got)
		}
		must(r.Promote(r.ctx, r.env, second.Version, deploy.Forward))(t)
		if got := r.version("hello"); got != second.Version {
			t.Errorf("a run went to %s, not to the promoted %s", got, second.Version)
		}
		if _, err := r.Promote(r.ctx, r.env, first.Version, deploy.Forward); !fault.Is(err, fault.Malformed) {
			t.Errorf("promotion of an older version: %v", err)
		}
		must(r.Promote(r.ctx, r.env, first.Version, deploy.Back))(t)
		if got := r.version("hello"); got != first.Version {
			t.Errorf("after the rollback a run went to %s", got)
		}
		pinned := r.trigger(engine.Trigger{Task: "hello", Version: second.Version})
		if started := r.begin(); started.ID != pinned || started.Version != second.Version {
			t.Errorf("a run locked to %s went to %s", second.Version, started.Version)
		}
	})
}

func TestOvertakenDeploymentIsNotPromoted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		slow := r.built("", manifest("hello"))
		quick := r.deploy("", false, "hello")
		must(r.FinalizeDeployment(r.ctx, r.env, slow.ID, "", false))(t)
		if got := r.version("hello"); got != quick.Version {
			t.Errorf("a run went to %s, which %s overtook", got, quick.Version)
		}
	})
}

// TestDevelopmentRunsWhatIsSaved: there the newest registered build counts, whatever is promoted.
func TestDevelopmentRunsWhatIsSaved(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		deployed := r.deploy("x", false, "hello")
		saved := r.register(manifest("hello"))
		if got := r.version("hello"); got != saved.Version || got == deployed.Version {
			t.Errorf("a run went to %s, not to %s", got, saved.Version)
		}
		id := r.trigger(engine.Trigger{Task: "hello", External: "nobody's"})
		if d := r.get(id); d.Exec != run.Queued {
			t.Errorf("a run waits for a deployment, in development: %s", d.Exec)
		}
	})
}

func TestPromotionReleasesInOrder(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.deploy("", false, "hello")
		var ids []string
		for range 5 {
			ids = append(ids, r.trigger(engine.Trigger{Task: "later"}))
			time.Sleep(2 * time.Millisecond) // ids keep milliseconds
		}
		if got := must(r.Dequeue(r.ctx, r.env, "", 10))(t); len(got) != 0 {
			t.Fatalf("handed out %v", got)
		}
		for _, id := range ids {
			r.await(id, run.Created)
		}
		d := r.built("", manifest("hello", "later"))
		if r.get(ids[0]).Exec != run.Created {
			t.Fatal("a run was released before its version is deployed")
		}
		must(r.FinalizeDeployment(r.ctx, r.env, d.ID, "", true))(t)
		must(r.Promote(r.ctx, r.env, d.Version, deploy.Forward))(t)
		var got []string
		for range ids {
			got = append(got, r.begin().ID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("released as %v, want %v", got, ids)
		}
	})
}

func TestVersionIsThereOnceDeployed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		d := r.built("", manifest("hello"))
		locked := engine.Trigger{Task: "hello", Version: d.Version}
		if _, err := r.Trigger(r.ctx, r.env, locked); !fault.Is(err, fault.Invalid) {
			t.Errorf("a run is locked to a version that is not deployed: %v", err)
		}
		must(r.FinalizeDeployment(r.ctx, r.env, d.ID, "", true))(t)
		r.trigger(locked)
	})
}

func TestExternalDeployment(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		r.deploy("", false, "hello")
		early := r.trigger(engine.Trigger{Task: "hello", External: "site-1"})
		never := r.trigger(engine.Trigger{Task: "hello", External: "site-2"})
		lacking := r.trigger(engine.Trigger{Task: "child", External: "site-1"})
		if got := r.get(early); got.Exec != run.Created || got.Status != run.StatusPendingVersion || got.Reason != run.ExternalPending {
			t.Fatalf("the run does not wait: %+v", got)
		}
		r.check(early)
		first := r.deploy("site-1", true, "hello")
		if got := r.await(early, run.Queued).Run; got.Version != first.Version {
			t.Errorf("the run was released to %s, not %s", got.Version, first.Version)
		}
		second := r.deploy("site-1", true, "hello")
		late := r.trigger(engine.Trigger{Task: "hello", External: "site-1"})
		if got := r.get(late); got.Version != second.Version || got.Exec != run.Queued {
			t.Errorf("the run is locked to %s, %s; the highest is %s", got.Version, got.Exec, second.Version)
		}
		wins := r.trigger(engine.Trigger{Task: "hello", Version: first.Version, External: "site-1"})
		if got := r.get(wins); got.Version != first.Version {
			t.Errorf("lockToVersion lost to the external id: %s", got.Version)
		}
		for _, id := range []string{never, lacking} {
			if got := r.get(id); got.Exec != run.Created {
				t.Errorf("a run is %s that has no version", got.Exec)
			}
		}
		if _, err := r.Trigger(r.ctx, r.env, engine.Trigger{Task: "child", External: "site-1"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a task that the version lacks: %v", err)
		}
	})
}

// TestExternalDeploymentOfItems has a batch whose items belong to different deployments.
func TestExternalDeploymentOfItems(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		there := r.deploy("there", true, "hello")
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 3})
		r.ok(err)
		var items []engine.Item
		for i, external := range []string{"there", "", "not yet"} {
			items = append(items, engine.Item{Index: i, Trigger: engine.Trigger{Task: "hello", External: external}})
		}
		must(r.AddItems(r.ctx, r.env, b.ID, items))(t)
		var members []store.BatchItem
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { members, err = tx.BatchItems(b.ID); return err }))
		type fate struct {
			version string
			exec    run.Exec
		}
		for i, want := range []fate{{there.Version, run.Queued}, {"", run.Queued}, {"", run.Created}} {
			if got := r.get(members[i].RunID); (fate{got.Version, got.Exec}) != want {
				t.Errorf("item %d is %s of version %q, want %v", i, got.Exec, got.Version, want)
			}
		}
	})
}

// TestDebounceWhileParked: a trigger folds into the run of its debounce key while that waits for
// its deployment, as it does while that is delayed, and also within one batch.
func TestDebounceWhileParked(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		trigger := func(n int, d engine.Debounce, external string) engine.Trigger {
			return engine.Trigger{Task: "hello", External: external, DelayUntil: time.Now().Add(d.Delay), MaxAttempts: n, Debounce: &d,
				Payload: run.Packet{Data: fmt.Sprint(n), Type: run.TypeJSON}, Extra: run.Extra{Debounce: d.Key}}
		}
		want := map[string]string{} // payload by run
		for _, trailing := range []bool{false, true} {
			last := map[bool]string{false: "1", true: "3"}[trailing]
			d := engine.Debounce{Key: fmt.Sprint("calls", trailing), Delay: time.Minute, Trailing: trailing}
			first := r.trigger(trigger(1, d, "site"))
			if got := r.get(first); got.Exec != run.Created || got.Reason != run.ExternalPending {
				t.Fatalf("the run does not wait: %+v", got)
			}
			again := r.trigger(trigger(2, d, "site"))
			d.Delay = time.Hour
			if third := r.trigger(trigger(3, d, "another")); again != first || third != first {
				t.Errorf("trailing %v: one key made the runs %s, %s and %s", trailing, first, again, third)
			}
			want[first] = last

			d = engine.Debounce{Key: fmt.Sprint("items", trailing), Delay: time.Hour, Trailing: trailing}
			b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: 3})
			r.ok(err)
			must(r.AddItems(r.ctx, r.env, b.ID, []engine.Item{{Index: 0, Trigger: trigger(1, d, "site")}, {Index: 1, Trigger: trigger(2, d, "site")}}))(t)
			must(r.AddItems(r.ctx, r.env, b.ID, []engine.Item{{Index: 2, Trigger: trigger(3, d, "site")}}))(t)
			var items []store.BatchItem
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { items, err = tx.BatchItems(b.ID); return err }))
			if len(items) != 3 || items[1].RunID != items[0].RunID || items[2].RunID != items[0].RunID {
				t.Errorf("trailing %v: items %+v", trailing, items)
			}
			want[items[0].RunID] = last
		}
		version := r.deploy("site", true, "hello").Version
		for id, payload := range want {
			got := r.await(id, run.Delayed).Run
			var d store.Detail
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { d, err = tx.Detail(r.env.ID, id); return err }))
			if left := time.Until(got.DelayUntil); got.Version != version || d.Payload.Data != payload || fmt.Sprint(got.MaxAttempts) != payload || left < 50*time.Minute {
				t.Errorf("version %s, payload %s, %d attempts, in %v; want payload %s", got.Version, d.Payload.Data, got.MaxAttempts, left, payload)
			}
			r.check(id)
		}
	})
}

// TestDebounceKeepsParkedRun: who is debounced while it waits for its deployment is not given up
// before the last of its triggers would be, and a longest delay bounds that.
func TestDebounceKeepsParkedRun(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		d := engine.Debounce{Key: "k", Delay: time.Minute, MaxDelay: 100 * time.Minute}
		call := func() string {
			return r.trigger(engine.Trigger{Task: "hello", External: "site", DelayUntil: time.Now().Add(d.Delay), Debounce: &d})
		}
		first := call()
		time.Sleep(50 * time.Minute) // its delay is over
		if again := call(); again != first {
			t.Fatalf("the runs %s and %s", first, again)
		}
		time.Sleep(49*time.Minute + time.Second)
		if got := r.get(first); got.Exec != run.Created {
			t.Errorf("given up %v after its last trigger: %s", 49*time.Minute, got.Exec)
		}
		if again := call(); again == first {
			t.Error("pushed beyond the longest delay")
		}
		time.Sleep(12 * time.Minute)
		if got := r.await(first, run.Finished).Run; got.Err.Code != run.CodeNoDeployment {
			t.Errorf("ended as %s: %+v", got.Status, got.Err)
		}
	})
}

func TestExternalDeploymentNeverComes(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		short := 10 * time.Minute
		brief := r.trigger(engine.Trigger{Task: "hello", External: "site", TTL: &short})
		long := r.trigger(engine.Trigger{Task: "hello", External: "site"})
		time.Sleep(short + time.Second)
		got := r.await(brief, run.Finished).Run
		if got.Status != run.StatusExpired || got.Err.Code != run.CodeNoDeployment {
			t.Errorf("ended as %s: %+v", got.Status, got.Err)
		}
		r.check(brief)
		time.Sleep(45 * time.Minute)
		if got := r.get(long); got.Exec != run.Created {
			t.Errorf("the run is %s before the hour is over", got.Exec)
		}
		time.Sleep(10 * time.Minute)
		r.await(long, run.Finished)
	})
}

// TestLastLook has a deployment whose release was lost: the deadline finds it.
func TestLastLook(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		d := r.built("site", manifest("hello"))
		id := r.trigger(engine.Trigger{Task: "hello", External: "site"})
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			done := d.Deployment
			done.Status, done.WorkerID, done.Due = deploy.Deployed, r.deployment(d.ID).WorkerID, time.Time{}
			return tx.SaveDeployment(done)
		}))
		time.Sleep(time.Hour + time.Second)
		if got := r.await(id, run.Queued).Run; got.Version != d.Version {
			t.Errorf("the run goes on with %q", got.Version)
		}
	})
}

func TestDeploymentsTimeOut(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		d := r.initialize(engine.NewDeployment{Deployment: deploy.Deployment{Spec: deploy.Spec{Build: deploy.Build{Native: true}}}})
		time.Sleep(14 * time.Minute)
		r.ok(r.ChangeDeployment(r.ctx, r.env, d.ID, deploy.Progress{}))
		time.Sleep(7 * time.Minute)
		if got := r.deployment(d.ID).Status; got != deploy.Installing {
			t.Fatalf("the deployment is %s before its time", got)
		}
		time.Sleep(time.Minute + time.Second)
		if got := r.deployment(d.ID); got.Status != deploy.TimedOut || got.Error.Message != "Installing dependencies timed out" {
			t.Errorf("the deployment is %s: %+v", got.Status, got.Error)
		}
	})
}

func TestDeploymentWorkers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		d := r.initialize(engine.NewDeployment{})
		m := manifest("hello")
		m.Queues = []deploy.Queue{{Name: "new-queue"}}
		first := must(r.RegisterDeploymentWorker(r.ctx, r.env, d.ID, m))(t)
		again := must(r.RegisterDeploymentWorker(r.ctx, r.env, d.ID, m))(t)
		if first.ID != again.ID || first.Version != d.Version {
			t.Errorf("registered %s of %s, then %s", first.ID, first.Version, again.ID)
		}
		known := func() (ok bool) {
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) { ok, err = tx.HasQueue(r.env.ID, "new-queue"); return err }))
			return ok
		}
		if known() {
			t.Error("a queue is known of a version that is not deployed")
		}
		other := manifest("hello")
		if _, err := r.RegisterDeploymentWorker(r.ctx, r.env, d.ID, other); !fault.Is(err, fault.Conflict) {
			t.Errorf("another build under the same version: %v", err)
		}
		if got := r.deployment(d.ID).Status; got != deploy.Failed {
			t.Errorf("the deployment is %s", got)
		}
		next := r.built("", m)
		must(r.FinalizeDeployment(r.ctx, r.env, next.ID, "", true))(t)
		if !known() {
			t.Error("a deployed version's queue is not known")
		}
		id := r.trigger(engine.Trigger{Task: "hello", Version: next.Version, Queue: "new-queue"})
		if got := r.begin(); got.ID != id {
			t.Error("another run was handed out")
		}
	})
}

func TestExternalIDs(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		wish := engine.NewDeployment{Deployment: deploy.Deployment{ExternalID: "site"}}
		first := r.initialize(wish)
		if _, err := r.Deploy(r.ctx, r.env, wish); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second one under way: %v", err)
		}
		wish.Force = true
		second := r.initialize(wish)
		if len(second.Canceled) != 1 || second.Canceled[0].ID != first.ID || second.ID == first.ID {
			t.Errorf("forced: %+v", second)
		}
		if got := r.deployment(first.ID); got.Status != deploy.Canceled ||
			got.CanceledReason != `Superseded by a new deploy with --force for external id "site"` {
			t.Errorf("the first one is %s: %q", got.Status, got.CanceledReason)
		}
		must(r.RegisterDeploymentWorker(r.ctx, r.env, second.ID, manifest("hello")))(t)
		must(r.FinalizeDeployment(r.ctx, r.env, second.ID, "", false))(t)
		wish.Force = false
		if again := r.initialize(wish); again.ID != second.ID || !again.Existing || !again.Promoted {
			t.Errorf("deployed before: %+v", again)
		}
		once := engine.NewDeployment{Deployment: deploy.Deployment{Request: "call-1"}}
		if a, b := r.initialize(once), r.initialize(once); a.ID != b.ID {
			t.Error("a repeated call began two deployments")
		}
	})
}

// TestVersionsAreShared: builds and deployments count together.
func TestVersionsAreShared(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		var all []string
		for range 6 {
			all = append(all, r.initialize(engine.NewDeployment{}).Version, r.register(manifest("hello")).Version)
		}
		if !slices.IsSortedFunc(all, deploy.CompareVersions) || len(slices.Compact(slices.Clone(all))) != len(all) {
			t.Errorf("versions %v", all)
		}
	})
}

// TestNothingIsCurrent: an environment of which no version is current hands out what is locked
// to a deployed one. The rest is parked, its time to live stands still, and a promotion lets it go.
func TestNothingIsCurrent(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.env = r.sibling(tenant.Staging)
		d := r.deploy("", true, "hello")
		free := r.trigger(engine.Trigger{Task: "hello", TTL: new(time.Minute)})
		locked := r.trigger(engine.Trigger{Task: "hello", Version: d.Version})
		if list := r.dequeued(10); len(list) != 1 || list[0] != locked {
			t.Fatalf("handed out %v", list)
		}
		if got := r.get(free); got.Status != run.StatusPendingVersion || got.Reason != run.NoWorker {
			t.Fatalf("the other is %s, %s", got.Status, got.Reason)
		}
		time.Sleep(time.Hour)
		must(r.Promote(r.ctx, r.env, d.Version, deploy.Forward))(t)
		r.await(free, run.Queued)
		if list := r.dequeued(10); !slices.Contains(list, free) {
			t.Errorf("handed out %v; the other is %s", list, r.get(free).Status)
		}
		r.check(free)
	})
}
