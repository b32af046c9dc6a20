package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sear/internal/fault"
)

// others are the permissions of everybody but the owner.
const others = 0o077

// directory checks the data directory and what only its owner may read.
func (e *examination) directory() {
	const check = "data directory"
	info, err := os.Stat(e.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist) && e.Postgres:
		e.note(Warn, check, "mkdir -m 700 "+e.Data+", or name it with --data: large payloads lie there unless they go to a bucket", "%s does not exist", e.Data)
		return
	case err != nil:
		e.note(Fail, check, "run `sear serve` once, or name the directory with --data", "%v", err)
		return
	case !info.IsDir():
		e.note(Fail, check, "name a directory with --data", "%s is a file", e.Data)
		return
	}
	probe, err := os.CreateTemp(e.Data, ".doctor-")
	if err != nil {
		e.note(Fail, check, "make it writable for the user that runs Sear, and its file system not read-only", "%s cannot be written: %v", e.Data, err)
		return
	}
	_ = errors.Join(probe.Close(), os.Remove(probe.Name())) // an empty file that stays harms nobody
	if info.Mode().Perm()&others != 0 {
		e.note(Warn, check, "chmod 700 "+e.Data, "others on this machine may look into %s (mode %04o)", e.Data, info.Mode().Perm())
	} else {
		e.ok(check, "%s is writable, and nobody else's", e.Data)
	}
}

// key checks that nobody else may read the key of the secrets, and that it opens the store.
func (e *examination) key(ctx context.Context) {
	const check = "secret key"
	says := "it is given, and not kept in " + e.Data
	if e.KeyFile != "" {
		file := filepath.Join(e.Data, e.KeyFile)
		switch info, err := os.Stat(file); {
		case err != nil && e.store == nil:
			e.note(Fail, check, "put it back from a backup, or give the key with --secret-key: without it no secret can be opened", "%v", err)
			return
		case err == nil && info.Mode().Perm()&others != 0:
			e.note(Fail, check, "chmod 600 "+file, "others on this machine may read %s (mode %04o)", file, info.Mode().Perm())
			return
		}
		says = file + " is there, and nobody else's"
	}
	if e.store == nil {
		e.ok(check, "%s; whether it fits is not known", says)
		return
	}
	err := e.CheckKey(ctx, e.store)
	if fault.Is(err, fault.NotFound) {
		e.note(Warn, check, "start the server, which sets the store up", "the store has sealed nothing yet")
		return
	}
	if e.broken(check, err) {
		return
	}
	e.ok(check, "%s, and it opens what the store has sealed", says)
}

// packets checks that large payloads are where the store's runs refer to them.
func (e *examination) packets(ctx context.Context) {
	const check = "large payloads"
	if !e.broken(check, e.CheckPackets(ctx, e.store)) {
		e.ok(check, "their directory is there, or none is needed")
	}
}

// broken notes what is wrong, if anything is.
func (e *examination) broken(check string, err error) bool {
	var p *Problem
	switch {
	case err == nil:
		return false
	case errors.As(err, &p):
		e.note(Fail, check, p.Fix, "%s", p.What)
	default:
		e.note(Fail, check, "", "%v", err)
	}
	return true
}

// answerTime bounds a look at a server.
const answerTime = 3 * time.Second

// StoreHeader is the header in which a healthy server says which store it runs on.
const StoreHeader = "Sear-Store"

// StoreAt is the identity of the store of the healthy server that answers at a URL.
func StoreAt(ctx context.Context, url string) (identity string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/healthcheck", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	switch identity, said := resp.Header[StoreHeader]; {
	case resp.StatusCode != http.StatusOK:
		return "", errors.New("it answers " + resp.Status)
	case !said:
		return "", errors.New("what answers is no Sear")
	default:
		return identity[0], nil
	}
}

// ports checks that a server listens, or could.
func (e *examination) ports(ctx context.Context) {
	const check = "port"
	l, err := net.Listen("tcp", e.Addr)
	if err == nil {
		l.Close()
		e.ok(check, "%s is free", e.Addr)
		return
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		e.note(Fail, check, "give Sear an address of this machine, and a port that its user may have, with --addr", "nobody can listen there: %v", err)
		return
	}
	const fix = "stop the program that has it, or give Sear another with --addr"
	switch identity, err := StoreAt(ctx, "http://"+e.Addr); {
	case err != nil:
		e.note(Fail, check, fix, "%s is taken and no healthy Sear answers there: %v", e.Addr, err)
	case e.store != nil && identity != e.identity:
		e.note(Fail, check, fix, "%s is taken by the Sear of another store", e.Addr)
	default:
		e.serving = true
		e.ok(check, "a Sear answers at %s", e.Addr)
	}
}

// oldestNode is the oldest Node that the official CLI runs on.
var oldestNode = [2]int{18, 20}

// tools checks what the CLI needs on this machine, which need not be the worker's.
func (e *examination) tools(ctx context.Context) {
	const check = "Node and CLI"
	fix := fmt.Sprintf("install Node.js %d.%d or newer where workers run; a server alone needs none", oldestNode[0], oldestNode[1])
	out, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		e.note(Warn, check, fix, "node does not run: %v", err)
		return
	}
	version := strings.TrimSpace(string(out))
	if tooOld(version) {
		e.note(Warn, check, fix, "node is %s, and the CLI needs v%d.%d", version, oldestNode[0], oldestNode[1])
		return
	}
	if _, err := exec.LookPath("npx"); err != nil {
		e.note(Warn, check, "install npm, or start the CLI with the package manager there is", "npx is not on the PATH")
		return
	}
	e.ok(check, "node %s, and npx for `npx trigger.dev@4.8.3 dev`", version)
}

// tooOld reports whether the official CLI does not run on a version of Node.
func tooOld(version string) bool {
	v := numbers(version)
	return slices.Compare(v[:], oldestNode[:]) < 0
}

// numbers are the first two of a version such as v20.1.0.
func numbers(version string) (v [2]int) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	for i := range min(len(v), len(parts)) {
		v[i], _ = strconv.Atoi(parts[i]) // what is no number is too old
	}
	return v
}

// oldBackup is the age at which a backup is old.
const oldBackup = 7 * 24 * time.Hour

func (e *examination) backup() {
	const check = "last backup"
	switch age := e.Now.Sub(e.LastBackup); {
	case e.Postgres && e.KeyFile != "":
		e.note(Warn, check, "copy it, or give the key with --secret-key, and keep it elsewhere", "Postgres is backed up by its own tools, and %s is in no dump: without it no secret can be opened", filepath.Join(e.Data, e.KeyFile))
	case e.Postgres:
		e.ok(check, "Postgres is backed up by its own tools: see docs/operating.md")
	case e.BackupNote != nil:
		e.note(Warn, check, "sear backup FILE, which notes it anew", "it is not known when it was: %v", e.BackupNote)
	case e.LastBackup.IsZero():
		e.note(Warn, check, "sear backup FILE", "there was none")
	case age > oldBackup:
		e.note(Warn, check, "sear backup FILE", "it is %d days old", int(age.Hours()/24))
	default:
		e.ok(check, "%s", e.LastBackup.Format(time.RFC3339))
	}
}
