package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// many triggers n runs of hello.
func (r *rig) many(n int, tags ...string) []string {
	r.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = r.trigger(engine.Trigger{Task: "hello", Tags: tags})
	}
	return ids
}

func (r *rig) bulk(bulkID string) (b store.Bulk) {
	r.t.Helper()
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) {
		b, err = tx.Bulk(r.env.ID, bulkID)
		return err
	}))
	return b
}

// bulkEnd waits until a bulk action has ended.
func (r *rig) bulkEnd(bulkID string) store.Bulk {
	r.t.Helper()
	for range 4000 {
		if b := r.bulk(bulkID); b.Status != store.BulkPending {
			return b
		}
		time.Sleep(r.poll)
	}
	r.t.Fatalf("not at an end: %+v", r.bulk(bulkID))
	panic("unreachable")
}

// selected are the runs that a filter selects, newest first.
func (r *rig) selected(f store.RunFilter) (list []store.Detail) {
	r.t.Helper()
	f.Envs = []string{r.env.ID}
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
		l, err := tx.ListRuns(f, store.Page{Size: 10_000})
		list = l.Items
		return err
	}))
	return list
}

// counts are total, success and failure.
func counts(b store.Bulk) [3]int { return [3]int{b.Total, b.Success, b.Failure} }

// replayed checks that a bulk replay has replayed each run once and nothing else.
func (r *rig) replayed(bulkID string, runs []string) {
	r.t.Helper()
	var got, want []string
	for _, d := range r.selected(store.RunFilter{BulkID: bulkID}) {
		got = append(got, d.Extra.ReplayedFrom)
	}
	for _, runID := range runs {
		want = append(want, id.Friendly(id.Run, runID))
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		r.t.Errorf("replayed (- want, + got):\n%s", d)
	}
	if all := r.selected(store.RunFilter{}); len(all) < 2*len(runs) {
		r.t.Errorf("there are %d runs after the replay of %d", len(all), len(runs))
	}
}

func TestBulkCancel(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		done := r.trigger(engine.Trigger{Task: "hello", Tags: []string{"a"}})
		r.begin()
		r.finish(done, "1")
		tagged, other := r.many(120, "a"), r.many(3, "b")
		bulkID, err := r.CreateBulk(r.ctx, r.env, engine.NewBulk{Kind: store.BulkCancel, Name: "all a", Filter: store.RunFilter{Tags: []string{"a"}}})
		r.ok(err)
		b := r.bulkEnd(bulkID)
		if counts(b) != [3]int{121, 120, 1} || b.Status != store.BulkCompleted || b.Name != "all a" || b.CompletedAt.IsZero() {
			t.Errorf("ended as %+v", b)
		}
		for _, runID := range tagged {
			if got := r.get(runID); got.Status != run.StatusCanceled {
				t.Fatalf("%s is %s", runID, got.Status)
			}
		}
		for _, runID := range other {
			if got := r.get(runID); got.Exec == run.Finished {
				t.Errorf("%s was not selected and is %s", runID, got.Status)
			}
		}
		if got := r.selected(store.RunFilter{BulkID: bulkID}); len(got) != 121 {
			t.Errorf("%d runs belong to the action, want those that had finished too", len(got))
		}
		r.check(append(tagged, other...)...)
		for _, f := range []store.RunFilter{{BulkID: bulkID, Tags: []string{"a", "b"}}, {BulkID: bulkID, Statuses: []run.Status{run.StatusCanceled, run.StatusCompleted}}} {
			if got := r.selected(f); len(got) != 121 {
				t.Errorf("%+v selects %d", f, len(got))
			}
		}
		if got := r.selected(store.RunFilter{BulkID: bulkID, Tags: []string{"b"}}); len(got) != 0 {
			t.Errorf("%d of another tag belong to the action", len(got))
		}
	})
}

// TestBulkByID: ids are taken once however often they are named, and only those of the environment.
func TestBulkByID(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		runs := r.many(4)
		bulkID, err := r.CreateBulk(r.ctx, r.env, engine.NewBulk{Kind: store.BulkReplay, Region: "eu",
			Filter: store.RunFilter{IDs: []string{runs[0], runs[2], runs[0], "unknown"}}})
		r.ok(err)
		if b := r.bulkEnd(bulkID); counts(b) != [3]int{2, 2, 0} {
			t.Errorf("ended as %+v", b)
		}
		r.replayed(bulkID, []string{runs[0], runs[2]})
		for _, d := range r.selected(store.RunFilter{BulkID: bulkID}) {
			if d.Extra.Region != "eu" {
				t.Errorf("replayed in %q", d.Extra.Region)
			}
		}
		other := newEnvironment(t, r.st, tenant.Staging)
		foreign, err := r.CreateBulk(r.ctx, other, engine.NewBulk{Kind: store.BulkCancel, Filter: store.RunFilter{IDs: runs}})
		r.ok(err)
		r.env, other = other, r.env
		if b := r.bulkEnd(foreign); counts(b) != [3]int{} {
			t.Errorf("of another environment: %+v", b)
		}
		r.env = other
		if err := r.AbortBulk(r.ctx, r.env, foreign); !fault.Is(err, fault.NotFound) {
			t.Errorf("abort from another environment: %v", err)
		}
		for _, runID := range runs {
			if r.get(runID).Exec == run.Finished {
				t.Errorf("%s was cancelled from another environment", runID)
			}
		}
	})
}

