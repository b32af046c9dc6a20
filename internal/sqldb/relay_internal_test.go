package sqldb

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPayloadsKeepEveryHint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z_:é]{0,40}`)
		var want []hint
		for range rapid.IntRange(0, 600).Draw(t, "hints") {
			want = append(want, hint{word.Draw(t, "topic"), word.Draw(t, "key")})
		}
		var got []hint
		for _, p := range encodePayloads("node", want) {
			if len(p) > maxPayload {
				t.Fatalf("a payload of %d bytes", len(p))
			}
			node, list := decodePayload(p)
			if node != "node" || len(list) == 0 {
				t.Fatalf("from %q: %v", node, list)
			}
			got = append(got, list...)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(hint{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPayloadLeavesOutWhatCannotFit(t *testing.T) {
	t.Parallel()
	got := encodePayloads("node", []hint{{"run", "1"}, {"run", strings.Repeat("x", maxPayload)}, {"run", "2"}})
	if diff := cmp.Diff([]string{"node\x1erun\x1f1\x1erun\x1f2"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestHintsAreDroppedWhileNobodyTakesThem(t *testing.T) {
	t.Parallel()
	h := newHints()
	h.publish([]hint{{"run", "1"}})
	if got := h.takePending(); len(got) > 0 {
		t.Errorf("without a relay: %v", got)
	}
	h.setRelayed(true)
	h.publish([]hint{{"run", "1"}, {"run", "1"}})
	if got := h.takePending(); len(got) != 1 {
		t.Errorf("with a relay: %v", got)
	}
	if got := h.takePending(); len(got) > 0 {
		t.Errorf("taken twice: %v", got)
	}
	for i := range 2 * maxPending {
		h.publish([]hint{{"run", strconv.Itoa(i)}})
	}
	if got := h.takePending(); len(got) != maxPending {
		t.Errorf("%d wait while nobody takes them", len(got))
	}
}
