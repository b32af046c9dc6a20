// Command withpg runs another command with a private PostgreSQL server beside it,
// whose URL the command finds in SEAR_TEST_POSTGRES:
//
//	withpg go test ./...
//
// The server listens on a Unix socket only and is stopped when the command ends,
// whose exit code becomes its own. With SEAR_TEST_POSTGRES set already, or without
// PostgreSQL on a developer's machine, it only runs the command.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"sear/internal/sqldb/pgtest"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withpg COMMAND [ARG...]")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
		code = 1
	}
	os.Exit(code)
}

func run(command []string) (code int, err error) {
	if os.Getenv(pgtest.Env) != "" {
		return carryOut(command)
	}
	dir, err := os.MkdirTemp("", "sear-pg-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	url, stop, err := pgtest.Start(dir)
	if errors.Is(err, pgtest.ErrNotInstalled) && os.Getenv("CI") != "true" {
		fmt.Fprintln(os.Stderr, "withpg: PostgreSQL is not installed, so nothing is tested on it")
		return carryOut(command)
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := os.Setenv(pgtest.Env, url); err != nil {
		return 0, err
	}
	return carryOut(command)
}

// carryOut runs the command to its end. It hands signals on instead of dying of
// them, so that the server is stopped too.
func carryOut(command []string) (int, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	c := exec.Command(command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = c.Process.Signal(s) // it may just have ended
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil
			}
			return 0, err
		}
	}
}
