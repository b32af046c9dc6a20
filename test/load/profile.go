package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"sear/test/load/rawhttp"
)

// profiled does something and meanwhile, if asked to, takes a CPU profile of the server.
func (b *bench) profiled(ctx context.Context, s *site, phase string, fn func() error) error {
	if b.opt.profile == "" || !b.opt.wants(phase) {
		return fn()
	}
	if s.server.pprof == "" {
		b.note("phase %s: no profile, because the server does not serve any at SEAR_PPROF", phase)
		return fn()
	}
	taken := make(chan error, 1)
	go func() { taken <- b.profile(ctx, s.server.pprof, phase) }()
	err := fn()
	if failed := <-taken; failed != nil {
		b.note("phase %s: no profile: %v", phase, failed)
	}
	return err
}

// profile writes down where the server spends its time in the next seconds.
func (b *bench) profile(ctx context.Context, addr, phase string) error {
	length := 5 * time.Second
	if b.opt.quick {
		length = time.Second
	}
	c := rawhttp.New(ctx, addr)
	defer c.Close()
	path := fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(length.Seconds()))
	data, err := c.Call(rawhttp.Request{Method: "GET", Path: path})
	if err != nil {
		return err
	}
	return os.WriteFile(b.profileFile(phase), data, 0o644)
}
