// Command sear is the whole of Sear: a server for Trigger.dev's official SDK and CLI, and the
// commands to use it. It parses flags and environment; everything else is in internal packages.
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

	"sear/internal/devrun"
)

// The exit codes. `sear dev` may also end with the code of the CLI it runs.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// program is what a command may use of its surroundings.
type program struct {
	stdout, stderr io.Writer
	color          bool // stderr is a terminal that wants colour
	lookup         func(name string) (value string, ok bool)
}

// command is one word after `sear`.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p program, args []string) error
}

var commands = []command{
	{"serve", "run the server", serve},
	{"keys", "print what clients need to reach it; list, end and replace credentials", keys},
	{"admin", "give the administrator a new password", admin},
	{"dev", "run a project's tasks, and the server where there is none", dev},
	{"doctor", "look for what is wrong, and say what to do", doctor},
	{"backup", "write all that a server knows to a file, or check one", writeBackup},
	{"restore", "make a data directory of a backup", restore},
	{"resume", "let a restored server execute runs", resume},
	{"hold", "have servers execute nothing, as after a restore", hold},
	{"why", "say why a run does not execute", why},
	{"version", "print the version", printVersion},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	os.Exit(run(ctx, os.Args[1:], program{
		stdout: os.Stdout,
		stderr: os.Stderr,
		color:  os.Getenv("NO_COLOR") == "" && isTerminal(os.Stderr),
		lookup: os.LookupEnv,
	}))
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, p program) int {
	err := dispatch(ctx, args, p)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}

	fmt.Fprintf(p.stderr, "sear: %v\n", err)
	if e := (*usageError)(nil); errors.As(err, &e) {
		fmt.Fprintf(p.stderr, "Run `%s -h` for help.\n", e.command)
		return exitUsage
	}
	if e := (*devrun.ExitError)(nil); errors.As(err, &e) {
		return e.Code
	}
	return exitFailure
}

func dispatch(ctx context.Context, args []string, p program) error {
	if len(args) == 0 {
		return &usageError{"sear", "which command?"}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return help(p)
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, p, args[1:])
		}
	}
	return &usageError{"sear", fmt.Sprintf("unknown command %q", args[0])}
}

func help(p program) error {
	fmt.Fprint(p.stdout, "Sear runs Trigger.dev tasks.\n\nUsage: sear <command> [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(p.stdout, "  %-9s%s\n", c.name, c.summary)
	}
	_, err := fmt.Fprint(p.stdout, "\n`sear <command> -h` explains a command and its flags.\n")
	return err
}

// isTerminal reports whether f is a character device, which is a terminal in all that matters here.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
