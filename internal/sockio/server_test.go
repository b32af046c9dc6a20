package sockio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"sear/internal/fault"
	"sear/internal/sockio"
)

// subscriptions is a namespace like the one of the dev worker: clients choose their rooms.
func subscriptions() sockio.Handlers {
	rooms := func(change func(k *sockio.Socket, room string) error) sockio.EventHandler {
		return func(k *sockio.Socket, args []json.RawMessage) ([]any, error) {
			var in struct {
				Runs []string `json:"runFriendlyIds"`
			}
			if len(args) != 1 || json.Unmarshal(args[0], &in) != nil {
				return nil, fault.New(fault.Malformed, "Invalid message")
			}
			for _, run := range in.Runs {
				if err := change(k, run); err != nil {
					return nil, err
				}
			}
			return []any{len(in.Runs)}, nil
		}
	}
	return sockio.Handlers{On: map[string]sockio.EventHandler{
		"run:subscribe":   rooms((*sockio.Socket).Join),
		"run:unsubscribe": rooms(func(k *sockio.Socket, room string) error { k.Leave(room); return nil }),
	}}
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		ws, _, err := websocket.Dial(w.t.Context(), endpoint, &websocket.DialOptions{HTTPClient: w.client})
		if err != nil {
			w.t.Fatal(err)
		}
		defer func() { _ = ws.CloseNow() }()
		_, frame, err := ws.Read(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		var hello map[string]any
		if err := json.Unmarshal(frame[1:], &hello); err != nil || frame[0] != '0' {
			w.t.Fatalf("greeting %s: %v", frame, err)
		}
		if id, _ := hello["sid"].(string); len(id) < 20 {
			w.t.Errorf("sid %q can be guessed", id)
		}
		delete(hello, "sid")
		want := "map[maxPayload:1e+06 pingInterval:25000 pingTimeout:20000 upgrades:[]]"
		if got := fmt.Sprint(hello); got != want {
			w.t.Errorf("greeting %s, want %s", got, want)
		}
	})
}

func TestRefusedHandshakes(t *testing.T) {
	t.Parallel()
	s := sockio.New(sockio.Options{})
	cases := []struct {
		name, method, query, upgrade string
		status                       int
		body                         string
	}{
		{"polling", http.MethodGet, "EIO=4&transport=polling", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"no transport", http.MethodGet, "EIO=4", "websocket", 400, `{"code":0,"message":"Transport unknown"}`},
		{"upgrade of a polling session", http.MethodGet, "EIO=4&transport=websocket&sid=x", "websocket", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"method", http.MethodPost, "EIO=4&transport=websocket", "websocket", 400, `{"code":2,"message":"Bad handshake method"}`},
		{"plain request", http.MethodGet, "EIO=4&transport=websocket", "", 400, `{"code":3,"message":"Bad request"}`},
		{"old protocol", http.MethodGet, "EIO=3&transport=websocket", "websocket", 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"half an upgrade", http.MethodGet, "EIO=4&transport=websocket", "websocket", 426, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, "/socket.io/?"+c.query, nil)
			r.Header.Set("Upgrade", c.upgrade)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.body)
			}
		})
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		_, res, err := websocket.Dial(w.t.Context(), endpoint, &websocket.DialOptions{
			HTTPClient: w.client, HTTPHeader: http.Header{"Origin": {"https://elsewhere.test"}},
		})
		if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
			w.t.Errorf("got %v, %v", res, err)
		}
	})
}

func TestConnect(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/open", sockio.Handlers{})
		w.server.Of("/guarded", sockio.Handlers{Connect: func(k *sockio.Socket, auth json.RawMessage) error {
			if k.Request().Header.Get("Authorization") != "Bearer tr_dev_1" {
				return errors.New("the header is lost")
			}
			switch string(auth) {
			case `{"token":"good"}`:
				return nil
			case `{"token":"bad"}`:
				return fault.New(fault.Unauthorized, "unauthorized")
			}
			return errors.New("secret: the database is gone")
		}})
		p := w.dial()
		p.send(`40/nowhere,`)
		p.want(`44/nowhere,{"message":"Invalid namespace"}`)
		p.send(`40`)
		p.want(`44{"message":"Invalid namespace"}`)
		p.send(`40/guarded,{"token":"bad"}`)
		p.want(`44/guarded,{"message":"unauthorized"}`)
		p.send(`40/guarded,`)
		p.want(`44/guarded,{"message":"Something went wrong"}`)
		p.send(`40/guarded,{"token":"good"}`)
		if got := p.read(); !strings.HasPrefix(got, `40/guarded,{"sid":"`) {
			w.t.Errorf("admitted with %s", got)
		}
		p.send(`40/open,`) // a second namespace on the same connection
		if got := p.read(); !strings.HasPrefix(got, `40/open,{"sid":"`) {
			w.t.Errorf("admitted with %s", got)
		}
	})
}

