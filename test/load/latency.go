package main

import (
	"slices"
	"time"
)

// percentile is the smallest of the durations that at least p percent of them do not
// exceed; 0 when there are none.
func percentile(list []time.Duration, p float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	rank := int(float64(len(sorted))*p/100 + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// steadiness is by how much a ceiling may move during a phase that is to be believed.
const steadiness = 1.25

func steady(before, after float64) bool {
	return before > 0 && after > 0 && max(before, after)/min(before, after) <= steadiness
}

// flatness compares the last tenth of the marks' intervals with the first: 1 when both
// went equally fast, below when it became slower.
func flatness(tenths []float64) float64 {
	if len(tenths) == 0 || tenths[0] == 0 {
		return 0
	}
	return tenths[len(tenths)-1] / tenths[0]
}
