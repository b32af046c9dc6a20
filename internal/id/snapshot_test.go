package id_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"sear/internal/id"
)

func TestSnapshotIDsReadBack(t *testing.T) {
	t.Parallel()
	runID := id.New(time.Now())
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.Int64Range(1, 1<<40).Draw(t, "seq")
		for _, s := range []string{id.NewSnapshot(runID, seq), id.Friendly(id.Snapshot, id.NewSnapshot(runID, seq))} {
			if got, ok := id.ParseSnapshot(runID, s); !ok || got != seq {
				t.Errorf("ParseSnapshot(%q) = %d, %t, want %d", s, got, ok, seq)
			}
		}
	})
}

func TestParseSnapshotRefusesWhatWasNotMadeHere(t *testing.T) {
	t.Parallel()
	const runID = "0123456789abcdefghijklmn01"
	for _, s := range []string{
		"", "snapshot_", "snapshot_" + runID, "snapshot_" + runID + "00001", "snapshot_" + runID + "000000",
		"snapshot_" + runID + "0000001", "snapshot_" + runID + "00000x", "snapshot_" + runID + "-00001",
		"snapshot_" + runID + "99999999999999999999", "run_" + runID + "000001",
		"snapshot_9123456789abcdefghijklmn01000001", "snapshot_cmf2f73e", "snapshot_" + runID + "000001_",
	} {
		if seq, ok := id.ParseSnapshot(runID, s); ok {
			t.Errorf("ParseSnapshot(%q) = %d", s, seq)
		}
	}
}

func FuzzParseSnapshot(f *testing.F) {
	const runID = "0123456789abcdefghijklmn01"
	f.Add("snapshot_" + runID + "000001")
	f.Add(runID + "1234567")
	f.Add("snapshot_")
	f.Fuzz(func(t *testing.T, s string) {
		seq, ok := id.ParseSnapshot(runID, s)
		if ok && id.NewSnapshot(runID, seq) != s && id.Friendly(id.Snapshot, id.NewSnapshot(runID, seq)) != s {
			t.Errorf("ParseSnapshot(%q) = %d, which is another text", s, seq)
		}
	})
}
