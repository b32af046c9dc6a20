package main

import (
	"context"
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

// smallDisk is a file system of a few megabytes that only the processes of this test see.
type smallDisk struct {
	t      *testing.T
	holder *exec.Cmd // keeps it mounted
	dir    string
}

// mountSmall mounts one, in a mount namespace of its own. Where that is not allowed the
// test is skipped: nobody but root, or a user with namespaces, can make a disk full.
func mountSmall(t *testing.T) *smallDisk {
	t.Helper()
	d := &smallDisk{t: t, dir: t.TempDir()}
	d.holder = exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=6m sear "+d.dir+" && echo mounted && exec cat")
	in, err := d.holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.holder.Start(); err != nil {
		t.Skip("no mount namespaces here: ", err)
	}
	t.Cleanup(func() { in.Close(); _ = d.holder.Wait() })
	if n, _ := out.Read(make([]byte, 16)); n == 0 {
		t.Skip("mounting is not allowed here")
	}
	return d
}

// inside is the path of a file on the disk as it is seen from outside the namespace.
func (d *smallDisk) inside(name string) string {
	return filepath.Join("/proc", fmt.Sprint(d.holder.Process.Pid), "root", d.dir, name)
}

// command is one that sees the disk.
func (d *smallDisk) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--mount", "--target", fmt.Sprint(d.holder.Process.Pid)}, args...)...)
}

// serve starts a server with its data on the disk and returns when it answers.
func (d *smallDisk) serve(addr string) *exec.Cmd {
	d.t.Helper()
	cmd := d.command("sear", "serve", "--addr", addr, "--data", filepath.Join(d.dir, "data"))
	cmd.Stdout, cmd.Stderr = d.t.Output(), d.t.Output()
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(readyTimeout); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + addr + "/healthcheck"); err == nil {
			res.Body.Close()
			return cmd
		}
		if time.Now().After(end) {
			d.t.Fatal("no server answers")
		}
	}
}

// TestFullDisk: while the disk is full triggers are refused with a reason, at once, and
// leave nothing; once there is room they are taken again; and all that was acknowledged is
// there after a crash.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := mountSmall(t)
	ballast := d.inside("ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	serving := d.serve(addr)
	out, err := d.command("sear", "keys", "--json", "--data", filepath.Join(d.dir, "data")).Output()
	var keys server.KeySet
	if err != nil || json.Unmarshal(out, &keys) != nil {
		t.Fatalf("keys: %s, %v", out, err)
	}
	call := func(method, path, body string) (status int, answer struct{ ID, Error, Status string }) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+keys.SecretKeys.Prod)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, answer
	}
	trigger := func(size int) (int, string, string) {
		status, a := call(http.MethodPost, "/api/v1/tasks/hello/trigger", fmt.Sprintf(`{"payload":{"text":%q}}`, strings.Repeat("x", size)))
		return status, a.ID, a.Error
	}

	var acknowledged []string
	refused := 0
	for range 5000 {
		switch status, runID, reason := trigger(20_000); {
		case status == http.StatusOK:
			acknowledged = append(acknowledged, runID)
		case status == http.StatusServiceUnavailable && strings.Contains(reason, "The disk"):
			refused++
		default:
			t.Fatalf("%d %q", status, reason)
		}
		if refused == 20 {
			break
		}
	}
	if refused < 20 || len(acknowledged) == 0 {
		t.Fatalf("%d triggers were taken and %d refused", len(acknowledged), refused)
	}
	if status, _, reason := trigger(600_000); status != http.StatusServiceUnavailable {
		t.Errorf("a large payload: %d %q", status, reason)
	}
	if left, err := filepath.Glob(d.inside("data/packets/incoming/*")); err != nil || len(left) > 0 {
		t.Errorf("half of a packet is left: %v, %v", left, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	status, runID, reason := trigger(100)
	if status != http.StatusOK {
		t.Errorf("with room again: %d %q", status, reason)
	}
	acknowledged = append(acknowledged, runID)

	if err := serving.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = serving.Wait()
	d.serve(addr)
	for _, runID := range acknowledged {
		if status, a := call(http.MethodGet, "/api/v3/runs/"+runID, ""); status != http.StatusOK || a.Status != "QUEUED" {
			t.Errorf("%s: %d %+v", runID, status, a)
		}
	}
	t.Logf("%d runs were acknowledged", len(acknowledged))
}

// TestReadOnlyDisk: a server that cannot write its data says so in one sentence and ends.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	d := mountSmall(t)
	if err := os.Mkdir(d.inside("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := d.command("mount", "-o", "remount,ro", d.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := d.command("sear", "serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(d.dir, "data")).CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err == nil || strings.Count(said, "\n") > 0 || !strings.Contains(said, "read-only") || !strings.Contains(said, d.dir) {
		t.Errorf("%v, %s", err, said)
	}
}
