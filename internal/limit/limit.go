// Package limit holds token buckets: how often somebody may do something. It reads no
// clock and knows no requests.
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

// maxTokens bounds what a rate may name, so that no arithmetic overflows.
const maxTokens = 1_000_000_000

// maxFill is the longest that an empty bucket may take to be full.
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

// shard holds buckets. All that is known of one is when it will be, or was, full: what
// it holds follows from how far that lies ahead.
type shard struct {
	mu   sync.Mutex
	full map[string]time.Time
	room int // how many buckets it holds before it looks for full ones, which need not be kept
}

// minRoom is the least room of a shard.
const minRoom = 128

// NewBuckets makes buckets of a rate; with the zero Rate they never run dry.
func NewBuckets(r Rate) *Buckets {
	b := &Buckets{rate: r, seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i] = shard{full: map[string]time.Time{}, room: minRoom}
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
	full := s.full[key]
	if full.Before(now) {
		full = now
	}
	per := b.rate.perToken()
	missing := float64(full.Sub(now)) / per // tokens until full
	left := float64(b.rate.Burst) - missing
	if left < float64(n) {
		wait := math.Ceil((float64(n) - left) * per)
		return State{Limit: b.rate.Burst, Remaining: int(left), Reset: now.Add(time.Duration(wait))}
	}
	full = full.Add(time.Duration(math.Ceil(float64(n) * per)))
	s.put(key, full, now)
	return State{OK: true, Limit: b.rate.Burst, Remaining: int(left - float64(n)), Reset: full}
}

// put remembers a bucket. When there are many, those that have become full are
// forgotten: the work is shared among as many calls as there are buckets left.
func (s *shard) put(key string, full, now time.Time) {
	s.full[key] = full
	if len(s.full) <= s.room {
		return
	}
	for k, at := range s.full {
		if !at.After(now) {
			delete(s.full, k)
		}
	}
	s.room = max(minRoom, 2*len(s.full))
}
