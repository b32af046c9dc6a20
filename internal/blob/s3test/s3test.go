// Package s3test gives tests a real S3-compatible server: test/tools/s3server, which is
// built when it is first needed.
package s3test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"sear/internal/blob"
)

// Server returns the server of this process, with a bucket that exists. It is started
// by the first call and ends, with all it holds, when the process does. Tests share it
// and keep apart by their environments.
var Server = sync.OnceValues(start)

func start() (blob.S3, error) {
	root, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return blob.S3{}, fmt.Errorf("find the module: %w", err)
	}
	dir := filepath.Join(filepath.Dir(strings.TrimSpace(string(root))), "test", "tools", "s3server")
	return run(exec.Command("go", "run", "-C", dir, "."))
}

// run starts a server and reads where it is. The server ends with its standard input,
// which this process holds open until it ends.
func run(cmd *exec.Cmd) (s blob.S3, err error) {
	if _, err = cmd.StdinPipe(); err != nil {
		return s, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return s, err
	}
	log, err := os.CreateTemp("", "s3server*.log")
	if err != nil {
		return s, err
	}
	defer log.Close()
	defer os.Remove(log.Name()) // it is still written to
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the tests
	if err := cmd.Start(); err != nil {
		return s, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if json.Unmarshal(lines.Bytes(), &s) == nil { // the gateway says other things before
			go func() { _ = cmd.Wait() }() // keeps the pipe from being collected, and so closed
			return s, nil
		}
	}
	text, _ := os.ReadFile(log.Name()) // says why, or nothing
	return s, fmt.Errorf("the S3 server did not start: %w\n%s", cmd.Wait(), text)
}
