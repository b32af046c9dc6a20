package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sear/internal/store"
)

// database opens the store and checks its version and settings.
func (e *examination) database(ctx context.Context) {
	const check = "database"
	st, err := store.Reader(ctx, e.Database)
	if err != nil {
		e.note(Fail, check, "start the database, correct --database-url or --data, or restore a backup", "it cannot be opened: %v", err)
		return
	}
	var s store.Health
	err = st.View(ctx, func(tx *store.Tx) (err error) {
		if s, err = tx.Health(); err != nil {
			return err
		}
		e.identity, err = tx.Setting(store.SettingIdentity)
		return err
	})
	if err != nil {
		st.Close()
		e.note(Fail, check, "is it a database of Sear? `sear serve` makes one", "it cannot be read: %v", err)
		return
	}
	e.store = st
	if problem, fix := s.Problem(); problem != "" {
		e.note(Fail, check, fix, "%s: %s", s.Version, problem)
	} else {
		e.ok(check, "%s", s.Version)
	}
	switch {
	case s.Migrations > s.Known:
		e.note(Fail, "migrations", "use the newer Sear, or restore a backup of before", "the database is at %d, and this Sear knows %d", s.Migrations, s.Known)
	case s.Migrations < s.Known:
		e.note(Warn, "migrations", "they are made when this Sear is started", "%d of %d are made", s.Migrations, s.Known)
	default:
		e.ok("migrations", "all %d are made", s.Known)
	}
}

// address checks that clients find the server where it says that it is.
func (e *examination) address(ctx context.Context) {
	const check = "public address"
	var url string
	if err := e.store.View(ctx, func(tx *store.Tx) (err error) { url, err = tx.Setting(store.SettingPublicURL); return err }); err != nil {
		e.note(Fail, check, "", "%v", err)
		return
	}
	if url == "" {
		e.note(Warn, check, "start the server", "no server has run on this store since it was restored")
		return
	}
	switch identity, err := StoreAt(ctx, url); {
	case err == nil && identity == e.identity:
		e.serving = true
		e.ok(check, "%s answers", url)
	case err == nil:
		e.note(Fail, check, "correct --public-url: clients of this store go to another one", "at %s the server of another store answers", url)
	case e.serving:
		e.note(Fail, check, "correct --public-url, or what stands before Sear (DNS, proxy, certificate)", "clients are told %s, and that does not answer: %v", url, err)
	default:
		e.note(Warn, check, "start the server", "%s, where the server was last, does not answer", url)
	}
}

// held tells of a store that executes nothing because it was restored.
func (e *examination) held(ctx context.Context) {
	const check = "hold"
	var since string
	err := e.store.View(ctx, func(tx *store.Tx) (err error) { since, err = tx.Setting(store.SettingHeld); return err })
	switch {
	case err != nil:
		e.note(Fail, check, "", "%v", err)
	case since != "":
		e.isHeld = true
		e.note(Warn, check, "sear resume, once you have looked at what was restored", "nothing is executed since %s: the store was restored and not resumed", since)
	}
}

// Bounds of what is no difference of clocks, and of a year that no clock shows.
const (
	//limit:server Difference of the clocks of server and database under which `sear doctor` is content |  | a warning
	maxSkew   = 2 * time.Second
	firstYear = 2026
)

// clock compares this machine's clock with the database's and with the newest run.
func (e *examination) clock(ctx context.Context) {
	const check = "clock"
	const fix = "set the clock (timedatectl set-ntp true), on each node and on the database's machine"
	var theirs, newest time.Time
	asked := time.Now()
	err := e.store.View(ctx, func(tx *store.Tx) (err error) { theirs, newest, err = tx.Clock(); return err })
	ours := asked.Add(time.Since(asked) / 2)
	switch skew := theirs.Sub(ours).Abs(); {
	case err != nil:
		e.note(Fail, check, "", "%v", err)
	case ours.Year() < firstYear:
		e.note(Fail, check, fix, "it shows %s", ours.Format(time.RFC3339))
	case !theirs.IsZero() && skew > maxSkew:
		e.note(Warn, check, fix, "it differs from the database's by %s", skew.Round(time.Millisecond))
	case newest.Sub(ours) > maxSkew:
		e.note(Warn, check, fix, "the newest run is from %s, which is yet to come", newest.Format(time.RFC3339))
	default:
		if _, err := time.LoadLocation("Europe/Berlin"); err != nil {
			e.note(Fail, check, "use a Sear that was built with its time zones", "there are no time zones: %v", err)
			return
		}
		e.ok(check, "%s", ours.UTC().Format(time.RFC3339))
	}
}

