package devrun

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// cliVersion is the CLI that Sear is tested with, and the one suggested where there is none.
const cliVersion = "4.8.3"

// cliEntry is the CLI's program. It is started by node directly: npx would put a process of
// its own between us and the one that has to be stopped.
var cliEntry = filepath.Join("node_modules", "trigger.dev", "dist", "esm", "index.js")

// cli is a project's own CLI and what runs it.
type cli struct {
	node  string // the node program
	entry string // the CLI's program
	dir   string // the project; the CLI's working directory
}

// findCLI finds the CLI of the project in dir, or in a directory above it, where workspaces
// keep theirs. Every error tells what to do about it.
func findCLI(dir string) (cli, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cli{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, "package.json")); err != nil {
		return cli{}, fmt.Errorf("%s is not a project: it has no package.json", dir)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return cli{}, errors.New("node is not on the PATH: install Node.js 20 or newer, https://nodejs.org")
	}

	for at := dir; ; at = filepath.Dir(at) {
		entry := filepath.Join(at, cliEntry)
		if _, err := os.Stat(entry); err == nil {
			return cli{node: node, entry: entry, dir: dir}, nil
		}
		if at == filepath.Dir(at) {
			return cli{}, fmt.Errorf("%s has no trigger.dev CLI installed; get it with\n\n\tcd %s && %s", dir, dir, installCommand(dir))
		}
	}
}

// installCommand is what gives the project in dir its CLI: what it asks for already, with the
// package manager it uses, or else the version that Sear is tested with.
func installCommand(dir string) string {
	manifest, _ := os.ReadFile(filepath.Join(dir, "package.json"))
	if !bytes.Contains(manifest, []byte(`"trigger.dev"`)) {
		return "npm install --save-dev trigger.dev@" + cliVersion
	}
	for _, m := range []struct{ lockfile, command string }{
		{"package-lock.json", "npm ci"},
		{"pnpm-lock.yaml", "pnpm install"},
		{"yarn.lock", "yarn install"},
	} {
		if _, err := os.Stat(filepath.Join(dir, m.lockfile)); err == nil {
			return m.command
		}
	}
	return "npm install"
}
