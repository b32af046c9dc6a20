package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sear/internal/failure"
	"sear/internal/fault"
	"sear/internal/run"
	"sear/internal/sqldb"
)

// errNoError says that an environment has no group of that id.
var errNoError = fault.New(fault.NotFound, "Error not found")

// errorID is the id of a group: whoever sees a failure knows where to count it.
func errorID(envID, fingerprint string) string {
	sum := sha256.Sum256([]byte(envID + "\x00" + fingerprint))
	return hex.EncodeToString(sum[:8])
}

// SeeFailures counts runs that have ended as failures in their groups. Of two
// transactions that see the first of a cause, one gets a unique violation.
func (tx *Tx) SeeFailures(runs []run.Run) error {
	if len(runs) == 0 {
		return nil
	}
	seen := map[string]failure.Group{} // before these runs
	of := make([]string, len(runs))
	members := make([]any, 0, 4*len(runs))
	for i, r := range runs {
		c := failure.CauseOf(r)
		of[i] = errorID(r.EnvID, c.Fingerprint)
		seen[of[i]] = failure.Group{Cause: c, ID: of[i], EnvID: r.EnvID}
		members = append(members, of[i], r.ID, r.CompletedAt.UnixMicro(), r.Version)
	}
	ids := slices.Sorted(maps.Keys(seen)) // the order in which they are locked
	known, err := tx.errorGroups(`SELECT spec FROM error_group WHERE id {{in $1}} ORDER BY id {{lock}}`, sqldb.List(ids))
	if err != nil {
		return err
	}
	for _, g := range known {
		seen[g.ID] = g
	}
	for i, r := range runs {
		seen[of[i]] = seen[of[i]].See(1, r.Version, r.CompletedAt)
	}
	for _, groupID := range ids {
		isNew := !slices.ContainsFunc(known, func(g failure.Group) bool { return g.ID == groupID })
		if err := tx.saveErrorGroup(seen[groupID], isNew); err != nil {
			return err
		}
	}
	_, err = tx.InsertRows(`INSERT INTO error_run (error_id, run_id, at, version) VALUES {{values}}`, 4, members)
	return err
}

