package store_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/store"
)

// tokens fills a store with waitpoints of every sort, newest first.
func tokens(t *testing.T, st *store.Store) []store.Waitpoint {
	t.Helper()
	var all []store.Waitpoint
	for i := range 60 {
		at := now.Add(time.Duration(i) * time.Minute)
		w := store.Waitpoint{ID: id.New(at), EnvID: "e1", Kind: store.WaitManual, CreatedAt: at, Done: i%3 > 0, IsError: i%3 > 1}
		switch {
		case i%5 == 4:
			w.Kind = store.WaitDatetime
		case i%7 == 6:
			w.EnvID = "e2"
		}
		w.Tags = [][]string{nil, {"common"}, {"common", `"quoted"`}, {"other"}}[i%4]
		if i%10 == 3 {
			w.Key.Key = "key " + at.String()
		}
		all = append(all, w)
	}
	all[33].OldKey, all[33].Key.Key = all[23].Key.Key, ""
	update(t, st, func(tx *store.Tx) error {
		for _, w := range all {
			stored := w
			if w.OldKey != "" {
				stored.Key.Key = w.OldKey + "!" // in use elsewhere
			}
			if err := tx.AddWaitpoint(stored); err != nil {
				return err
			}
			if w.OldKey != "" {
				if _, err := tx.Exec(`UPDATE waitpoint SET old_key = $1, idem_key = NULL WHERE id = $2`, w.OldKey, w.ID); err != nil {
					return err
				}
			}
			if !w.Done {
				continue
			}
			if _, err := tx.CompleteWaitpoint(w.ID, run.Packet{Data: "never listed", Type: run.TypeText}, w.IsError, now); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Reverse(all)
	return all
}

func TestListTokens(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		all := tokens(t, st)
		key := all[len(all)-1-23].Key.Key
		rapid.Check(t, func(t *rapid.T) {
			f := store.TokenFilter{EnvID: "e1"}
			if rapid.Bool().Draw(t, "by status") {
				f.Statuses = rapid.SliceOfNDistinct(rapid.SampledFrom([]store.TokenStatus{store.TokenWaiting, store.TokenCompleted, store.TokenTimedOut}),
					1, 3, rapid.ID[store.TokenStatus]).Draw(t, "status")
			}
			if rapid.Bool().Draw(t, "by tag") {
				f.Tags = rapid.SliceOfN(rapid.SampledFrom([]string{"common", "other", `"quoted"`, "none"}), 1, 2).Draw(t, "tags")
			}
			if rapid.IntRange(0, 3).Draw(t, "by key") == 0 {
				f.Key = key
			}
			if rapid.Bool().Draw(t, "by time") {
				f.Created = store.Created{From: now.Add(10 * time.Minute).Truncate(time.Millisecond), To: now.Add(40 * time.Minute).Truncate(time.Millisecond)}
			}
			var want []string
			for _, w := range all {
				if selectsToken(f, w) {
					want = append(want, w.ID)
				}
			}
			walk(t, want, rapid.IntRange(1, 30).Draw(t, "size"), func(p store.Page) (ids []string, next, previous string) {
				var l store.List[store.Waitpoint]
				if err := st.View(t.Context(), func(tx *store.Tx) (err error) {
					l, err = tx.ListTokens(f, p)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				for _, w := range l.Items {
					if w.Output != (run.Packet{}) {
						t.Fatalf("%s comes with its output", w.ID)
					}
					ids = append(ids, w.ID)
				}
				return ids, l.Next, l.Previous
			})
		})
	})
}

// selectsToken is what the filter means, said in Go.
func selectsToken(f store.TokenFilter, w store.Waitpoint) bool {
	at := w.CreatedAt.Truncate(time.Millisecond)
	return w.EnvID == f.EnvID && w.Kind == store.WaitManual &&
		(f.Statuses == nil || slices.Contains(f.Statuses, w.TokenStatus())) &&
		(f.Tags == nil || slices.ContainsFunc(w.Tags, func(tag string) bool { return slices.Contains(f.Tags, tag) })) &&
		(f.Key == "" || w.Key.Key == f.Key || w.OldKey == f.Key) &&
		(f.Created.From.IsZero() || !at.Before(f.Created.From) && !at.After(f.Created.To))
}
