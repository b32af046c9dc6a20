package store

import (
	"time"

	"sear/internal/fault"
	"sear/internal/schedule"
)

// Due is an occurrence whose time has come.
type Due struct {
	Instance
	Archived bool      // the environment is out of use
	Seen     time.Time // when the environment last heard of its command line, if it ever did
}

// DueSchedules reads up to n instances whose next occurrence has come, for update;
// those that are withheld, or that another node handles right now, are left out.
func (tx *Tx) DueSchedules(now time.Time, n int, h Withheld) ([]Due, error) {
	where, args := h.schedules(now.UnixMicro(), n)
	rows, err := tx.Query(`WITH i AS (SELECT * FROM schedule_instance WHERE next_at IS NOT NULL AND next_at <= $1`+where+`
			ORDER BY next_at LIMIT $2 {{skip locked}})
		SELECT `+instanceColumns+`, e.archived_at IS NOT NULL, p.seen_at FROM i JOIN schedule s ON s.id = i.schedule_id
		JOIN env e ON e.id = i.env_id LEFT JOIN presence p ON p.env_id = i.env_id ORDER BY i.next_at, i.schedule_id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Due
	for rows.Next() {
		var d Due
		if err := rows.Scan(append(instanceTargets(&d.Instance), &d.Archived, instant(&d.Seen))...); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Advance moves an instance from the occurrence that is handled now to the next one, if
// any, and notes which one made a run last. It fails if another has moved it meanwhile.
func (tx *Tx) Advance(d Due, next, last time.Time) error {
	n, err := tx.Exec(`UPDATE schedule_instance SET next_at = $1, last_at = $2
		WHERE env_id = $3 AND schedule_id = $4 AND next_at = $5`,
		micros(next), micros(last), d.EnvID, d.ID, d.Next.UnixMicro())
	if err == nil && n != 1 {
		return fault.Newf(fault.Conflict, "schedule %s is no longer at %s", d.ID, d.Next)
	}
	return err
}

// Miss is a row of occurrences of an instance that nothing came of.
type Miss struct {
	schedule.Gap
	Reason string
}

// maxMisses is how many rows of misses an instance keeps.
//
//limit:schedules Rows of missed occurrences that are kept of a schedule | rows | the newest are kept
const maxMisses = 100

// AddMiss records that nothing came of occurrences of an instance. They lengthen the newest
// row if they were missed for the same reason and nothing has fired since. Of many rows it
// keeps the newest.
func (tx *Tx) AddMiss(i Instance, m Miss) error {
	n, err := tx.Exec(`UPDATE schedule_miss SET to_at = $1, count = count + $2 WHERE env_id = $3 AND schedule_id = $4 AND reason = $5
		AND from_at > $6 AND from_at = (SELECT max(from_at) FROM schedule_miss WHERE env_id = $3 AND schedule_id = $4)`,
		m.To.UnixMicro(), m.Count, i.EnvID, i.ID, m.Reason, i.Last.UnixMicro())
	if err != nil || n > 0 {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO schedule_miss (env_id, schedule_id, from_at, to_at, count, reason) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (env_id, schedule_id, from_at) DO UPDATE SET to_at = excluded.to_at, count = excluded.count, reason = excluded.reason`,
		i.EnvID, i.ID, m.From.UnixMicro(), m.To.UnixMicro(), m.Count, m.Reason); err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM schedule_miss WHERE env_id = $1 AND schedule_id = $2 AND from_at < (SELECT min(from_at) FROM
		(SELECT from_at FROM schedule_miss WHERE env_id = $1 AND schedule_id = $2 ORDER BY from_at DESC LIMIT $3) AS kept)`,
		i.EnvID, i.ID, maxMisses)
	return err
}

// Misses reads the newest misses of an instance, newest first.
func (tx *Tx) Misses(envID, scheduleID string, n int) ([]Miss, error) {
	rows, err := tx.Query(`SELECT from_at, to_at, count, reason FROM schedule_miss WHERE env_id = $1 AND schedule_id = $2
		ORDER BY from_at DESC LIMIT $3`, envID, scheduleID, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Miss
	for rows.Next() {
		var m Miss
		if err := rows.Scan(instant(&m.From), instant(&m.To), &m.Count, &m.Reason); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}
