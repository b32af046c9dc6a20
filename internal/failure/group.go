package failure

import (
	"slices"
	"time"

	"sear/internal/deploy"
)

// Status is what people have said of a group.
type Status string

// The statuses. A group begins unresolved.
const (
	Unresolved Status = "unresolved"
	Resolved   Status = "resolved"
	Ignored    Status = "ignored"
)

// Statuses lists them.
var Statuses = []Status{Unresolved, Resolved, Ignored}

// Group is the failures of one cause in an environment.
type Group struct {
	Cause
	ID, EnvID           string
	Count               int64
	FirstSeen, LastSeen time.Time
	Versions            []string // that it was seen in, the newest sight first, up to maxVersions
	Status              Status

	ResolvedAt time.Time
	ResolvedIn string // the version it is mended in, when that was said

	IgnoredAt time.Time
	Ignore    Ignore
	MinuteAt  time.Time // the minute that InMinute counts in, while a rate bounds the ignoring
	InMinute  int64
	IgnoredN  int64 // Count when it was ignored
}

// Ignore says for how long a group is ignored. The zero Ignore is for ever.
type Ignore struct {
	Until  time.Time // zero: no end
	Rate   float64   // until it is seen more often than this in a minute; 0: however often
	Total  int64     // until it was seen this often again; 0: however often
	Reason string
}

// maxVersions is how many versions a group remembers.
//
//limit:inside the newest versions that a group of errors is shown with
const maxVersions = 5

// See counts n failures, the latest at an instant in a worker version, "" for none. A
// resolved group is open again, unless an older version than the mended one failed; so
// is an ignored one whose bound is passed.
func (g Group) See(n int64, version string, at time.Time) Group {
	if g.Count == 0 {
		g.Status, g.FirstSeen = Unresolved, at
	}
	g.Count += n
	if at.After(g.LastSeen) {
		g.LastSeen = at
	}
	if version != "" {
		g.Versions = slices.DeleteFunc(slices.Clone(g.Versions), func(v string) bool { return v == version })
		g.Versions = slices.Insert(g.Versions, 0, version)
		g.Versions = g.Versions[:min(len(g.Versions), maxVersions)]
	}
	if minute := at.Truncate(time.Minute); minute.After(g.MinuteAt) {
		g.MinuteAt, g.InMinute = minute, 0
	}
	g.InMinute += n
	switch g.Status {
	case Resolved:
		known := g.ResolvedIn != "" && version != "" && deploy.CompareVersions(version, g.ResolvedIn) < 0
		if !known {
			g = g.Unresolve()
		}
	case Ignored:
		if g.resurfaces(at) {
			g = g.Unresolve()
		}
	}
	return g
}

// resurfaces reports whether a bound of the ignoring is passed.
func (g Group) resurfaces(at time.Time) bool {
	i := g.Ignore
	return !i.Until.IsZero() && !at.Before(i.Until) ||
		i.Rate > 0 && float64(g.InMinute) > i.Rate ||
		i.Total > 0 && g.Count-g.IgnoredN >= i.Total
}

// Resolve says that the cause is mended, in a version or, with "", in whichever comes next.
func (g Group) Resolve(version string, at time.Time) Group {
	g = g.Unresolve()
	g.Status, g.ResolvedAt, g.ResolvedIn = Resolved, at, version
	return g
}

// SetIgnored says that the cause is not to bother anybody for now.
func (g Group) SetIgnored(i Ignore, at time.Time) Group {
	g = g.Unresolve()
	g.Status, g.IgnoredAt, g.Ignore, g.IgnoredN = Ignored, at, i, g.Count
	g.MinuteAt, g.InMinute = at.Truncate(time.Minute), 0
	return g
}

// Unresolve takes back what was said.
func (g Group) Unresolve() Group {
	g.Status, g.ResolvedAt, g.ResolvedIn = Unresolved, time.Time{}, ""
	g.IgnoredAt, g.Ignore, g.IgnoredN = time.Time{}, Ignore{}, 0
	return g
}

// At is the group as it is at an instant: time alone ends an ignoring.
func (g Group) At(now time.Time) Group {
	if g.Status == Ignored && !g.Ignore.Until.IsZero() && !now.Before(g.Ignore.Until) {
		return g.Unresolve()
	}
	return g
}
