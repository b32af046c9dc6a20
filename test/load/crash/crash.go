package crash

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
)

// Run is the program: 0 when nothing was lost, doubled, over a limit, stuck or wrong, 1
// when something was or could not be found out, 2 for flags that make no sense.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "crash:", err)
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, o.length+10*time.Minute)
	defer cancel()
	t, err := newTrial(ctx, o)
	if err == nil {
		var v *verdict
		if v, err = t.run(ctx); err == nil {
			err = t.report(stdout, v)
		}
	}
	if t != nil {
		t.close(err != nil, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "crash:", err)
		return 1
	}
	return 0
}

// trial is one run of the program.
type trial struct {
	o      options
	dir    string
	pg     *pgtest.Cluster // nil on SQLite
	pgBusy sync.RWMutex    // held while Postgres is away
	direct string          // URL of the store, past every proxy
	nodes  []*node
	stats  *stats
	ledger *ledger
	faults map[string]int
	deaths atomic.Int64
	begin  time.Time
	took   time.Duration // of the traffic
	calmed time.Duration // from its end until all runs were finished
}

func newTrial(ctx context.Context, o options) (t *trial, err error) {
	t = &trial{o: o, stats: &stats{repeats: map[string]int{}}, ledger: newLedger(), faults: map[string]int{}}
	if t.dir, err = os.MkdirTemp(o.dir, "crash"); err != nil {
		return t, err
	}
	if o.sear, err = filepath.Abs(o.sear); err != nil {
		return t, err
	}
	t.direct = "sqlite:" + filepath.Join(t.dir, "data", "core.db")
	if o.postgres {
		if err := os.Chmod(t.dir, 0o711); err != nil { // Postgres runs as a user of its own
			return t, err
		}
		if t.pg, err = pgtest.Start(filepath.Join(t.dir, "pg")); err != nil {
			return t, err
		}
		t.direct = t.pg.URL
	}
	for i := range o.nodes {
		n, err := t.addNode(o, fmt.Sprint("node", i+1))
		if err != nil {
			return t, err
		}
		t.nodes = append(t.nodes, n)
		if err := n.start(ctx); err != nil {
			return t, err
		}
	}
	return t, nil
}

// addNode makes a node, with a proxy before Postgres when it is to be cut off: that
// costs as much as the node itself.
func (t *trial) addNode(o options, name string) (*node, error) {
	if t.pg == nil {
		return newNode(o, t.dir, name, "")
	}
	if !slices.Contains(o.faults, faultCut) {
		return newNode(o, t.dir, name, t.pg.URL)
	}
	p, err := newProxy(t.pg.Socket())
	if err != nil {
		return nil, err
	}
	n, err := newNode(o, t.dir, name, p.url("postgres"))
	if err != nil {
		return nil, err
	}
	n.cut = p
	return n, nil
}

// close ends everything. The logs of a trial that failed are shown.
func (t *trial) close(failed bool, stderr io.Writer) {
	for _, n := range t.nodes {
		if n.proc != nil {
			n.proc.Signal(syscall.SIGCONT)
			n.proc.Stop(stopTime)
		}
		if failed {
			fmt.Fprintf(stderr, "%s: %s\n", n.name, n.lastWords())
		}
		if n.cut != nil {
			n.cut.close()
		}
	}
	if t.pg != nil {
		_ = t.pg.Stop() // it ends with us at the latest
	}
	if failed {
		fmt.Fprintln(stderr, "crash: the data stays in", t.dir)
		return
	}
	os.RemoveAll(t.dir)
}

