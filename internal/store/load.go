package store

import "time"

// EnvLoad is what waits and what executes in all environments of a type.
type EnvLoad struct {
	Type              string
	Queued, Executing int64
	Oldest            time.Duration // since when the run that waits longest might go
}

// EnvLoads reads the loads of all types of environments. It reads the indexes of what
// waits and what executes, and no run.
func (tx *Tx) EnvLoads(now time.Time) ([]EnvLoad, error) {
	rows, err := tx.Query(`SELECT env.type, sum(waits), sum(runs), min(first) FROM env LEFT JOIN (
		SELECT env_id, count(*) AS waits, 0 AS runs, min(score) AS first FROM run WHERE queued = 1 AND queued > 0 GROUP BY env_id UNION ALL
		SELECT env_id, 0, count(*), NULL FROM run WHERE slot = 1 GROUP BY env_id) AS l ON l.env_id = env.id GROUP BY env.type ORDER BY env.type`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []EnvLoad
	for rows.Next() {
		var l EnvLoad
		var queued, executing, first *int64
		if err := rows.Scan(&l.Type, &queued, &executing, &first); err != nil {
			return nil, err
		}
		if queued != nil {
			l.Queued, l.Executing = *queued, *executing
		}
		if first != nil {
			l.Oldest = max(0, now.Sub(time.UnixMilli(*first)))
		}
		list = append(list, l)
	}
	return list, rows.Err()
}
