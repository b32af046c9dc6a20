package child

import "syscall"

// dieWithParent has the kernel kill the child when we end, however that happens.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
