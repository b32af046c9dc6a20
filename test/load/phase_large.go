package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sear/internal/store"
	"sear/test/load/rawhttp"
)

// large is phase h: whether a store that is full of finished runs and has a long queue is
// as fast as an empty one. Both are measured in the same minutes, the empty one first.
func large(ctx context.Context, b *bench, s *site) error {
	if s.server == nil {
		b.note("phase h needs a server of its own")
		return nil
	}
	const goal = 1.5
	before, err := b.sample(ctx, s)
	if err != nil {
		return err
	}
	finished, err := b.multiply(ctx, s)
	if err != nil {
		return err
	}
	after, err := b.sample(ctx, s)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("beside %s finished runs", thousands(finished))
	slower := before.drain / after.drain
	b.add(row{phase: "h", what: "drain of " + thousands(int64(b.size.backlog)) + " " + what, figure: perSecond(after.drain),
		ceiling: perSecond(before.drain) + " (few runs)", ratio: after.drain / before.drain, goal: "≤ 1.5 × slower", met: slower <= goal})
	for i, page := range []string{"first", "1,000th"} {
		b.add(row{phase: "h", what: page + " page of all runs " + what, figure: millis(after.pages[i]), ceiling: millis(before.pages[i]) + " (few runs)",
			ratio: float64(after.pages[i]) / float64(before.pages[i]), goal: "≤ 1.5", met: after.pages[i] <= before.pages[i]*3/2})
	}
	took, rows, err := b.audit(ctx, s)
	if err != nil {
		return err
	}
	b.add(row{phase: "h", what: fmt.Sprintf("check of all invariants, %s runs, %s snapshots", thousands(rows["run"]), thousands(rows["snapshot"])),
		figure: fmt.Sprintf("%.1f s", took.Seconds()), goal: "≤ 60 s", met: took <= time.Minute})
	return nil
}

// largeSample is what is measured of a store.
type largeSample struct {
	drain float64          // runs a second
	pages [2]time.Duration // medians of the first page and of the thousandth
}

// sample fills the queue, reads lists while it is full, and drains it.
func (b *bench) sample(ctx context.Context, s *site) (m largeSample, err error) {
	l := newLedger(b.size.backlog)
	if err := s.sendBatches(ctx, l); err != nil {
		return m, err
	}
	if m.pages, err = s.pages(ctx); err != nil {
		return m, err
	}
	begin := time.Now()
	if err := s.drain(ctx, l); err != nil {
		return m, err
	}
	m.drain = float64(len(l.entries)) / l.last().Sub(begin).Seconds()
	return m, nil
}

// listSize is the size of a page, deep how many come before the deep one, and looks how
// often each is read.
const (
	listSize = 25
	deep     = 1000
	looks    = 200
)

// pages measures how long the first page of all runs takes and one far behind it, which
// is reached as clients do: from page to page.
func (s *site) pages(ctx context.Context) (medians [2]time.Duration, err error) {
	c := s.dial(ctx)
	defer c.Close()
	first := fmt.Sprintf("/api/v1/runs?page%%5Bsize%%5D=%d", listSize)
	path := first
	for range deep - 1 {
		body, err := c.Call(rawhttp.Request{Method: "GET", Path: path})
		if err != nil {
			return medians, err
		}
		_, next, ok := strings.Cut(string(body), `"next":"`)
		if !ok {
			break // a short list: its last page
		}
		next, _, _ = strings.Cut(next, `"`)
		path = first + "&page%5Bafter%5D=" + next
	}
	for i, path := range []string{first, path} {
		times := make([]time.Duration, looks)
		for j := range times {
			begin := time.Now()
			if _, err := c.Call(rawhttp.Request{Method: "GET", Path: path}); err != nil {
				return medians, err
			}
			times[j] = time.Since(begin)
		}
		slices.Sort(times)
		medians[i] = times[looks/2]
	}
	return medians, nil
}

// copies is how many older runs are made of each: five of 200,000 are a million.
const copies = 5

// multiply copies all runs of the store, with their snapshots, into the past. No server
// runs meanwhile.
func (b *bench) multiply(ctx context.Context, s *site) (finished int64, err error) {
	if s.server.Stop(stopTime) {
		return 0, fmt.Errorf("the server did not stop within %v", stopTime)
	}
	st, err := store.Open(ctx, s.storeURL(), nil)
	if err != nil {
		return 0, err
	}
	defer st.Close()
	for i := range copies {
		err := st.Update(ctx, func(tx *store.Tx) error { return copyInto(tx, fmt.Sprintf("%02d", 5-i)) })
		if err != nil {
			return 0, err
		}
	}
	if err := st.View(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM run`).Scan(&finished) }); err != nil {
		return 0, err
	}
	if err := st.Close(); err != nil {
		return 0, err
	}
	server, err := startServer(ctx, b.sear, s.server.dir, s.databaseURL())
	if err != nil {
		return 0, err
	}
	s.server, s.addrs = server, []string{server.addr}
	return finished, nil
}

// copyInto copies the newest runs under ids with another beginning, which is the time.
func copyInto(tx *store.Tx, prefix string) error {
	for table, ids := range map[string][]string{"run": {"id", "batch_id"}, "snapshot": {"run_id"}} {
		columns, err := columnsOf(tx, table)
		if err != nil {
			return err
		}
		values := slices.Clone(columns)
		for i, c := range values {
			switch {
			case slices.Contains(ids, c):
				values[i] = "'" + prefix + "' || substr(" + c + ", 3)"
			case c == "request_key" || c == "idem_key": // these are unique
				values[i] = "NULL"
			}
		}
		_, err = tx.Exec(`INSERT INTO ` + table + ` (` + strings.Join(columns, ", ") + `) SELECT ` + strings.Join(values, ", ") +
			` FROM ` + table + ` WHERE ` + ids[0] + ` >= '06'`)
		if err != nil {
			return err
		}
	}
	return nil
}

func columnsOf(tx *store.Tx, table string) (names []string, err error) {
	query := `SELECT name FROM pragma_table_info($1)`
	if tx.Postgres() {
		query = `SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`
	}
	rows, err := tx.Query(query, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// audit checks the whole store, with the server stopped.
func (b *bench) audit(ctx context.Context, s *site) (took time.Duration, rows map[string]int64, err error) {
	s.server.Stop(stopTime)
	st, err := store.Reader(ctx, s.storeURL())
	if err != nil {
		return 0, nil, err
	}
	defer st.Close()
	begin := time.Now()
	a, err := st.Audit(ctx, begin, time.Hour)
	if err == nil && len(a.Violations) > 0 {
		err = fmt.Errorf("%s: not so for %d", a.Violations[0].Rule, a.Violations[0].Count)
	}
	return time.Since(begin), a.Counts, err
}

func (s *site) databaseURL() string {
	if s.db == nil {
		return ""
	}
	return s.db.url
}

func (s *site) storeURL() string {
	if s.db == nil {
		return "sqlite:" + filepath.Join(s.server.data(), "core.db")
	}
	return s.db.url
}
