// Command withpg runs a command while a private Postgres runs, so that everything the command
// starts shares one cluster. The command finds its URL in SEAR_TEST_POSTGRES.
//
//	withpg go test ./...
//
// Where that variable is set already, its server is used. SIGUSR1 has the cluster crash and come
// back, SIGUSR2 restarts it in order; SIGTSTP shuts it down, until SIGCONT starts it again. The
// cluster and its files are gone when withpg ends, for whatever reason, and the exit code is the
// command's.
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

// exitFailure is for what fails around the command; its own code is passed on.
const exitFailure = 1

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withpg COMMAND [ARGUMENT...]")
		os.Exit(exitFailure)
	}
	code, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
	}
	os.Exit(code)
}

func run(name string, args []string) (code int, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	if os.Getenv(pgtest.Env) == "" {
		stop, err := start()
		if err != nil {
			return exitFailure, err
		}
		defer func() {
			if stopErr := stop(); stopErr != nil {
				code, err = exitFailure, errors.Join(err, stopErr)
			}
		}()
	}

	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return exitFailure, err
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may have ended in this moment
			case <-done:
				return
			}
		}
	}()
	_ = cmd.Wait() // the code is in ProcessState
	close(done)
	return exitCode(cmd.ProcessState), nil
}

// start starts a cluster in a directory of its own and puts its URL into the environment.
func start() (stop func() error, err error) {
	dir, err := os.MkdirTemp("", "withpg")
	if err != nil {
		return nil, err
	}
	cluster, err := pgtest.Start(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop = func() error { return errors.Join(cluster.Stop(), os.RemoveAll(dir)) }
	if err := os.Setenv(pgtest.Env, cluster.URL); err != nil {
		return nil, errors.Join(err, stop())
	}
	restarts := make(chan os.Signal, 1)
	signal.Notify(restarts, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP, syscall.SIGCONT)
	go func() {
		for s := range restarts {
			var err error
			if s == syscall.SIGTSTP {
				err = cluster.Stop()
			} else {
				err = cluster.Restart(s == syscall.SIGUSR1)
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "withpg: %s: %v\n", s, err)
			}
		}
	}()
	return stop, nil
}

// exitCode is the code that a shell would report.
func exitCode(s *os.ProcessState) int {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return s.ExitCode()
}
