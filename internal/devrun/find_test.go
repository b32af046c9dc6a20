package devrun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write creates the files, named by their paths below dir, and their directories.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()

	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindCLI(t *testing.T) {
	const asks = `{"devDependencies":{"trigger.dev":"4.8.3"}}`

	for name, tc := range map[string]struct {
		files map[string]string
		entry string // found below the root
		err   string // or else a part of the error
	}{
		"own":           {map[string]string{"app/package.json": asks, "app/" + cliEntry: ""}, "app/" + cliEntry, ""},
		"workspace":     {map[string]string{"app/package.json": asks, cliEntry: ""}, cliEntry, ""},
		"own wins":      {map[string]string{"app/package.json": asks, "app/" + cliEntry: "", cliEntry: ""}, "app/" + cliEntry, ""},
		"no project":    {nil, "", "it has no package.json"},
		"not asked for": {map[string]string{"app/package.json": `{}`}, "", "app && npm install --save-dev trigger.dev@4.8.3"},
		"not installed": {map[string]string{"app/package.json": asks}, "", "app && npm install"},
		"npm":           {map[string]string{"app/package.json": asks, "app/package-lock.json": ""}, "", "app && npm ci"},
		"pnpm":          {map[string]string{"app/package.json": asks, "app/pnpm-lock.yaml": ""}, "", "app && pnpm install"},
		"yarn":          {map[string]string{"app/package.json": asks, "app/yarn.lock": ""}, "", "app && yarn install"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, tc.files)
			write(t, root, map[string]string{"bin/node": ""})
			t.Setenv("PATH", filepath.Join(root, "bin"))
			app := filepath.Join(root, "app")

			got, err := findCLI(app)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := cli{node: filepath.Join(root, "bin/node"), entry: filepath.Join(root, tc.entry), dir: app}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(cli{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFindCLIWithoutNode(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	write(t, dir, map[string]string{"package.json": "{}", cliEntry: ""})

	if _, err := findCLI(dir); err == nil || !strings.Contains(err.Error(), "install Node.js") {
		t.Errorf("error %v, want one that names Node.js", err)
	}
}
