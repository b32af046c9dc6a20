// Package limit holds token buckets, how often somebody may do something, and shares, how much
// of something somebody may hold. It reads no clock and knows no requests.
package limit

import (
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rate is how fast a bucket fills, and how much it holds. The zero Rate does not limit.
type Rate struct {
	N     int           // tokens that flow in
	Per   time.Duration // in this time, evenly
	Burst int           // tokens the bucket holds; it begins full
}

// ParseRate reads N/DURATION or N/DURATION:BURST, such as 250/10s:750, or off. The burst
// is N when it is not given.
func ParseRate(text string) (Rate, error) {
	if text == "off" {
		return Rate{}, nil
	}
	rate, burst, hasBurst := strings.Cut(text, ":")
	number, per, ok := strings.Cut(rate, "/")
	if !hasBurst {
		burst = number
	}
	var r Rate
	var errs [3]error
	r.N, errs[0] = strconv.Atoi(number)
	r.Per, errs[1] = time.ParseDuration(per)
	r.Burst, errs[2] = strconv.Atoi(burst)
	if !ok || errs != [3]error{} || !r.valid() {
		return Rate{}, fmt.Errorf("%q is not a rate such as 250/10s:750, nor off", text)
	}
	return r, nil
}

// MustRate is ParseRate for what stands in the code. It panics when that is no rate.
func MustRate(text string) Rate {
	r, err := ParseRate(text)
	if err != nil {
		panic(err)
	}
	return r
}

// maxTokens bounds what a rate may name, so that no arithmetic overflows.
//
//limit:inside no rate that a flag gives is near it, and a larger one is no rate
const maxTokens = 1_000_000_000

// maxFill is the longest that an empty bucket may take to be full.
//
//limit:inside likewise
const maxFill = 365 * 24 * time.Hour

func (r Rate) valid() bool {
	within := func(n int) bool { return n > 0 && n <= maxTokens }
	return within(r.N) && within(r.Burst) && r.Per > 0 && r.Per <= 24*time.Hour && float64(r.Burst)*r.perToken() < float64(maxFill)
}

// String is the form that ParseRate reads.
func (r Rate) String() string {
	if r == (Rate{}) {
		return "off"
	}
	return fmt.Sprintf("%d/%s:%d", r.N, r.Per, r.Burst)
}

// MarshalText is String, for flags.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRate, for flags.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// perToken is how long a token takes to flow in, in nanoseconds.
func (r Rate) perToken() float64 { return float64(r.Per) / float64(r.N) }

// Buckets is one bucket for each key. It is safe for concurrent use.
type Buckets struct {
	rate   Rate
	seed   maphash.Seed
	shards [shards]shard
}

// shards is how many locks the buckets share.
const shards = 64

// shard holds buckets.
type shard struct {
	mu      sync.Mutex
	buckets map[string]bucket
	room    int // how many buckets it holds before it looks for full ones, which need not be kept
}

// bucket is how many tokens were missing from a full one at a moment. It counts tokens
// and no time, because a third of a second is no number of nanoseconds.
type bucket struct {
	missing float64
	at      time.Time
}

// grain is the part of a token that is rounding and no token.
const grain = 1e-6

// minRoom is the least room of a shard.
const minRoom = 128

// NewBuckets makes buckets of a rate; with the zero Rate they never run dry.
func NewBuckets(r Rate) *Buckets {
	b := &Buckets{rate: r, seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i] = shard{buckets: map[string]bucket{}, room: minRoom}
	}
	return b
}

// Limited reports whether the buckets can run dry at all.
func (b *Buckets) Limited() bool { return b.rate != Rate{} }

// State is what a bucket holds after somebody took from it, or could not.
type State struct {
	OK               bool
	Limit, Remaining int
	Reset            time.Time // when it is full again or, after a refusal, holds what was asked for
}

// Take takes n tokens from the bucket of a key, all or none. More than it can hold are
// as many as it can hold.
func (b *Buckets) Take(key string, n int, now time.Time) State {
	if !b.Limited() {
		return State{OK: true}
	}
	n = min(n, b.rate.Burst)
	s := &b.shards[maphash.String(b.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := b.missing(s.buckets[key], now)
	left := float64(b.rate.Burst) - missing
	if short := float64(n) - left; short > grain {
		return State{Limit: b.rate.Burst, Remaining: whole(left), Reset: now.Add(b.inflow(short))}
	}
	missing += float64(n)
	s.buckets[key] = bucket{missing, now}
	if len(s.buckets) > s.room {
		b.forget(s, now)
	}
	return State{OK: true, Limit: b.rate.Burst, Remaining: whole(left - float64(n)), Reset: now.Add(b.inflow(missing))}
}

// missing is how many tokens a bucket lacks now.
func (b *Buckets) missing(was bucket, now time.Time) float64 {
	return max(0, was.missing-float64(now.Sub(was.at))/b.rate.perToken())
}

// inflow is how long tokens take to flow in.
func (b *Buckets) inflow(tokens float64) time.Duration {
	return time.Duration(math.Ceil(tokens * b.rate.perToken()))
}

// whole is how many tokens can be taken of so many.
func whole(tokens float64) int { return max(0, int(tokens+grain)) }

// forget drops the buckets that have become full. The work is shared among as many calls
// as there are buckets left.
func (b *Buckets) forget(s *shard, now time.Time) {
	for key, was := range s.buckets {
		if b.missing(was, now) == 0 {
			delete(s.buckets, key)
		}
	}
	s.room = max(minRoom, 2*len(s.buckets))
}
