package store_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// gallery fills a store with runs of every sort: of several environments, some of the
// same millisecond, newest first.
func gallery(t *testing.T, st *store.Store) []store.NewRun {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	one := func(list ...string) string { return list[rnd.IntN(len(list))] }
	var all []store.NewRun
	for i := range 50 {
		at := now.Add(time.Duration(i) * time.Minute)
		for _, runID := range id.Sequence(at, 1+i%4) {
			r := run.Run{
				ID: runID, EnvID: one("e1", "e1", "e2", "e3"), Task: one("t1", "t2", "t3"), Seq: 1, Exec: run.Executing,
				Status:  run.Status(one(string(run.StatusExecuting), string(run.StatusPending), string(run.StatusFailed))),
				Version: one("", "v1", "v2"), Machine: one("", "micro"), BatchID: one("", "b1", "b2"), BatchIndex: len(all),
				Lane:      run.Lane{Queue: one("q", "q2", "task/t1"), Key: one("", "", "k:1", "z")},
				CreatedAt: at, UpdatedAt: at, MovedAt: at, Output: run.Packet{Data: "never listed", Type: run.TypeText},
			}
			d := run.Definition{
				Test: rnd.IntN(2) == 0, Payload: run.Packet{Data: "never listed", Type: run.TypeText},
				Extra: run.Extra{Region: one("", "eu", `"q"`), ScheduleID: one("", "s1"), Context: []byte(`{"nul":"\u0000"}`)},
			}
			for _, tag := range []string{"common", "some", "rare"} {
				if rnd.IntN(map[string]int{"common": 2, "some": 4, "rare": 40}[tag]) == 0 {
					d.Tags = append(d.Tags, tag)
				}
			}
			all = append(all, store.NewRun{Run: r, Def: d})
		}
	}
	update(t, st, func(tx *store.Tx) error { return tx.InsertRuns(all) })
	slices.Reverse(all)
	return all
}

// drawFilter draws few conditions at a time: many together select nothing.
func drawFilter(t *rapid.T) store.RunFilter {
	names := []string{"task", "version", "tag", "queue", "machine", "region", "status", "schedule", "batch", "test", "from", "to"}
	active := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID[string]).Draw(t, "conditions")
	some := func(name string, values ...string) []string {
		if !slices.Contains(active, name) {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, 3, rapid.ID[string]).Draw(t, name)
	}
	f := store.RunFilter{
		Envs:     rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"e1", "e2", "none"}), 1, 3, rapid.ID[string]).Draw(t, "envs"),
		Tasks:    some("task", "t1", "t2", "none"),
		Versions: some("version", "v1", "v2", "none"),
		Tags:     some("tag", "common", "some", "rare", "none"),
		Queues:   some("queue", "q", "task/t1", "none"),
		Machines: some("machine", "micro", "none", "other"),
		Regions:  some("region", "eu", `"q"`, "none"),
	}
	for _, s := range some("status", string(run.StatusExecuting), string(run.StatusFailed), string(run.StatusCrashed)) {
		f.Statuses = append(f.Statuses, run.Status(s))
	}
	if one := some("schedule", "s1", "none", "other"); one != nil {
		f.Schedule = one[0]
	}
	if one := some("batch", "b1", "b2", "none"); one != nil {
		f.BatchID = one[0]
	}
	if one := some("test", "yes", "no", "No"); one != nil {
		yes := one[0] == "yes"
		f.Test = &yes
	}
	if one := some("from", "20", "45", "0"); one != nil {
		f.Created.From = now.Add(minutes(one[0])).Truncate(time.Millisecond)
	}
	if one := some("to", "5", "30", "60"); one != nil {
		f.Created.To = now.Add(minutes(one[0])).Truncate(time.Millisecond)
	}
	return f
}

func minutes(s string) time.Duration {
	d, _ := time.ParseDuration(s + "m")
	return d
}

// selects is what the filter means, said in Go.
func selects(f store.RunFilter, n store.NewRun) bool {
	in := func(list []string, v string) bool { return list == nil || slices.Contains(list, v) }
	r, d := n.Run, n.Def
	at := r.CreatedAt.Truncate(time.Millisecond)
	return in(f.Envs, r.EnvID) && in(f.Tasks, r.Task) && in(f.Versions, r.Version) && in(f.Queues, r.Lane.Queue) &&
		in(f.Machines, r.Machine) && in(f.Regions, d.Extra.Region) &&
		(f.Tags == nil || slices.ContainsFunc(d.Tags, func(tag string) bool { return slices.Contains(f.Tags, tag) })) &&
		(f.Statuses == nil || slices.Contains(f.Statuses, r.Status)) &&
		(f.Schedule == "" || f.Schedule == d.Extra.ScheduleID) && (f.BatchID == "" || f.BatchID == r.BatchID) &&
		(f.Test == nil || *f.Test == d.Test) &&
		(f.Created.From.IsZero() || !at.Before(f.Created.From)) && (f.Created.To.IsZero() || !at.After(f.Created.To))
}

