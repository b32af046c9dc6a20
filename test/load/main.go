package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sear/test/load/crash"
)

// echoFlag is how the program, started by itself, is told to be the echo server.
const echoFlag = "-serve-echo"

// longest bounds everything, whatever hangs.
const longest = 15 * time.Minute

func main() {
	if len(os.Args) == 2 && os.Args[1] == echoFlag {
		if err := serveEcho(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "load: echo:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	program, args := run, os.Args[1:]
	if len(args) > 0 && args[0] == "crash" {
		program, args = crash.Run, args[1:]
	}
	code := program(ctx, args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: 0 when every run was done exactly once, 1 when not or when it
// could not be found out, 2 for flags that make no sense.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	b, err := newBench(ctx, o, stderr)
	if err == nil {
		err = b.run(ctx)
		fmt.Fprint(stdout, b.report())
		b.close()
	}
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 1
	}
	return 0
}
