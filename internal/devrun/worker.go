package devrun

import (
	"bytes"
	"context"
	_ "embed" // for offline.mjs
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed offline.mjs
var offlineModule []byte

const (
	stopGrace     = 5 * time.Second  // for the CLI and its tasks to end after SIGTERM
	watchdogGrace = 10 * time.Second // for the CLI's watchdog to cancel the runs that were active
	pidPoll       = 20 * time.Millisecond
)

// worker is a running `trigger.dev dev`.
type worker struct {
	*process
	ready   chan struct{} // closed when its tasks are registered
	started time.Time
	dir     string
	lines   *prefixer
}

// startWorker starts the CLI for the project of api's keys. When it ends by itself, fail is
// called with an *ExitError.
func startWorker(c cli, api client, out *output, fail context.CancelCauseFunc) (*worker, error) {
	w := &worker{ready: make(chan struct{}), started: time.Now(), dir: c.dir}
	var once sync.Once
	w.lines = out.prefixed("worker", func(line []byte) {
		if bytes.Contains(line, []byte(readyLine)) {
			once.Do(func() { close(w.ready) })
		}
	})

	cmd := exec.Command(c.node, arguments(c, api.keys)...)
	cmd.Dir = c.dir
	cmd.Env = environment(api, out.color)
	p, err := start(cmd, w.lines)
	if err != nil {
		return nil, err
	}
	w.process = p
	go func() {
		<-p.exited
		fail(&ExitError{Code: p.code()})
	}()
	return w, nil
}

// arguments are those of node. The project's reference is given as an option because that
// wins over the config, the environment and the project's .env files: any project runs
// against this server as it is. The CLI's output is a pipe, so it asks nothing.
func arguments(c cli, keys Keys) []string {
	return []string{
		"--import", moduleURL(offlineModule), c.entry, "dev", "--project-ref", keys.ProjectRef,
		"--skip-update-check", "--skip-telemetry", "--skip-platform-notifications",
	}
}

// moduleURL is a URL that is itself the JavaScript module: no file has to be written or removed.
func moduleURL(source []byte) string {
	return "data:text/javascript;base64," + base64.StdEncoding.EncodeToString(source)
}

// environment is ours with the server's address and credentials. With a token in the
// environment the CLI neither reads nor writes the developer's own login.
func environment(api client, color bool) []string {
	env := append(os.Environ(),
		"TRIGGER_API_URL="+api.url,
		"TRIGGER_ACCESS_TOKEN="+api.keys.AccessToken,
		"TRIGGER_PROJECT_REF="+api.keys.ProjectRef,
	)
	if color {
		env = append(env, "FORCE_COLOR=1")
	}
	return env
}

// stop ends the CLI, everything it started, and waits for its watchdog: a detached process
// that notices the CLI's end within a second, tells the server which runs were active, and
// leaves. The server must still be answering.
func (w *worker) stop() {
	w.process.stop(stopGrace)
	w.awaitWatchdog(watchdogGrace)
	w.lines.flush()
}

// awaitWatchdog waits until the watchdog of this session has gone, and ends it after limit.
// The CLI names the file after the branch when TRIGGER_DEV_BRANCH is set; such a watchdog
// leaves without being waited for.
func (w *worker) awaitWatchdog(limit time.Duration) {
	file := filepath.Join(w.dir, ".trigger", "watchdog.pid")
	pid, ok := watchdogPID(file, w.started)
	if !ok {
		return
	}

	late := time.NewTimer(limit)
	defer late.Stop()
	tick := time.NewTicker(pidPoll)
	defer tick.Stop()
	for {
		// The file goes last but one, the process last; a container may keep it as a zombie.
		if _, err := os.Stat(file); err != nil || syscall.Kill(pid, 0) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-late.C:
			_ = syscall.Kill(pid, syscall.SIGTERM)
			return
		}
	}
}

// clockTick is more than the clock that file systems date files by is behind.
const clockTick = 20 * time.Millisecond

// watchdogPID reads the watchdog's process id from file, unless that is older than since and
// so left by an earlier session.
func watchdogPID(file string, since time.Time) (int, bool) {
	info, err := os.Stat(file)
	if err != nil || info.ModTime().Before(since.Add(-clockTick)) {
		return 0, false
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	digits, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "trigger-watchdog:")
	if !ok {
		return 0, false
	}
	pid, err := strconv.Atoi(digits)
	return pid, err == nil && pid > 1
}
