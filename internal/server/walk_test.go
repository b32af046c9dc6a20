package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/server"
	"sear/internal/store"
	"sear/internal/tenant"
)

// What one call may do to others at most, on a machine that is not slow: SQLite's one writer
// held by one transaction, in CPU time, and how long a call of another environment waits.
const (
	maxTurn = 250 * time.Millisecond
	maxWait = time.Second
)

// slowdown is by how much the program is slower than it is served.
var slowdown time.Duration = 1

// walkTries is how often a route is tried whose figures are too high, because this machine
// may have been busy with something else. The best try counts.
const walkTries = 3

// sent is a request of the walk.
type sent struct {
	client string // its key, "" for none
	path   string
	body   any // a text, bytes, or what becomes JSON
	header http.Header
	status int // of the answer, so that the body is known to be what the limits allow; 0 for any below 500
}

// adverse makes the most costly request to a route that its limits allow, and what it needs.
type adverse func(w *walk) sent

// TestNoCallStopsTheOthers: while each route that changes something is sent the largest and
// most costly body that its limits allow, an environment that has nothing to do with the
// caller goes on triggering, and no transaction holds the writer for long. A route is in
// the walk by being registered; what it is sent is in walkBodies.
func TestNoCallStopsTheOthers(t *testing.T) {
	w := newWalk(t)
	left := map[string]bool{}
	for name := range walkBodies {
		left[name] = true
	}
	var table []figures
	for _, name := range w.mutating() {
		body, known := walkBodies[name]
		delete(left, name)
		if !known {
			t.Errorf("%s: add the most costly body that its limits allow to walkBodies", name)
			continue
		}
		if body != nil {
			table = append(table, w.measure(name, body))
		}
	}
	for name := range left {
		t.Errorf("walkBodies has %s, which is not served", name)
	}
	slices.SortFunc(table, func(a, b figures) int { return int(b.turn - a.turn) })
	var out strings.Builder
	for _, f := range table {
		fmt.Fprintf(&out, "%9s CPU of the writer %9s wait of others %9s answer %d  %s\n", f.turn.Round(100*time.Microsecond),
			f.wait.Round(100*time.Microsecond), f.took.Round(100*time.Microsecond), f.status, f.name)
	}
	t.Logf("the longest transaction and the longest wait of another environment, by route:\n%s", out.String())
}

// TestManyLargeCallsShareTheWriter: calls that wait are committed together, but not so many
// large ones that others wait for all of them.
func TestManyLargeCallsShareTheWriter(t *testing.T) {
	w := newWalk(t)
	trigger := runBodies["POST /api/v1/tasks/{task}/trigger"](w)
	w.turn.Store(0)
	var all sync.WaitGroup
	for range 128 {
		all.Go(func() {
			if answer, status, err := w.send(t.Context(), "POST", trigger); err != nil || status != trigger.status {
				t.Errorf("%d %s %v", status, answer, err)
			}
		})
	}
	all.Wait()
	if took := time.Duration(w.turn.Load()); took > slowdown*maxTurn/2 {
		t.Errorf("one transaction used %s of CPU: %s", took, w.turnOf.Load())
	}
}

// walk is a whole server in this process, whose writer is measured, and who calls it.
type walk struct {
	*testing.T
	url      string
	router   chi.Routes
	store    *store.Store
	engine   *engine.Engine
	auth     *auth.Auth
	keys     auth.Keys
	dev      *tenant.Environment
	n        int          // makes names unique
	turn     atomic.Int64 // CPU time of the longest turn
	turnOf   atomic.Value // string: whose it was
	wait     atomic.Int64 // of the longest call of the other environment
	triggers atomic.Int64 // calls of the other environment
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "core.db"), log)
	must(t, err)
	sealer, err := auth.NewSealer(make([]byte, auth.KeySize))
	must(t, err)
	_, err = auth.Bootstrap(t.Context(), st, sealer)
	must(t, err)
	w := &walk{T: t, store: st, engine: engine.New(st, engine.Options{Log: log}), auth: auth.New(st, sealer, log)}
	w.keys, err = auth.ReadKeys(t.Context(), st, sealer)
	must(t, err)
	blobs, err := blob.Open(filepath.Join(dir, "blobs"))
	must(t, err)
	h, err := server.Handler(st, w.engine, w.auth, blobs, log)
	must(t, err)
	w.router = h.(chi.Routes)
	st.AroundTurns(w.around)
	web := httptest.NewServer(h)
	w.url = web.URL
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx) }()
	t.Cleanup(func() {
		web.Close()
		stop()
		must(t, <-done)
		must(t, st.Close())
	})
	w.dev = w.environment(w.keys.SecretKeys.Dev)
	w.others()
	w.stock()
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// around measures a turn of the writer in the CPU time of its thread: what else this machine
// does is not in it.
func (w *walk) around(turn func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := threadTime()
	turn()
	if took := int64(threadTime() - begin); took > w.turn.Load() { // turns follow one another
		w.turn.Store(took)
		w.turnOf.Store(callers())
	}
}

