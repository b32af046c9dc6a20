package store

import (
	"cmp"
	"slices"

	"sear/internal/sqldb"
)

// DebounceKey names a debounce key of a task.
type DebounceKey struct{ EnvID, Task, Key string }

// HoldDebounced locks debounce keys in an order that all transactions keep, and returns the
// runs that they lead to, for the caller to lock together with its others: those that look
// at the same keys one by one, each in an order of its own, would come to wait for each
// other. On SQLite, which has one writer, there is nothing to do.
func (tx *Tx) HoldDebounced(keys []DebounceKey) (runIDs []string, err error) {
	if !tx.Postgres() {
		return nil, nil
	}
	keys = slices.SortedFunc(slices.Values(keys), func(a, b DebounceKey) int {
		return cmp.Or(cmp.Compare(a.EnvID, b.EnvID), cmp.Compare(a.Task, b.Task))
	})
	for len(keys) > 0 {
		first := keys[0]
		var texts []string
		for len(keys) > 0 && keys[0].EnvID == first.EnvID && keys[0].Task == first.Task {
			texts, keys = append(texts, keys[0].Key), keys[1:]
		}
		found, err := tx.texts(`SELECT run_id FROM debounce WHERE env_id = $1 AND task = $2 AND key {{in $3}} ORDER BY key {{lock}}`,
			first.EnvID, first.Task, sqldb.List(texts))
		if err != nil {
			return nil, err
		}
		runIDs = append(runIDs, found...)
	}
	return runIDs, nil
}

// byKey sorts runs that are to be inserted as all transactions insert them, so that of two
// with the same keys one waits for the other and not each for each.
func byKey(runs []NewRun) []NewRun {
	return slices.SortedStableFunc(slices.Values(runs), func(a, b NewRun) int {
		return cmp.Or(cmp.Compare(a.Run.EnvID, b.Run.EnvID), cmp.Compare(a.Run.Task, b.Run.Task), cmp.Compare(a.Def.Key.Text(), b.Def.Key.Text()))
	})
}
