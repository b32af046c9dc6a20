package blob

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"sear/internal/fault"
)

// incoming is the directory of files that are being written.
const incoming = "incoming"

// staleAfter is how long after its last write an unfinished file is certainly
// nobody's any more.
const staleAfter = time.Hour

// disk keeps packets below a directory. Several processes may share it.
type disk struct{ dir string }

// newDisk makes the directory when it is missing, and removes what a process that
// crashed left half written there.
func newDisk(dir string) (disk, error) {
	d := disk{dir}
	if err := makeDir(filepath.Join(dir, incoming)); err != nil {
		return d, fmt.Errorf("packet store: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, incoming))
	if err != nil {
		return d, fmt.Errorf("packet store: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(dir, incoming, e.Name())) // the next start tries again
		}
	}
	return d, nil
}

// head is the first line of a file; the packet follows. Keeping both in one file
// makes them appear together. The path is there for people.
type head struct {
	Type string `json:"type"`
	Path string `json:"path"`
}

// maxHead bounds the head of a file: six bytes at most for each of the type and the path.
//
//limit:inside the head of a file that Sear wrote
const maxHead = 8 << 10

func (d disk) put(_ context.Context, envID, path, mediaType string, r io.Reader) (err error) {
	defer func() { err = unwritable(err) }()
	first, err := json.Marshal(head{mediaType, path})
	if err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	f, err := os.CreateTemp(filepath.Join(d.dir, incoming), "packet-*")
	if err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = write(f, first, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return d.publish(f.Name(), d.file(envID, path))
}

// unwritable gives an error that says that the disk took nothing a face which asks the
// caller to come again.
func unwritable(err error) error {
	for _, no := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO} {
		if errors.Is(err, no) {
			return fault.Wrap(fault.Unavailable, err, "The disk takes no more: the payload was not stored, try again once there is room")
		}
	}
	return err
}

// write fills a new file and makes its content durable.
func write(f *os.File, first []byte, r io.Reader) error {
	if _, err := f.Write(append(first, '\n')); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	if _, err := io.Copy(f, r); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	return nil
}

// publish gives a finished file its name, durably.
func (d disk) publish(from, to string) error {
	dir := filepath.Dir(to)
	if err := makeDir(dir); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	return syncDir(dir)
}

// file is where a packet lies. The hash makes a name of bounded length out of any
// path, on file systems that do not tell upper from lower case too, and lets "a" and
// "a/b" live side by side.
func (d disk) file(envID, path string) string {
	sum := sha256.Sum256([]byte(path))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(d.dir, envID, name[:2], name)
}

func (d disk) open(_ context.Context, envID, path string) (*Packet, error) {
	f, err := os.Open(d.file(envID, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errMissing
	}
	if err != nil {
		return nil, fmt.Errorf("open packet: %w", err)
	}
	p, err := read(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet %q: %w", path, err), f.Close())
	}
	return p, nil
}

// read reads the head of a packet's file.
func read(f *os.File) (*Packet, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	body := bufio.NewReaderSize(f, maxHead)
	first, err := body.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	var h head
	if err := json.Unmarshal(first, &h); err != nil {
		return nil, err
	}
	return &Packet{Type: h.Type, Size: info.Size() - int64(len(first)), body: body, close: f.Close}, nil
}

func (d disk) delete(_ context.Context, envID, path string) error {
	name := d.file(envID, path)
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete packet: %w", err)
	}
	return syncDir(filepath.Dir(name))
}

// has reports whether a packet lies here.
func (d disk) has(envID, path string) bool {
	_, err := os.Stat(d.file(envID, path))
	return err == nil
}

// address is none: what lies on a disk is served by Sear.
func (disk) address(string, string, string, time.Duration) (string, error) { return "", nil }

// makeDir makes a directory and those above it, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