// callers names the functions of Sear above a turn, the nearest first.
func callers() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var names []string
	for more := true; more && len(names) < 4; {
		var f runtime.Frame
		f, more = frames.Next()
		if name, ours := strings.CutPrefix(f.Function, "sear/internal/"); ours && !strings.HasPrefix(name, "sqldb.") && !strings.HasPrefix(name, "store.") {
			names = append(names, name)
		}
	}
	return strings.Join(names, " < ")
}

// others triggers with another environment's key, every few milliseconds until the test ends.
func (w *walk) others() {
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			begin := time.Now()
			_, status, err := w.send(ctx, "POST", sent{client: w.keys.SecretKeys.Prod, path: "/api/v1/tasks/other/trigger", body: `{"options":{"delay":"1h"}}`})
			if ctx.Err() == nil && (err != nil || status != http.StatusOK) {
				w.Errorf("a trigger of another environment: %d %v", status, err)
			}
			w.wait.Store(max(w.wait.Load(), int64(time.Since(begin))))
			w.triggers.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	w.Cleanup(func() { stop(); done.Wait() })
}

// mutating are the routes that may change something, in order: all that are no GET.
func (w *walk) mutating() (names []string) {
	methods := map[string][]string{}
	must(w.T, chi.Walk(w.router, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		methods[path] = append(methods[path], method)
		return nil
	}))
	for path, list := range methods {
		if len(list) > 6 { // any method
			list = []string{"*"}
		}
		for _, m := range list {
			if m != http.MethodGet && m != http.MethodOptions {
				names = append(names, m+" "+path)
			}
		}
	}
	slices.Sort(names)
	return names
}

// figures are what a route did to others.
type figures struct {
	name       string
	turn, wait time.Duration
	took       time.Duration
	turnOf     string
	status     int
}

// measure sends a route its body, again if the figures are too high, and keeps the best.
func (w *walk) measure(name string, body adverse) (best figures) {
	method, _, _ := strings.Cut(name, " ")
	for try := range walkTries {
		f := figures{name: name}
		request := body(w)
		w.settle()
		w.turn.Store(0)
		w.turnOf.Store("")
		w.wait.Store(0)
		begin := time.Now()
		answer, status, err := w.send(w.Context(), method, request)
		f.took, f.status = time.Since(begin), status
		if err != nil || status != request.status && (request.status != 0 || status >= 500) {
			w.Errorf("%s: %d, want %d: %.500s %v", name, status, request.status, answer, err)
		}
		w.settle()
		f.turn, f.wait, f.turnOf = time.Duration(w.turn.Load()), time.Duration(w.wait.Load()), w.turnOf.Load().(string)
		if try == 0 || max(f.turn*4, f.wait) < max(best.turn*4, best.wait) {
			best = f
		}
		if best.turn <= slowdown*maxTurn && best.wait <= slowdown*maxWait {
			return best
		}
		if best.wait > slowdown*maxWait {
			best.wait = time.Duration(float64(best.wait) / strain())
		}
	}
	if best.turn > slowdown*maxTurn {
		w.Errorf("%s: one transaction used %s of CPU: %s", name, best.turn, best.turnOf)
	}
	if best.wait > slowdown*maxWait {
		w.Errorf("%s: a trigger of another environment waited for %s", name, best.wait)
	}
	return best
}

// strain is how many times as long as it should something takes now that only needs a
// processor: what else this machine does is not the server's doing.
func strain() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const work = 50 * time.Millisecond
	begin, used := time.Now(), threadTime()
	for threadTime()-used < work {
	}
	return max(1, float64(time.Since(begin))/float64(work))
}

// settle waits until others have triggered a few times more, and with that for what a call
// leaves for the moment after it, which takes turns with them.
func (w *walk) settle() {
	for until := w.triggers.Load() + 4; w.triggers.Load() < until; {
		time.Sleep(time.Millisecond)
	}
}

// send makes a request and reads the answer.
func (w *walk) send(ctx context.Context, method string, s sent) (answer []byte, status int, err error) {
	var text []byte
	switch b := s.body.(type) {
	case nil:
	case string:
		text = []byte(b)
	case []byte:
		text = b
	default:
		if text, err = json.Marshal(b); err != nil {
			return nil, 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.url+s.path, bytes.NewReader(text))
	if err != nil {
		return nil, 0, err
	}
	for name, values := range s.header {
		r.Header[name] = values
	}
	if s.client != "" {
		r.Header.Set("Authorization", "Bearer "+s.client)
	}
	got, err := noRedirect.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer got.Body.Close()
	answer, err = io.ReadAll(got.Body)
	return answer, got.StatusCode, err
}

// noRedirect shows an answer that leads elsewhere as it is.
var noRedirect = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
