package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sear/internal/server"
)

// TestEverySecretCanBeAFile: a flag whose name or use says that it holds a secret has another
// for a file.
func TestEverySecretCanBeAFile(t *testing.T) {
	t.Parallel()
	var cfg server.Config
	f := newFlags(program{}, "serve", "", "")
	registerServer(f, &cfg)
	secret := regexp.MustCompile(`secret|token|password|database-url`)
	found := 0
	f.VisitAll(func(fl *flag.Flag) {
		if strings.HasSuffix(fl.Name, "-file") || !secret.MatchString(fl.Name) {
			return
		}
		found++
		if f.Lookup(fl.Name+"-file") == nil {
			t.Errorf("--%s cannot be given as a file", fl.Name)
		}
	})
	if found < 4 {
		t.Errorf("only %d secrets were found", found)
	}
}

// TestSecretOfAFile: a file stands for the value, and what is no use is an error that does not
// show the value.
func TestSecretOfAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", " open sesame \r\n")
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		want string
		err  string
	}{
		"file":                    {args: []string{"--key-file", good}, want: " open sesame "},
		"variable for the file":   {env: map[string]string{"SEAR_KEY_FILE": good}, want: " open sesame "},
		"variable":                {env: map[string]string{"SEAR_KEY": "abc"}, want: "abc"},
		"flag":                    {args: []string{"--key", "abc"}, want: "abc"},
		"none":                    {},
		"both":                    {args: []string{"--key-file", good}, env: map[string]string{"SEAR_KEY": "hidden"}, err: "--key and --key-file are both given"},
		"no file":                 {args: []string{"--key-file", filepath.Join(dir, "none")}, err: "no such file"},
		"empty":                   {args: []string{"--key-file", file("empty", "\n")}, err: "is empty"},
		"longer than any secret":  {args: []string{"--key-file", file("long", strings.Repeat("hidden", 20_000))}, err: "more than 65536 bytes"},
		"a directory for a file?": {args: []string{"--key-file", dir}, err: "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			f := newFlags(program{stderr: &stderr, lookup: func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok }}, "test", "", "")
			var got string
			f.secretVar(&got, "key", "a key")
			_, err := f.parse(tc.args)
			switch {
			case tc.err == "" && err != nil, tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("error %v, want %q", err, tc.err)
			case err != nil && strings.Contains(err.Error(), "hidden"):
				t.Errorf("the error shows the secret: %v", err)
			case err == nil && got != tc.want:
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestArgumentsThatOthersCanRead: a secret on the command line is used, and is pointed out.
func TestArgumentsThatOthersCanRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args   []string
		env    map[string]string
		warned bool
	}{
		"key as an argument": {args: []string{"--secret-key", "abc"}, warned: true},
		"key as a variable":  {env: map[string]string{"SEAR_SECRET_KEY": "abc"}},
		"URL":                {args: []string{"--database-url", "postgres://sear@db/sear"}},
		"URL with password":  {args: []string{"--database-url", "postgres://sear:abc@db/sear"}, warned: true},
		"password behind":    {args: []string{"--database-url", "postgres://db/sear?user=sear&password=abc"}, warned: true},
		"no URL":             {args: []string{"--database-url", "host=db password=abc"}, warned: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			f := newFlags(program{stderr: &stderr, lookup: func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok }}, "serve", "", "")
			var cfg server.Config
			registerStore(f, &cfg)
			if _, err := f.parse(tc.args); err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(stderr.String(), "other users of this machine can read"); warned != tc.warned || strings.Contains(stderr.String(), "abc") {
				t.Errorf("%q", &stderr)
			}
		})
	}
}
