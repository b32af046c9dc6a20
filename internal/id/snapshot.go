package id

import (
	"fmt"
	"strconv"
	"strings"
)

// snapshotDigits is the least width of the sequence number in a snapshot's id, so
// that the ids of a run's first million snapshots sort.
const snapshotDigits = 6

// NewSnapshot is the internal id of a run's snapshot: the run's own followed by the
// snapshot's sequence number. Nothing needs to be stored to tell it.
func NewSnapshot(runID string, seq int64) string {
	return fmt.Sprintf("%s%0*d", runID, snapshotDigits, seq)
}

// ParseSnapshot reads the sequence number out of the id of a snapshot of a run, in
// its friendly or internal form. ok is false for the id of another run's snapshot
// and for whatever NewSnapshot did not make.
func ParseSnapshot(runID, s string) (seq int64, ok bool) {
	internal, ok := Internal(Snapshot, s)
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutPrefix(internal, runID)
	if !ok || len(digits) < snapshotDigits || len(digits) > snapshotDigits && digits[0] == '0' {
		return 0, false
	}
	seq, err := strconv.ParseInt(digits, 10, 64)
	return seq, err == nil && seq > 0
}
