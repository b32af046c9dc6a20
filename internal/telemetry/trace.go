package telemetry

import (
	"cmp"
	"slices"
	"time"
)

// Trace are the spans of runs, the first of which is the root and each other a
// descendant of one before it. The span of a run hangs below the attempt that was
// going on when it was triggered. They are in the order of their starts.
func Trace(family []History) []Span {
	var out []Span
	own := map[string][]Span{} // by run
	for n, h := range family {
		spans := h.Spans()
		spans[0].Parent = ""
		if above := own[h.Run.ParentID]; n > 0 && len(above) > 0 {
			spans[0].Parent = At(above, h.Run.CreatedAt).ID
		}
		own[h.Run.ID] = spans
		out = append(out, spans...)
	}
	slices.SortStableFunc(out, Compare)
	return out
}

// At is which of a run's spans goes on at an instant: an attempt's, or else the run's own.
func At(spans []Span, at time.Time) Span {
	for _, s := range slices.Backward(spans[1:]) {
		if s.covers(at) {
			return s
		}
	}
	return spans[0]
}

// Compare orders spans by their start, a run before its attempts.
func Compare(a, b Span) int {
	return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.RunID, b.RunID), cmp.Compare(a.Attempt, b.Attempt))
}
