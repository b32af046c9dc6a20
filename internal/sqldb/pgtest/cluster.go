package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled is what Start returns where there are no PostgreSQL binaries.
var ErrNotInstalled = errors.New("PostgreSQL is not installed")

const startTimeout = time.Minute

// Cluster is a private PostgreSQL server.
type Cluster struct {
	URL string // of its database postgres

	bin, dir string
	cred     *syscall.Credential
	server   *server
}

// Start makes a cluster in dir, which it creates, and runs it until Stop is
// called or this process dies. It listens on a Unix socket in dir alone, keeps
// nothing safe from a crash of the machine and lets any local user in. As root it
// runs the server as the user postgres, which must be able to reach dir. Stop
// leaves dir behind.
func Start(dir string) (*Cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	cred, err := credential()
	if err != nil {
		return nil, err
	}
	if err := prepare(dir, cred); err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, dir: dir, cred: cred,
		URL: "postgres:///postgres?" + url.Values{"host": {dir}, "user": {"postgres"}}.Encode()}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--pgdata="+c.data(), "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir = dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return c, c.serve()
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// serve runs the server and waits until it answers.
func (c *Cluster) serve() (err error) {
	if c.server, err = serve(c.bin, c.dir, c.data(), c.cred); err != nil {
		return err
	}
	if err := c.server.waitReady(c.URL); err != nil {
		return errors.Join(err, c.Stop(), c.server.logged())
	}
	return nil
}

// Socket is the path of the Unix socket on which it listens.
func (c *Cluster) Socket() string { return filepath.Join(c.dir, ".s.PGSQL.5432") }

// Stop shuts the server down at once, ending its connections.
func (c *Cluster) Stop() error { return c.server.stop(syscall.SIGINT) }

// Restart ends the server and starts it again: abruptly as a crash of it would be, or
// orderly. Connections end either way, and what was committed stays.
func (c *Cluster) Restart(abruptly bool) error {
	s := syscall.SIGINT
	if abruptly {
		s = syscall.SIGQUIT
	}
	if err := c.server.stop(s); err != nil {
		return err
	}
	return c.serve()
}

// binaries returns the folder of the newest installed server.
func binaries() (string, error) {
	best, newest := "", 0
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well-formed
	for _, path := range found {
		bin := filepath.Dir(path)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin))); err == nil && version > newest {
			best, newest = bin, version
		}
	}
	if best != "" {
		return best, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNotInstalled
	}
	return filepath.Dir(path), nil
}

// credential returns the user to run as, nil for the present one: the server
// refuses to run as root.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// prepare creates dir for the user who will run the server.
func prepare(dir string, cred *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if cred == nil {
		return nil
	}
	return os.Chown(dir, int(cred.Uid), int(cred.Gid))
}

// server is a running postgres process.
type server struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

func serve(bin, dir, data string, cred *syscall.Credential) (*server, error) {
	s := &server{log: filepath.Join(dir, "log"), exited: make(chan struct{})}
	out, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir,
		"-c", "listen_addresses=", "-c", "max_connections=300", "-c", "shared_buffers=64MB",
		"-c", "fsync=off", "-c", "full_page_writes=off")
	s.cmd.Dir = dir
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	dieWithParent(s.cmd.SysProcAttr)

	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started a process for the end
		// of the parent. This one lasts until the process has ended.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.cmd.Wait() // stop wants no more than that it ends
			close(s.exited)
		}
	}()
	return s, <-started
}

func (s *server) waitReady(dbURL string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, dbURL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return errors.New("postgres ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("postgres is not ready: %w", err)
		}
	}
}

// stop ends the server with a signal that does.
func (s *server) stop(sig syscall.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.exited
	return nil
}

// logged returns what the server wrote, as an error to join to another.
func (s *server) logged() error {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err
	}
	return errors.New(string(text))
}
