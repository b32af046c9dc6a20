package api

import (
	"net/http"
	"strconv"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/limit"
	"sear/internal/rest"
	"sear/internal/tenant"
)

// Limits is how often callers may call. Each node counts for itself. The zero Limits
// does not limit.
type Limits struct {
	Key    limit.Rate // requests with the keys of one environment, or with one personal access token
	Public limit.Rate // requests with one public token
	Items  limit.Rate // items of the batches that an environment creates
}

// The rates of DefaultLimits, as the flags have them.
const (
	//limit:rates Requests with the keys of one environment, or with one personal access token, on each node (`--rate-limit`) | requests per time, and at once | 429 Rate limit exceeded …, with `x-ratelimit-reset`
	defaultKeyRate = "100000/10s:200000"
	//limit:rates Requests with one public token, on each node (`--public-rate-limit`) | requests per time, and at once | 429 Rate limit exceeded …, with `x-ratelimit-reset`
	defaultPublicRate = "600/1m:600"
	//limit:rates Items of the batches of one environment, counted when a batch is created and when its items are sent again, on each node (`--batch-rate-limit`) | items per time, and at once | 429 Batch rate limit exceeded. Limit resets at …
	defaultItemRate = "1000000/10s:2000000"
)

// DefaultLimits stop a loop that has gone wild and nothing else: they are far above
// upstream's, which guard a service that strangers share.
var DefaultLimits = Limits{
	Key:    limit.MustRate(defaultKeyRate),
	Public: limit.MustRate(defaultPublicRate),
	Items:  limit.MustRate(defaultItemRate),
}

// limiters are the buckets of Limits.
type limiters struct{ key, public, items *limit.Buckets }

func newLimiters(l Limits) limiters {
	return limiters{limit.NewBuckets(l.Key), limit.NewBuckets(l.Public), limit.NewBuckets(l.Items)}
}

// bucket is what a caller takes a token from, and the key of it. It comes from what was
// verified and from nothing that a request says beside that.
func (l limiters) bucket(p tenant.Principal) (*limit.Buckets, string) {
	switch p.Kind {
	case tenant.KindPublic:
		return l.public, p.Credential
	case tenant.KindPAT:
		return l.key, p.UserID
	}
	return l.key, p.Env.ID
}

// limited takes a token for each request, and answers it when there is none. What is
// left is in the headers either way.
func (a *API) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buckets, key := a.limits.bucket(auth.From(r.Context()))
		if !buckets.Limited() {
			next.ServeHTTP(w, r)
			return
		}
		now := time.Now()
		state := buckets.Take(key, 1, now)
		tellLimit(w.Header(), state)
		if !state.OK {
			rest.WriteError(w, r, a.log, errLimited(state, now))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tellLimit sets the headers that say what is left. The official clients read the
// reset in milliseconds.
func tellLimit(h http.Header, s limit.State) {
	h.Set("X-Ratelimit-Limit", strconv.Itoa(s.Limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(s.Remaining))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(millisUp(s.Reset), 10))
}

// millisUp is an instant in milliseconds, rounded up: who comes back then is served.
func millisUp(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// secondsUp is how long there is until t, in whole seconds rounded up.
func secondsUp(t, now time.Time) int64 { return int64((t.Sub(now) + time.Second - 1) / time.Second) }

// errLimited is the answer to a request too many: an RFC 9457 problem with upstream's members.
func errLimited(s limit.State, now time.Time) error {
	seconds := secondsUp(s.Reset, now)
	err := error(fault.Newf(fault.Limit, "Rate limit exceeded %d/%d requests remaining. Retry in %d seconds.", s.Remaining, s.Limit, seconds))
	for name, value := range map[string]any{
		"title": "Rate Limit Exceeded", "status": http.StatusTooManyRequests,
		"type":   "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/429",
		"detail": err.Error(), "reset": millisUp(s.Reset), "limit": s.Limit, "remaining": s.Remaining, "secondsUntilReset": seconds,
	} {
		err = rest.WithField(err, name, value)
	}
	return rest.WithHeader(err, "Content-Type", "application/problem+json")
}

// takeItems takes tokens for the items of a batch that is about to be created, or whose items
// are sent again.
func (a *API) takeItems(w http.ResponseWriter, env *tenant.Environment, n int) error {
	if !a.limits.items.Limited() {
		return nil
	}
	now := time.Now()
	s := a.limits.items.Take(env.ID, n, now)
	if s.OK {
		return nil
	}
	tellLimit(w.Header(), s)
	err := fault.Newf(fault.Limit, "Batch rate limit exceeded. Limit resets at %s", s.Reset.UTC().Format("2006-01-02T15:04:05.000Z"))
	return rest.WithHeader(err, "Retry-After", strconv.FormatInt(secondsUp(s.Reset, now), 10))
}
