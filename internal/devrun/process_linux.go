package devrun

import "syscall"

// dieWithParent has the kernel send SIGTERM to the child when we end, however that happens.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
