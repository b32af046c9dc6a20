package pgtest

import "syscall"

// dieWithParent ends the server when a test binary is killed before it can.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
