//go:build !linux

package server_test

import "time"

var processBegan = time.Now()

// threadTime is the time that has passed, where the CPU time of a thread is not known.
func threadTime() time.Duration { return time.Since(processBegan) }
