package sqldb

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// coalesce is how long hints are collected before they are sent. They go after
	// the commit and on their own connection, because a NOTIFY inside a transaction
	// makes the commits of all nodes wait for one another.
	coalesce = 10 * time.Millisecond

	// maxPayload keeps below the 8,000 bytes Postgres takes.
	//
	//limit:inside hints of one notification; the next takes the rest
	maxPayload = 7000

	//limit:inside a pause between tries to connect
	maxBackoff = 5 * time.Second

	// A payload is the sender, then hints; a hint is its topic and key.
	hintSeparator = "\x1e"
	keySeparator  = "\x1f"
)

// relay carries hints between the nodes that share a Postgres schema.
type relay struct {
	config  *pgx.ConnConfig
	channel string
	node    string // in every payload, so that a node ignores its own
	hints   *hints
	log     *slog.Logger
}

func newRelay(p *postgres, h *hints, log *slog.Logger) *relay {
	return &relay{
		config:  p.config,
		channel: fmt.Sprintf("sear_%016x", p.schemaHash()),
		node:    rand.Text(),
		hints:   h,
		log:     log,
	}
}

// run sends and receives until ctx ends.
func (r *relay) run(ctx context.Context) {
	r.hints.setRelayed(true)
	defer r.hints.setRelayed(false)
	var wg sync.WaitGroup
	wg.Go(func() { r.persist(ctx, "receive", r.receive) })
	wg.Go(func() { r.persist(ctx, "send", r.send) })
	wg.Wait()
}

// persist runs one direction with a connection of its own, and again with a new
// one whenever that fails.
func (r *relay) persist(ctx context.Context, direction string, run func(context.Context, *pgx.Conn) error) {
	backoff := 100 * time.Millisecond
	for {
		started := time.Now()
		err := r.connected(ctx, run)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > maxBackoff {
			backoff = 100 * time.Millisecond
		}
		r.log.Warn("hints between nodes are interrupted", "direction", direction, "error", err)
		if !pause(ctx, jitter(backoff)) {
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (r *relay) connected(ctx context.Context, run func(context.Context, *pgx.Conn) error) error {
	conn, err := pgx.ConnectConfig(ctx, r.config.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return run(ctx, conn)
}

// receive wakes this node's watches for what others send.
func (r *relay) receive(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "LISTEN "+r.channel); err != nil {
		return err
	}
	r.hints.wakeAll() // for what was sent while nobody listened
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if sender, list := decodePayload(n.Payload); sender != r.node {
			r.hints.wake(list)
		}
	}
}

// send tells the other nodes what was hinted here. What it cannot send is lost:
// watchers look from time to time.
func (r *relay) send(ctx context.Context, conn *pgx.Conn) error {
	for {
		select {
		case <-r.hints.signal:
		case <-ctx.Done():
			return nil
		}
		if !pause(ctx, coalesce) {
			return nil
		}
		for _, payload := range encodePayloads(r.node, r.hints.takePending()) {
			if _, err := conn.Exec(ctx, "SELECT pg_notify($1, $2)", r.channel, payload); err != nil {
				return err
			}
		}
	}
}

// encodePayloads packs hints into as few payloads as hold them. A hint that
// fits into none is left out.
func encodePayloads(node string, list []hint) []string {
	var payloads []string
	var b strings.Builder
	for _, x := range list {
		size := len(hintSeparator) + len(x.topic) + len(keySeparator) + len(x.key)
		if len(node)+size > maxPayload {
			continue
		}
		if b.Len()+size > maxPayload {
			payloads = append(payloads, b.String())
			b.Reset()
		}
		if b.Len() == 0 {
			b.WriteString(node)
		}
		b.WriteString(hintSeparator + x.topic + keySeparator + x.key)
	}
	if b.Len() > 0 {
		payloads = append(payloads, b.String())
	}
	return payloads
}

func decodePayload(payload string) (node string, list []hint) {
	node, rest, found := strings.Cut(payload, hintSeparator)
	for found {
		var one string
		one, rest, found = strings.Cut(rest, hintSeparator)
		topic, key, _ := strings.Cut(one, keySeparator)
		list = append(list, hint{topic, key})
	}
	return node, list
}