// run sends the traffic through the faults, waits until all runs are finished, and judges.
func (t *trial) run(ctx context.Context) (*verdict, error) {
	c, w, err := t.clients(ctx)
	if err != nil {
		return nil, err
	}
	tr := &traffic{caller: c, ledger: t.ledger, run: strings.ToLower(rand.Text()[:6])}
	g, all := errgroup.WithContext(ctx)
	working, dismiss := context.WithCancel(all)
	defer dismiss()
	mortal, immortal := context.WithCancel(all)
	defer immortal()
	g.Go(func() error { return keepCrew(working, w, mortal, func() { t.deaths.Add(1) }) })
	var scheduled []string
	var from, to time.Time
	g.Go(func() error {
		defer dismiss()
		if scheduled, err = tr.schedule(all); err != nil {
			return err
		}
		from, t.begin = time.Now(), time.Now()
		if err := t.disturb(all, tr); err != nil {
			return err
		}
		immortal()
		t.took = time.Since(t.begin)
		to = time.Now()
		for _, id := range scheduled {
			if err := tr.post(all, "/api/v1/schedules/"+id+"/deactivate", nil, nil); err != nil {
				return err
			}
		}
		err := t.settle(all)
		t.calmed = time.Since(t.begin) - t.took
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return t.judge(ctx, scheduled, from, to)
}

// disturb sends the traffic while faults happen.
func (t *trial) disturb(ctx context.Context, tr *traffic) error {
	g, ctx := errgroup.WithContext(ctx)
	faulty, over := context.WithCancel(ctx)
	g.Go(func() error { return t.disrupt(faulty) })
	g.Go(func() error {
		defer over()
		fires := time.Now().Truncate(time.Minute).Add(time.Minute + fireTime + time.Second)
		if err := tr.send(ctx, t.o.runs, t.o.length); err != nil {
			return err
		}
		return pause(ctx, time.Until(fires)) // so that schedules are disturbed as well
	})
	return g.Wait()
}

// settleTime is for how long no run may end, once all is calm, before those that are left
// count as stuck.
const settleTime = 60 * time.Second

// settle returns when no run is left to do, or none will be done any more: the verdict
// says which.
func (t *trial) settle(ctx context.Context) error {
	st, err := t.reader(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	least, since := -1, time.Now()
	for {
		var left int
		if err := st.View(ctx, func(tx *store.Tx) (err error) { left, err = open(tx); return err }); err != nil && ctx.Err() == nil {
			return err
		}
		if left < least || least < 0 {
			least, since = left, time.Now()
		}
		if left == 0 || time.Since(since) > settleTime || pause(ctx, 100*time.Millisecond) != nil {
			return nil
		}
	}
}

// judge stops the nodes and compares.
func (t *trial) judge(ctx context.Context, scheduled []string, from, to time.Time) (*verdict, error) {
	for _, n := range t.nodes {
		if n.proc.Stop(stopTime) {
			t.ledger.find("wrong: %s did not stop in %v", n.name, stopTime)
		}
	}
	for _, text := range t.stats.errors {
		t.ledger.find("%s: %s", wrong, text)
	}
	if err := t.inspect(ctx, stuck, stallTimeout); err != nil {
		return nil, err
	}
	st, err := t.reader(ctx)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return judge(ctx, st, t.ledger, scheduled, from, to)
}

// clients makes the caller and the worker, whose tasks are deployed.
func (t *trial) clients(ctx context.Context) (*caller, *worker, error) {
	out, err := exec.CommandContext(ctx, t.nodes[0].sear, append([]string{"keys", "--json"}, t.nodes[0].flags...)...).Output()
	if err != nil {
		return nil, nil, fmt.Errorf("sear keys: %w", err)
	}
	var keys struct{ SecretKeys struct{ Prod string } }
	if err := json.Unmarshal(out, &keys); err != nil {
		return nil, nil, err
	}
	c := &caller{key: keys.SecretKeys.Prod, stats: t.stats, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	for _, n := range t.nodes {
		c.addrs = append(c.addrs, n.addr)
	}
	id, err := c.deploy(ctx)
	return c, &worker{id: id, caller: c, ledger: t.ledger}, err
}

// deploy makes the tasks known in the deployed environment, in which runs of a worker
// that died are tried again.
func (c *caller) deploy(ctx context.Context) (workerID string, err error) {
	const path = "/api/v1/deployments"
	const hash = "c4a5"
	var made, worker struct{ ID string }
	body := map[string]any{"contentHash": hash, "userId": "user_1", "type": "MANAGED", "runtime": "node-24"}
	if err := c.post(ctx, path, body, &made); err != nil {
		return "", err
	}
	var list []map[string]any
	for name := range tasks {
		task := map[string]any{"id": name, "filePath": "a.ts", "exportName": "x", "entryPoint": "e",
			"retry": map[string]any{"maxAttempts": 30, "minTimeoutInMs": 100, "maxTimeoutInMs": 100, "factor": 1, "randomize": false}}
		switch name {
		case taskNarrow:
			task["queue"] = map[string]any{"concurrencyLimit": narrowLimit}
		case taskKeyed:
			task["queue"] = map[string]any{"concurrencyLimit": keyedLimit}
		case taskCron:
			task["triggerSource"] = "schedule"
		}
		list = append(list, task)
	}
	manifest := map[string]any{"contentHash": hash, "packageVersion": "4.8.3", "cliPackageVersion": "4.8.3", "runtime": "node", "runtimeVersion": "24.0.0",
		"sourceFiles": []string{}, "tasks": list}
	if err := c.post(ctx, path+"/"+made.ID+"/background-workers", map[string]any{"localOnly": true, "engine": "V2", "metadata": manifest}, &worker); err != nil {
		return "", err
	}
	return worker.ID, c.post(ctx, path+"/"+made.ID+"/finalize", map[string]any{}, nil)
}

// report prints the verdict; finding anything is an error.
func (t *trial) report(out io.Writer, v *verdict) error {
	var happened []string
	for _, fault := range allFaults {
		if n := t.faults[fault]; n > 0 {
			happened = append(happened, fmt.Sprintf("%s %d", fault, n))
		}
	}
	fmt.Fprintf(out, "%s\n", t.o)
	fmt.Fprintf(out, "  %d runs, %d of them acknowledged to clients, %d attempts in %.0f s; calm after %.1f s more; %d times %d schedules had to fire\n",
		v.runs, t.ledger.count(), v.attempts, t.took.Seconds(), t.calmed.Seconds(), v.minutes, schedules)
	fmt.Fprintf(out, "  faults: %s · workers died: %d · tries that failed: %v of %d\n", strings.Join(happened, ", "), t.deaths.Load(), t.stats.repeats, t.stats.calls)
	fmt.Fprintf(out, "  trigger latency: calm %s · within %v of a fault %s\n", quantiles(t.stats.calm), roughTime, quantiles(t.stats.rough))
	fmt.Fprintf(out, "  %s\n", v)
	for _, text := range v.examples {
		fmt.Fprintf(out, "    %s\n", text)
	}
	if !v.clean() {
		return errors.New("what was promised does not hold")
	}
	return nil
}

// quantiles are the median, the 99th percentile and the maximum of latencies.
func quantiles(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	slices.Sort(d)
	at := func(q float64) float64 { return d[int(q*float64(len(d)-1))].Seconds() * 1000 }
	return fmt.Sprintf("p50 %.1f p99 %.1f max %.0f ms (%d)", at(0.5), at(0.99), at(1), len(d))
}
