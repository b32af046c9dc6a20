package server

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// tuneMemory lets the heap, which is a few megabytes, grow to five times what is alive
// before it is collected. Triggers and drains gain a tenth to a third; after a drain of
// 200,000 runs the process had 190 MB. Where the process may only have so much memory, the
// heap is collected sooner as it comes near that. Whoever sets GOGC or GOMEMLIMIT knows better.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if limit, ok := memoryLimit(os.DirFS("/")); ok && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 100 * memoryShare)
	}
}

// memoryShare is how much of its memory a process lets the heap have, in percent. The rest is
// for what the runtime does not count: the program itself, and caches of the kernel.
const memoryShare = 90

// memoryLimit is how many bytes the control groups of this process let it have: the least of
// its own group's limit and those above it. A container sees its own group as the root of all.
func memoryLimit(root fs.FS) (least int64, ok bool) {
	least = math.MaxInt64
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil { // not Linux
		return 0, false
	}
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		dir, name := "sys/fs/cgroup", "memory.max" // version 2, whose line is 0::PATH
		if fields[1] == "memory" {
			dir, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if fields[1] != "" {
			continue
		}
		for group := path.Join("/", fields[2]); ; group = path.Dir(group) {
			if limit, found := readLimit(root, path.Join(dir, group, name)); found && limit < least {
				least, ok = limit, true
			}
			if group == "/" {
				break
			}
		}
	}
	return least, ok
}

// unlimited is less than what version 1 says where there is no limit, and more than any machine has.
const unlimited = 1 << 60

func readLimit(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no number
	return limit, err == nil && limit > 0 && limit < unlimited
}
