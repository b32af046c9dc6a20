package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/queue"
	"sear/internal/run"
	"sear/internal/store"
)

// place inserts runs of an environment in a lane.
func place(t *testing.T, st *store.Store, envID string, lane run.Lane, exec run.Exec, slot bool, n int) []string {
	t.Helper()
	var list []store.NewRun
	ids := id.Sequence(now.Add(time.Duration(len(lane.String()))*time.Second), n)
	for _, runID := range ids {
		list = append(list, store.NewRun{Run: run.Run{ID: runID, EnvID: envID, Task: "t", Seq: 1, Exec: exec, Slot: slot, Lane: lane,
			Status: run.StatusPending, CreatedAt: now, UpdatedAt: now, MovedAt: now}})
	}
	update(t, st, func(tx *store.Tx) error { return tx.InsertRuns(list) })
	return ids
}

func TestQueues(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		five := 5
		update(t, st, func(tx *store.Tx) error {
			if err := tx.DeclareQueues("other", []deploy.Queue{{Name: "q"}}, now); err != nil {
				return err
			}
			return tx.DeclareQueues("e", []deploy.Queue{{Name: "q", Limit: &five}, {Name: "q2"}, {Name: "task/a"}, {Name: "task/z"}, {Name: "task/q/x"}}, now)
		})
		for _, lane := range []run.Lane{{Queue: "q"}, {Queue: "q", Key: "k:1"}, {Queue: "q", Key: "z"}} {
			place(t, st, "e", lane, run.Executing, true, 1)
			place(t, st, "e", lane, run.Queued, false, 2)
		}
		admitted := slices.Concat(place(t, st, "e", run.Lane{Queue: "q"}, run.PendingExecuting, true, 1),
			place(t, st, "e", run.Lane{Queue: "q", Key: "k"}, run.PendingExecuting, true, 2))
		place(t, st, "e", run.Lane{Queue: "q", Key: "z"}, run.QueuedExecuting, false, 1) // alive, without its slot
		place(t, st, "e", run.Lane{Queue: "q"}, run.Waiting, false, 1)                   // neither
		place(t, st, "e", run.Lane{Queue: "q2", Key: "k"}, run.PendingExecuting, true, 1)
		place(t, st, "other", run.Lane{Queue: "q"}, run.PendingExecuting, true, 1)

		err := st.View(t.Context(), func(tx *store.Tx) error {
			var got []string
			for page := range int64(4) {
				list, total, err := tx.ListQueues("e", 2*page, 2)
				if err != nil || total != 5 {
					return fmt.Errorf("%d queues: %w", total, err)
				}
				for _, q := range list {
					got = append(got, fmt.Sprintf("%s %d %d", q.Name, q.Running, q.Queued))
				}
			}
			if d := cmp.Diff([]string{"task/a 0 0", "q 6 7", "task/q/x 0 0", "q2 1 0", "task/z 0 0"}, got); d != "" {
				t.Errorf("listed: %s", d)
			}
			q, err := tx.Queue("e", store.QueueRef{Name: "q"})
			if err != nil {
				return err
			}
			same, err := tx.Queue("e", store.QueueRef{ID: q.ID})
			if err != nil {
				return err
			}
			if d := cmp.Diff(q, same); d != "" {
				t.Errorf("by id: %s", d)
			}
			if err := tx.CountQueue("e", &q); err != nil || q.Running != 6 || q.Queued != 7 {
				t.Errorf("counted %+v: %v", q, err)
			}
			if _, err := tx.Queue("other", store.QueueRef{ID: q.ID}); !fault.Is(err, fault.NotFound) {
				t.Errorf("another environment's queue: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		update(t, st, func(tx *store.Tx) error {
			list, err := tx.AdmittedRuns("e", "q")
			var got []string
			for _, r := range list {
				got = append(got, r.ID)
			}
			slices.Sort(admitted)
			if d := cmp.Diff(admitted, got); d != "" {
				t.Errorf("admitted: %s", d)
			}
			return err
		})
	})
}

func TestQueueSettings(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		five, six := 5, 6
		declare := func(limit *int) {
			t.Helper()
			update(t, st, func(tx *store.Tx) error { return tx.DeclareQueues("e", []deploy.Queue{{Name: "q", Limit: limit}}, now) })
		}
		check := func(name string, want queue.Settings, at time.Time) {
			t.Helper()
			var q store.Queue
			var all map[string]queue.Settings
			if err := st.View(t.Context(), func(tx *store.Tx) (err error) {
				if q, err = tx.Queue("e", store.QueueRef{Name: "q"}); err == nil {
					all, err = tx.QueueSettings("e", []string{"q", "unknown"})
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, q.Settings) + cmp.Diff(map[string]queue.Settings{"q": want}, all); d != "" || !q.OverriddenAt.Equal(at) {
				t.Errorf("%s: at %v: %s", name, q.OverriddenAt, d)
			}
		}
		change := func(fn func(tx *store.Tx, queueID string) error) {
			t.Helper()
			update(t, st, func(tx *store.Tx) error {
				q, err := tx.Queue("e", store.QueueRef{Name: "q"})
				if err != nil {
					return err
				}
				return fn(tx, q.ID)
			})
		}
		override := func(o *queue.Override) {
			t.Helper()
			change(func(tx *store.Tx, queueID string) error { return tx.OverrideQueue(queueID, o, now) })
		}
		declare(&five)
		check("declared", queue.Settings{Declared: &five}, time.Time{})
		override(&queue.Override{})
		check("overridden by nothing", queue.Settings{Declared: &five, Override: &queue.Override{}}, now)
		override(&queue.Override{Percent: 12.5})
		declare(&six)
		check("a share, and declared anew", queue.Settings{Declared: &six, Override: &queue.Override{Percent: 12.5}}, now)
		override(&queue.Override{Runs: 7})
		check("a number instead", queue.Settings{Declared: &six, Override: &queue.Override{Runs: 7}}, now)
		change(func(tx *store.Tx, queueID string) error { return tx.SetQueuePaused(queueID, true) })
		override(nil)
		declare(nil)
		check("reset, paused and not declared any more", queue.Settings{Paused: true}, time.Time{})
	})
}

// TestQueueCountsUseIndexes: what counts runs never reads the table of runs from end to end.
func TestQueueCountsUseIndexes(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "core.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	err = st.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query(`EXPLAIN QUERY PLAN SELECT `+store.QueueCounts+` FROM (SELECT env_id, `+store.OwnLane+` FROM queue WHERE env_id = $1) q`, "e")
		if err != nil {
			return err
		}
		defer rows.Close()
		searches := 0
		for rows.Next() {
			var n, parent, unused int
			var detail string
			if err := rows.Scan(&n, &parent, &unused, &detail); err != nil {
				return err
			}
			if strings.Contains(detail, "SCAN run") {
				t.Errorf("plan: %s", detail)
			}
			if strings.Contains(detail, "SEARCH run USING") && strings.Contains(detail, "lane") {
				searches++
			}
		}
		if searches != 4 {
			t.Errorf("%d searches by lane, want 4", searches)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}
