package store

import (
	"strings"

	"sear/internal/sqldb"
)

// tracedColumns are what scanDetail reads, with the error but without texts of any
// length that a trace does not show.
var tracedColumns = outcomeColumns + strings.TrimPrefix(summaryColumns, strings.Replace(runColumns, "output, output_type, error", "NULL, NULL, NULL", 1))

// Offspring reads up to n direct children of some runs, oldest first, without their
// payloads and outputs. With a trace id, 32 hexadecimal digits, it is those of that trace.
func (tx *Tx) Offspring(parents []string, traceID string, n int) ([]Detail, error) {
	if len(parents) == 0 {
		return nil, nil
	}
	query := `SELECT ` + tracedColumns + ` FROM run WHERE parent_id {{in $1}} AND COALESCE(extra, '') LIKE $2 ORDER BY id LIMIT $3`
	trace := "%"
	if traceID != "" {
		trace = `%"traceparent":"00-` + traceID + `-%`
	}
	return tx.queryDetails(query, sqldb.List(parents), trace, n)
}

// Bounds reads the snapshots of some runs, oldest first, but for the waits in between:
// those at which attempts began and ended. The newest of each is in the run's row.
func (tx *Tx) Bounds(runIDs []string) (map[string][]Snapshot, error) {
	out := map[string][]Snapshot{}
	if len(runIDs) == 0 {
		return out, nil
	}
	list, err := tx.querySnapshots(`SELECT `+snapshotColumns+` FROM snapshot
		WHERE run_id {{in $1}} AND exec <> 'EXECUTING_WITH_WAITPOINTS' AND exec <> 'QUEUED_EXECUTING' ORDER BY run_id, seq`, sqldb.List(runIDs))
	for _, s := range list {
		out[s.RunID] = append(out[s.RunID], s)
	}
	return out, err
}
