package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ticksPerSecond is the unit of times in /proc, the same on every Linux.
const ticksPerSecond = 100

// cpuTime is what a process has used since its start; 0 where there is no /proc.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return parseCPU(stat)
}

// parseCPU adds up user and system time, the 14th and 15th field. The second is the
// name of the program, which may contain anything.
func parseCPU(stat []byte) time.Duration {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// Fields of /proc/<pid>/status.
const (
	residentNow  = "VmRSS"
	residentPeak = "VmHWM"
)

// resident is a process's memory in bytes; 0 where there is no /proc.
func resident(pid int, field string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return parseStatus(status, field)
}

func parseStatus(status []byte, field string) int64 {
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		if parts := bytes.Fields(value); string(name) == field && len(parts) > 0 {
			kib, _ := strconv.ParseInt(string(parts[0]), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// folderSize adds up the files of a folder; those that vanish meanwhile count nothing.
func folderSize(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