// TestListRuns walks lists forwards and back again, whatever the filter and the size
// of the pages, and meets exactly the runs it should.
func TestListRuns(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		all := gallery(t, st)
		rapid.Check(t, func(t *rapid.T) {
			f := drawFilter(t)
			var want []string
			for _, n := range all {
				if selects(f, n) {
					want = append(want, n.Run.ID)
				}
			}
			walk(t, want, rapid.IntRange(1, 30).Draw(t, "size"), func(p store.Page) (ids []string, next, previous string) {
				l := listRuns(t, st, f, p)
				for _, d := range l.Items {
					ids = append(ids, d.ID)
				}
				return ids, l.Next, l.Previous
			})
		})
	})
}

// walk reads a whole list in pages of a size, to its end and back, and compares.
func walk(t *rapid.T, want []string, size int, read func(store.Page) (ids []string, next, previous string)) {
	var got []string
	p, cursors := store.Page{Size: size}, 0
	for {
		ids, next, previous := read(p)
		if (previous == "") != (p.After == "" || len(ids) == 0) {
			t.Fatalf("previous of the page after %q is %q", p.After, previous)
		}
		got = append(got, ids...)
		if next == "" {
			break
		}
		if cursors++; cursors > len(want) || len(ids) != size {
			t.Fatalf("page %d of %d has %d items and goes on", cursors, size, len(ids))
		}
		p.After = next
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("forwards:\n%s", d)
	}
	if len(want) == 0 {
		return
	}
	last := want[len(want)-1]
	got = []string{last}
	for p = (store.Page{Size: size, After: "ignored", Before: last}); ; {
		ids, next, previous := read(p)
		if len(ids) > 0 && next != ids[len(ids)-1] {
			t.Fatalf("next of the page before %s is %q", p.Before, next)
		}
		got = append(slices.Clone(ids), got...)
		if previous == "" {
			break
		}
		if cursors--; cursors < -1 || len(ids) != size {
			t.Fatalf("backwards, a page of %d has %d items and goes on", size, len(ids))
		}
		p.Before = previous
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("backwards:\n%s", d)
	}
}

func listRuns(t *rapid.T, st *store.Store, f store.RunFilter, p store.Page) (l store.List[store.Detail]) {
	if err := st.View(t.Context(), func(tx *store.Tx) (err error) {
		l, err = tx.ListRuns(f, p)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestSummaries: lists show everything but the texts that may be large.
func TestSummaries(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		parent, child := id.New(now), id.New(now.Add(time.Second))
		r := run.Run{ID: child, EnvID: "e1", Task: "t", Status: run.StatusFailed, Exec: run.Finished, Seq: 3, Attempt: 2, ParentID: parent, RootID: parent,
			Lane: run.Lane{Queue: "q", Key: "k"}, CreatedAt: now, UpdatedAt: now, MovedAt: now, CompletedAt: now,
			Output: run.Packet{Data: "large", Type: run.TypeText}, Err: &run.Error{Type: run.StringError, Raw: "large"}}
		d := run.Definition{
			Payload: run.Packet{Data: "large", Type: run.TypeText}, Metadata: run.Packet{Data: `{"a":1}`, Type: run.TypeJSON},
			Seed: run.Packet{Data: `{"a":1}`, Type: run.TypeJSON}, Tags: []string{"b", "a"}, Test: true, CallKey: "call",
			Key: run.IdempotencyKey{Key: "key", ExpiresAt: now}, Extra: run.Extra{TTL: "10m", Region: "eu"},
		}
		update(t, st, func(tx *store.Tx) error { return tx.InsertRuns([]store.NewRun{{Run: r, Def: d}}) })
		want := store.Detail{Run: r, Definition: d}
		want.Output, want.Err, want.Payload, want.Seed, want.CallKey = run.Packet{}, nil, run.Packet{}, run.Packet{}, ""
		update(t, st, func(tx *store.Tx) error {
			got, err := tx.Summaries([]string{child, "none"})
			if diff := cmp.Diff(map[string]store.Detail{child: want}, got); err != nil || diff != "" {
				t.Errorf("Summaries: %v\n%s", err, diff)
			}
			children, err := tx.ChildSummaries(parent, 1)
			if diff := cmp.Diff([]store.Detail{want}, children); err != nil || diff != "" {
				t.Errorf("ChildSummaries: %v\n%s", err, diff)
			}
			if none, err := tx.Summaries(nil); len(none) != 0 || err != nil {
				t.Errorf("no ids: %v, %v", none, err)
			}
			return nil
		})
	})
}

func TestProjectEnvironments(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		a := seedTenancy(t, st, "a")
		seedTenancy(t, st, "b")
		branch := &tenant.Environment{ID: id.New(now), OrgID: a.org.ID, ProjectID: a.project.ID, ParentID: a.envs[tenant.Preview].ID,
			Type: tenant.Preview, Branch: "feature", CreatedAt: now.Add(time.Second)}
		var got []*tenant.Environment
		update(t, st, func(tx *store.Tx) (err error) {
			if _, err := tx.AddEnvironment(branch); err != nil {
				return err
			}
			if err := tx.ArchiveBranch(branch.ID, now); err != nil {
				return err
			}
			got, err = tx.ProjectEnvironments(a.project.ID)
			return err
		})
		if len(got) != 5 || got[4].ID != branch.ID || !got[4].Archived() {
			t.Fatalf("got %v", got)
		}
		for _, e := range got[:4] {
			if diff := cmp.Diff(a.envs[e.Type], e); diff != "" {
				t.Error(diff)
			}
		}
	})
}
