package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sear/internal/run"
	"sear/internal/store"
)

// verdict is what the comparison of the ledger with the store found, by kind.
type verdict struct {
	runs, attempts int
	minutes        int // at which each schedule had to fire
	counts         map[string]int
	examples       []string
}

// The kinds of findings.
const (
	lost    = "lost"
	doubled = "doubled"
	over    = "over limit"
	stuck   = "stuck"
	wrong   = "wrong"
)

var findingKinds = []string{lost, doubled, over, stuck, wrong}

// maxExamples bounds what is printed of the findings.
const maxExamples = 15

func (v *verdict) find(kind, format string, args ...any) {
	v.counts[kind]++
	if len(v.examples) < maxExamples {
		v.examples = append(v.examples, kind+": "+fmt.Sprintf(format, args...))
	}
}

func (v *verdict) clean() bool { return len(v.counts) == 0 }

func (v *verdict) String() string {
	parts := make([]string, len(findingKinds))
	for i, kind := range findingKinds {
		parts[i] = fmt.Sprintf("%s %d", kind, v.counts[kind])
	}
	return strings.Join(parts, " · ")
}

// row is a run as the store has it.
type row struct {
	id, task, status, exec string
	payload                payload
	output                 string
	attempt                int
}

// readRuns reads all runs of a store.
func readRuns(tx *store.Tx) ([]row, error) {
	rows, err := tx.Query(`SELECT id, task, status, exec, attempt, coalesce(payload, (SELECT data FROM packet WHERE run_id = run.id)), output FROM run ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		var r row
		var text, output []byte
		if err := rows.Scan(&r.id, &r.task, &r.status, &r.exec, &r.attempt, &text, &output); err != nil {
			return nil, err
		}
		r.id, r.output = "run_"+r.id, string(output)
		if r.payload, err = parsePayload(string(text)); err != nil {
			return nil, fmt.Errorf("payload of %s, %.100q: %w", r.id, text, err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// open counts the runs that are not finished, and what commits left to do after them.
func open(tx *store.Tx) (n int, err error) {
	err = tx.QueryRow(`SELECT (SELECT count(*) FROM run WHERE exec <> $1) + (SELECT count(*) FROM wake)`, string(run.Finished)).Scan(&n)
	return n, err
}

// judge compares what clients and workers know with what the store holds, once all is done.
func judge(ctx context.Context, st *store.Store, l *ledger, scheduled []string, from, to time.Time) (*verdict, error) {
	v := &verdict{counts: map[string]int{}}
	var list []row
	if err := st.View(ctx, func(tx *store.Tx) (err error) { list, err = readRuns(tx); return err }); err != nil {
		return nil, err
	}
	byName, byID := map[string][]row{}, map[string]row{}
	for _, r := range list {
		v.attempts += r.attempt
		byName[r.payload.Name] = append(byName[r.payload.Name], r)
		byID[r.id] = r
	}
	v.runs = len(list)
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, id := range l.accepted {
		if !slices.ContainsFunc(byName[name], func(r row) bool { return id == "" || r.id == id }) {
			v.find(lost, "%s was acknowledged as %q", name, id)
		}
	}
	fires := map[fire][]string{}
	for _, r := range list {
		switch {
		case r.task == taskCron:
			f := fire{r.payload.Schedule, r.payload.Timestamp}
			fires[f] = append(fires[f], r.id)
		case !l.tried[r.payload.Name]:
			v.find(wrong, "%s is named %q, which nobody triggered", r.id, r.payload.Name)
		case len(byName[r.payload.Name]) > 1 && r.id != byName[r.payload.Name][0].id:
			v.find(doubled, "%s is %s and %s", r.payload.Name, byName[r.payload.Name][0].id, r.id)
		}
		v.checkEnd(l, r, byID)
	}
	v.checkFires(fires, scheduled, from, to)
	for f, ids := range l.fires {
		for id := range ids {
			if !slices.Contains(fires[f], id) {
				v.find(wrong, "%s was executed for schedule %s at %s, and is not that occurrence's", id, f.schedule, f.at)
			}
		}
	}
	v.checkLimits(l)
	for _, text := range l.findings {
		kind, rest, _ := strings.Cut(text, ": ")
		v.find(kind, "%s", rest)
	}
	return v, nil
}

// checkEnd checks the end of a run.
func (v *verdict) checkEnd(l *ledger, r row, byID map[string]row) {
	want := run.StatusCompleted
	switch {
	case r.exec != string(run.Finished):
		v.find(stuck, "%s (%s) is %s, %s", r.id, r.task, r.status, r.exec)
		return
	case r.task == taskBroken:
		want = run.StatusFailed
	case l.canceled[r.payload.Name]:
		want = run.StatusCanceled
	}
	var told int
	for _, finished := range l.reports[r.id] {
		if finished {
			told++
		}
	}
	if told > 1 {
		v.find(doubled, "%d different completions of %s were accepted", told, r.id)
	}
	if r.status != string(want) {
		v.find(wrong, "%s (%s) is %s after %d attempts, not %s", r.id, r.task, r.status, r.attempt, want)
		return
	}
	if want != run.StatusCompleted {
		return
	}
	finished, said := l.reports[r.id][r.output]
	if !said || told > 0 && !finished {
		v.find(wrong, "%s (%s) has an output that was not the one accepted: %.200q", r.id, r.task, r.output)
		return
	}
	var out result
	if err := json.Unmarshal([]byte(r.output), &out); err != nil || out.Name != r.payload.Name {
		v.find(wrong, "%s (%s) has the output %.200q", r.id, r.task, r.output)
	}
	v.checkSeen(l, r, out.Saw, byID)
}

// checkSeen checks that a run saw the output of all that it waited for, and of nothing else.
func (v *verdict) checkSeen(l *ledger, r row, seen map[string]string, byID map[string]row) {
	if len(seen) != results[r.task] {
		v.find(wrong, "%s (%s) waited for %d and saw %d results", r.id, r.task, results[r.task], len(seen))
	}
	for name, saw := range seen {
		truth, known := l.tokens[name]
		own := name == r.payload.Token
		if child, isRun := byID[name]; isRun {
			truth, known = child.output, true
			own = strings.HasPrefix(child.payload.Name, r.payload.Name+"/")
		}
		if !known || !own || saw != truth {
			v.find(wrong, "%s (%s) saw %.100q of %s", r.id, r.task, saw, name)
		}
	}
}

// fireTime is how long after its time a schedule has fired at the latest, also when all
// nodes were killed just then.
const fireTime = 10 * time.Second

// checkFires checks that each schedule fired each minute once.
func (v *verdict) checkFires(fires map[fire][]string, scheduled []string, from, to time.Time) {
	for f, ids := range fires {
		if len(ids) > 1 {
			v.find(doubled, "schedule %s fired at %s as %s", f.schedule, f.at, strings.Join(ids, ", "))
		}
	}
	for at := from.Truncate(time.Minute).Add(time.Minute); at.Before(to.Add(-fireTime)); at = at.Add(time.Minute) {
		v.minutes++
		for _, id := range scheduled {
			if f := (fire{id, at.UTC().Format("2006-01-02T15:04:05.000Z")}); len(fires[f]) == 0 {
				v.find(lost, "schedule %s did not fire at %s", f.schedule, f.at)
			}
		}
	}
	if v.minutes == 0 {
		v.find(wrong, "no schedule had to fire between %v and %v: the trial was too short to say anything of schedules", from, to)
	}
}

// checkLimits checks how many runs workers executed at once.
func (v *verdict) checkLimits(l *ledger) {
	for lane, most := range l.most {
		limit := envLimit
		switch task, _, _ := strings.Cut(lane, ":"); task {
		case taskNarrow:
			limit = narrowLimit
		case taskKeyed:
			limit = keyedLimit
		}
		if most > limit {
			v.find(over, "%d runs of %q executed at once, at most %d may", most, lane, limit)
		}
	}
}
