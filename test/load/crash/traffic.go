package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// traffic is the clients, which trigger runs of every kind over a time.
type traffic struct {
	*caller
	ledger *ledger
	run    string // makes names of this run of the program
}

// clients is how many trigger at once, and schedules how many schedules there are.
const (
	clients   = 8
	schedules = 10
	batchSize = 25
)

// kinds are what clients do, each as often as its share of the runs it makes allows.
var kinds = []struct {
	share int // of a hundred runs
	makes int // runs at a time
	fn    func(t *traffic, ctx context.Context, name string) error
}{
	{25, batchSize, (*traffic).sendBatch},
	{12, 1, (*traffic).single},
	{8, 1, (*traffic).keyed},
	{8, 1, (*traffic).narrow},
	{5, 1, (*traffic).sameTwice},
	{12, 3, (*traffic).parent},
	{12, 4, (*traffic).family},
	{6, 1, (*traffic).sleeper},
	{5, 1, (*traffic).token},
	{3, 1, (*traffic).flaky},
	{2, 1, (*traffic).broken},
	{1, 1, (*traffic).delayed},
	{1, 1, (*traffic).canceled},
}

// send triggers about so many runs, evenly over a time.
func (t *traffic) send(ctx context.Context, runs int, over time.Duration) error {
	begin := time.Now()
	var todo []int // kinds in random order
	for i, k := range kinds {
		for range max(1, runs*k.share/100/k.makes) {
			todo = append(todo, i)
		}
	}
	rand.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	next := make(chan int)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(next)
		for i := range todo {
			if err := pause(ctx, time.Until(begin.Add(over*time.Duration(i)/time.Duration(len(todo))))); err != nil {
				return err
			}
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range clients {
		g.Go(func() error {
			for i := range next {
				if err := kinds[todo[i]].fn(t, ctx, fmt.Sprintf("%s-%d", t.run, i)); err != nil {
					return fmt.Errorf("%d: %w", i, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// triggerBody is the body of a trigger.
func triggerBody(p payload, options map[string]any) map[string]any {
	text, _ := json.Marshal(map[string]payload{"json": p}) // a payload always marshals
	all := map[string]any{"payloadType": "application/super+json"}
	for name, value := range options {
		all[name] = value
	}
	return map[string]any{"payload": string(text), "options": all}
}

// trigger triggers a run and notes that the server has promised it.
func (t *traffic) trigger(ctx context.Context, task string, p payload, options map[string]any) (runID string, err error) {
	t.ledger.try(p.Name)
	var got struct{ ID string }
	err = t.do(ctx, call{method: http.MethodPost, path: "/api/v1/tasks/" + task + "/trigger", body: triggerBody(p, options), timed: true}, &got)
	if err == nil {
		t.ledger.accept(p.Name, got.ID)
	}
	return got.ID, err
}

func (t *traffic) plain(ctx context.Context, task, name string) error {
	_, err := t.trigger(ctx, task, payload{Name: name}, nil)
	return err
}

// single triggers a run; of some the payload is large.
func (t *traffic) single(ctx context.Context, name string) error {
	p := payload{Name: name}
	if rand.IntN(10) == 0 {
		p.Pad = padding
	}
	_, err := t.trigger(ctx, taskWork, p, nil)
	return err
}

func (t *traffic) narrow(ctx context.Context, name string) error {
	return t.plain(ctx, taskNarrow, name)
}
func (t *traffic) parent(ctx context.Context, name string) error {
	return t.plain(ctx, taskParent, name)
}
func (t *traffic) family(ctx context.Context, name string) error {
	return t.plain(ctx, taskFamily, name)
}
func (t *traffic) sleeper(ctx context.Context, name string) error {
	return t.plain(ctx, taskSleep, name)
}
func (t *traffic) flaky(ctx context.Context, name string) error { return t.plain(ctx, taskFlaky, name) }
func (t *traffic) broken(ctx context.Context, name string) error {
	return t.plain(ctx, taskBroken, name)
}

func (t *traffic) keyed(ctx context.Context, name string) error {
	key := fmt.Sprint("key", rand.IntN(5))
	_, err := t.trigger(ctx, taskKeyed, payload{Name: name, Key: key}, map[string]any{"concurrencyKey": key})
	return err
}

func (t *traffic) delayed(ctx context.Context, name string) error {
	_, err := t.trigger(ctx, taskWork, payload{Name: name}, map[string]any{"delay": time.Now().Add(2 * time.Second)})
	return err
}

// sameTwice is two clients with one idempotency key, who must be told the same run.
func (t *traffic) sameTwice(ctx context.Context, name string) error {
	g, ctx := errgroup.WithContext(ctx)
	for range 2 {
		g.Go(func() error {
			_, err := t.trigger(ctx, taskWork, payload{Name: name}, map[string]any{"idempotencyKey": name})
			return err
		})
	}
	return g.Wait()
}

// token has a run wait for a token, which is completed a little later.
func (t *traffic) token(ctx context.Context, name string) error {
	var made struct{ ID string }
	if err := t.post(ctx, "/api/v1/waitpoints/tokens", map[string]any{"idempotencyKey": name}, &made); err != nil {
		return err
	}
	if _, err := t.trigger(ctx, taskToken, payload{Name: name, Token: made.ID}, nil); err != nil {
		return err
	}
	if err := pause(ctx, rand.N(50*time.Millisecond)); err != nil {
		return err
	}
	data := fmt.Sprintf(`{"of":%q}`, name)
	t.ledger.with(func() { t.ledger.tokens[made.ID] = `{"json":` + data + `}` })
	return t.post(ctx, "/api/v1/waitpoints/tokens/"+made.ID+"/complete", `{"data":`+data+`}`, nil)
}

// canceled cancels a run that is not to begin for long.
func (t *traffic) canceled(ctx context.Context, name string) error {
	runID, err := t.trigger(ctx, taskWork, payload{Name: name}, map[string]any{"delay": time.Now().Add(time.Hour)})
	if err == nil {
		err = t.post(ctx, "/api/v2/runs/"+runID+"/cancel", nil, nil)
	}
	if err == nil {
		t.ledger.with(func() { t.ledger.canceled[name] = true })
	}
	return err
}

func (t *traffic) sendBatch(ctx context.Context, name string) error {
	names := make([]string, batchSize)
	for i := range names {
		names[i] = fmt.Sprintf("%s.%d", name, i)
	}
	t.ledger.try(names...)
	return t.batch(ctx, t.ledger, taskWork, names, nil)
}

// batch triggers in two phases, as the SDK does, and notes the runs as promised when the
// batch is sealed.
func (c *caller) batch(ctx context.Context, l *ledger, task string, names []string, options map[string]any) error {
	body := map[string]any{"runCount": len(names)}
	for name, value := range options {
		body[name] = value
	}
	var made struct{ ID string }
	if err := c.post(ctx, "/api/v3/batches", body, &made); err != nil {
		return err
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for i, name := range names {
		item := triggerBody(payload{Name: name}, nil)
		item["index"], item["task"] = i, task
		if err := enc.Encode(item); err != nil {
			return err
		}
	}
	var got struct{ Sealed bool }
	what := call{method: http.MethodPost, path: "/api/v3/batches/" + made.ID + "/items", body: lines.String(), ndjson: true}
	if err := c.do(ctx, what, &got); err != nil {
		return err
	}
	if !got.Sealed {
		return fmt.Errorf("batch %s is not sealed by all its items", made.ID)
	}
	for _, name := range names {
		l.accept(name, "")
	}
	return nil
}

// schedule makes the schedules, which fire every minute, and says when they stood.
func (t *traffic) schedule(ctx context.Context) (ids []string, err error) {
	for i := range schedules {
		var made struct{ ID string }
		body := map[string]any{"task": taskCron, "cron": "* * * * *", "deduplicationKey": fmt.Sprint("s", i)}
		if err := t.post(ctx, "/api/v1/schedules", body, &made); err != nil {
			return nil, err
		}
		ids = append(ids, made.ID)
	}
	return ids, nil
}
