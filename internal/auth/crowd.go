package auth

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"sear/internal/fault"
	"sear/internal/limit"
	"sear/internal/rest"
)

// anonymousRate is how often one client may ask for what costs the server something before it
// knows who asks: to begin and finish logins, and to sign in.
var anonymousRate = limit.MustRate(clientRate)

//limit:rates Requests of one address that begin or finish a login or sign in, on each node | requests per time, and at once | 429 Too many requests from your address. Try again in …
const clientRate = "10/1s:100"

// Admit counts a request of a client that is not known yet, by its address. When that has sent
// too many it is a fault.Limit that says when to try again; other addresses notice nothing.
func (a *Auth) Admit(r *http.Request) error {
	now := time.Now()
	s := a.anonymous.Take(rest.ClientNetwork(r), 1, now)
	if s.OK {
		return nil
	}
	return tooMany("Too many requests from your address", s.Reset.Sub(now))
}

// tooMany is the refusal of what may be tried again after a while.
func tooMany(what string, after time.Duration) error {
	after = (after + time.Second - 1).Truncate(time.Second)
	return rest.WithHeader(fault.Newf(fault.Limit, "%s. Try again in %s.", what, after), "Retry-After", strconv.Itoa(int(after.Seconds())))
}

// maxWaiting is how many comparisons of a password may wait for their turn.
//
//limit:access Sign-ins with a password that wait for their turn, beside those that are checked | sign-ins | 429 Too many sign-ins at once. Try again in 1s.
const maxWaiting = 8

// comparisons is who compares passwords: each keeps a core busy, and anybody may send one. So
// they take half of the cores at most, and one client has one at a time.
type comparisons struct {
	slots chan struct{} // taken while a password is compared
	mu    sync.Mutex
	by    map[string]bool // the clients whose password is compared, or waits for it
}

func newComparisons() *comparisons {
	return &comparisons{slots: make(chan struct{}, max(1, runtime.NumCPU()/2)), by: map[string]bool{}}
}

// begin waits for the client's turn. end must be called after the comparison. It is a
// fault.Limit at once when the client has another one, or too many wait.
func (c *comparisons) begin(ctx context.Context, client string) (end func(), err error) {
	c.mu.Lock()
	refuse := c.by[client] || len(c.by) >= cap(c.slots)+maxWaiting
	if !refuse {
		c.by[client] = true
	}
	c.mu.Unlock()
	if refuse {
		return nil, tooMany("Too many sign-ins at once", time.Second)
	}
	leave := func() {
		c.mu.Lock()
		delete(c.by, client)
		c.mu.Unlock()
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
