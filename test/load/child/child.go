// Package child runs processes that end with the program that started them.
package child

import (
	"net"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a process of ours, in a process group of its own so that an interrupt typed
// at the terminal reaches it through us, after the clients have stopped.
type Process struct {
	Cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

// Start starts cmd. Should we end without stopping it, the system ends it where it can.
func Start(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	p := &Process{Cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	return p, <-started
}

func (p *Process) run(started chan<- error) {
	// The system takes the end of the starting thread for the end of the parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := p.Cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = p.Cmd.Wait() // the state says how it ended
	close(p.exited)
}

// PID is the number of the process.
func (p *Process) PID() int { return p.Cmd.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Signal sends the process a signal; one that has ended already gets none.
func (p *Process) Signal(s syscall.Signal) { _ = p.Cmd.Process.Signal(s) }

// Kill kills the process and returns when it has ended.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.exited
}

// Stop asks the process to end and kills it when grace is over, which it reports.
func (p *Process) Stop(grace time.Duration) (killed bool) {
	p.Signal(syscall.SIGTERM)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.exited:
		return false
	case <-late.C:
	}
	p.Kill()
	return true
}

// FreeAddr is a loopback address that nobody listens on.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
