package workerapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/sockio"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

// newSockets makes the server of the workers' sockets. Only who has the secret key of an
// environment reaches it. The environment with all its branches shares the connections with
// the others, and a key that ends takes its own along.
func (a *API) newSockets() *sockio.Server {
	s := sockio.New(sockio.Options{Log: a.log, Owner: func(r *http.Request) string { return environment(r).RootID() }, Watch: a.auth.Watch})
	s.Of("/dev-worker", sockio.Handlers{
		Connect: a.connect,
		On: map[string]sockio.EventHandler{
			"run:subscribe":   a.subscribe,
			"run:unsubscribe": a.unsubscribe,
		},
		Disconnect: func(k *sockio.Socket) { sessionOf(k).close() },
	})
	return s
}

// socket serves the connection of a worker that hears of its runs.
func (a *API) socket(w http.ResponseWriter, r *http.Request) error {
	a.sockets.ServeHTTP(w, r)
	return nil
}

// session is what one CLI wants to hear of. But for the goroutines that it starts,
// only the handlers of its socket touch it, which run one at a time.
type session struct {
	socket *sockio.Socket
	env    *tenant.Environment
	ctx    context.Context // ends with the session
	cancel context.CancelFunc
	runs   map[string]context.CancelFunc // by internal id: ends the subscription
	wg     sync.WaitGroup                // of the subscriptions
}

// connect admits whoever has reached the server of the sockets.
func (a *API) connect(k *sockio.Socket, _ json.RawMessage) error {
	s := &session{socket: k, env: auth.From(k.Context()).Env, runs: map[string]context.CancelFunc{}}
	s.ctx, s.cancel = context.WithCancel(k.Context())
	k.Data = s
	return nil
}

func sessionOf(k *sockio.Socket) *session { return k.Data.(*session) }

// close ends all subscriptions and waits for them.
func (s *session) close() {
	s.cancel()
	s.wg.Wait()
}

// maxSubscriptions bounds the runs of one socket: more than a CLI may hold.
//
//limit:workers Runs that one socket follows | runs | the event is refused: Too many runs
const maxSubscriptions = 20_000

// runList is the argument of both events.
type runList struct {
	Runs []string `json:"runFriendlyIds"`
}

// readRuns returns the internal ids of the runs that an event names. Those that are
// no ids cannot be anybody's runs.
func readRuns(args []json.RawMessage) ([]string, error) {
	var list runList
	if len(args) == 0 || json.Unmarshal(args[0], &list) != nil {
		return nil, fault.New(fault.Malformed, "The event must name runs")
	}
	return runIDs(list.Runs), nil
}

// subscribe lets the CLI hear of changes to runs that it holds. The event names all
// of them each time. Those that the key does not reach are left out without a word.
func (a *API) subscribe(k *sockio.Socket, args []json.RawMessage) ([]any, error) {
	ids, err := readRuns(args)
	if err != nil {
		return nil, err
	}
	s := sessionOf(k)
	fresh := map[string]*sqldb.Watch{} // made before the runs are read, so that no change falls in between
	for _, runID := range ids {
		if s.runs[runID] == nil && fresh[runID] == nil {
			fresh[runID] = a.store.Watch(engine.TopicRun, runID)
		}
	}
	defer func() {
		for _, unused := range fresh {
			unused.Close()
		}
	}()
	if len(s.runs)+len(fresh) > maxSubscriptions {
		return nil, fault.New(fault.Limit, "Too many runs")
	}
	list, err := a.held(s.ctx, s.env, slices.Collect(maps.Keys(fresh)))
	if err != nil {
		return nil, err
	}
	for _, h := range list {
		s.follow(h.run.ID, fresh[h.run.ID])
		delete(fresh, h.run.ID)
		if h.run.Exec != run.PendingExecuting { // begun before its connection was lost: something may have happened
			s.notify(h.run.ID)
		}
	}
	return nil, nil
}

// unsubscribe ends subscriptions. The CLI may send it twice.
func (a *API) unsubscribe(k *sockio.Socket, args []json.RawMessage) ([]any, error) {
	ids, err := readRuns(args)
	if err != nil {
		return nil, err
	}
	s := sessionOf(k)
	for _, runID := range ids {
		if stop := s.runs[runID]; stop != nil {
			stop()
			delete(s.runs, runID)
		}
	}
	return nil, nil
}

// noticePause is the least time between two notices of one run. The CLI does not
// hear a notice that comes while it deals with the one before, and would only find
// out seconds later: a wait that is over as soon as it begins is two changes at once.
const noticePause = 100 * time.Millisecond

// follow tells the CLI of each change to a run until it unsubscribes.
func (s *session) follow(runID string, watch *sqldb.Watch) {
	ctx, stop := context.WithCancel(s.ctx)
	s.runs[runID] = stop
	s.wg.Go(func() {
		defer watch.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-watch.C():
				if ctx.Err() != nil { // both may be ready, and then chance decides
					return
				}
				s.notify(runID)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(noticePause):
			}
		}
	})
}

// notify asks the CLI to fetch the newest snapshot of a run. A connection that is
// closing needs nothing.
func (s *session) notify(runID string) {
	type subject struct {
		Friendly string `json:"friendlyId"`
	}
	_ = s.socket.Emit("run:notify", struct {
		Version string  `json:"version"`
		Run     subject `json:"run"`
	}{protocolVersion, subject{id.Friendly(id.Run, runID)}})
}
