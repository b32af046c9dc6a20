package main

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a process of ours, in a process group of its own so that an interrupt typed
// at the terminal reaches it through us, after the clients have stopped.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

// startChild starts cmd. Should we end without stopping it, the system ends it where it can.
func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	c := &child{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go c.run(started)
	return c, <-started
}

func (c *child) run(started chan<- error) {
	// The system takes the end of the starting thread for the end of the parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = c.cmd.Wait() // the state says how it ended
	close(c.exited)
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop asks the process to end and kills it when grace is over, which it reports.
func (c *child) stop(grace time.Duration) (killed bool) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-c.exited:
		return false
	case <-late.C:
	}
	_ = c.cmd.Process.Kill()
	<-c.exited
	return true
}
