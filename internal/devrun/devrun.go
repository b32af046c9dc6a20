package devrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Config says what to run and against which server.
type Config struct {
	// Dir is the project; its CLI is looked for here and in the directories above.
	Dir string

	// URL is where a server may answer already; with "" one is always started.
	URL string
	// Serve runs a server until ctx ends, and calls ready once it answers.
	Serve func(ctx context.Context, log io.Writer, ready func(url string)) error
	// Keys reads the credentials of the server's default project.
	Keys func(ctx context.Context) (Keys, error)

	// Task is triggered once the worker is ready; with "" the worker is kept running.
	Task string
	// Payload is the task's payload; none is sent when it is empty.
	Payload json.RawMessage

	Stdout io.Writer // gets the result of Task
	Stderr io.Writer // gets the prefixed lines of server and worker
	Color  bool      // colours the prefixes, and lets the CLI colour its lines
}

// Keys are the credentials that the CLI and a client of the development environment need.
type Keys struct {
	ProjectRef  string
	AccessToken string // personal access token, for the CLI
	SecretKey   string // of the development environment, for triggering
}

// ExitError reports that the project's CLI ended by itself.
type ExitError struct{ Code int }

func (e *ExitError) Error() string {
	return fmt.Sprintf("trigger.dev dev ended by itself with exit code %d", e.Code)
}

// readyLine is what the CLI prints, among other words, when its worker is registered.
const readyLine = "Local worker ready"

const (
	probeTimeout = 2 * time.Second
	readyTimeout = 2 * time.Minute // a first build on a busy machine takes half a minute
)

var errNotReady = fmt.Errorf("the worker was not ready within %s; its last lines are above", readyTimeout)

// Run starts what is missing, first the server, then the CLI, and stops it in the reverse
// order before it returns: no process of its own is left. Without a task it returns nil when
// ctx ends; with one it returns nil only if the run completed. A CLI that ends by itself is an
// *ExitError.
func Run(ctx context.Context, cfg Config) error {
	c, err := findCLI(cfg.Dir)
	if err != nil {
		return err
	}
	return runCLI(ctx, cfg, c)
}

func runCLI(ctx context.Context, cfg Config, c cli) error {
	out := newOutput(cfg.Stderr, cfg.Color)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	srv, err := connect(ctx, cfg, out, fail)
	if err != nil {
		return ending(ctx, cfg.Task, err)
	}
	defer srv.stop()

	api := client{url: srv.url}
	if api.keys, err = cfg.Keys(ctx); err != nil {
		return ending(ctx, cfg.Task, err)
	}
	if err := api.checkToken(ctx); err != nil {
		return ending(ctx, cfg.Task, err)
	}

	w, err := startWorker(c, api, out, fail)
	if err != nil {
		return err
	}
	defer w.stop()

	if cfg.Task == "" {
		<-ctx.Done()
		return ending(ctx, cfg.Task, ctx.Err())
	}
	return ending(ctx, cfg.Task, runTask(ctx, cfg, api, w))
}

// ending is err, or what ended ctx where that came first. To be interrupted is an error only
// for someone who waits for a task.
func ending(ctx context.Context, task string, err error) error {
	switch cause := context.Cause(ctx); {
	case cause == nil || err == nil:
		return err
	case !errors.Is(cause, context.Canceled):
		return cause
	case task != "":
		return errors.New("interrupted before the run finished")
	}
	return nil
}

// runTask triggers the task when the worker is ready, waits for its run and prints it.
func runTask(ctx context.Context, cfg Config, api client, w *worker) error {
	late := time.NewTimer(readyTimeout)
	defer late.Stop()
	select {
	case <-w.ready:
	case <-late.C:
		return errNotReady
	case <-ctx.Done():
		return ctx.Err()
	}

	id, err := api.trigger(ctx, cfg.Task, cfg.Payload)
	if err != nil {
		return err
	}
	r, err := api.wait(ctx, id)
	if err != nil {
		return err
	}
	if err := r.print(cfg.Stdout); err != nil {
		return err
	}
	if r.Status != statusCompleted {
		return fmt.Errorf("run %s of task %q ended as %s", r.ID, r.Task, r.Status)
	}
	return nil
}

// host is the server in use: our own, in this process, or one that answered already.
type host struct {
	url  string
	stop func() // ends our own server and waits for it; does nothing to another's
}

// connect finds the server at cfg.URL or starts one. A server of our own that ends by itself
// calls fail.
func connect(ctx context.Context, cfg Config, out *output, fail context.CancelCauseFunc) (host, error) {
	if cfg.URL != "" && answers(ctx, cfg.URL) {
		return host{url: cfg.URL, stop: func() {}}, nil
	}

	// The worker is stopped before the server, so that its goodbye is heard: the interrupt that
	// ends ctx must not end the server by itself.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	lines := out.prefixed("server", nil)
	ready := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := cfg.Serve(own, lines, func(url string) { ready <- url })
		lines.flush()
		if own.Err() == nil {
			fail(serverEnded(err))
		}
	}()

	stop := func() { cancel(); <-done }
	select {
	case url := <-ready:
		return host{url: strings.TrimSuffix(url, "/"), stop: stop}, nil
	case <-ctx.Done():
		stop()
		return host{}, context.Cause(ctx)
	}
}

func serverEnded(err error) error {
	if err == nil {
		return errors.New("the server ended")
	}
	return fmt.Errorf("the server ended: %w", err)
}

// answers reports whether a server at url is ready for requests.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/healthcheck", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()

	return res.StatusCode == http.StatusOK
}