// usualRun is what a run takes in the database when there are too few to tell, in bytes.
const usualRun = 1300

// The least that should be free: in bytes, and in days at the rate of the last one.
const (
	//limit:server Free space on the disk under which `sear doctor` warns | bytes | a warning
	leastFree = 1 << 30
	//limit:inside days that the free space should last, under which doctor warns
	leastDays = 14
)

// space says how long the free space lasts.
func (e *examination) space(ctx context.Context) {
	const check = "free space"
	free, err := freeBytes(e.Data)
	if err != nil {
		return // Postgres without a data directory, or a system that does not tell
	}
	if e.Postgres { // the database lies elsewhere, and it is its own tools' to watch it
		if free < leastFree {
			e.note(Warn, check, "make room where the data directory is, or put large payloads into a bucket", "%.1f GB for large payloads", gigabytes(free))
		} else {
			e.ok(check, "%.1f GB for large payloads; that of Postgres is not seen from here", gigabytes(free))
		}
		return
	}
	size, err := e.store.Size(ctx)
	if err != nil {
		e.note(Fail, check, "", "%v", err)
		return
	}
	var all, day int64
	err = e.store.View(ctx, func(tx *store.Tx) (err error) { all, day, err = tx.RunsSince(e.Now.Add(-24 * time.Hour)); return err })
	if err != nil {
		e.note(Fail, check, "", "%v", err)
		return
	}
	level, says := forecast(free, size, all, day)
	if level == OK {
		e.ok(check, "%s", says)
		return
	}
	e.note(level, check, "make room, or keep finished runs for a shorter time (--retention)", "%s", says)
}

// forecast says how long free space lasts, in bytes, beside a database of some size with
// that many runs in all and since yesterday.
func forecast(free, size, all, day int64) (Level, string) {
	each := int64(usualRun)
	if all > 1000 {
		each = max(1, size/all)
	}
	says := fmt.Sprintf("%.1f GB beside a database of %.1f GB: some %d more runs", gigabytes(free), gigabytes(size), free/each)
	days := int64(0)
	if day > 0 {
		days = free / each / day
		says += fmt.Sprintf(", %d days at the rate of the last one", days)
	}
	switch {
	case free < leastFree:
		return Fail, says
	case day > 0 && days < leastDays:
		return Warn, says
	}
	return OK, says
}

func gigabytes(n int64) float64 { return float64(n) / 1e9 }

// How late something may be while a server runs, and while none does or it starts nothing.
const (
	lateServing = time.Minute
	lateStopped = 100 * 365 * 24 * time.Hour
)

// invariants checks what must hold in the whole store. What is overdue is stuck.
func (e *examination) invariants(ctx context.Context) {
	const check = "runs"
	late := lateStopped
	if e.serving && !e.isHeld {
		late = lateServing
	}
	a, err := e.store.Audit(ctx, e.Now, late)
	if err != nil {
		e.note(Fail, check, "", "the store cannot be checked: %v", err)
		return
	}
	if len(a.Violations) == 0 {
		e.ok(check, "%d, of which %d are not finished; all that must hold does", a.Counts["run"], a.Counts["unfinished"])
	}
	for _, v := range a.Violations {
		if v.Passing {
			e.note(Warn, check, "wait until the runs above a limit that was lowered have ended", "%s: not so for %s", v.Rule, strings.Join(v.Examples, ", "))
			continue
		}
		e.note(Fail, check, "keep a backup and report this; `sear why RUN` tells more of one", "%s: not so for %d, such as %s", v.Rule, v.Count, strings.Join(v.Examples, ", "))
	}
}
