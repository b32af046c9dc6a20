package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// parallel calls fn n times at once. The first error ends the others' context.
func parallel(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error { return fn(ctx, i) })
	}
	return g.Wait()
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// errLate says that something that was waited for did not happen.
var errLate = errors.New("nothing happened for too long")

// receive takes a value from a channel unless ctx or patience ends before.
func receive[T any](ctx context.Context, c <-chan T) (v T, err error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case v = <-c:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	case <-late.C:
		return v, errLate
	}
}
