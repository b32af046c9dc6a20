package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/run"
)

// TestMetadataOfAFamilyIsAllOrNothing: when the document of one is refused, those of its
// relatives stay as they were, also when the attempt that sent the edit ends all the same.
func TestMetadataOfAFamilyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		parent := r.trigger(engine.Trigger{Task: "parent"})
		r.begin()
		child := r.trigger(engine.Trigger{Task: "hello", ParentID: parent})
		r.begin()
		set := func(value string) []run.Operation {
			return []run.Operation{{Type: "set", Key: "key", Value: json.RawMessage(value)}}
		}
		large := `"` + strings.Repeat("x", run.MaxMetadata) + `"`
		edit := run.MetadataEdit{Own: set(large), Parent: set(`1`)}
		if _, err := r.EditMetadata(r.ctx, r.env, child, edit); !fault.Is(err, fault.TooLarge) {
			t.Errorf("the edit: %v", err)
		}
		r.end(child, engine.Completion{Metadata: edit})
		if got := r.get(child).Status; got != run.StatusCompleted {
			t.Errorf("the child is %s", got)
		}
		for _, runID := range []string{parent, child} {
			if doc := must(r.EditMetadata(r.ctx, r.env, runID, run.MetadataEdit{}))(t); doc.Data != "" {
				t.Errorf("metadata of %s: %.50s", runID, doc.Data)
			}
		}
	})
}

// TestMetadataOfAnAttemptIsBounded: too many operations end no attempt badly, and none of them
// is applied.
func TestMetadataOfAnAttemptIsBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		op := run.Operation{Type: "increment", Key: "n", Value: json.RawMessage(`1`)}
		for n, want := range map[int]string{run.MaxMetadataOperations: `{"n":10000}`, run.MaxMetadataOperations + 1: ""} {
			runID := r.trigger(engine.Trigger{Task: "hello"})
			r.begin()
			r.end(runID, engine.Completion{Metadata: run.MetadataEdit{Own: slices.Repeat([]run.Operation{op}, n)}})
			if got := r.get(runID).Status; got != run.StatusCompleted {
				t.Errorf("the run is %s", got)
			}
			if doc := must(r.EditMetadata(r.ctx, r.env, runID, run.MetadataEdit{}))(t); doc.Data != want {
				t.Errorf("after %d operations: %s", n, doc.Data)
			}
		}
	})
}

// TestManyVersionsAtOnce: what concerns more versions than one transaction reads is carried
// out all the same, however little is remembered of them.
func TestManyVersionsAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		const n = 10
		forget := func() {
			r.stop()
			r.start(t, engine.Options{})
		}
		var items []engine.Item
		for i := range n {
			w := r.register(manifest("hello"))
			items = append(items, engine.Item{Index: i, Trigger: engine.Trigger{Task: "hello", Version: w.Version}})
		}
		forget()
		b, _, err := r.CreateBatch(r.ctx, r.env, engine.NewBatch{RunCount: n})
		r.ok(err)
		if p := must(r.AddItems(r.ctx, r.env, b.ID, items))(t); p.Accepted != n {
			t.Errorf("%+v", p)
		}
		must(r.SealBatch(r.ctx, r.env, b.ID))(t)
		forget()
		versions := map[string]engine.Delivery{}
		for len(versions) < n {
			for _, d := range must(r.AwaitDequeue(r.ctx, r.env, "", n))(t) {
				versions[d.Worker.Version] = d
			}
		}
		forget()
		var all sync.WaitGroup
		for _, d := range versions {
			all.Go(func() {
				if a, err := r.StartAttempt(r.ctx, r.env, d.Run.ID, engine.Call{Seq: d.Run.Seq}); err != nil || a.Worker.Version != d.Worker.Version {
					t.Errorf("the attempt of version %s: %s, %v", d.Worker.Version, a.Run.Version, err)
				}
			})
		}
		all.Wait()
	})
}
