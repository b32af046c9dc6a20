//go:build unix && !linux

package pgtest

import "syscall"

// dieWithParent does nothing: these systems have no such request, and a killed
// test binary leaves its server running.
func dieWithParent(*syscall.SysProcAttr) {}
