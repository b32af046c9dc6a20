package sockio_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"sear/internal/sockio"
)

// knock asks for a connection of an owner, and returns nil and the answer when there is none.
func (w *world) knock(owner string) (*websocket.Conn, *http.Response) {
	w.t.Helper()
	ws, res, err := websocket.Dial(w.t.Context(), endpoint, &websocket.DialOptions{
		HTTPClient: w.client, HTTPHeader: http.Header{"Owner": {owner}},
	})
	if err != nil {
		if res == nil {
			w.t.Fatal(err)
		}
		return nil, res
	}
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws, res
}

// TestOneOwnerLeavesConnectionsToOthers: the newest is refused, with an answer and before the
// upgrade, and who leaves makes room.
func TestOneOwnerLeavesConnectionsToOthers(t *testing.T) {
	t.Parallel()
	o := sockio.Options{MaxConns: 4, Owner: func(r *http.Request) string { return r.Header.Get("Owner") }}
	bubble(t, o, func(w *world) {
		first, _ := w.knock("greedy")
		second, _ := w.knock("greedy")
		third, refused := w.knock("greedy")
		if first == nil || second == nil || third != nil {
			t.Fatalf("%v, %v, %v", first, second, third)
		}
		body, _ := io.ReadAll(refused.Body)
		if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "Too many connections") {
			t.Errorf("%d %v %s", refused.StatusCode, refused.Header, body)
		}
		if other, refused := w.knock("other"); other == nil {
			t.Errorf("another is refused: %d", refused.StatusCode)
		}
		_ = first.CloseNow()
		synctest.Wait()
		if again, refused := w.knock("greedy"); again == nil {
			t.Errorf("after one has left: %d", refused.StatusCode)
		}
	})
}

// TestStrangersSendLittle: a client that has joined nothing has no use for long messages.
func TestStrangersSendLittle(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/a", subscriptions())
		long := `42/a,["run:unheard","` + strings.Repeat("x", 5000) + `"]`
		member, stranger := w.join("/a"), w.dial()
		stranger.send(long)
		stranger.wantClose(websocket.StatusMessageTooBig)
		member.send(long)
		member.send(`42/a,1["run:subscribe",{"runFriendlyIds":[]}]`)
		member.want(`43/a,1[0]`)
	})
}

// TestMessagesThatStopEndTheConnection: what has arrived of one is in memory, and the rest
// must not be waited for.
func TestMessagesThatStopEndTheConnection(t *testing.T) {
	t.Parallel()
	bubble(t, sockio.Options{}, func(w *world) {
		w.server.Of("/a", subscriptions())
		p := w.join("/a")
		out, err := p.ws.Writer(w.t.Context(), websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, strings.Repeat("x", 100_000)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		p.wantClose(-1)
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("given up after %v", got)
		}
	})
}

// TestConnectionsEndWithWhatIsWatched: also one that has joined nothing, and with its sockets'
// context. What is watched is let go of with the connection.
func TestConnectionsEndWithWhatIsWatched(t *testing.T) {
	t.Parallel()
	revoked, revoke := context.WithCancel(context.Background())
	var stopped atomic.Int32
	o := sockio.Options{Watch: func(ctx context.Context) (context.Context, func()) {
		ctx, cancel := context.WithCancel(ctx)
		end := context.AfterFunc(revoked, cancel)
		return ctx, func() { end(); cancel(); stopped.Add(1) }
	}}
	bubble(t, o, func(w *world) {
		gone := make(chan struct{})
		h := subscriptions()
		h.Disconnect = func(k *sockio.Socket) {
			if k.Context().Err() == nil {
				t.Error("the context of the socket lives on")
			}
			close(gone)
		}
		w.server.Of("/a", h)
		member, stranger := w.join("/a"), w.dial()
		revoke()
		member.wantClose(-1)
		stranger.wantClose(-1)
		<-gone
		synctest.Wait()
		if n := stopped.Load(); n != 2 {
			t.Errorf("%d of 2 were let go of", n)
		}
	})
}