// TestBulkReplayIsFrozen: what an action makes is never selected by it, even if it
// selects everything; so the second replay finds the runs of the first one.
func TestBulkReplayIsFrozen(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		runs := r.many(110)
		time.Sleep(2 * time.Millisecond)
		all := engine.NewBulk{Kind: store.BulkReplay, Filter: store.RunFilter{Tasks: []string{"hello"}}}
		first, err := r.CreateBulk(r.ctx, r.env, all)
		r.ok(err)
		if b := r.bulkEnd(first); counts(b) != [3]int{110, 110, 0} {
			t.Errorf("ended as %+v", b)
		}
		r.replayed(first, runs)
		second, err := r.CreateBulk(r.ctx, r.env, all)
		r.ok(err)
		if b := r.bulkEnd(second); counts(b) != [3]int{220, 220, 0} {
			t.Errorf("the second ended as %+v", b)
		}
	})
}

// TestBulkRestart ends an engine in the middle of an action; the next one goes on
// where it was.
func TestBulkRestart(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"sqlite": sqliteURL, "postgres": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := store.Open(t.Context(), url(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { st.Close() })
			r := &rig{t: t, st: st, ctx: t.Context(), env: newEnvironment(t, st, tenant.Production), poll: 5 * time.Millisecond}
			r.Engine = engine.New(st, engine.Options{})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			r.register(manifest("hello"))
			runs := r.many(600)
			bulkID, err := r.CreateBulk(r.ctx, r.env, engine.NewBulk{Kind: store.BulkReplay, Filter: store.RunFilter{Tasks: []string{"hello"}}})
			r.ok(err)
			for r.bulk(bulkID).Success == 0 {
				time.Sleep(time.Millisecond)
			}
			stop()
			r.ok(<-ended)
			half := r.bulk(bulkID)
			if half.Status != store.BulkPending || half.Success >= len(runs) {
				t.Fatalf("it was over before the engine was: %+v", half)
			}
			if got := r.selected(store.RunFilter{BulkID: bulkID}); len(got) != half.Success {
				t.Errorf("%d runs were made, %d are counted", len(got), half.Success)
			}
			r.start(t, engine.Options{})
			if b := r.bulkEnd(bulkID); counts(b) != [3]int{600, 600, 0} {
				t.Errorf("ended as %+v", b)
			}
			r.replayed(bulkID, runs)
		})
	}
}

// TestBulkTwoNodes: two engines share the actions of one Postgres, and no batch is done twice.
func TestBulkTwoNodes(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	a := newRig(t, url, tenant.Production)
	st, err := store.Open(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b := &rig{t: t, st: st, ctx: t.Context(), env: a.env, poll: a.poll}
	b.start(t, engine.Options{})
	var runs [2][]string
	for i := range runs {
		runs[i] = a.many(300, fmt.Sprint(i))
	}
	time.Sleep(2 * time.Millisecond)
	var replays [2]string
	for i, r := range []*rig{a, b} {
		replays[i], err = r.CreateBulk(r.ctx, r.env, engine.NewBulk{Kind: store.BulkReplay, Filter: store.RunFilter{IDs: runs[i]}})
		r.ok(err)
	}
	for i, bulkID := range replays {
		if got := a.bulkEnd(bulkID); counts(got) != [3]int{300, 300, 0} {
			t.Errorf("replay ended as %+v", got)
		}
		a.replayed(bulkID, runs[i])
	}
	cancel, err := b.CreateBulk(b.ctx, b.env, engine.NewBulk{Kind: store.BulkCancel, Filter: store.RunFilter{Tags: []string{"0", "1"}}})
	b.ok(err)
	if got := b.bulkEnd(cancel); counts(got) != [3]int{1200, 1200, 0} {
		t.Errorf("cancel ended as %+v", got)
	}
}

// TestBulkAbort: an aborted action does no more, and one that has completed cannot be aborted.
func TestBulkAbort(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		runs := r.many(3)
		at := time.Now()
		pending := store.Bulk{ID: id.New(at), EnvID: r.env.ID, Kind: store.BulkCancel, Status: store.BulkPending, CreatedAt: at,
			Filter: store.RunFilter{Envs: []string{r.env.ID}, IDs: runs}, Total: 3}
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { return tx.AddBulk(pending) }))
		r.ok(r.AbortBulk(r.ctx, r.env, pending.ID))
		r.ok(r.AbortBulk(r.ctx, r.env, pending.ID))
		if b := r.bulk(pending.ID); b.Status != store.BulkAborted || b.CompletedAt.IsZero() {
			t.Errorf("aborted: %+v", b)
		}
		marker, err := r.CreateBulk(r.ctx, r.env, engine.NewBulk{Kind: store.BulkCancel, Filter: store.RunFilter{IDs: runs[:1]}})
		r.ok(err)
		r.bulkEnd(marker)
		if got := []bool{r.get(runs[0]).Exec == run.Finished, r.get(runs[1]).Exec == run.Finished}; got[0] != true || got[1] != false {
			t.Errorf("finished: %v, want the first only", got)
		}
		if err := r.AbortBulk(r.ctx, r.env, marker); !fault.Is(err, fault.Malformed) {
			t.Errorf("abort of a completed action: %v", err)
		}
		if err := r.AbortBulk(r.ctx, r.env, "unknown"); !fault.Is(err, fault.NotFound) {
			t.Errorf("abort of none: %v", err)
		}
	})
}