func TestRefusedSocketLeavesItsRooms(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		n := w.server.Of("/a", sockio.Handlers{
			Connect: func(k *sockio.Socket, _ json.RawMessage) error {
				return errors.Join(k.Join("r"), fault.New(fault.Forbidden, "no"))
			},
			Disconnect: func(*sockio.Socket) { w.t.Error("a socket that never was has disconnected") },
		})
		p := w.dial()
		p.send(`40/a,`)
		p.want(`44/a,{"message":"no"}`)
		if err := n.To("r").Emit("x"); err != nil {
			w.t.Error(err)
		}
		p.send(`40/b,`)
		p.want(`44/b,{"message":"Invalid namespace"}`) // and not the event
	})
}

func TestRooms(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		n := w.server.Of("/dev-worker", subscriptions())
		w.server.Of("/other", subscriptions())
		a, b, other := w.join("/dev-worker"), w.join("/dev-worker"), w.join("/other")
		notify := func(run string) {
			if err := n.To(run).Emit("run:notify", map[string]any{"run": run}); err != nil {
				w.t.Error(err)
			}
		}
		a.send(`42/dev-worker,["run:subscribe",{"version":"1","runFriendlyIds":["run_a","run_c"]}]`)
		b.send(`42/dev-worker,["run:subscribe",{"version":"1","runFriendlyIds":["run_b","run_c","run_c"]}]`)
		other.send(`42/other,["run:subscribe",{"runFriendlyIds":["run_a","run_b","run_c"]}]`)
		synctest.Wait()
		notify("run_a")
		notify("run_b")
		notify("run_c")
		a.want(`42/dev-worker,["run:notify",{"run":"run_a"}]`, `42/dev-worker,["run:notify",{"run":"run_c"}]`)
		b.want(`42/dev-worker,["run:notify",{"run":"run_b"}]`, `42/dev-worker,["run:notify",{"run":"run_c"}]`)

		b.send(`42/dev-worker,["run:unsubscribe",{"version":"1","runFriendlyIds":["run_b","run_b"]}]`) // twice is fine
		a.send(`41/dev-worker,`)                                                                       // leaves every room
		synctest.Wait()
		notify("run_a")
		notify("run_b")
		notify("run_c")
		b.want(`42/dev-worker,["run:notify",{"run":"run_c"}]`)
		for _, p := range []*peer{a, other} {
			p.want("2") // nothing but the next ping
		}
	})
}

func TestAcknowledgements(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/", sockio.Handlers{On: map[string]sockio.EventHandler{
			"echo": func(_ *sockio.Socket, args []json.RawMessage) ([]any, error) {
				var ack []any
				for _, a := range args {
					ack = append(ack, a)
				}
				return ack, nil
			},
		}})
		p := w.dial()
		p.send(`40`)
		p.read()
		p.send(`427["echo",{"a":1},"b"]`)
		p.want(`437[{"a":1},"b"]`)
		p.send(`420["echo"]`)
		p.want(`430[]`)
		p.send(`42["echo","nobody asked"]`)
		p.send(`428["unknown"]`)
		p.send(`439["an acknowledgement nobody waits for"]`)
		p.send(`6`)
		p.send(`421["echo",1]`)
		p.want(`431[1]`)
	})
}

func TestEmitToOneSocket(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		var mine atomic.Pointer[sockio.Socket]
		w.server.Of("/a", sockio.Handlers{Connect: func(k *sockio.Socket, _ json.RawMessage) error {
			k.Data = "mine"
			mine.Store(k)
			return nil
		}})
		p := w.join("/a")
		k := mine.Load()
		if k.Data != "mine" || k.ID() == "" {
			w.t.Errorf("socket %+v", k)
		}
		if err := k.Emit("hello", 1, "two"); err != nil {
			w.t.Error(err)
		}
		p.want(`42/a,["hello",1,"two"]`)
		if err := k.Emit("hello", func() {}); err == nil {
			w.t.Error("a function has no JSON")
		}
		k.Close()
		p.wantClose(websocket.StatusNormalClosure)
		synctest.Wait()
		if err := k.Emit("late"); !errors.Is(err, sockio.ErrClosed) {
			w.t.Errorf("emit after the end: %v", err)
		}
		if err := k.Join("r"); !errors.Is(err, sockio.ErrClosed) {
			w.t.Errorf("join after the end: %v", err)
		}
		if k.Context().Err() == nil {
			w.t.Error("the context lives on")
		}
	})
}

