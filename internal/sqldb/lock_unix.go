//go:build unix

package sqldb

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"sear/internal/fault"
)

// A process that starts another shares its locks with that for the moment until it is
// another program, even those it gives up then.
const (
	lockTries = 5
	lockPause = 10 * time.Millisecond
)

// lockFile locks <path>.lock until the returned file is closed or the process
// ends. The file stays: removing it would let two processes lock two files.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for try := range lockTries {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if try < lockTries-1 {
			<-time.After(lockPause)
		}
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fault.Wrap(fault.Unavailable, ErrInUse, fmt.Sprintf("The database %s is in use by another Sear process, which holds %s.lock", path, path))
	}
	return nil, fmt.Errorf("lock %s.lock: %w", path, err)
}
