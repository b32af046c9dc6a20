package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
)

// maxSecretFile bounds the file of a secret, in bytes; a longer one is an error.
//
//limit:server A file that holds a secret (`--…-file`) | bytes | the command fails and says so
const maxSecretFile = 64 << 10

// secret is a flag whose value nobody else may learn. It can be given as a file.
type secret struct {
	name  string
	value *string
	file  *string
}

// secretVar adds a flag for a secret, and a second one, --NAME-file, for a file that holds it.
func (f *flagSet) secretVar(value *string, name, usage string) {
	f.StringVar(value, name, "", usage)
	file := f.String(name+"-file", "", "a `file` that holds what --"+name+" would say")
	f.secrets = append(f.secrets, secret{name, value, file})
}

// readSecrets takes the secrets out of the files that were named. The ends of lines after a
// secret are not part of it: editors and echo add one.
func (f *flagSet) readSecrets() error {
	for _, s := range f.secrets {
		if *s.file == "" {
			continue
		}
		if *s.value != "" {
			return f.misused("--%s and --%s-file are both given, or their variables: which one counts?", s.name, s.name)
		}
		text, err := readAtMost(*s.file, maxSecretFile)
		if err != nil {
			return fmt.Errorf("--%s-file: %w", s.name, err)
		}
		if *s.value = strings.TrimRight(text, "\r\n"); *s.value == "" {
			return fmt.Errorf("--%s-file: %s is empty", s.name, *s.file)
		}
	}
	return nil
}

func readAtMost(path string, limit int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return string(text), err
}

// warnOfArguments tells of secrets that were given as arguments, which every user of the
// machine can list while the program runs.
func (f *flagSet) warnOfArguments() {
	for _, s := range f.secrets {
		if *s.value != "" && holdsSecret(*s.value) {
			fmt.Fprintf(f.program.stderr, "sear: other users of this machine can read --%s in the list of processes: give it as --%s-file or %s\n",
				s.name, s.name, envName(s.name))
		}
	}
}

// holdsSecret is false for the URL of a database in which no password stands.
func holdsSecret(value string) bool {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return true
	}
	_, password := u.User.Password()
	return password || u.Query().Has("password")
}