// TestBadFramesCloseThatConnectionOnly sends each bad frame over a connection of its
// own, while a bystander goes on.
func TestBadFramesCloseThatConnectionOnly(t *testing.T) {
	t.Parallel()
	const policy, big = websocket.StatusPolicyViolation, websocket.StatusMessageTooBig
	cases := []struct {
		name, frame string
		code        websocket.StatusCode
	}{
		{"empty", "", policy},
		{"unknown engine type", "9", policy},
		{"ping from the client", "2probe", policy},
		{"open from the client", "0{}", policy},
		{"upgrade", "5", policy},
		{"unknown packet type", "47", policy},
		{"broken JSON", `42/a,["x"`, policy},
		{"event without a name", `42/a,[]`, policy},
		{"reserved event", `42/a,["disconnect"]`, policy},
		{"binary event", `451-/a,["x",{"_placeholder":true,"num":0}]`, policy},
		{"binary acknowledgement", `461-/a,1[]`, policy},
		{"invalid UTF-8", "42/a,[\"\xff\"]", policy},
		{"event in a namespace not joined", `42/b,["x"]`, policy},
		{"joining twice", `40/a,`, policy},
		{"error from the client", `44/a,{"message":"x"}`, policy},
		{"too big", `42/a,["` + strings.Repeat("x", 2000) + `"]`, big},
		{"refused by the handler", `42/a,["run:subscribe",1]`, websocket.StatusInternalError},
		{"goodbye", "1", websocket.StatusNormalClosure},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, sockio.Options{MaxPayload: 1000}, func(w *world) {
				w.server.Of("/a", subscriptions())
				bystander, p := w.join("/a"), w.join("/a")
				p.send(c.frame)
				p.wantClose(c.code)
				bystander.send(`42/a,1["run:subscribe",{"runFriendlyIds":[]}]`)
				bystander.want(`43/a,1[0]`)
			})
		})
	}
}

func TestBinaryFramesAreRefused(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/a", subscriptions())
		p := w.join("/a")
		p.sendAs(websocket.MessageBinary, `42/a,["x"]`)
		p.wantClose(websocket.StatusUnsupportedData)
	})
}

func TestTooManyRooms(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{MaxRooms: 2}, func(w *world) {
		w.server.Of("/a", subscriptions())
		p := w.join("/a")
		p.send(`42/a,1["run:subscribe",{"runFriendlyIds":["1","2","2"]}]`)
		p.want(`43/a,1[3]`)
		p.send(`42/a,["run:unsubscribe",{"runFriendlyIds":["1"]}]`)
		p.send(`42/a,2["run:subscribe",{"runFriendlyIds":["3"]}]`)
		p.want(`43/a,2[1]`)
		p.send(`42/a,["run:subscribe",{"runFriendlyIds":["4"]}]`)
		p.wantClose(websocket.StatusInternalError)
	})
}

func TestDisconnectIsToldOnce(t *testing.T) {
	t.Parallel()
	leave := map[string]func(p *peer){
		"leaves the namespace": func(p *peer) { p.send(`41/a,`) },
		"closes":               func(p *peer) { _ = p.ws.Close(websocket.StatusNormalClosure, "") },
		"vanishes":             func(p *peer) { _ = p.ws.CloseNow() },
		"breaks the rules":     func(p *peer) { p.send("9"); p.wantClose(websocket.StatusPolicyViolation) },
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, sockio.Options{}, func(w *world) {
				var gone atomic.Int32
				h := subscriptions()
				h.Disconnect = func(k *sockio.Socket) {
					gone.Add(1)
					if err := k.Join("r"); !errors.Is(err, sockio.ErrClosed) {
						w.t.Errorf("joined on the way out: %v", err)
					}
				}
				w.server.Of("/a", h)
				leave(w.join("/a"))
				synctest.Wait()
				if gone.Load() != 1 {
					w.t.Errorf("told %d times", gone.Load())
				}
				w.server.Close()
				if gone.Load() != 1 {
					w.t.Errorf("told %d times in the end", gone.Load())
				}
			})
		})
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/a", subscriptions())
		p := w.join("/a")
		start := time.Now()
		for range 5 {
			p.want("2")
			p.send("3")
		}
		if got := time.Since(start); got != 125*time.Second {
			w.t.Errorf("five pings took %v", got)
		}
		p.want("2") // and no pong: the connection ends after the timeout
		start = time.Now()
		p.wantClose(-1)
		if got := time.Since(start); got != 20*time.Second {
			w.t.Errorf("given up after %v", got)
		}
	})
}

