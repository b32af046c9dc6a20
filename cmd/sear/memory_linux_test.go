package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/server"
)

// resident is how much memory a process has, in MB, at a moment or at most so far.
func resident(t *testing.T, pid int, what string) (mb int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, what+":"); ok {
			if _, err := fmt.Sscan(kb, &mb); err != nil {
				t.Fatal(err)
			}
			return mb / 1024
		}
	}
	t.Fatalf("no %s in %s", what, status)
	return 0
}

// startServer starts a server of its own process on an empty directory, and returns it with
// its address and directory.
func startServer(t *testing.T) (serving *exec.Cmd, addr, data string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, data = l.Addr().String(), filepath.Join(t.TempDir(), "data")
	l.Close()
	serving = exec.Command("sear", "serve", "--addr", addr, "--data", data)
	serving.Stdout, serving.Stderr = t.Output(), t.Output()
	if err := serving.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serving.Process.Kill(); _ = serving.Wait() })
	for end := time.Now().Add(readyTimeout); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + addr + "/healthcheck"); err == nil {
			res.Body.Close()
			return serving, addr, data
		}
		if time.Now().After(end) {
			t.Fatal("no server answers")
		}
	}
}

// TestSocketsOfStrangersTakeNoMemory: a thousand connections ask to be upgraded and send
// 980,000 bytes each of a message that they do not finish. Nobody knows who they are; or they
// have a key, and join nothing.
func TestSocketsOfStrangersTakeNoMemory(t *testing.T) {
	t.Parallel()
	const connections, most = 1000, 100 // MB beyond what it has when idle
	serving, addr, data := startServer(t)
	out, err := exec.Command("sear", "keys", "--json", "--data", data).Output()
	var keys server.KeySet
	if err != nil || json.Unmarshal(out, &keys) != nil {
		t.Fatalf("keys: %s, %v", out, err)
	}
	frame := append([]byte{0x81, 0x80 | 127}, binary.BigEndian.AppendUint64(nil, 995_000)...) // text, masked
	frame = append(frame, 0, 0, 0, 0)
	frame = append(frame, bytes.Repeat([]byte("x"), 980_000)...)

	idle := resident(t, serving.Process.Pid, "VmRSS")
	answers := map[int]int{}
	for i := range connections {
		key := map[bool]string{true: "Authorization: Bearer " + keys.SecretKeys.Dev + "\r\n"}[i%2 == 1]
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() }) // all stay open
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", addr, key)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		answers[res.StatusCode]++
		_, _ = c.Write(frame) // the server may have ended it by now
		if i%50 == 0 {
			if got := resident(t, serving.Process.Pid, "VmHWM"); got > idle+most {
				t.Fatalf("after %d sockets %d MB, idle %d MB", i+1, got, idle)
			}
		}
	}
	got := resident(t, serving.Process.Pid, "VmHWM")
	t.Logf("idle %d MB, at most %d MB; answers %v", idle, got, answers)
	if got > idle+most {
		t.Errorf("%d MB, idle %d MB", got, idle)
	}
	if answers[http.StatusUnauthorized] != connections/2 {
		t.Errorf("the answers are %v", answers)
	}
}
