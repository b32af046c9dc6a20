package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"sear/internal/store"
)

// PacketStore is the part of the packet store that retention needs.
type PacketStore interface {
	Delete(ctx context.Context, envID, path string) error // it is no error if there is none
}

// How retention goes about it.
const (
	retentionLease = "retention"
	leaseTime      = 30 * time.Second
	sweepEvery     = 10 * time.Minute
	day            = 24 * time.Hour
	sweepLook      = 500                   // runs found at a time
	sweepBatch     = 100                   // rows deleted in one transaction, which holds up nobody for long
	sweepPause     = 20 * time.Millisecond // between two of them, for others
	packetGrace    = day                   // from when no run refers to a packet any more until it is deleted: a backup may be under way
)

// unnamed is how long a packet that was uploaded waits for a run or a token that names it.
//
//limit:server Time that an uploaded packet is kept that no run names |  | it is deleted
const unnamed = 7 * day

// ExpectPacket is to be called before a packet is stored, so that one which no run ever
// names, because its trigger was refused or never sent, or the process died, is deleted after a
// week. That there is no packet then is no error.
func (e *Engine) ExpectPacket(ctx context.Context, envID, path string) error {
	return e.store.Update(ctx, func(tx *store.Tx) error {
		return tx.UnnamePacket(store.Packet{EnvID: envID, Path: path}, now().Add(unnamed-packetGrace))
	})
}

// errLeaseLost says that another node does what this one was about to.
var errLeaseLost = errors.New("another node holds the lease")

// runRetention deletes what ended long ago, on one node at a time.
func (e *Engine) runRetention(ctx context.Context) error {
	if e.opt.Retention <= 0 {
		return nil
	}
	defer func() { // whoever is left need not wait until it has run out
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = e.store.Update(ctx, func(tx *store.Tx) error { return tx.Release(retentionLease, e.node) })
	}()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		err := e.sweep(ctx, now())
		if err != nil && !errors.Is(err, errLeaseLost) && ctx.Err() == nil {
			e.log.Error("retention failed, trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// asOnly carries out a part of what only one node may do: in the transaction in which it
// keeps or takes the lease, so that a node that lost it meanwhile writes nothing.
func (e *Engine) asOnly(ctx context.Context, lease string, fn func(tx *store.Tx) error) error {
	return e.store.Update(ctx, func(tx *store.Tx) error {
		at := now()
		_, held, err := tx.Lease(lease, e.node, at, at.Add(leaseTime))
		if err != nil {
			return err
		}
		if !held {
			return errLeaseLost
		}
		return fn(tx)
	})
}

// sweep deletes all that may be deleted at an instant.
func (e *Engine) sweep(ctx context.Context, at time.Time) error {
	cutoff := at.Add(-e.opt.Retention)
	deleted := 0
	err := e.sweepRuns(ctx, cutoff, at, &deleted)
	if deleted > 0 {
		e.log.Info("deleted runs that ended long ago", "runs", deleted, "before", cutoff)
	}
	if err != nil {
		return err
	}
	for n := 1; n > 0 && err == nil; {
		err = e.asOnly(ctx, retentionLease, func(tx *store.Tx) (err error) {
			n, err = tx.DeleteLeftovers(cutoff, at, sweepBatch)
			return err
		})
		if err == nil && !breathe(ctx) {
			return ctx.Err()
		}
	}
	if err != nil || e.opt.Packets == nil {
		return err
	}
	return e.sweepPackets(ctx, at)
}

func (e *Engine) sweepRuns(ctx context.Context, cutoff, at time.Time, deleted *int) error {
	after := ""
	for {
		if err := e.asOnly(ctx, retentionLease, func(*store.Tx) error { return nil }); err != nil {
			return err // before the search, which costs more
		}
		var found []string
		err := e.view(ctx, func(tx *store.Tx) (err error) {
			found, err = tx.ExpiredRuns(cutoff, at, after, sweepLook)
			return err
		})
		if err != nil || len(found) == 0 {
			return err
		}
		after = found[len(found)-1]
		for len(found) > 0 {
			batch := found[:min(sweepBatch, len(found))]
			found = found[len(batch):]
			n := 0
			err := e.asOnly(ctx, retentionLease, func(tx *store.Tx) (err error) {
				n, err = tx.DeleteRuns(batch, cutoff, at)
				return err
			})
			if err != nil {
				return err
			}
			*deleted += n
			if !breathe(ctx) {
				return ctx.Err()
			}
		}
	}
}

// sweepPackets deletes packets to which nobody has referred for long. One whose deletion
// fails is tried again at the next sweep.
func (e *Engine) sweepPackets(ctx context.Context, at time.Time) error {
	var after store.Packet
	since := at.Add(-packetGrace)
	for {
		var dead []store.Packet
		err := e.asOnly(ctx, retentionLease, func(tx *store.Tx) (err error) {
			dead, err = tx.DeadPackets(since, after, sweepBatch)
			return err
		})
		if err != nil || len(dead) == 0 {
			return err
		}
		after = dead[len(dead)-1]
		dead = slices.DeleteFunc(dead, func(p store.Packet) bool {
			err := e.opt.Packets.Delete(ctx, p.EnvID, p.Path)
			if err != nil {
				e.log.Warn("a packet that nobody refers to stays for now", "env", p.EnvID, "path", p.Path, "error", err)
			}
			return err != nil
		})
		if err := e.asOnly(ctx, retentionLease, func(tx *store.Tx) error { return tx.ForgetPackets(dead, since) }); err != nil {
			return err
		}
		if !breathe(ctx) {
			return ctx.Err()
		}
	}
}

// breathe lets others write, and reports whether ctx still runs.
func breathe(ctx context.Context) bool {
	t := time.NewTimer(sweepPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
