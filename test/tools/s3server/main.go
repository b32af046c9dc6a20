// Command s3server is the S3-compatible server of the tests: Versity's gateway over a temporary
// directory, on a free port of the loopback interface. It has a module of its own, so that the
// gateway's dependencies are none of Sear's.
//
// It prints one line of JSON when it answers (see server), and ends, leaving nothing behind,
// when its standard input does: it cannot outlive the test that started it.
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

// server is what a client needs to know.
type server struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	Bucket    string `json:"bucket"` // exists and is empty
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
}

// most is how many connections and requests there may be at once.
const most = 1000

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "s3server:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	dir, err := os.MkdirTemp("", "s3server")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s := server{"http://" + address, "eu-test-1", "packets-of-tests", "access" + rand.Text(), rand.Text()}
	gateway, err := open(dir, s)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- gateway.ServeMultiPort([]string{address}) }()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	select {
	case err := <-failed:
		return err
	case err := <-ended:
		return err
	}
}

// open makes the gateway and its bucket below a directory. Attributes of objects are kept in
// files, because not every file system has a place for them.
func open(dir string, s server) (*s3api.S3ApiServer, error) {
	objects, attributes := filepath.Join(dir, "objects"), filepath.Join(dir, "attributes")
	for _, d := range []string{filepath.Join(objects, s.Bucket), attributes} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	sidecar, err := meta.NewSideCar(attributes)
	if err != nil {
		return nil, err
	}
	disk, err := posix.New(objects, sidecar, posix.PosixOpts{SideCarDir: attributes, Concurrency: most})
	if err != nil {
		return nil, err
	}
	root := auth.Account{Access: s.AccessKey, Secret: s.SecretKey, Role: auth.RoleAdmin}
	return s3api.New(disk, middlewares.RootUserConfig{Access: s.AccessKey, Secret: s.SecretKey}, s.Region, auth.NewIAMServiceSingle(root), nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithConcurrencyLimiter(most, most),
		s3api.WithOnListen(func() { _ = json.NewEncoder(os.Stdout).Encode(s) })) // whoever no longer reads has ended
}

// freeAddress is an address of this machine alone on which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
