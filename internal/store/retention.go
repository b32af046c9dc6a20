package store

import (
	"time"

	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// expired is the condition of a run whose time is over: it ended before $1, its
// idempotency key leads nowhere by $2, and nor does that of a batch that it belongs to, and
// nobody who is not finished can still look at it: its parent, root, descendants, the rest of
// its batch, or a run that waited for it.
const expired = `run.exec = 'FINISHED' AND coalesce(run.completed_at, run.expired_at, run.updated_at) < $1
	AND (run.idem_key IS NULL OR run.idem_expires IS NULL OR run.idem_expires < $2)
	AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.id = run.parent_id AND r.exec <> 'FINISHED')
	AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.id = run.root_id AND r.exec <> 'FINISHED')
	AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.parent_id = run.id AND r.exec <> 'FINISHED')
	AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.root_id = run.id AND r.exec <> 'FINISHED')
	AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = run.batch_id AND ` + batchLeads + `)
	AND NOT EXISTS (SELECT 1 FROM batch_item JOIN batch ON batch.id = batch_item.batch_id WHERE batch_item.run_id = run.id AND ` + batchLeads + `)
	AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.batch_id = run.batch_id AND r.exec <> 'FINISHED')
	AND NOT EXISTS (SELECT 1 FROM edge JOIN run AS r ON r.id = edge.run_id WHERE edge.waitpoint_id = run.id AND r.exec <> 'FINISHED')`

// batchLeads is the condition of a batch that somebody may still be led to.
const batchLeads = `(batch.status = 'PENDING' OR batch.idem_key IS NOT NULL AND (batch.idem_expires IS NULL OR batch.idem_expires >= $2))`

// ExpiredRuns are up to n runs that ended before cutoff and may be deleted, in order of
// their ids after the given one. It may have to read many that may not, and so belongs in
// a View.
func (tx *Tx) ExpiredRuns(cutoff, now time.Time, after string, n int) ([]string, error) {
	return tx.texts(`SELECT id FROM run WHERE id > $3 AND id < $4 AND `+expired+` ORDER BY id LIMIT $5`,
		cutoff.UnixMicro(), now.UnixMicro(), after, id.From(cutoff), n)
}

// DeleteRuns deletes those of the runs that may still be deleted, with all that belongs to
// them, and says how many that were. Packets of theirs to which no run refers any more are
// noted for DeadPackets.
func (tx *Tx) DeleteRuns(ids []string, cutoff, now time.Time) (int, error) {
	rows, err := tx.Query(`SELECT id, env_id, tags FROM run WHERE `+expired+` AND id {{in $3}} ORDER BY id {{lock}}`,
		cutoff.UnixMicro(), now.UnixMicro(), sqldb.List(ids))
	if err != nil {
		return 0, err
	}
	ids = nil
	var tags [][3]string // environment, tag, run
	for rows.Next() {
		var runID, envID string
		var list []string
		if err := rows.Scan(&runID, &envID, jsonInto(&list)); err != nil {
			return 0, err
		}
		ids = append(ids, runID)
		for _, tag := range list {
			tags = append(tags, [3]string{envID, tag, runID})
		}
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return 0, err
	}
	for _, t := range tags {
		if _, err := tx.Exec(`DELETE FROM run_tag WHERE env_id = $1 AND tag = $2 AND run_id = $3`, t[0], t[1], t[2]); err != nil {
			return 0, err
		}
	}
	if err := tx.dropPackets(ids, now); err != nil {
		return 0, err
	}
	for _, table := range []string{"snapshot", "packet", "edge", "error_run", "bulk_run", "debounce"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE run_id {{in $1}}`, sqldb.List(ids)); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(`DELETE FROM run WHERE id {{in $1}}`, sqldb.List(ids))
	return len(ids), err
}

// Packet is the place of a packet in the packet store.
type Packet struct{ EnvID, Path string }

// dropPackets forgets that runs or tokens refer to packets, and notes those to which nobody does.
func (tx *Tx) dropPackets(owners []string, now time.Time) error {
	rows, err := tx.Query(`DELETE FROM packet_ref WHERE owner_id {{in $1}} RETURNING env_id, path`, sqldb.List(owners))
	if err != nil {
		return err
	}
	list, err := scanPackets(rows)
	if err != nil {
		return err
	}
	for _, p := range list {
		if err := tx.UnnamePacket(p, now); err != nil {
			return err
		}
	}
	return nil
}

func scanPackets(rows *sqldb.Rows) (list []Packet, err error) {
	defer rows.Close()
	for rows.Next() {
		var p Packet
		if err := rows.Scan(&p.EnvID, &p.Path); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// NamedPackets are the packets to which runs or tokens refer.
func (tx *Tx) NamedPackets() ([]Packet, error) {
	rows, err := tx.Query(`SELECT DISTINCT env_id, path FROM packet_ref`)
	if err != nil {
		return nil, err
	}
	return scanPackets(rows)
}

// PacketOwners are up to n runs and tokens that refer to a packet, the newest first.
func (tx *Tx) PacketOwners(p Packet, n int) ([]string, error) {
	return tx.texts(`SELECT owner_id FROM packet_ref WHERE env_id = $1 AND path = $2 ORDER BY owner_id DESC LIMIT $3`, p.EnvID, p.Path, n)
}

// NamesPackets reports whether runs or tokens refer to any packet.
func (tx *Tx) NamesPackets() (named bool, err error) {
	var n int
	err = tx.QueryRow(`SELECT count(*) FROM (SELECT 1 FROM packet_ref LIMIT 1) AS p`).Scan(&n)
	return n > 0, err
}

// UnnamePacket notes that nobody refers to a packet: unless somebody does by then, it counts
// as one to which nobody has referred since an instant, which may be to come.
func (tx *Tx) UnnamePacket(p Packet, since time.Time) error {
	_, err := tx.Exec(`INSERT INTO packet_gone (env_id, path, gone_at) SELECT $1, $2, $3
		WHERE NOT EXISTS (SELECT 1 FROM packet_ref WHERE env_id = $1 AND path = $2)
		ON CONFLICT (env_id, path) DO UPDATE SET gone_at = excluded.gone_at`, p.EnvID, p.Path, since.UnixMicro())
	return err
}

// DeadPackets are up to n packets, after the given one, to which nobody has referred since
// an instant. They may be deleted, and then forgotten by ForgetPackets.
func (tx *Tx) DeadPackets(since time.Time, after Packet, n int) ([]Packet, error) {
	rows, err := tx.Query(`SELECT env_id, path FROM packet_gone WHERE gone_at < $1 AND (env_id, path) > ($2, $3)
		AND NOT EXISTS (SELECT 1 FROM packet_ref WHERE packet_ref.env_id = packet_gone.env_id AND packet_ref.path = packet_gone.path)
		ORDER BY env_id, path LIMIT $4`, since.UnixMicro(), after.EnvID, after.Path, n)
	if err != nil {
		return nil, err
	}
	return scanPackets(rows)
}

// ForgetPackets removes the notes about packets that have been deleted, which nobody had
// referred to since an instant. Of one that is expected again meanwhile the note stays.
func (tx *Tx) ForgetPackets(list []Packet, since time.Time) error {
	for _, p := range list {
		if _, err := tx.Exec(`DELETE FROM packet_gone WHERE env_id = $1 AND path = $2 AND gone_at < $3`, p.EnvID, p.Path, since.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// referTo notes that a run or a token refers to a packet in the packet store, if it does.
func (tx *Tx) referTo(envID, owner string, p run.Packet) error {
	if p.Type != run.TypeStore || p.Data == "" {
		return nil
	}
	if _, err := tx.Exec(`INSERT INTO packet_ref (env_id, path, owner_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, envID, p.Data, owner); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM packet_gone WHERE env_id = $1 AND path = $2`, envID, p.Data)
	return err
}

// leftovers are what ends and belongs to no run: how old ones are found without a look at
// all, when they may go, and what belongs to them. $1 is the cutoff, $2 now, and $4 sorts
// before the ids of what was made after the cutoff.
var leftovers = []struct{ table, old, ended, items string }{
	{"batch", "id < $4", `status <> 'PENDING' AND updated_at < $1 AND (idem_key IS NULL OR idem_expires IS NULL OR idem_expires < $2)
		AND NOT EXISTS (SELECT 1 FROM run WHERE run.batch_id = batch.id)
		AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.waitpoint_id = batch.id)`, "batch_item WHERE batch_id"},
	{"waitpoint", "id < $4", `done = 1 AND completed_at < $1 AND (idem_key IS NULL OR idem_expires IS NULL OR idem_expires < $2)
		AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.waitpoint_id = waitpoint.id)`, ""},
	{"bulk", "id < $4", `status <> 'PENDING' AND completed_at < $1 AND created_at < $2`, "bulk_run WHERE bulk_id"},
	{"error_group", "$4 <> ''", `last_seen < $1 AND last_seen < $2 AND status <> 'ignored'
		AND NOT EXISTS (SELECT 1 FROM error_run WHERE error_run.error_id = error_group.id)`, ""},
}

// DeleteLeftovers deletes up to n each of the batches without runs, completed waitpoints
// that nobody waits for, bulk actions that ended before cutoff, and errors of which no run
// is left and nobody said to ignore them. It says how many. What another transaction has
// touched before they were locked is looked at again.
func (tx *Tx) DeleteLeftovers(cutoff, now time.Time, n int) (all int, err error) {
	for _, l := range leftovers {
		ids, err := tx.texts(`SELECT id FROM `+l.table+` WHERE `+l.old+` AND `+l.ended+` ORDER BY id LIMIT $3 {{lock}}`,
			cutoff.UnixMicro(), now.UnixMicro(), n, id.From(cutoff))
		if err != nil {
			return all, err
		}
		if len(ids) == 0 {
			continue
		}
		ids, err = tx.texts(`DELETE FROM `+l.table+` WHERE id {{in $3}} AND `+l.ended+` RETURNING id`, cutoff.UnixMicro(), now.UnixMicro(), sqldb.List(ids))
		if err != nil {
			return all, err
		}
		all += len(ids)
		if err := tx.dropPackets(ids, now); err != nil {
			return all, err
		}
		if l.items == "" {
			continue
		}
		if _, err := tx.Exec(`DELETE FROM `+l.items+` {{in $1}}`, sqldb.List(ids)); err != nil {
			return all, err
		}
	}
	return all, nil
}
