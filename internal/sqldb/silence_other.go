//go:build !linux

package sqldb

import "syscall"

// boundSilence does nothing here: only Linux can.
func boundSilence(string, string, syscall.RawConn) error { return nil }
