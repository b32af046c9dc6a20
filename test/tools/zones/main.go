// Command zones lists the time zones of Go's own database, for internal/schedule: UTC first, then
// the others in order. Run it after an upgrade of Go: go generate ./internal/schedule.
package main

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := write("zones.txt"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(to string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	database, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return err
	}
	defer database.Close()
	var names []string
	for _, f := range database.File {
		if !strings.HasSuffix(f.Name, "/") && f.Name != "UTC" && f.Name != "Factory" {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return os.WriteFile(to, []byte("UTC\n"+strings.Join(names, "\n")+"\n"), 0o644)
}
