package devrun

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// orphanEnv makes this test program start the named program and wait, see TestParentKilled.
const orphanEnv = "DEVRUN_TEST_PARENT_OF"

func TestMain(m *testing.M) {
	if program := os.Getenv(orphanEnv); program != "" {
		p, err := start(exec.Command(program, "300"), io.Discard)
		if err != nil {
			panic(err)
		}
		fmt.Println(p.cmd.Process.Pid)
		<-p.exited
		return
	}
	os.Exit(m.Run())
}

// eventually fails the test when cond does not become true soon.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()

	for range 500 {
		if cond() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("not within 10 s: %s", what)
}

// alive reports whether the process runs; one that ended but was not reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return runtime.GOOS != "linux" && syscall.Kill(pid, 0) == nil
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return len(state) > 0 && state[0] != 'Z'
}

func TestExitCode(t *testing.T) {
	t.Parallel()

	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 143} {
		p, err := start(exec.Command("sh", "-c", script), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		<-p.exited
		if got := p.code(); got != want {
			t.Errorf("%s: code %d, want %d", script, got, want)
		}
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()

	if _, err := start(exec.Command("/nonexistent"), io.Discard); err == nil {
		t.Error("no error")
	}
}

// A process that ignores SIGTERM is killed after the grace, with its children.
func TestStopKills(t *testing.T) {
	t.Parallel()

	out, in := io.Pipe()
	p, err := start(exec.Command("sh", "-c", `trap "" TERM; sleep 300 & echo $!; wait; wait`), in)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("the child does not run")
	}

	p.stop(100 * time.Millisecond)
	if got := p.code(); got != 128+int(syscall.SIGKILL) {
		t.Errorf("code %d, want that of SIGKILL", got)
	}
	eventually(t, "the child is gone", func() bool { return !alive(pid) })
}

// Should this process be killed without a chance to stop anything, its child ends too.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process of its parent's death")
	}

	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), orphanEnv+"=sleep")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var line string
	if _, err := fmt.Fscan(out, &line); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(line)
	if err != nil || !alive(pid) {
		t.Fatalf("no child: %q, %v", line, err)
	}

	parent.Process.Kill()
	_ = parent.Wait()
	eventually(t, "the child is gone", func() bool { return !alive(pid) })
}
