package engine_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// rig is an engine over a store with one environment and one worker.
type rig struct {
	*engine.Engine
	t    testing.TB
	st   *store.Store
	env  *tenant.Environment
	ctx  context.Context
	poll time.Duration // between looks at a run
	stop func()        // kills the engine
}

// onEach runs a test on both databases, in real time.
func onEach(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	for name, url := range map[string]func(testing.TB) string{"sqlite": sqliteURL, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRig(t, url(t), tenant.Production))
		})
	}
}

// inBubble runs a test on SQLite in simulated time.
func inBubble(t *testing.T, kind tenant.EnvType, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sqliteURL(t), kind)
		r.poll = 50 * time.Millisecond
		test(t, r)
	})
}

func sqliteURL(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "core.db") }

func newRig(t testing.TB, url string, kind tenant.EnvType) *rig {
	t.Helper()
	st, err := store.Open(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, st: st, ctx: t.Context(), env: newEnvironment(t, st, kind), poll: 5 * time.Millisecond}
	r.start(t, engine.Options{})
	t.Cleanup(func() { st.Close() })
	r.register(manifest("hello", "parent", "child"))
	return r
}

// start runs an engine until the test ends.
func (r *rig) start(t testing.TB, o engine.Options) {
	r.Engine = engine.New(r.st, o)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- r.Run(ctx) }()
	go func() { done <- r.st.Run(ctx) }()
	r.stop = stop
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-done; err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
}

func newEnvironment(t testing.TB, st *store.Store, kind tenant.EnvType) *tenant.Environment {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Microsecond)
	org := tenant.Organization{ID: id.New(at), Slug: id.Random(id.Lower, 8), Title: "Org", CreatedAt: at}
	project := tenant.Project{ID: id.New(at), OrgID: org.ID, Ref: "proj_" + id.Random(id.Lower, 20), Slug: "p", Name: "P", CreatedAt: at}
	env := &tenant.Environment{ID: id.New(at), OrgID: org.ID, ProjectID: project.ID, Type: kind, Slug: kind.Slug(),
		ConcurrencyLimit: 100, CreatedAt: at}
	err := st.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.AddOrganization(org); err != nil {
			return err
		}
		if err := tx.AddProject(project); err != nil {
			return err
		}
		_, err := tx.AddEnvironment(env)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	env.Project, env.Org = &project, &org
	return env
}

func manifest(tasks ...string) deploy.Manifest {
	m := deploy.Manifest{PackageVersion: "4.8.3", ContentHash: id.Random(id.Lower, 12)}
	for _, name := range tasks {
		m.Tasks = append(m.Tasks, deploy.Task{ID: name, FilePath: "src/" + name + ".ts",
			Retry: &run.Policy{MaxAttempts: new(3), MinTimeout: new(500.0), Randomize: new(false)}})
	}
	return m
}

// The helpers below do what a worker or a client does, and end the test when it fails.

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) register(m deploy.Manifest) *deploy.Worker {
	r.t.Helper()
	return must(r.RegisterWorker(r.ctx, r.env, m))(r.t)
}

func (r *rig) trigger(t engine.Trigger) string {
	r.t.Helper()
	return must(r.Trigger(r.ctx, r.env, t))(r.t).ID
}

// take waits for one delivery.
func (r *rig) take() engine.Delivery {
	r.t.Helper()
	ctx, stop := context.WithTimeout(r.ctx, 20*time.Second)
	defer stop()
	list := must(r.AwaitDequeue(ctx, r.env, "", 1))(r.t)
	if len(list) != 1 {
		r.t.Fatal("nothing to dequeue")
	}
	return list[0]
}

// begin takes one run and starts its attempt.
func (r *rig) begin() run.Run {
	r.t.Helper()
	d := r.take()
	return must(r.StartAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq}))(r.t).Run
}

// finish completes an attempt at its newest snapshot.
func (r *rig) finish(runID, output string) run.Run {
	r.t.Helper()
	return r.end(runID, engine.Completion{Output: run.Packet{Data: output, Type: run.TypeJSON}, Usage: time.Second})
}

func (r *rig) end(runID string, c engine.Completion) run.Run {
	r.t.Helper()
	return must(r.CompleteAttempt(r.ctx, r.env, runID, engine.Call{Seq: r.get(runID).Seq}, c))(r.t)
}

func (r *rig) get(runID string) run.Run {
	r.t.Helper()
	return must(r.Latest(r.ctx, r.env, runID))(r.t).Run
}

// await waits until a run is in an execution status.
func (r *rig) await(runID string, want run.Exec) engine.State {
	r.t.Helper()
	for range 4000 {
		s := must(r.Latest(r.ctx, r.env, runID))(r.t)
		if s.Exec == want {
			return s
		}
		time.Sleep(r.poll)
	}
	r.t.Fatalf("run is %s, not %s", r.get(runID).Exec, want)
	panic("unreachable")
}

// check holds the invariants over the given runs.
func (r *rig) check(ids ...string) {
	r.t.Helper()
	for _, runID := range ids {
		if err := run.Check(r.get(runID)); err != nil {
			r.t.Error(err)
		}
	}
}

var boom = &run.Error{Type: run.BuiltIn, Name: "Error", Message: "boom"}
