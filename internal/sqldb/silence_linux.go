package sqldb

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundSilence has the kernel give up a connection on which what was sent is not
// acknowledged in time. It would go on for a quarter of an hour by itself, and
// keep-alives are not sent while it does.
func boundSilence(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
