package main

import (
	"context"
	"fmt"
	"runtime"

	"sear/internal/version"
)

func printVersion(_ context.Context, p program, args []string) error {
	if _, err := newFlags(p, "version", "", "Prints the version of Sear and of Go, and the platform.").parse(args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "sear %s (%s, %s/%s)\n", version.Text(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
