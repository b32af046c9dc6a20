package devrun

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// drainGrace bounds the wait for the last output: someone who left the group may hold the
// other end of the pipe for as long as it lives.
const drainGrace = time.Second

// process is a child in a process group of its own, so that all it starts can be ended with it
// and an interrupt typed at the terminal reaches it only through us, in our order.
type process struct {
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the child itself has ended
	output  *os.File      // our end of the pipe that is its stdout and stderr
	drained chan struct{} // closed when all output was copied
}

// start starts cmd and copies what it and its children print to out. The child gets SIGTERM
// should we end without stopping it, where the system offers that.
func start(cmd *exec.Cmd, out io.Writer) (*process, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd.Stdout, cmd.Stderr = theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)

	p := &process{cmd: cmd, exited: make(chan struct{}), output: ours, drained: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		ours.Close()
		return nil, err
	}
	go func() {
		defer close(p.drained)
		_, _ = io.Copy(out, ours) // ends with the last writer, or when stop loses patience
	}()
	return p, nil
}

// run starts the child and stays until it has ended.
func (p *process) run(started chan<- error) {
	// The system takes the end of the starting thread for the end of the parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = p.cmd.Wait() // the code is in ProcessState
	close(p.exited)
}

// stop asks the whole group to end, kills whoever is left once the child itself has ended or
// grace is over, and waits for the child and its output.
func (p *process) stop(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	wait(p.exited, grace)
	p.signal(syscall.SIGKILL)
	<-p.exited

	wait(p.drained, drainGrace)
	p.output.Close()
	<-p.drained
}

// wait returns when done is closed or limit has passed.
func wait(done <-chan struct{}, limit time.Duration) {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// signal reaches every process of the group; none being left is not an error.
func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

// code is the exit code once exited, as a shell would report it.
func (p *process) code() int {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}