func TestClientWithoutNamespaceIsTurnedOut(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/a", subscriptions())
		member, idler := w.join("/a"), w.dial()
		start := time.Now()
		idler.wantClose(websocket.StatusPolicyViolation)
		if got := time.Since(start); got != 10*time.Second {
			w.t.Errorf("turned out after %v", got)
		}
		member.want("2")
	})
}

// TestSlowClientIsDropped has one member of a room that never reads. The others get
// every event at once, and emitting takes no time.
func TestSlowClientIsDropped(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{MaxQueue: 10_000}, func(w *world) {
		var gone atomic.Int32
		h := subscriptions()
		h.Disconnect = func(*sockio.Socket) { gone.Add(1) }
		n := w.server.Of("/a", h)
		slow, quick := w.join("/a"), w.join("/a")
		for _, p := range []*peer{slow, quick} {
			p.send(`42/a,["run:subscribe",{"runFriendlyIds":["r"]}]`)
		}
		synctest.Wait()
		start := time.Now()
		for i := range 200 {
			if err := n.To("r").Emit("x", strings.Repeat("x", 100), i); err != nil {
				w.t.Error(err)
			}
			if got := quick.read(); !strings.HasSuffix(got, fmt.Sprintf(`,%d]`, i)) {
				w.t.Fatalf("event %d: %.40s", i, got)
			}
		}
		synctest.Wait()
		if took := time.Since(start); took != 0 || gone.Load() != 1 {
			w.t.Errorf("took %v, %d dropped", took, gone.Load())
		}
	})
}

// TestStuckWriteBreaksTheConnection has a client that accepts nothing, with a queue
// that never overflows.
func TestStuckWriteBreaksTheConnection(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		gone := make(chan struct{})
		h := subscriptions()
		h.Disconnect = func(*sockio.Socket) { close(gone) }
		n := w.server.Of("/a", h)
		p := w.join("/a")
		p.send(`42/a,["run:subscribe",{"runFriendlyIds":["r"]}]`)
		synctest.Wait()
		start := time.Now()
		_ = n.To("r").Emit("x", strings.Repeat("x", 10_000))
		<-gone
		if got := time.Since(start); got != 20*time.Second {
			w.t.Errorf("given up after %v", got)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		var gone atomic.Int32
		h := subscriptions()
		h.Disconnect = func(*sockio.Socket) { gone.Add(1) }
		w.server.Of("/a", h)
		polite := w.join("/a")
		w.join("/a") // never reads again, so it never answers the goodbye
		told := make(chan struct{})
		go func() {
			polite.wantClose(websocket.StatusServiceRestart)
			close(told)
		}()
		start := time.Now()
		w.server.Close()
		<-told
		if took := time.Since(start); took > time.Second || gone.Load() != 2 {
			w.t.Errorf("took %v, %d told", took, gone.Load())
		}
		late, _, err := websocket.Dial(w.t.Context(), endpoint, &websocket.DialOptions{HTTPClient: w.client})
		if err != nil {
			w.t.Fatal(err)
		}
		(&peer{w, late}).wantClose(websocket.StatusTryAgainLater)
		w.server.Close() // again is fine
	})
}

// TestCloseFlushes promises that what was emitted before the end arrives. The
// clients start to read when the goodbye is already due.
func TestCloseFlushes(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		n := w.server.Of("/a", subscriptions())
		var peers []*peer
		for range 10 {
			p := w.join("/a")
			p.send(`42/a,["run:subscribe",{"runFriendlyIds":["r"]}]`)
			peers = append(peers, p)
		}
		synctest.Wait()
		for i := range 3 {
			_ = n.To("r").Emit("x", i)
			synctest.Wait() // the first is being written, the rest waits in the queue
		}
		go w.server.Close()
		synctest.Wait()
		var clients sync.WaitGroup
		for _, p := range peers {
			clients.Go(func() {
				p.want(`42/a,["x",0]`, `42/a,["x",1]`, `42/a,["x",2]`)
				p.wantClose(websocket.StatusServiceRestart)
			})
		}
		clients.Wait()
	})
}

func TestStoppingHTTPServerLeavesTheGoodbyeToClose(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/a", subscriptions())
		p := w.join("/a")
		w.stop()
		p.want("2")
	})
}
