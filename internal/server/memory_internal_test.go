package server

import (
	"testing"
	"testing/fstest"
)

// TestMemoryLimitOfControlGroups: the files are as they are in a Docker container, a systemd
// service and a Kubernetes pod, with either version of control groups.
func TestMemoryLimitOfControlGroups(t *testing.T) {
	t.Parallel()
	const none1 = "9223372036854771712\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64 // 0: no limit
	}{
		"no control groups": {nil, 0},
		"container": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "1073741824\n",
		}, 1 << 30},
		"container without a limit": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "max\n",
		}, 0},
		"service": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/sear.service\n",
			"sys/fs/cgroup/system.slice/sear.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":              "max\n",
		}, 512 << 20},
		"slice tighter than its service": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/sear.service\n",
			"sys/fs/cgroup/system.slice/sear.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":              "268435456\n",
		}, 256 << 20},
		"version 1": {map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/kubepods/pod1/c1\n4:memory:/kubepods/pod1/c1\n1:name=systemd:/\n",
			"sys/fs/cgroup/memory/kubepods/pod1/c1/memory.limit_in_bytes": "1073741824\n",
			"sys/fs/cgroup/memory/kubepods/pod1/memory.limit_in_bytes":    none1,
			"sys/fs/cgroup/memory/memory.limit_in_bytes":                  none1,
		}, 1 << 30},
		"version 1, where the path is the host's": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/c1\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
		}, 1 << 30},
		"version 1 without a limit": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": none1,
		}, 0},
		"nonsense": {map[string]string{
			"proc/self/cgroup":         "0::../../..\nx\n",
			"sys/fs/cgroup/memory.max": "-1\n",
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := fstest.MapFS{}
			for name, text := range tc.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got, ok := memoryLimit(root); ok != (tc.want != 0) || ok && got != tc.want {
				t.Errorf("%d, %v; want %d", got, ok, tc.want)
			}
		})
	}
}
