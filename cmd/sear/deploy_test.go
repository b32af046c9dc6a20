package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sear/internal/server"
)

// deployed is where the files for deployments lie.
const deployed = "../../deploy"

// TestDeployNamesWhatThereIs: each setting in the files for deployments is a flag of the
// server, and what is YAML can be read.
func TestDeployNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	var cfg server.Config
	var log logFlags
	f := newFlags(program{}, "serve", "", "")
	registerServer(f, &cfg)
	log.register(f)
	known := map[string]bool{}
	f.VisitAll(func(fl *flag.Flag) { known[envName(fl.Name)] = true })
	settings := regexp.MustCompile(`\bSEAR_[A-Z0-9_]+`)
	seen := 0
	for _, name := range []string{"Dockerfile", "sear.service", "compose.yaml", "kubernetes.yaml"} {
		text, err := os.ReadFile(filepath.Join(deployed, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range settings.FindAllString(string(text), -1) {
			seen++
			if !known[setting] {
				t.Errorf("%s names %s, which is no setting of sear serve", name, setting)
			}
		}
		if filepath.Ext(name) == ".yaml" {
			readYAML(t, name, string(text))
		}
	}
	if seen < 15 {
		t.Errorf("only %d settings were found", seen)
	}
}

// readYAML reads each document, and checks that those of Kubernetes say what they are.
func readYAML(t *testing.T, name, text string) {
	t.Helper()
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc map[string]any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if name == "kubernetes.yaml" && (doc["apiVersion"] == nil || doc["kind"] == nil || doc["metadata"] == nil) {
			t.Errorf("%s: a document without apiVersion, kind or metadata: %v", name, doc)
		}
		if services, ok := doc["services"].(map[string]any); name == "compose.yaml" && (!ok || len(services) != 3) {
			t.Errorf("%s: %v", name, doc["services"])
		}
	}
}

// TestScratch runs the server as the image does: by a user who is nobody, in a root
// directory that holds the binary, an empty directory and nothing else.
func TestScratch(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may change the root directory")
	}
	const nobody = 65532
	root := t.TempDir()
	for at := root; at != filepath.Dir(at) && strings.HasPrefix(at, os.TempDir()+"/"); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(root, "sear")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X sear/internal/version.release=v0.0.0-test", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(binary, "version").Output(); err != nil || !strings.HasPrefix(string(out), "sear v0.0.0-test (") {
		t.Errorf("version: %q, %v", out, err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(root, "data"), 0o700), os.Chown(filepath.Join(root, "data"), nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cmd := exec.CommandContext(ctx, "/sear", "serve")
	cmd.Path, cmd.Dir = "/sear", "/"
	cmd.Env = []string{"SEAR_ADDR=" + addr, "SEAR_DATA=/data"}
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for end := time.Now().Add(readyTimeout); !ready && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + addr + "/readyz"); err == nil {
			res.Body.Close()
			ready = res.StatusCode == http.StatusOK
		}
	}
	stop()
	if err := cmd.Wait(); !ready || err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("ready: %v; it ended with %v", ready, err)
	}
	if _, err := os.Stat(filepath.Join(root, "data", "core.db")); errors.Is(err, fs.ErrNotExist) {
		t.Error("there is no data")
	}
}
