package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the Makefile. Programs built by other means say what the toolchain knows.
var release string

func version(_ context.Context, p program, args []string) error {
	if _, err := newFlags(p, "version", "", "Prints the version of Sear and of Go, and the platform.").parse(args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "sear %s (%s, %s/%s)\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func versionText() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
