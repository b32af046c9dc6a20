package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// tryTime is how long a try may take: a node that was frozen answers nobody.
const tryTime = 3 * time.Second

// pollTime is that of a dequeue, which waits for work.
const pollTime = 12 * time.Second

// caller makes calls as the official clients do: to whichever node answers, again with
// the same request key until one does.
type caller struct {
	addrs []string
	key   string
	http  *http.Client
	stats *stats
}

// refusal is an answer that says no, which asking again would not change.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d: %.300s", r.status, r.body) }

// call is one request. Its body is sent as it is when it is text, and as JSON otherwise.
type call struct {
	method, path string
	body         any
	ndjson       bool
	patience     time.Duration // of a try; 0: tryTime
	timed        bool          // its latency counts
}

// post makes a call until it is answered, and decodes the answer into out unless that is nil.
func (c *caller) post(ctx context.Context, path string, body, out any) error {
	return c.do(ctx, call{method: http.MethodPost, path: path, body: body}, out)
}

func (c *caller) do(ctx context.Context, what call, out any) error {
	body, err := encode(what.body)
	if err != nil {
		return err
	}
	key, begin := rand.Text(), time.Now()
	at := mrand.IntN(len(c.addrs))
	for try := 0; ; try++ {
		answer, err := c.try(ctx, c.addrs[(at+try)%len(c.addrs)], key, what, body)
		if err == nil {
			c.stats.answered(what, begin)
			if out == nil {
				return nil
			}
			return json.Unmarshal(answer, out)
		}
		if r := (*refusal)(nil); errors.As(err, &r) && r.status < 500 || ctx.Err() != nil {
			return err
		}
		c.stats.repeat(what, err)
		if try%len(c.addrs) == len(c.addrs)-1 { // all were asked
			if err := pause(ctx, 20*time.Millisecond+mrand.N(60*time.Millisecond)); err != nil {
				return err
			}
		}
	}
}

func encode(body any) ([]byte, error) {
	switch b := body.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(b), nil
	}
	return json.Marshal(body)
}

func (c *caller) try(ctx context.Context, addr, key string, what call, body []byte) ([]byte, error) {
	limit := tryTime
	if what.patience > 0 {
		limit = what.patience
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, what.method, "http://"+addr+what.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("x-trigger-request-idempotency-key", key)
	if what.ndjson {
		req.Header.Set("Content-Type", "application/x-ndjson")
		req.Header.Del("x-trigger-request-idempotency-key") // the SDK sends none
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = &refusal{resp.StatusCode, string(answer)}
	}
	return answer, err
}

// stats is what clients see of the faults.
type stats struct {
	mu      sync.Mutex
	calls   int
	repeats map[string]int // tries that failed, by what failed
	errors  []string       // answers that the server is to blame for
	faults  []time.Time
	calm    []time.Duration // latencies of triggers, those tried again included
	rough   []time.Duration // of those that began within a second after a fault
}

// roughTime is how long after a fault latencies count as those of the fault.
const roughTime = time.Second

func (s *stats) answered(what call, begin time.Time) {
	took := time.Since(begin)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	switch {
	case !what.timed:
	case len(s.faults) > 0 && begin.Sub(s.faults[len(s.faults)-1]) < roughTime:
		s.rough = append(s.rough, took)
	default:
		s.calm = append(s.calm, took)
	}
}

// broken notes an answer that no fault excuses: a server that cannot do something for now says 503.
func (s *stats) broken(what call, r *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors = append(s.errors, fmt.Sprintf("%s %s was answered %v", what.method, what.path, r))
}

func (s *stats) repeat(what call, err error) {
	kind := "connection"
	if r := (*refusal)(nil); errors.As(err, &r) {
		kind = strconv.Itoa(r.status)
		if r.status != http.StatusServiceUnavailable {
			s.broken(what, r)
		}
	} else if errors.Is(err, context.DeadlineExceeded) {
		kind = "timeout"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeats[kind]++
}

func (s *stats) fault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, time.Now())
}