func (tx *Tx) saveErrorGroup(g failure.Group, isNew bool) error {
	spec, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if isNew {
		_, err = tx.Exec(`INSERT INTO error_group (id, env_id, task, status, ignored_until, last_seen, words, spec)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, g.ID, g.EnvID, g.Task, string(g.Status), micros(g.Ignore.Until),
			g.LastSeen.UnixMicro(), strings.ToLower(g.Type+" "+g.Message), string(spec))
		return err
	}
	_, err = tx.Exec(`UPDATE error_group SET status = $1, ignored_until = $2, last_seen = $3, spec = $4 WHERE id = $5`,
		string(g.Status), micros(g.Ignore.Until), g.LastSeen.UnixMicro(), string(spec), g.ID)
	return err
}

// SaveError writes what people have said of a group that LockError has read.
func (tx *Tx) SaveError(g failure.Group) error { return tx.saveErrorGroup(g, false) }

func (tx *Tx) errorGroups(query string, args ...any) ([]failure.Group, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []failure.Group
	for rows.Next() {
		var g failure.Group
		if err := rows.Scan(jsonInto(&g)); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

// Error reads a group of an environment, fault.NotFound when it has none of that id.
func (tx *Tx) Error(envID, errorID string) (failure.Group, error) {
	return tx.oneError(`SELECT spec FROM error_group WHERE id = $1 AND env_id = $2`, errorID, envID)
}

// LockError is Error for update.
func (tx *Tx) LockError(envID, errorID string) (failure.Group, error) {
	return tx.oneError(`SELECT spec FROM error_group WHERE id = $1 AND env_id = $2 {{lock}}`, errorID, envID)
}

func (tx *Tx) oneError(query string, args ...any) (failure.Group, error) {
	var g failure.Group
	err := tx.QueryRow(query, args...).Scan(jsonInto(&g))
	if errors.Is(err, sqldb.ErrNoRows) {
		return g, errNoError
	}
	return g, err
}

// ErrorFilter selects groups of an environment. A zero field selects all; of the
// values in a field a group must have one.
type ErrorFilter struct {
	EnvID    string
	Statuses []failure.Status
	Tasks    []string
	Versions []string
	Search   string
	Seen     Created // some run of the group failed in this time, and only these are counted
	Now      time.Time
}

// errorPlace is the place of a group in the list of all: when it was seen last, and its id.
// A cursor that is a place stays where it is when the group fails again.
type errorPlace struct {
	seen int64 // microseconds
	id   string
}

// readErrorPlace reads a place as ListErrors writes it.
func readErrorPlace(cursor string) (p errorPlace, ok bool) {
	seen, groupID, ok := strings.Cut(cursor, ".")
	us, err := strconv.ParseInt(seen, 10, 64)
	_, badID := hex.DecodeString(groupID)
	return errorPlace{us, groupID}, ok && err == nil && badID == nil
}

// ValidErrorCursor reports whether a cursor may be one of ListErrors.
func ValidErrorCursor(cursor string) bool {
	_, ok := readErrorPlace(cursor)
	return ok
}

// ListErrors reads a page of the groups that a filter selects, those seen last first. The
// cursors of the page are those of earlier lists.
func (tx *Tx) ListErrors(f ErrorFilter, p Page) (List[failure.Group], error) {
	q := &pick{}
	q.is("g.env_id", f.EnvID)
	q.in("g.task", f.Tasks)
	q.any(f.states(q))
	if f.Search != "" {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(f.Search)) + "%"
		q.where = append(q.where, `g.words LIKE `+q.arg(pattern)+` ESCAPE '\'`)
	}
	if f.Versions != nil {
		q.where = append(q.where, `EXISTS (SELECT 1 FROM error_run WHERE error_id = g.id AND version {{in `+q.arg(sqldb.List(f.Versions))+`}})`)
	}
	within := f.within(q)
	if within != "" {
		q.where = append(q.where, `EXISTS (SELECT 1 FROM error_run WHERE error_id = g.id`+within+`)`)
	}
	operator, order, cursor := " < ", " DESC", p.After
	if p.Before != "" {
		operator, order, cursor = " > ", " ASC", p.Before
	}
	if at, ok := readErrorPlace(cursor); ok {
		q.where = append(q.where, `(g.last_seen, g.id)`+operator+`(`+q.arg(at.seen)+`, `+q.arg(at.id)+`)`)
	}
	places, err := tx.texts(`SELECT g.last_seen || '.' || g.id FROM error_group g WHERE `+strings.Join(q.where, " AND ")+
		` ORDER BY g.last_seen`+order+`, g.id`+order+` LIMIT `+q.arg(p.Size+1), q.args...)
	if err != nil {
		return List[failure.Group]{}, err
	}
	page := p.cut(places)
	out := List[failure.Group]{Next: page.Next, Previous: page.Previous}
	for _, place := range page.Items {
		at, _ := readErrorPlace(place)
		g, err := tx.Error(f.EnvID, at.id)
		if err == nil && within != "" {
			g.Count, err = tx.countFailures(at.id, f)
		}
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, g)
	}
	return out, nil
}

// states are the conditions for the statuses: an ignoring whose time is up is none.
func (f ErrorFilter) states(q *pick) (conditions []string) {
	for _, s := range f.Statuses {
		switch s {
		case failure.Ignored:
			conditions = append(conditions, `g.status = 'ignored' AND (g.ignored_until IS NULL OR g.ignored_until > `+q.arg(f.Now.UnixMicro())+`)`)
		case failure.Unresolved:
			conditions = append(conditions, `g.status = 'unresolved' OR g.status = 'ignored' AND g.ignored_until <= `+q.arg(f.Now.UnixMicro()))
		default:
			conditions = append(conditions, `g.status = `+q.arg(string(s)))
		}
	}
	return conditions
}

// within is the condition for a run to have failed in the time of the filter, "" for any.
func (f ErrorFilter) within(q *pick) (condition string) {
	if !f.Seen.From.IsZero() {
		condition += ` AND at >= ` + q.arg(f.Seen.From.UnixMicro())
	}
	if !f.Seen.To.IsZero() {
		condition += ` AND at < ` + q.arg(f.Seen.To.Add(time.Millisecond).UnixMicro())
	}
	return condition
}

func (tx *Tx) countFailures(groupID string, f ErrorFilter) (n int64, err error) {
	q := &pick{}
	q.is("error_id", groupID)
	condition := f.within(q)
	err = tx.QueryRow(`SELECT count(*) FROM error_run WHERE `+q.where[0]+condition, q.args...).Scan(&n)
	return n, err
}
